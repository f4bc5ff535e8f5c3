"""Second names of a file that a crash left: between giving it its new name and taking away the old one.

As long as the file has both names, whoever meets the old one sees that it belongs to the other and removes it (see
``Adopt``). So before the file loses the name under which it is known, the others have to go: a name that is left alone
would look like a whole file that nobody knows yet, and its bytes would be there twice.
"""

from __future__ import annotations

import os

from logferry.archive.catalog.filing import LIVE
from logferry.archive.live import Folder
from logferry.archive.partials import held
from logferry.archive.rooms import Rooms


def drop_second_names(rooms: Rooms, agent: str, fd: int, place: str) -> None:
    """Remove all names of the open, locked file ``fd`` but ``place``, durably. Nearly always there is none.

    Raises:
        Busy: somebody is at one of them.
    """
    file = os.fstat(fd)
    if file.st_nlink < 2:
        return
    # Slow, but only ever needed after a crash.
    for path in [path for path, found in rooms.live.walk(agent) if os.path.samestat(found, file)]:
        inner = path.partition("/")[2]
        if f"live/{path}" != place:
            with held(rooms, agent, [inner]):
                if not _is_live(rooms, agent, inner):
                    _drop(rooms, *rooms.live_folder(agent, inner), file)
    for path in [path for path, found in rooms.kept.walk(agent) if os.path.samestat(found, file)]:
        if f"generations/{path}" != place and not rooms.catalog.files.holds(f"generations/{path}"):
            folder_path, _, name = path.rpartition("/")
            _drop(rooms, rooms.kept.folder(folder_path), name.encode(), file)


def _is_live(rooms: Rooms, agent: str, path: str) -> bool:
    with rooms.catalog.readers.cursor() as cursor:
        state = rooms.catalog.filing.at(cursor, agent, path)
    return state is not None and state.is_current and state.state == LIVE


def _drop(rooms: Rooms, folder: Folder | None, name: bytes, file: os.stat_result) -> None:
    there = folder.stat(name) if folder is not None else None
    if folder is not None and there is not None and os.path.samestat(there, file):
        rooms.disk.unlink(folder.fd, name)
        rooms.disk.sync_folder(folder.fd)
