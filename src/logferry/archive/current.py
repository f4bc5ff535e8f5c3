"""The current generation of a path with the file that grows, locked: where its new bytes go."""

from __future__ import annotations

import os

from logferry.archive.catalog.filing import PathState
from logferry.archive.changes import Grow
from logferry.archive.reader import GenerationReader
from logferry.archive.rooms import Rooms, base_of, place_of, sealed_of, too_short
from logferry.archive.tails import Tail, lock_current, tail_place


class CurrentFile:
    """An open, locked current generation without unconfirmed bytes. Close it.

    ``fd`` is the file of its unsealed bytes, which begins with byte ``base`` of the generation.
    """

    def __init__(self, rooms: Rooms, state: PathState, fd: int, tail: Tail | None) -> None:
        self.state = state
        self.fd = fd
        self.base = base_of(state)
        self._rooms = rooms
        self._tail = tail
        self._reader = GenerationReader(fd, state.size, place_of(state), base=self.base, sealed=sealed_of(rooms, state))

    def stored(self, start: int, count: int) -> bytes:
        """Bytes as they are stored. Raises Damaged."""
        return self._reader.read_at(start, count)

    def grow(self, size: int) -> int:
        """The file has ``size`` bytes of the generation, synced: confirm them. Returns the generation's number."""
        if self._tail is None:
            return self._rooms.catalog.writer.run(Grow(self._rooms, self.state, size))
        place = tail_place(self.state)
        number = self._rooms.catalog.writer.run(
            Grow(self._rooms, self.state, size, place=place, folder=self._tail.folder)
        )
        self.state = self._tail.state = self.state._replace(size=size, place=place)
        return number

    def close(self) -> None:
        """Let go of it and its lock. May be called twice."""
        if self.fd < 0:
            return
        if self._tail is not None:
            self._tail.close()
        else:
            os.close(self.fd)
        self.fd = -1


def opened_current(rooms: Rooms, state: PathState) -> CurrentFile:
    """The current generation ``state``, as it is now that nobody else may write.

    Raises:
        Busy: somebody else is at it.
        Conflict: it is no longer current, or at another path.
        Damaged: it is not what was confirmed.
    """
    file = lock_current(rooms, state)
    try:
        _cut(rooms, file.state, file.fd)
        return CurrentFile(rooms, file.state, file.fd, file if isinstance(file, Tail) else None)
    except BaseException:
        if isinstance(file, Tail):
            file.close()
        else:
            os.close(file.fd)
        raise


def _cut(rooms: Rooms, now: PathState, fd: int) -> None:
    """Cut the file off where it ends as far as anybody was told."""
    expected = now.size - base_of(now)
    size = os.fstat(fd).st_size
    if size < expected:
        raise too_short(place_of(now), expected, size)
    if size > expected:
        # Left by a crash before the commit: never confirmed, so the sender has it still.
        rooms.disk.truncate(fd, expected)
