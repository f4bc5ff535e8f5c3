"""Open source files: descriptors, what they are, and the few that stay open in case they are rotated or deleted."""

from __future__ import annotations

import os
import stat as stat_module
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from logferry.agent.identity import Stat
from logferry.errors import Later, NotFound
from logferry.limits import HANDLE_IDLE_S, HANDLES_MAX

if sys.platform != "win32":  # there, inode reuse is judged by content alone
    import fcntl

_GET_GENERATION = 0x80087601  # FS_IOC_GETVERSION; ext2/3/4, XFS and Btrfs know it
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@dataclass(slots=True)
class OpenFile:
    """An open regular file. ``stat`` is as of the last ``refresh``."""

    fd: int
    stat: Stat
    inode_generation: int
    deleted: bool = False
    """Whether the file had no name any more at the last ``refresh``."""
    space: int = 0
    """Bytes it takes on the disk: what an open descriptor keeps the system from freeing once it is deleted."""

    def refresh(self) -> Stat:
        """Ask the file system again. Raises Later: it cannot tell now."""
        try:
            status = os.fstat(self.fd)
        except OSError as error:  # a network mount that went away, for example
            raise _unreadable(error) from error
        self.deleted = status.st_nlink == 0
        self.space = _space(status)
        self.stat = Stat(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return self.stat

    def read(self, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``, fewer only at the end of the file. Raises Later: it cannot be read now."""
        try:
            data = _pread(self.fd, count, offset)
            if len(data) == count or not data:
                return data
            parts = [data]
            left = count - len(data)
            while left and (data := _pread(self.fd, left, offset + count - left)):
                parts.append(data)
                left -= len(data)
        except OSError as error:
            raise _unreadable(error) from error
        return b"".join(parts)

    def name_now(self) -> bytes | None:
        """The path the file has now, where the system can tell (Linux), else None."""
        try:
            path = os.readlink(b"/proc/self/fd/%d" % self.fd)
        except OSError:
            return None
        return None if self.deleted or path.endswith(b" (deleted)") else path

    def close(self) -> None:
        """Release the descriptor."""
        os.close(self.fd)


def _open(path: bytes, *, linked: bool) -> int:
    if sys.platform == "win32" and os.name == "nt":
        from logferry.agent.sharing import open_shared

        return open_shared(path)
    return os.open(path, _FLAGS | (0 if linked else _NO_LINK))


def open_file(path: bytes, *, linked: bool = False) -> OpenFile:
    """Open a regular file for reading; a link is followed only if ``linked``.

    Raises:
        NotFound: there is no file (any more), or it is not a regular file.
        Later: it cannot be read now (permission, input/output error, stale handle, too many open files).
    """
    try:
        fd = _open(path, linked=linked)
    except FileNotFoundError as error:
        raise NotFound("the file is gone") from error
    except PermissionError as error:
        raise Later("the file is not readable", hint="give the agent's user read permission") from error
    except OSError as error:
        raise Later(f"the file cannot be opened: {error.strerror}") from error
    try:
        status = os.fstat(fd)
        if not stat_module.S_ISREG(status.st_mode):
            raise NotFound("it is not a regular file")  # noqa: TRY301 (the descriptor is closed below)
        file = OpenFile(
            fd, Stat(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns), _inode_generation(fd)
        )
        file.deleted = status.st_nlink == 0
        file.space = _space(status)
    except OSError as error:
        os.close(fd)
        raise _unreadable(error) from error
    except BaseException:
        os.close(fd)
        raise
    return file


def _space(status: os.stat_result) -> int:
    blocks: int | None = getattr(status, "st_blocks", None)  # of 512 bytes; Windows has none
    return status.st_size if blocks is None else blocks * 512


def _seek_and_read(fd: int, count: int, offset: int) -> bytes:
    """``os.pread`` for systems without: each descriptor is used by one thread at a time."""
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, count)


_pread: Callable[[int, int, int], bytes] = getattr(os, "pread", _seek_and_read)


def _unreadable(error: OSError) -> Later:
    return Later(f"the file cannot be read: {error.strerror}")


def _inode_generation(fd: int) -> int:
    if sys.platform == "win32":
        return 0
    buffer = bytearray(8)
    try:
        fcntl.ioctl(fd, _GET_GENERATION, buffer)
    except OSError:
        return 0  # a file system that keeps no such number
    return int.from_bytes(buffer[:4], "little")


class Handles:
    """Files that stay open for a while after they were read, by row id; the longest unused is closed first.

    Files in ``nameless`` cannot be opened again: they are closed only when there is nobody else to make room.
    """

    def __init__(self, limit: int = HANDLES_MAX, idle_s: float = HANDLE_IDLE_S) -> None:
        self.limit = limit
        self._idle_s = idle_s
        self._held: OrderedDict[int, tuple[OpenFile, float]] = OrderedDict()
        self.nameless: dict[int, float] = {}
        """Rows whose file has no name of its own any more but is still open (here or with a worker), with the
        monotonic time of the last progress they made."""
        self.dropped_files = 0
        self.dropped_bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, row_id: int) -> OpenFile | None:
        """The open file of this row, left in place."""
        held = self._held.get(row_id)
        return held[0] if held else None

    def take(self, row_id: int) -> OpenFile | None:
        """The open file of this row; the caller owns it now."""
        held = self._held.pop(row_id, None)
        return held[0] if held else None

    def keep(self, row_id: int, file: OpenFile, now_s: float) -> list[int]:
        """Hold ``file`` for ``row_id``. Returns the rows whose files were closed to make room."""
        old = self.take(row_id)
        if old is not None and old is not file:
            old.close()
        self._held[row_id] = (file, now_s)
        closed = []
        while len(self._held) > self.limit:
            victim = next((held for held in self._held if held not in self.nameless), None)
            if victim is None:
                victim = next(iter(self._held))
            self.close(victim)
            closed.append(victim)
        return closed

    def make_room(self) -> bool:
        """Whether one more can be kept without closing one that cannot be opened again; closes another one for it."""
        if len(self._held) < self.limit:
            return True
        victim = next((held for held in self._held if held not in self.nameless), None)
        if victim is None:
            return False
        self.close(victim)
        return True

    def dropped(self, unsent: int) -> None:
        """Count a file of which ``unsent`` bytes will never be sent."""
        self.dropped_files += 1
        self.dropped_bytes += unsent

    def close(self, row_id: int) -> None:
        """Close the file of this row, if one is held."""
        file = self.take(row_id)
        if file is not None:
            file.close()

    def idle(self, now_s: float) -> list[int]:
        """Rows whose files have not been used for the idle time."""
        return [row_id for row_id, (_, used) in self._held.items() if now_s - used > self._idle_s]

    def close_all(self) -> None:
        """Close everything."""
        for row_id in list(self._held):
            self.close(row_id)
