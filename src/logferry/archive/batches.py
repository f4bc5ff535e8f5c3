"""Choosing what is sealed together: bytes at rest of one agent, like beside like, as much as makes one segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from logferry.archive.catalog.filing import PathState
from logferry.archive.catalog.sealing import Unsealed
from logferry.archive.index.encoding import encoding_of, last_utf16_line_end
from logferry.archive.likeness import likeness
from logferry.archive.reader import held, open_generation
from logferry.archive.rooms import Rooms
from logferry.archive.segment.manifest import told_bytes
from logferry.errors import Full, LogferryError, NotFound
from logferry.limits import (
    LINE_WINDOW_BYTES,
    MANIFEST_BYTES_MAX,
    MIB,
    SEAL_BATCH_FILES,
    SEAL_PART_BYTES_MIN,
    SEAL_SCRATCH_BYTES_MIN,
)


@dataclass(slots=True)
class Piece:
    """Bytes of one generation that a segment holds: from ``begin`` to ``end``."""

    state: PathState
    begin: int
    end: int


@dataclass(slots=True)
class Batch:
    """What goes into one segment: of one agent, like beside like."""

    agent: str
    bytes_max: int
    """Content at most: a segment may turn out as large as that."""
    pieces: list[Piece] = field(default_factory=list)
    raw_bytes: int = 0
    told_bytes: int = 0
    """About how much of the manifest tells of it."""

    @property
    def left(self) -> int:
        """How many bytes still go in."""
        return self.bytes_max - self.raw_bytes

    @property
    def is_full(self) -> bool:
        """Whether it is one segment's worth."""
        return (
            self.left <= 0
            or len(self.pieces) >= SEAL_BATCH_FILES
            or self.told_bytes >= MANIFEST_BYTES_MAX - MIB
        )  # fmt: skip

    def takes(self, size: int) -> bool:
        """Whether ``size`` bytes go in whole, or at least a part of them that is worth its extent."""
        return not self.pieces or size <= self.left or self.left >= min(SEAL_PART_BYTES_MIN, self.bytes_max // 4)

    def add(self, piece: Piece) -> None:
        """One more piece."""
        self.pieces.append(piece)
        self.raw_bytes += piece.end - piece.begin
        self.told_bytes += told_bytes(piece.state.path)


class Batches:
    """What waits in one archive, batch by batch. Each is sealed, or given up, before the next is asked for."""

    def __init__(self, rooms: Rooms, segment_bytes: int) -> None:
        """``segment_bytes``: content of one segment."""
        self._rooms = rooms
        self._segment_bytes = segment_bytes

    def due(self, quiet_before_ns: int, least_bytes: int) -> Iterator[Batch]:
        """Of generations that ended, or have not grown since ``quiet_before_ns``.

        Args:
            least_bytes: agents with less of them wait.

        Raises:
            Full: there is no room for a segment, and something that should be in one.
        """
        waiting: dict[str, list[Unsealed]] = {}
        after = 0
        while found := self._rooms.catalog.sealing.unsealed(
            quiet_before_ns, 2 * self._segment_bytes, after=after, limit=SEAL_BATCH_FILES
        ):
            after = found[-1].generation_id
            for unsealed in found:
                waiting.setdefault(unsealed.agent, []).append(unsealed)
        for agent in sorted(waiting):
            if sum(u.size - u.sealed for u in waiting[agent]) >= least_bytes:
                yield from self._of_agent(agent, sorted(waiting[agent], key=lambda u: likeness(u.path)))

    def _of_agent(self, agent: str, waiting: Sequence[Unsealed]) -> Iterator[Batch]:
        batch: Batch | None = None
        for unsealed in waiting:
            state = self._held(unsealed)
            begin = state.sealed if state is not None else 0
            while state is not None and begin < state.size:
                if batch is not None and not batch.takes(state.size - begin):
                    yield batch
                    batch = None
                batch = batch or self._begun(agent)
                # A large generation spans several segments: its parts are committed in order, one with each.
                end = self._end_of_part(state, begin, begin + batch.left)
                batch.add(Piece(state, begin, end))
                is_part, begin = end < state.size, end
                if is_part or batch.is_full:
                    yield batch
                    batch = None
                if is_part:
                    state = self._held(unsealed)
                    if state is not None and state.sealed != begin:  # not committed: the rest would leave a gap
                        state = None
        if batch is not None:
            yield batch

    def _held(self, unsealed: Unsealed) -> PathState | None:
        """As it is now; None: it is gone."""
        try:
            return held(self._rooms, unsealed.generation_id)
        except NotFound:
            return None

    def _end_of_part(self, state: PathState, begin: int, most: int) -> int:
        """Where a part that begins at ``begin`` ends: at ``most``, or behind a line that ends near there.

        The index of a segment says nothing about a line that is cut, so every search would have to read it.
        """
        if most >= state.size:
            return state.size
        low = max(begin, most - LINE_WINDOW_BYTES)
        try:
            with open_generation(self._rooms, state.generation_id or 0) as reader:
                encoding = encoding_of(reader.read_at(0, 4))
                data = reader.read_at(low, most - low)
        except (LogferryError, OSError):  # told by whoever reads all of it
            return most
        if encoding == "bytes":
            place = data.rfind(b"\n") + 1
        else:
            place = last_utf16_line_end(data, low, 0, len(data), encoding)
        return low + place if place else most

    def _begun(self, agent: str) -> Batch:
        """An empty batch, as large as there is room for. Raises Full."""
        room = self._rooms.scratch_bytes()
        if room is None:
            return Batch(agent, self._segment_bytes)
        if room < SEAL_SCRATCH_BYTES_MIN:
            raise Full(
                f"sealing would give room back, but needs some first: {SEAL_SCRATCH_BYTES_MIN // 2**20} MiB beside the "
                f"{self._rooms.free_bytes_min // 2**20} MiB that stay free",
                hint="free some space on the archive's disk",
            )
        return Batch(agent, min(self._segment_bytes, room))
