"""The two pipes between the supervisor and a part: the part says "ready", and each notices when the other is gone.

The supervisor passes two descriptors by environment. Writing one JSON line to the first says that the part
listens; the kernel closes it when the part dies. The second is closed by the kernel when the supervisor dies: the part
then stops by itself, so no part ever outlives its supervisor. A part that runs alone has no lifeline and needs none.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

from logferry.server import runfiles

READY_VARIABLE = "LOGFERRY_READY_FD"
ALIVE_VARIABLE = "LOGFERRY_ALIVE_FD"


class Lifeline:
    """A part's end of the pipes."""

    def __init__(self, ready_fd: int | None, alive_fd: int | None) -> None:
        self._ready_fd = ready_fd
        self._alive_fd = alive_fd
        for descriptor in (ready_fd, alive_fd):
            if descriptor is not None:
                os.set_inheritable(descriptor, False)  # a child of the part must not keep the pipes open

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Lifeline:
        """The lifeline the supervisor passed, or one that does nothing."""
        ready, alive = environment.get(READY_VARIABLE, ""), environment.get(ALIVE_VARIABLE, "")
        return cls(int(ready) if ready.isdigit() else None, int(alive) if alive.isdigit() else None)

    def ready(self, values: Mapping[str, Any]) -> None:
        """Tell the supervisor that the part listens. ``values`` is handed to it as it is (JSON)."""
        if self._ready_fd is not None:
            os.write(self._ready_fd, json.dumps(values).encode() + b"\n")

    def watch(self, orphaned: Callable[[], None] | None = None) -> None:
        """Call ``orphaned`` (default: SIGTERM to ourselves) when the supervisor is gone. Returns at once."""
        if self._alive_fd is None:
            return
        call = orphaned or (lambda: os.kill(os.getpid(), signal.SIGTERM))
        threading.Thread(target=self._wait, args=(self._alive_fd, call), name="lifeline", daemon=True).start()

    @staticmethod
    def _wait(descriptor: int, call: Callable[[], None]) -> None:
        while os.read(descriptor, 64):
            pass
        call()


def announce(data_dir: str, part: str, values: Mapping[str, Any]) -> None:
    """Say that ``part`` listens: in ``data_dir/run/<part>.json`` for everybody, by the lifeline for the supervisor.

    ``values`` holds at least ``host`` and ``port`` as really bound; ``pid`` is added.
    """
    told = {"part": part, "pid": os.getpid(), **values}
    runfiles.write_json(runfiles.part_file(data_dir, part), told)
    lifeline = Lifeline.from_environment(os.environ)
    lifeline.ready(told)
    lifeline.watch()
