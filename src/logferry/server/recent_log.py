"""The newest lines of a part's log, kept in a file of bounded size beside what it writes to standard error.

For support bundles: where standard error went (a journal, a container's log, a terminal), no program can know.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, MutableMapping
from typing import Any

from logferry.limits import LOG_KEPT_BYTES

SUFFIX = ".log"
_BEFORE = ".1"


class RecentLog:
    """Two files: the one that is written to, and the one before. Several processes may write to them.

    A line that cannot be written is lost, as on standard error: the work it tells of goes on.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._fd = -1

    def __call__(self, _logger: Any, _method: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """As a step of structlog: keeps the facts and hands them on as they are."""
        self.write(json.dumps(dict(facts), default=str))
        return facts

    def write(self, line: str) -> None:
        """Keep one line."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            try:
                self._ready(len(data))
                os.write(self._fd, data)
            except OSError:
                self._close()

    def _ready(self, more: int) -> None:
        """The open file, a new one when it is full or another process has begun one."""
        if self._fd >= 0 and not self._is_current():
            self._close()
        if self._fd < 0:
            self._open()
        if os.fstat(self._fd).st_size + more > LOG_KEPT_BYTES:
            os.replace(self._path, self._path + _BEFORE)
            self._close()
            self._open()

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def _open(self) -> None:
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def kept_lines(path: str) -> Iterator[str]:
    """What is kept at ``path``, oldest first. Nothing where there is nothing."""
    for name in (path + _BEFORE, path):
        try:
            with open(name, encoding="utf-8", errors="replace") as file:
                yield from (line.rstrip("\n") for line in file)
        except FileNotFoundError:
            continue
