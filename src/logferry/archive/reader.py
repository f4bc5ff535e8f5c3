"""The one reader: any byte range of any generation, wherever its bytes lie.

FTP downloads, the API, search and the viewer all read through it, so none of them knows about places.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from logferry.archive.catalog.filing import PathState
from logferry.archive.rooms import Rooms, missing, place_of, too_short
from logferry.errors import Conflict, Damaged, NotFound


class GenerationReader:
    """An open generation of ``size`` confirmed bytes. What arrives later is not seen: open it again for that.

    Thread-safe. Close it, or use it in a ``with`` statement.
    """

    def __init__(self, fd: int, size: int, place: str) -> None:
        self.size = size
        self._fd = fd
        self._place = place

    def read_at(self, offset: int, count: int) -> bytes:
        """The bytes from ``offset``, at most ``count``; fewer only at the end.

        Raises:
            Damaged: the file is shorter than it was confirmed.
        """
        count = min(count, self.size - offset)
        if count <= 0:
            return b""
        data = os.pread(self._fd, count, offset)
        while len(data) < count:
            more = os.pread(self._fd, count - len(data), offset + len(data))
            if not more:
                raise too_short(self._place, self.size, offset + len(data))
            data += more
        return data

    def fileno(self) -> int | None:
        """A descriptor whose first ``size`` bytes are the generation (for ``sendfile``), or None if there is none."""
        return self._fd

    def excess(self) -> int:
        """How many bytes the file has that were never confirmed."""
        return os.fstat(self._fd).st_size - self.size

    def close(self) -> None:
        """Release it. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_generation(rooms: Rooms, generation_id: int) -> GenerationReader:
    """Open a generation by its id.

    Raises:
        NotFound: there is none.
        Damaged: its bytes are missing or too few.
    """
    state = held(rooms, generation_id)
    while True:
        try:
            fd = rooms.open_bytes(state)
        except (Conflict, Damaged):
            fd = -1
        # Its place changes before the old name goes: if the place is still the same, this is its file.
        now = held(rooms, generation_id)
        if (now.state, now.place, now.agent, now.path) == (state.state, state.place, state.agent, state.path):
            break
        if fd >= 0:
            os.close(fd)
        state = now
    if fd < 0:
        raise missing(now)
    # The size read before opening: the file has at least that much.
    if os.fstat(fd).st_size < state.size:
        found = os.fstat(fd).st_size
        os.close(fd)
        raise too_short(place_of(state), state.size, found)
    return GenerationReader(fd, state.size, place_of(state))


def held(rooms: Rooms, generation_id: int) -> PathState:
    """The catalog's facts of a generation. Raises NotFound."""
    with rooms.catalog.readers.cursor() as cursor:
        state = rooms.catalog.filing.held(cursor, generation_id)
    if state is None:
        raise NotFound(f"there is no generation {generation_id}")
    return state
