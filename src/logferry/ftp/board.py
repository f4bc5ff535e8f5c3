"""Memory that all processes of one server see, and the lock that guards it. In one process: plain memory.

Made before the fork and inherited by it. Nothing in it is a pointer, so a process that is killed at any moment leaves
at worst one row half written; whoever reads rows bears that (see ``slots.py``, ``tally.py``). The lock is the kernel's
record lock, which goes when its holder dies.
"""

from __future__ import annotations

import mmap
import os
import secrets
import tempfile
import threading
from contextlib import AbstractContextManager

from logferry.ftp.portable import fcntl
from logferry.limits import FTP_PROCESSES_MAX


class Board:
    """``processes`` is how many will share it. ``secret`` keys the hashes, so that nobody can aim at a slot."""

    def __init__(self, processes: int = 1) -> None:
        assert 1 <= processes <= FTP_PROCESSES_MAX, processes
        self.processes = processes
        self.secret = secrets.token_bytes(16)
        self.lock: AbstractContextManager[object] = threading.Lock() if processes == 1 else ProcessLock()
        """Held for microseconds. Not re-entrant."""

    def memory(self, size_bytes: int) -> memoryview:
        """Zeros, shared by all processes that are forked later."""
        if self.processes == 1:
            return memoryview(bytearray(size_bytes))
        return memoryview(mmap.mmap(-1, size_bytes))


class ProcessLock:
    """A lock between the threads of all processes that inherit it; released by the kernel when its holder dies."""

    def __init__(self) -> None:
        self._threads = threading.Lock()
        if hasattr(os, "memfd_create"):
            self._fd = os.memfd_create("logferry-ftp-lock", os.MFD_CLOEXEC)
        else:
            self._fd, path = tempfile.mkstemp()
            os.unlink(path)

    def __enter__(self) -> None:
        # Record locks belong to the process: its threads sort it out among themselves first.
        self._threads.acquire()
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX)
        except BaseException:
            self._threads.release()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def close(self) -> None:
        """Give the descriptor back; nobody may use the lock any more."""
        os.close(self._fd)
