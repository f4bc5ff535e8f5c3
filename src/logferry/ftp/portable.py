"""What systems do differently, in one place: Linux is the fast path, macOS and Windows get what does the same there."""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from typing import Any

fcntl: Any = None
with contextlib.suppress(ImportError):  # Windows
    fcntl = importlib.import_module("fcntl")
"""The module, or None where there is none."""

KERNEL_TIMEOUTS = os.name == "posix" and hasattr(socket, "MSG_DONTWAIT") and hasattr(socket, "SO_RCVTIMEO")
"""Whether blocking sockets may have their time-outs in the kernel (``struct timeval``; elsewhere Python's are used)."""
MSG_WAITALL: int = getattr(socket, "MSG_WAITALL", 0)
RESET_ON_CLOSE = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""SO_LINGER: closing sends a reset."""
FOLDER_HANDLES = fcntl is not None and os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")
"""Whether names can be opened beneath an open folder; ``LocalFilesystem`` stands on it."""

O_CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
O_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
O_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
O_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
O_PATH: int = getattr(os, "O_PATH", os.O_RDONLY | O_NONBLOCK)
"""A descriptor to look at; without O_PATH the file is opened for reading, and a FIFO must not block that."""

_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
_HAS_DATA_SYNC = hasattr(os, "fdatasync")
_HAS_POSITIONS = hasattr(os, "pread")


def booted_ns() -> int:
    """When the machine was started, by the clock of today; 0 where the system does not tell."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0
    return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def sync_file(fd: int) -> None:
    """``fsync``; on macOS, where that leaves the bytes in the disk's own cache, what really writes them."""
    if _FULL_SYNC is not None:
        fcntl.fcntl(fd, _FULL_SYNC)
    else:
        os.fsync(fd)


def sync_data(fd: int) -> None:
    """``fdatasync``, or what there is instead."""
    if _HAS_DATA_SYNC:
        os.fdatasync(fd)
    else:
        sync_file(fd)


def sync_folder(path: str) -> None:
    """Make a rename in the folder survive a power cut; Windows has no such call and keeps renames by itself."""
    if not O_DIRECTORY:
        return
    folder = os.open(path, os.O_RDONLY | O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def folder_locked(path: str) -> Iterator[None]:
    """Hold the folder's lock, waiting for it; where folders cannot be opened, one process at a time must do."""
    if not FOLDER_HANDLES:
        yield
        return
    folder = os.open(path, os.O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def lock_alone(fd: int) -> bool:
    """Lock a file for this process alone, without waiting; False when another one has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_at(fd: int, count: int, offset: int) -> bytes:
    """``pread``. Where there is none the position moves: one thread at a time then."""
    if _HAS_POSITIONS:
        return os.pread(fd, count, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, count)


def write_at(fd: int, data: Any, offset: int) -> int:
    """``pwrite``, likewise."""
    if _HAS_POSITIONS:
        return os.pwrite(fd, data, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.write(fd, data)


def tell_cut_ends(context: ssl.SSLContext) -> None:
    """Have an end without close_notify raise an error: some Pythons (Debian 12's) take it for a good end."""
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF


def is_cut_end(error: OSError) -> bool:
    """Whether a TLS connection ended without close_notify; older Pythons have no class of its own for that."""
    if isinstance(error, ssl.SSLEOFError):
        return True
    return isinstance(error, ssl.SSLError) and error.reason == "UNEXPECTED_EOF_WHILE_READING"
