"""The one reader: any byte range of any generation, wherever its bytes lie.

FTP downloads, the API, search and the viewer all read through it, so none of them knows about places.
"""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import Self

from logferry.archive.catalog.filing import PathState
from logferry.archive.durable import translating
from logferry.archive.rooms import Rooms, base_of, missing, place_of, sealed_of, too_short
from logferry.archive.sealed import SealedBytes
from logferry.errors import Conflict, Damaged, NotFound


class GenerationReader:
    """An open generation of ``size`` confirmed bytes. What arrives later is not seen: open it again for that.

    Thread-safe. Close it, or use it in a ``with`` statement.
    """

    def __init__(
        self, fd: int | None, size: int, place: str, *, base: int = 0, sealed: SealedBytes | None = None
    ) -> None:
        """The bytes below ``base`` come from ``sealed``, the others from the file ``fd``, which begins with them."""
        self.size = size
        self._fd = fd
        self._base = base
        self._sealed = sealed
        self._place = place

    def read_at(self, offset: int, count: int) -> bytes:
        """The bytes from ``offset``, at most ``count``; fewer only at the end.

        Raises:
            Damaged: they are not those that were confirmed.
        """
        count = min(count, self.size - offset)
        if count <= 0:
            return b""
        if self._sealed is None or offset >= self._base:
            return self._read_file(offset, count)
        data = self._sealed.read_at(offset, min(count, self._base - offset))
        if len(data) < count:
            data += self._read_file(offset + len(data), count - len(data))
        return data

    def _read_file(self, offset: int, count: int) -> bytes:
        assert self._fd is not None
        at = offset - self._base
        with translating(self._place):
            data = os.pread(self._fd, count, at)
            while len(data) < count:
                more = os.pread(self._fd, count - len(data), at + len(data))
                if not more:
                    raise too_short(self._place, self.size, offset + len(data))
                data += more
        return data

    @property
    def sealed_bytes(self) -> int:
        """How many of its bytes, from the first on, lie in segments."""
        return self._base if self._sealed is not None else 0

    def fileno(self) -> int | None:
        """A descriptor whose first ``size`` bytes are the generation (for ``sendfile``), or None if there is none."""
        return self._fd if self._sealed is None else None

    def excess(self) -> int:
        """How many bytes its file has that were never confirmed."""
        return 0 if self._fd is None else os.fstat(self._fd).st_size - (self.size - self._base)

    def check_extents(self) -> None:
        """Raise Damaged when a part of the sealed bytes lies in no segment."""
        if self._sealed is not None:
            self._sealed.check()

    def close(self) -> None:
        """Release it. May be called twice."""
        if self._fd is not None and self._fd >= 0:
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
    return open_held(rooms, generation_id, held(rooms, generation_id))


def open_held(rooms: Rooms, generation_id: int, state: PathState) -> GenerationReader:
    """The same with the catalog's facts of it, as they were a moment ago."""
    while True:
        fd: int | None = -1
        with contextlib.suppress(Conflict, Damaged):
            fd = rooms.open_bytes(state)
        # Its place changes before the old name goes: if the place is still the same, this is its file.
        now = held(rooms, generation_id)
        if _where(now) == _where(state):
            break
        if fd is not None and fd >= 0:
            os.close(fd)
        state = now
    if fd == -1:
        raise missing(now)
    try:
        return GenerationReader(fd, state.size, place_of(state), base=base_of(state), sealed=_whole(rooms, state, fd))
    except BaseException:
        if fd is not None:
            os.close(fd)
        raise


def _where(state: PathState) -> tuple[object, ...]:
    return state.state, state.place, state.sealed, state.agent, state.path


def _whole(rooms: Rooms, state: PathState, fd: int | None) -> SealedBytes | None:
    """The sealed bytes, after a look whether file and segments have all bytes."""
    # The size read before opening: the file has at least that much.
    if fd is not None and (found := os.fstat(fd).st_size + base_of(state)) < state.size:
        raise too_short(place_of(state), state.size, found)
    return sealed_of(rooms, state)


def held(rooms: Rooms, generation_id: int) -> PathState:
    """The catalog's facts of a generation. Raises NotFound."""
    with rooms.catalog.readers.cursor() as cursor:
        state = rooms.catalog.filing.held(cursor, generation_id)
    if state is None:
        raise NotFound(f"there is no generation {generation_id}")
    return state
