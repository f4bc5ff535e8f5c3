"""Open source files: descriptors, what they are, and the few that stay open in case they are rotated or deleted."""

from __future__ import annotations

import os
import stat as stat_module
import sys
from collections import OrderedDict
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

    def refresh(self) -> Stat:
        """Ask the file system again. Raises Later: it cannot tell now."""
        try:
            status = os.fstat(self.fd)
        except OSError as error:  # a network mount that went away, for example
            raise _unreadable(error) from error
        self.deleted = status.st_nlink == 0
        self.stat = Stat(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return self.stat

    def read(self, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``, fewer only at the end of the file. Raises Later: it cannot be read now."""
        try:
            data = os.pread(self.fd, count, offset)
            if len(data) == count or not data:
                return data
            parts = [data]
            left = count - len(data)
            while left and (data := os.pread(self.fd, left, offset + count - left)):
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


def open_file(path: bytes, *, linked: bool = False) -> OpenFile:
    """Open a regular file for reading; a link is followed only if ``linked``.

    Raises:
        NotFound: there is no file (any more), or it is not a regular file.
        Later: it cannot be read now (permission, input/output error, stale handle, too many open files).
    """
    try:
        fd = os.open(path, _FLAGS | (0 if linked else _NO_LINK))
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
    except OSError as error:
        os.close(fd)
        raise _unreadable(error) from error
    except BaseException:
        os.close(fd)
        raise
    return file


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
    """Files that stay open for a while after they were read, by row id; the longest unused is closed first."""

    def __init__(self, limit: int = HANDLES_MAX, idle_s: float = HANDLE_IDLE_S) -> None:
        self._limit = limit
        self._idle_s = idle_s
        self._held: OrderedDict[int, tuple[OpenFile, float]] = OrderedDict()

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
        while len(self._held) > self._limit:
            victim, (victim_file, _) = self._held.popitem(last=False)
            victim_file.close()
            closed.append(victim)
        return closed

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
