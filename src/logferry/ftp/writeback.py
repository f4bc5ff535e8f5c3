"""Starting to write a file to disk while more of it still arrives, so that the sync at its end is short."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

_SYNC_FILE_RANGE_WRITE = 2


def _nothing(_fd: int, _offset: int, _count: int) -> None:
    """Where the system cannot be asked, the sync at the end does it all."""


def _starter() -> Callable[[int, int, int], None]:
    if sys.platform != "linux":
        return _nothing
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):  # a C library without it
        return _nothing
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

    def start(fd: int, offset: int, count: int) -> None:
        # What goes wrong here goes wrong again in fsync, which is where it counts.
        call(fd, offset, count, _SYNC_FILE_RANGE_WRITE)

    return start


start_writeback = _starter()
"""(descriptor, offset, bytes): begin to write that range to disk; returns at once and promises nothing."""
