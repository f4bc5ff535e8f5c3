"""Room on a disk: how much is left, stopping before it is full, and what a folder holds."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable

from logferry.errors import Full, NotFound
from logferry.ftp.filesystem import Usage
from logferry.ftp.local_upload import LocalUpload
from logferry.limits import DISK_CHECK_BYTES

log = logging.getLogger("logferry.ftp")


def disk_free_bytes(fd: int) -> int:
    """Bytes free for unprivileged users on the file system of an open file or folder."""
    status = os.fstatvfs(fd)
    return status.f_bavail * status.f_frsize


class RoomUpload(LocalUpload):
    """An upload that stops with Full (452) while ``left()`` bytes are still to spare, not at the last one."""

    __slots__ = ("_ahead", "_left")

    def __init__(self, begun: LocalUpload, left: Callable[[], int]) -> None:
        """Takes ``begun`` over, which is not to be used any more."""
        super().__init__(begun._fd, begun._folder, begun._name, begun._partial, begun.position)
        self._left = left
        self._ahead = 0
        """Bytes that may be written before the disk is asked again."""

    def write(self, data: memoryview | bytes) -> None:
        count = len(data)
        if count > self._ahead:
            left = self._left()
            if count > left:
                raise Full("no room left on the disk", hint="make room on the server")
            self._ahead = max(min(left, DISK_CHECK_BYTES), count)
        self._ahead -= count
        super().write(data)


def usage_beneath(open_folder: Callable[[bytes], int]) -> Usage:
    """Count everything beneath a home, hidden partials included, links not followed.

    ``open_folder`` opens a folder by its relative path. A folder that cannot be read counts as one that is empty: its
    user cannot write there either.
    """
    size_bytes = files = 0
    folders = [b""]
    while folders:
        raw = folders.pop()
        try:
            fd = open_folder(raw)
        except (NotFound, PermissionError) as error:
            log.debug("not counted: %s", error)
            continue
        try:
            with os.scandir(fd) as found:
                for entry in found:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    files += 1
                    if stat.S_ISDIR(status.st_mode):
                        name = os.fsencode(entry.name)
                        folders.append(b"%s/%s" % (raw, name) if raw else name)
                    elif stat.S_ISREG(status.st_mode):
                        size_bytes += status.st_size
        finally:
            os.close(fd)
    return Usage(size_bytes, files)
