"""Removing files whose bytes are all sealed, or expired: in the background, or at once for who needs the name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from logferry.archive import partials
from logferry.archive.catalog.filing import LIVE
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.live import Folder
from logferry.archive.locks import locked
from logferry.archive.rooms import Rooms
from logferry.archive.second_names import drop_second_names


class RemoveFile(Change[bool]):
    """A file whose bytes are all sealed goes, unless its name is another file's by now; then its row.

    The result tells whether nothing has its name now. Raises Busy while somebody writes there.
    """

    def __init__(self, rooms: Rooms, place: str, *, is_held: bool = False) -> None:
        """``is_held``: the caller holds the path of the live file at ``place``."""
        self._rooms = rooms
        self._place = place
        self._is_held = is_held
        self._stack = contextlib.ExitStack()
        self._is_free = True

    def stage(self, sync: Callable[[Folder], None]) -> None:
        tree, _, path = self._place.partition("/")
        folder_path, _, name = path.rpartition("/")
        folder = {"live": self._rooms.live, "generations": self._rooms.kept, "tails": self._rooms.tails}[tree].folder(
            folder_path
        )
        if folder is None:
            return
        agent, _, inner = path.partition("/")
        if tree == "live" and not self._is_held:  # nobody else puts a file there
            self._stack.enter_context(partials.held(self._rooms, agent, [inner]))
        try:
            fd = folder.open(name.encode())
        except FileNotFoundError:
            return
        self._stack.callback(os.close, fd)
        # Whoever has just put it there, and not committed it yet, has its lock: only after that does the catalog tell
        # whose it is.
        locked(fd, self._place)
        if tree == "live":
            with self._rooms.catalog.readers.cursor() as cursor:
                state = self._rooms.catalog.filing.at(cursor, agent, inner)
            used = state is not None and state.is_current and state.state == LIVE
        else:
            used = self._rooms.catalog.files.holds(self._place)
        self._is_free = not used
        if not used:
            drop_second_names(self._rooms, agent, fd, self._place)
            self._rooms.disk.unlink(folder.fd, name.encode())
            sync(folder)

    def apply(self, transaction: Transaction) -> bool:
        self._rooms.catalog.sealing.removed(transaction, self._place)
        return self._is_free

    def release(self) -> None:
        self._stack.close()


def made_free(rooms: Rooms, agent: str, path: str, *, is_held: bool = False) -> bool:
    """Whether a file at a live name that only waits to be removed was removed now. Whoever reads it has it open.

    Raises:
        Busy: somebody writes there.
    """
    place = f"live/{agent}/{path}"
    if not rooms.catalog.sealing.is_to_go(place):
        return False
    return rooms.catalog.writer.run(RemoveFile(rooms, place, is_held=is_held))


def made_free_above(rooms: Rooms, agent: str, path: str) -> bool:
    """The same for all names on the way to the folder ``path``, its own included."""
    parts = path.split("/")
    return any(made_free(rooms, agent, "/".join(parts[: count + 1])) for count in range(len(parts)))
