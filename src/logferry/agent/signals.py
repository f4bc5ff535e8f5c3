"""Signals of the running agent: SIGTERM and Ctrl-C stop it, SIGHUP makes it read its settings anew."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Protocol


class Obedient(Protocol):
    """What can be told by a signal."""

    def stop(self) -> None:
        """End soon."""
        ...

    def reload(self) -> None:
        """Read the settings anew."""
        ...


def obey_signals(agent: Obedient) -> None:
    """From now on signals of this process concern ``agent``. From the main thread."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        agent.stop()

    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, stop)
    if sys.platform == "win32":
        return
    on_terminal = _is_terminal()

    def hang_up(_number: int, _frame: FrameType | None) -> None:
        # A terminal that is closed sends the same signal: who started us there has left.
        if on_terminal and not _is_terminal():
            agent.stop()
        else:
            agent.reload()

    signal.signal(signal.SIGHUP, hang_up)


def _is_terminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:
        return False
