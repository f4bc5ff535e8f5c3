"""How much of a partial outlives a power cut: what was synced when somebody last said so. The file itself tells.

A note beside its bytes (a user attribute) holds the number; it stays true while more is written behind. File systems
without such notes get a bit of the mode instead, that means nothing for a file which nobody executes: it says that
all was synced and nothing written since, so it has to go before the next byte is written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

_NAME = "user.logferry.settled"
_BIT = stat.S_IXGRP
_NO_NOTE = (errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_NO_NOTES = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM)
HAS_NOTES = hasattr(os, "setxattr")
"""Whether Python knows them here."""


def settled_bytes(fd: int) -> int | None:
    """How many of its first bytes are on the disk, whatever happens; None: nobody ever said so."""
    facts = os.fstat(fd)
    noted = _noted(fd)
    if noted is None:
        return facts.st_size if facts.st_mode & _BIT else None
    return min(noted, facts.st_size)


def settle(fd: int) -> None:
    """All of it was synced just now. This itself is on the disk when it is synced the next time."""
    if HAS_NOTES:
        try:
            os.setxattr(fd, _NAME, str(os.fstat(fd).st_size).encode())
        except OSError as error:
            if error.errno not in _NO_NOTES:
                raise
        else:
            return
    _set_mode(fd, stat.S_IMODE(os.fstat(fd).st_mode) | _BIT)


def unsettle(fd: int, *, wholly: bool) -> bool:
    """What was said does not hold for what is written from now on. Whether the file must be synced before that.

    ``wholly``: also for the bytes that are there.
    """
    changed = False
    if wholly and _noted(fd) is not None:
        os.removexattr(fd, _NAME)
        changed = True
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    if mode & _BIT:
        _set_mode(fd, mode & ~_BIT)
        changed = True
    return changed


def forget(fd: int) -> None:
    """It is no partial any more, and whatever it says means nothing."""
    with contextlib.suppress(OSError):  # so it may as well stay
        unsettle(fd, wholly=True)


def _set_mode(fd: int, mode: int) -> None:
    with contextlib.suppress(PermissionError):  # a file system without modes of its own: all its files have the same
        os.fchmod(fd, mode)


def _noted(fd: int) -> int | None:
    if not HAS_NOTES:
        return None
    try:
        return int(os.getxattr(fd, _NAME))
    except ValueError:
        return None
    except OSError as error:
        if error.errno in _NO_NOTE:
            return None
        raise
