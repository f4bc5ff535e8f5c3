"""The first ship of an agent on a terminal: a bar with rate and time left, then "now following"."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING

from logferry.cli import text
from logferry.cli.ftp_bar import drawn
from logferry.ftp.many import ManyProgress

if TYPE_CHECKING:
    from collections.abc import Callable

    from logferry.agent.status import Status

_STEP_S = 0.25
_WINDOW_S = 10.0
"""The rate is that of the last seconds; the agent tells how far it is once a second."""


class FirstShip:
    """Between ``with`` and its end: draws until everything that was there at the start is sent. On a terminal only.

    Log lines go through its handler, which takes the bar away first; as long as it draws only warnings are shown.
    """

    def __init__(self, status: Callable[[], Status | None], *, follows: bool) -> None:
        """``follows``: the agent goes on afterwards, which is said."""
        self._status = status
        self._follows = follows
        self._line = text.Progress()
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._past: deque[tuple[float, int]] = deque()
        self._thread = threading.Thread(target=self._run, name="bar", daemon=True)
        self.handler = _Handler(self)
        self.drawing = sys.stderr.isatty()

    def __enter__(self) -> FirstShip:
        if self.drawing:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._clear()

    def _run(self) -> None:
        while not self._end.wait(_STEP_S):
            status = self._status()
            if status is None:
                continue
            if is_through(status):
                self._clear()
                self.drawing = False
                if self._follows:
                    text.note(through(status))
                return
            self._draw(status)

    def _draw(self, status: Status) -> None:
        now = time.monotonic()
        self._past.append((now, status.sent_bytes))
        while self._past[0][0] < now - _WINDOW_S and len(self._past) > 2:
            self._past.popleft()
        (first_s, first), (last_s, last) = self._past[0], self._past[-1]
        rate = (last - first) / (last_s - first_s) if last_s > first_s else 0.0
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
        with self._lock:
            self._line.show(line(status, rate, columns - 1))

    def _clear(self) -> None:
        with self._lock:
            self._line.clear()

    def write(self, message: str) -> None:
        """A line of the log."""
        with self._lock:
            self._line.clear()
            text.note(message)


class _Handler(logging.Handler):
    def __init__(self, bar: FirstShip) -> None:
        super().__init__()
        self._bar = bar

    def emit(self, record: logging.LogRecord) -> None:
        """Write it above the bar."""
        if record.levelno >= logging.WARNING or not self._bar.drawing:
            self._bar.write(self.format(record))


def is_through(status: Status) -> bool:
    """Whether everything that was found has been sent."""
    return status.looks > 0 and not status.waiting and not status.misplaced


def through(status: Status) -> str:
    """What is said then."""
    files = f"{status.files:,} file{'s' * (status.files != 1)}"
    if not status.sent_bytes:
        return f"{files} known, all sent before · now following (Ctrl-C ends)"
    return f"sent {text.size(status.sent_bytes)} · {files} known · now following (Ctrl-C ends)"


def line(status: Status, rate_bytes_s: float, columns: int) -> str:
    """The bar, or what keeps it from moving."""
    if not status.looks:
        return f"looking for files: {status.files:,} so far"[:columns]
    if status.link not in ("connected", "new"):
        return f"server {status.link}, next try in {text.duration(status.retry_s)}: {status.link_why}"[:columns]
    progress = ManyProgress(
        files_done=max(0, status.files - status.waiting),
        files=status.files,
        bytes_done=status.sent_bytes,
        bytes=status.sent_bytes + status.lag_bytes,
        failed=status.failing_count,
        name=status.last_path,
    )
    return drawn(progress, rate_bytes_s, columns)
