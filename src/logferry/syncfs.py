"""Syncing many files at once: Linux's ``syncfs``."""

from __future__ import annotations

import ctypes
import errno
import os
import sys


def _reports_errors() -> bool:
    """Whether ``syncfs`` tells of writes that failed: Linux 5.8 and later."""
    if sys.platform != "linux":
        return False
    numbers = os.uname().release.split(".")[:2]
    return [int(number) if number.isdigit() else 0 for number in numbers] >= [5, 8]


_syncfs = ctypes.CDLL(None, use_errno=True).syncfs if _reports_errors() else None


def can_sync_disk() -> bool:
    """Whether ``sync_disk`` may be relied upon here; elsewhere sync each file."""
    return _syncfs is not None


def sync_disk(fd: int) -> None:
    """Return when everything written to the file system that holds ``fd`` is on disk.

    Hundreds of small files cost hardly more so than a few by ``fsync``, for they share one commit of the journal.
    Errors since ``fd`` was opened are told, those of anybody's files.

    Raises:
        OSError.
    """
    assert _syncfs is not None
    if _syncfs(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code or errno.EIO))
