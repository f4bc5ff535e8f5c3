"""Tails: what a generation has beyond its sealed bytes, in a plain file of its own below ``tails``.

The name holds the generation's uid and the byte the file begins at, so that a generation sealed further gets another
file: which one counts is decided by the commit of a row, never by the order of two renames.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from logferry.archive.catalog.filing import SEALED, PathState
from logferry.archive.live import Folder
from logferry.archive.locks import locked
from logferry.archive.rooms import Rooms
from logferry.errors import Conflict


def tail_place(state: PathState) -> str:
    """Where what comes after the sealed bytes lies, or will when there is some."""
    return state.place or f"tails/{state.agent}/{state.uid}.{state.sealed}"


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
            Conflict: it is no longer current, or at another path.
        """
        while True:
            tail = cls.open(rooms, state)
            try:
                now = rooms.still_current(state)
            except BaseException:
                tail.close()
                raise
            if tail_place(now) == tail_place(state):
                tail.state = now
                return tail
            # It was sealed further: its tail is another file, and the one we may just have made is nobody's.
            tail.state = state._replace(place="")
            tail.close()
            state = now

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


class LiveFile(NamedTuple):
    """The live file of a current generation, locked. Close ``fd``."""

    state: PathState
    folder: Folder
    name: bytes
    fd: int


def lock_current(rooms: Rooms, state: PathState) -> LiveFile | Tail:
    """The file of a current generation that new bytes go to, locked, with its state as it is then.

    Raises:
        Busy: somebody else is at it.
        Conflict: it is no longer current, or at another path.
        Damaged: its file is missing.
    """
    while state.state != SEALED:
        try:
            fd, folder, name = rooms.open_live(state, writable=True)
        except Conflict:
            state = rooms.still_current(state)
            if state.state != SEALED:
                raise
            break
        try:
            locked(fd, state.path)
            state = rooms.still_current(state)
        except BaseException:
            os.close(fd)
            raise
        if state.state != SEALED:
            return LiveFile(state, folder, name, fd)
        os.close(fd)  # sealed since: another file goes on
    return Tail.held(rooms, state)


def release(held: list[int | Tail]) -> None:
    """Let go of what a change has locked: open live files and tails. A tail made for its lock alone goes with it."""
    while held:
        one = held.pop()
        if isinstance(one, Tail):
            one.close()
        else:
            os.close(one)
