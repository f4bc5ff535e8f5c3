"""Linux's inotify on folders, read directly: no event is lost silently, and a queue overflow asks for a full look."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from logging import WARNING

from logferry.agent.journal import Journal
from logferry.agent.watch import Hints

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_OVERFLOW, _IGNORED, _ONLYDIR = 0x4000, 0x8000, 0x01000000
_MASK = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _ONLYDIR
_HEADER = struct.Struct("iIII")
_READ_BYTES = 256 * 1024


class Inotify:
    """One inotify descriptor for all folders. When watches run out, the rest is left to polling, and it says so."""

    def __init__(self, journal: Journal) -> None:
        """Raises OSError when the system gives no inotify descriptor."""
        self._journal = journal
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._folders: dict[int, bytes] = {}
        self.complete = True

    def fileno(self) -> int | None:
        """The inotify descriptor."""
        return self._fd

    def watch(self, folder: bytes) -> None:
        """Watch ``folder``; a folder that has been renamed meanwhile gets its new path."""
        descriptor = self._libc.inotify_add_watch(self._fd, ctypes.c_char_p(folder), ctypes.c_uint32(_MASK))
        if descriptor >= 0:
            self._folders[descriptor] = folder
            return
        number = ctypes.get_errno()
        if number in (errno.ENOSPC, errno.ENOMEM):
            self.complete = False
            self._journal.state(
                "watching", "out of watches", level=WARNING, hint="raise fs.inotify.max_user_watches; polling meanwhile"
            )
        elif number not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            self.complete = False

    def read(self) -> Hints:
        """All hints that wait now."""
        hints = Hints()
        while True:
            try:
                data = os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                return hints
            self._parse(data, hints)

    def _parse(self, data: bytes, hints: Hints) -> None:
        at = 0
        while at < len(data):
            watch, mask, _cookie, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            name = data[at : at + length].rstrip(b"\x00")
            at += length
            if mask & _OVERFLOW:
                hints.everywhere = True
            elif mask & _IGNORED:
                self._folders.pop(watch, None)
            elif name and (folder := self._folders.get(watch)) is not None:
                hints.names.setdefault(folder, set()).add(name)

    def close(self) -> None:
        """Close the descriptor; all watches go with it."""
        os.close(self._fd)
