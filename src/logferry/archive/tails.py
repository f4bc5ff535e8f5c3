"""Tails: what a generation has beyond its sealed bytes, in a plain file of its own below ``tails``.

The name holds the generation and the byte the file begins at, so that a generation sealed further gets another file:
which one counts is decided by the commit of a row, never by the order of two renames.
"""

from __future__ import annotations

import os

from logferry.archive.catalog.filing import SEALED, PathState, changed
from logferry.archive.live import Folder
from logferry.archive.locks import locked
from logferry.archive.rooms import Rooms


def tail_place(state: PathState) -> str:
    """Where what comes after the sealed bytes lies, or will when there is some."""
    return state.place or f"tails/{state.agent}/{state.generation_id}.{state.sealed}"


class Tail:
    """The tail of a sealed generation, made empty when there is none, locked. Close it.

    The lock keeps every other writer away from the generation.
    """

    def __init__(self, rooms: Rooms, state: PathState, folder: Folder, name: bytes, fd: int) -> None:
        self.state = state
        self.folder = folder
        self.fd = fd
        self._rooms = rooms
        self._name = name

    @classmethod
    def open(cls, rooms: Rooms, state: PathState) -> Tail:
        """Open and lock it. Its name is durable when ``folder`` is synced.

        Raises:
            Busy: another connection is at it.
        """
        folder = rooms.tails.make(state.agent, lambda parent: rooms.disk.sync_folder(parent.fd))
        name = tail_place(state).rpartition("/")[2].encode()
        while True:
            fd = folder.open(name, os.O_RDWR | os.O_CREAT)
            try:
                locked(fd, state.path)
                there = folder.stat(name)
                if there is not None and there.st_ino == os.fstat(fd).st_ino:
                    return cls(rooms, state, folder, name, fd)
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # it was removed between opening and locking

    @classmethod
    def held(cls, rooms: Rooms, state: PathState) -> Tail:
        """The tail of the current generation ``state``, as it is now that nobody else may write.

        Raises:
            Busy: another connection is at it.
            Conflict: it is no longer current, at another path, or sealed further.
        """
        tail = cls.open(rooms, state)
        try:
            tail.state = rooms.still_current(state)
        except BaseException:
            tail.close()
            raise
        if tail.state.state == SEALED and tail_place(tail.state) == tail_place(state):
            return tail
        tail.close()
        raise changed(state.path)

    def close(self) -> None:
        """Release it; one that holds nothing and that no row names goes. May be called twice."""
        if self.fd < 0:
            return
        try:
            if not self.state.place and os.fstat(self.fd).st_size == 0:
                self._rooms.disk.unlink(self.folder.fd, self._name)
        finally:
            os.close(self.fd)
            self.fd = -1
