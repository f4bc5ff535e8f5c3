"""Taking over plain files that lie elsewhere on the same file system, without copying a byte.

The file gets its live name first, then its row; only then does whoever asked take the old name away. Wherever a crash
comes in between, both names are there, and the same call brings it to its end.
"""

from __future__ import annotations

import errno
import os
import stat

from logferry.archive.changes import Adopt, made_live
from logferry.archive.live import Folder
from logferry.archive.partials import held
from logferry.archive.rooms import Rooms
from logferry.errors import Conflict
from logferry.names import split

_CANNOT_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES)


class _AdoptLinked(Adopt):
    """``Adopt`` of a file that has a second name, which is known to lie outside of the archive."""

    def _has_another_name(self, found: os.stat_result) -> bool:  # noqa: ARG002 - nothing to look for
        return False


def adopt(rooms: Rooms, agent: str, path: str, source: Folder, its_name: bytes) -> bool:
    """Make the plain file ``its_name`` of ``source`` (the only name of its bytes) the current generation of ``path``.

    It keeps its name there: remove it once this has returned. False: it cannot be linked from there.

    Raises:
        Conflict: there is something at ``path`` already.
        Busy: somebody is at the path just now.
    """
    folder_path, name_text = split(path)
    name = name_text.encode()
    with held(rooms, agent, [path]):
        with rooms.catalog.readers.cursor() as cursor:
            state = rooms.catalog.filing.at(cursor, agent, path)
        if state is not None and state.is_current:
            raise Conflict(f"{agent}/{path} is in the archive already")
        folder = made_live(rooms, agent, folder_path, lambda parent: rooms.disk.sync_folder(parent.fd))
        there = folder.stat(name)
        if there is None:
            try:
                rooms.disk.step("link")
                os.link(its_name, name, src_dir_fd=source.fd, dst_dir_fd=folder.fd, follow_symlinks=False)
            except OSError as error:
                if error.errno in _CANNOT_LINK:
                    return False
                raise
            _need_plain(folder, name)
        elif not _is_same(there, source.stat(its_name)):
            raise Conflict(f"{agent}/{path} is in the archive already")
        _make_writable(folder, name)
        rooms.disk.sync_folder(folder.fd)
        rooms.catalog.writer.run(_AdoptLinked(rooms, agent, path))
    return True


def _is_same(there: os.stat_result, other: os.stat_result | None) -> bool:
    return other is not None and os.path.samestat(there, other)


def _need_plain(folder: Folder, name: bytes) -> None:
    """What was looked at may be something else by now: nothing but a plain file stays in the live tree."""
    found = folder.stat(name)
    if found is not None and not stat.S_ISREG(found.st_mode):
        os.unlink(name, dir_fd=folder.fd)
        raise Conflict(f"{name.decode()} is no plain file any more")


def _make_writable(folder: Folder, name: bytes) -> None:
    """What grows is written to: the owner, who has to be us, may."""
    fd = folder.open(name)
    try:
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
        if mode & 0o600 != 0o600:
            os.fchmod(fd, mode | 0o600)
    finally:
        os.close(fd)
