"""Giving memory back to the system after a storm.

A password check takes megabytes for some milliseconds. glibc keeps them for the next one, in as many arenas as there
were threads: after 500 logins at once 300 MB stay with a server that does nothing (measured), until asked for them.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable


def _nothing() -> None:
    """Where the C library gives back by itself, or cannot be asked."""


def _giver() -> Callable[[], None]:
    if sys.platform != "linux":
        return _nothing
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # a C library without it
        return _nothing

    def give_back() -> None:
        trim(ctypes.c_size_t(0))

    return give_back


give_memory_back = _giver()
"""Return what is free to the system. Takes up to some milliseconds: for quiet moments."""
