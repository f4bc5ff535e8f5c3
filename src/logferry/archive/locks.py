"""Who may write to a file: one connection, in whatever process."""

from __future__ import annotations

import fcntl

from logferry.errors import Busy


def locked(fd: int, path: str) -> None:
    """Keep every other upload, in whatever process, away from the file until ``fd`` is closed.

    Raises:
        Busy: another one is at it.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Busy(f"{path} is being written by another connection", hint="try again in a moment") from error
