"""The one place that writes, syncs, renames, links and unlinks in the archive.

The order that survives a power cut is write -> fdatasync -> rename -> fsync of the folder; leave out a step and
acknowledged bytes get lost (tests cut the power to prove it). ``Disk`` offers the steps; whoever publishes a file
goes through all of them. Every step can be watched by a ``hook``, which tests use to fail or to kill at each.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from logferry.errors import Full, Later, LogferryError
from logferry.limits import SYNC_EACH_MAX
from logferry.syncfs import can_sync_disk, sync_disk

Hook = Callable[[str], None]
"""Called with the name of a step just before it is done; may raise OSError instead of it."""

Data = bytes | bytearray | memoryview

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Disk:
    """Durable steps on open folders (``*_dir`` are folder handles, names are bytes of one component)."""

    def __init__(self, hook: Hook | None = None) -> None:
        self._hook = hook

    def step(self, name: str) -> None:
        """Tell the hook, where there is one, that the step ``name`` comes next."""
        if self._hook is not None:
            self._hook(name)

    def write(self, fd: int, data: Data, offset: int) -> None:
        """Write all of ``data`` at ``offset``."""
        self.step("write")
        written = os.pwrite(fd, data, offset)
        if written < len(data):
            rest = memoryview(data)[written:]
            while rest:
                offset += written
                written = os.pwrite(fd, rest, offset)
                rest = rest[written:]

    def truncate(self, fd: int, size: int) -> None:
        """Make the file ``size`` bytes long."""
        self.step("truncate")
        os.ftruncate(fd, size)

    def sync_data(self, fd: int) -> None:
        """Return when the file's bytes and length are on disk."""
        self.step("sync_data")
        _fdatasync(fd)

    def sync_file(self, fd: int) -> None:
        """Return when all of the file is on disk: bytes, length, and what is noted about it."""
        self.step("sync_file")
        os.fsync(fd)

    def sync_many(self, fds: Sequence[int]) -> None:
        """Return when the bytes of all these files, of one file system, are on disk."""
        if len(fds) <= SYNC_EACH_MAX or not can_sync_disk():
            for fd in fds:
                self.sync_data(fd)
            return
        self.step("sync_many")
        sync_disk(fds[0])

    def sync_folder(self, folder_dir: int) -> None:
        """Return when the names in the folder are on disk."""
        self.step("sync_folder")
        os.fsync(folder_dir)

    def rename(self, source_dir: int, source: bytes, target_dir: int, target: bytes) -> None:
        """Move a file, replacing the target. The caller syncs the target's folder afterwards."""
        self.step("rename")
        os.rename(source, target, src_dir_fd=source_dir, dst_dir_fd=target_dir)

    def link(self, source_dir: int, source: bytes, target_dir: int, target: bytes) -> None:
        """Give a file a second name (never through a symbolic link). Raises FileExistsError."""
        self.step("link")
        os.link(source, target, src_dir_fd=source_dir, dst_dir_fd=target_dir, follow_symlinks=False)

    def unlink(self, folder_dir: int, name: bytes) -> None:
        """Take away one name of a file; that it is gone already is no error."""
        self.step("unlink")
        try:
            os.unlink(name, dir_fd=folder_dir)
        except FileNotFoundError:
            return

    def make_folder(self, parent_dir: int, name: bytes, mode: int = 0o755) -> None:
        """Make a folder; the caller syncs its parent. That it exists is no error."""
        self.step("make_folder")
        try:
            os.mkdir(name, mode, dir_fd=parent_dir)
        except FileExistsError:
            return

    def remove_folder(self, parent_dir: int, name: bytes) -> None:
        """Remove an empty folder. Raises OSError when it is not empty."""
        self.step("remove_folder")
        os.rmdir(name, dir_fd=parent_dir)


# macOS has no fdatasync; fsync does at least as much.
_fdatasync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


@contextmanager
def translating(what: str) -> Iterator[None]:
    """Inside, an error of the disk becomes one of our own tree that names ``what``."""
    try:
        yield
    except OSError as error:
        raise translated(error, what) from error


def translated(error: OSError, what: str) -> LogferryError:
    """The error of our own tree for a failed step on ``what`` (a path as people know it)."""
    if error.errno in _NO_ROOM:
        return Full(f"no room left on the disk for {what}", hint="free some space; the sender then repeats")
    return Later(
        f"the disk refused {what}: {os.strerror(error.errno or errno.EIO)}",
        hint="nothing was confirmed; look at the system log for the disk, then send again",
    )


def of_the_disk(error: LogferryError) -> bool:
    """Whether it is the disk that cannot read (a bad sector), rather than a moment that passes."""
    return isinstance(error, Later) and isinstance(error.__cause__, OSError)
