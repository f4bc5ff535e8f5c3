"""Linux's inotify on folders, read directly: no event is lost silently, and a queue overflow asks for a full look."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
from collections.abc import Set
from logging import WARNING

from logferry.agent.journal import Journal
from logferry.agent.mounts import Remote
from logferry.agent.watch import Hints
from logferry.agent.watchlist import Watchlist

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE, _MOVE_SELF = 0x40, 0x80, 0x100, 0x200, 0x800
_UNMOUNT, _OVERFLOW, _IGNORED, _ONLYDIR, _ISDIR = 0x2000, 0x4000, 0x8000, 0x01000000, 0x40000000
_MASK = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _MOVE_SELF | _ONLYDIR
_ABOUT_THE_FOLDER = _UNMOUNT | _IGNORED | _MOVE_SELF
_HEADER = struct.Struct("iIII")
_READ_BYTES = 256 * 1024
_NONE_LEFT = (errno.ENOSPC, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
_GONE = (errno.ENOENT, errno.ENOTDIR)


class Inotify:
    """One inotify descriptor for all folders.

    Folders for which the system has no watch left are in ``polled`` until it has one again. A renamed folder keeps its
    watches, one that leaves the sources loses them.
    """

    def __init__(self, journal: Journal, *, watches_max: int | None = None) -> None:
        """``watches_max``: use no more watches than that, whatever the system allows.

        Raises:
            OSError: the process has no descriptors left.
        """
        self._journal = journal
        self._watches_max = watches_max
        self._libc = ctypes.CDLL(None, use_errno=True)
        # The agent waits for this one; the inotify descriptor joins it when the system has one to give.
        self._epoll = select.epoll()
        self._fd = -1
        self._list = Watchlist()
        self._wanting: set[bytes] = set()
        self._vanished: set[bytes] = set()
        self._asked: set[bytes] = set()
        self._unheard: set[bytes] = set()
        """Folders on network file systems: what other machines do there makes no events."""
        self._remote = Remote()
        self._leaving: dict[int, tuple[bytes, bool]] = {}
        self._left: dict[int, tuple[bytes, bool]] = {}
        self.kind = "inotify"
        self.overflows = 0
        self._begin()

    def _begin(self) -> int:
        """Get the inotify descriptor; returns 0 or the error number."""
        fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if fd < 0:
            return ctypes.get_errno()
        self._fd = fd
        self._epoll.register(fd, select.EPOLLIN)
        return 0

    def fileno(self) -> int | None:
        """A descriptor that gets readable with the first event."""
        return self._epoll.fileno()

    @property
    def polled(self) -> Set[bytes]:
        """Folders without a watch: the system has none left, or a source's folder itself vanished and may come back."""
        return self._wanting | self._vanished if self._vanished else self._wanting

    @property
    def complete(self) -> bool:
        """Whether every folder has a watch, and none lies where other machines write unheard."""
        return self._fd >= 0 and not self._wanting and not self._vanished and not self._unheard

    def watch(self, folder: bytes) -> None:
        """Watch ``folder``; a folder that has been renamed meanwhile gets its new path."""
        self._asked.add(folder)
        number = self._add(folder)
        if number == 0:
            self._wanting.discard(folder)
            self._vanished.discard(folder)
        elif number in _NONE_LEFT:
            self._wanting.add(folder)
        else:
            self._wanting.discard(folder)
            if number in _GONE and not self._parent_tells(folder):
                self._vanished.add(folder)
        self._tell(number)

    def _add(self, folder: bytes) -> int:
        if self._fd < 0 and (number := self._begin()):
            return number
        if self._watches_max is not None and len(self._list) >= self._watches_max and folder not in self._list:
            return errno.ENOSPC
        descriptor = self._libc.inotify_add_watch(self._fd, ctypes.c_char_p(folder), ctypes.c_uint32(_MASK))
        if descriptor < 0:
            return ctypes.get_errno()
        if folder not in self._list and self._remote(folder):
            self._unheard.add(folder)
        useless = self._list.put(descriptor, folder)
        if useless is not None:
            self._remove(useless)
        return 0

    def _tell(self, number: int) -> None:
        if not self._wanting:
            self._journal.state("watching", "")
        elif number in _NONE_LEFT:
            what = "max_user_watches" if number in (errno.ENOSPC, errno.ENOMEM) else "max_user_instances"
            self._journal.state(
                "watching",
                "out of watches: some folders are polled",
                level=WARNING,
                why=os.strerror(number),
                hint=f"raise fs.inotify.{what}; watching goes on by itself then",
            )

    def _parent_tells(self, folder: bytes) -> bool:
        return folder != b"/" and (folder.rpartition(b"/")[0] or b"/") in self._list

    def _remove(self, descriptor: int) -> None:
        # It may be gone already with its folder; then there is nothing to remove.
        self._libc.inotify_rm_watch(self._fd, descriptor)

    def looked(self) -> None:
        """Let go the watches of folders that do not belong to the sources any more."""
        for folder in [path for path in self._list if path not in self._asked]:
            descriptor = self._list.descriptor(folder)
            assert descriptor is not None
            self._list.drop(descriptor)
            self._remove(descriptor)
        self._wanting &= self._asked
        self._vanished &= self._asked
        self._unheard &= self._asked
        self._asked = set()
        self._tell(0)

    # Reading ----------------------------------------------------------------------------------------------------------

    def read(self) -> Hints:
        """All hints that wait now."""
        hints = Hints()
        while self._fd >= 0:
            try:
                data = os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                break
            self._parse(data, hints)
        # The other half of a rename follows at once. What is still alone at the next reading has left the sources.
        for path, is_folder in self._left.values():
            if is_folder:
                self._let_go(path)
        self._left, self._leaving = self._leaving, {}
        return hints

    def _parse(self, data: bytes, hints: Hints) -> None:
        at = 0
        while at < len(data):
            descriptor, mask, cookie, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            name = data[at : at + length].rstrip(b"\x00")
            at += length
            if mask & _OVERFLOW:
                self.overflows += 1
                hints.everywhere = True
                continue
            folder = self._list.path(descriptor)
            if folder is None:
                continue
            if mask & _ABOUT_THE_FOLDER:
                self._folder_event(descriptor, mask, folder, hints)
            elif name:
                hints.at(folder, name)
                if cookie:
                    self._half_of_a_rename(cookie, mask, folder.rstrip(b"/") + b"/" + name, hints)

    def _folder_event(self, descriptor: int, mask: int, folder: bytes, hints: Hints) -> None:
        if mask & _IGNORED:  # deleted or unmounted: its watch is gone
            self._list.drop(descriptor)
            if not self._parent_tells(folder):
                self._vanished.add(folder)
        elif mask & _UNMOUNT:
            hints.everywhere = True
        elif not self._parent_tells(folder):  # a source's own folder was renamed
            self._let_go(folder)
            self._vanished.add(folder)
            hints.everywhere = True

    def _half_of_a_rename(self, cookie: int, mask: int, path: bytes, hints: Hints) -> None:
        is_folder = bool(mask & _ISDIR)
        if mask & _MOVED_FROM:
            self._leaving[cookie] = (path, is_folder)
            return
        before = self._left if cookie in self._left else self._leaving
        if cookie not in before:
            return  # it came from outside
        old, _ = before.pop(cookie)
        if not is_folder:
            hints.file_renamed(old, path)
            return
        for descriptor in self._list.rename(old, path):
            self._remove(descriptor)
        hints.folder_renamed(old, path)

    def _let_go(self, folder: bytes) -> None:
        for descriptor in self._list.drop_tree(folder):
            self._remove(descriptor)

    def close(self) -> None:
        """Close the descriptors; all watches go with them."""
        if self._fd >= 0:
            os.close(self._fd)
        self._epoll.close()
