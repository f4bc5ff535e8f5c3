"""One agent per state folder: the lock that says so, and the question whether somebody holds it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from logferry.errors import Conflict

if sys.platform != "win32":
    import fcntl

FILE_NAME = "agent.lock"
_TRIES = 10
_PAUSE_S = 0.02


class StateLock:
    """Held from the start to ``release``; the system releases it when the process dies, however it dies."""

    def __init__(self, state_dir: Path) -> None:
        """Raises Conflict if another agent has it."""
        self._fd = os.open(state_dir / FILE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        tries = _TRIES  # whoever asks "does one run?" holds it for a moment, too
        while not _locked(self._fd):
            tries -= 1
            if tries:
                time.sleep(_PAUSE_S)
                continue
            os.close(self._fd)
            hint = "stop it first, or give this one another state_dir"
            raise Conflict(f"another agent is running with {state_dir}", hint=hint)
        with contextlib.suppress(OSError):  # a full disk: who holds it cannot be told then, that it is held can
            os.ftruncate(self._fd, 0)
            os.write(self._fd, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let another agent have it."""
        os.close(self._fd)


def holder(state_dir: str | os.PathLike[str]) -> int | None:
    """The process id of the agent that runs with this state folder; None: none does, or it cannot be told."""
    if not is_held(state_dir):
        return None
    try:
        return int((Path(state_dir) / FILE_NAME).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def is_held(state_dir: str | os.PathLike[str]) -> bool | None:
    """Whether an agent runs with this state folder; None where that cannot be told (Windows, no permission)."""
    if sys.platform == "win32":
        return None
    try:
        fd = os.open(Path(state_dir) / FILE_NAME, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        return not _locked(fd, shared=True)
    finally:
        os.close(fd)


def _locked(fd: int, *, shared: bool = False) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
