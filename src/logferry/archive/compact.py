"""Compacting: small segments become one, old ones are compressed again harder; what nothing refers to is left behind.

The new segment is written, synced and read back first, then one commit moves all extents, then the old objects wait
out the grace time. Cut off anywhere, either the old segments count or the new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from logferry.archive.catalog.indexing import IndexRecord
from logferry.archive.catalog.sealing import HeldExtent, SegmentRecord
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.facts import known
from logferry.archive.index_making import IndexMaker
from logferry.archive.likeness import likeness
from logferry.archive.reader import held
from logferry.archive.rooms import Rooms
from logferry.archive.segment import Builder, HeldGeneration
from logferry.archive.segment.manifest import told_bytes_max
from logferry.archive.writing import SegmentWriter
from logferry.errors import Conflict, Damaged, LogferryError
from logferry.limits import (
    COMPACT_LEAST_SHARE,
    COMPACT_SMALL_SHARE,
    COPY_BYTES,
    MANIFEST_BYTES_MAX,
    MIB,
    SEAL_BATCH_FILES,
    SEGMENT_BYTES,
)


@dataclass(frozen=True, slots=True)
class Compacted:
    """What one step did."""

    segments: int = 0
    into: int = 0
    bytes_before: int = 0
    bytes: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: Compacted) -> Compacted:
        return Compacted(
            self.segments + other.segments,
            self.into + other.into,
            self.bytes_before + other.bytes_before,
            self.bytes + other.bytes,
            self.problems + other.problems,
        )


def is_wasteful(record: SegmentRecord, counts: int) -> bool:
    """Whether so little of a segment's content counts that writing it anew gives room back, whatever it costs."""
    return counts < record.raw_bytes * COMPACT_LEAST_SHARE


class Compactor:
    """Compacts the segments of one archive. One at a time; any process may."""

    def __init__(
        self, rooms: Rooms, *, level: int, segment_bytes: int = SEGMENT_BYTES, maker: IndexMaker | None = None
    ) -> None:
        """``level``: of zstd, for what is written. ``maker``: of indexes."""
        self._rooms = rooms
        self._level = level
        self._segment_bytes = segment_bytes
        self._maker = maker

    def compact(self, old_before_ns: int) -> Iterator[Compacted]:
        """Merge small segments, and write anew those made before ``old_before_ns`` with a lower level.

        Yields after each segment written.
        """
        candidates = self._rooms.catalog.sealing.to_compact(
            small_bytes=int(self._segment_bytes * COMPACT_SMALL_SHARE),
            level=self._level,
            old_before_ns=old_before_ns,
            least_share=COMPACT_LEAST_SHARE,
        )
        for group in self._groups(candidates, old_before_ns):
            # The new one lies beside the old ones until their grace time is over.
            needed, room = sum(record.bytes for record in group), self._rooms.scratch_bytes()
            if room is not None and room < needed:
                told = (
                    f"{len(group)} segments of {group[0].agent}, {needed // 2**20} MiB, wait for room to be compacted"
                )
                yield Compacted(problems=(told,))
                continue
            yield self._merge(group)

    def _groups(
        self, candidates: Sequence[tuple[SegmentRecord, int]], old_before_ns: int
    ) -> Iterator[list[SegmentRecord]]:
        """Segments of one agent that make one together; a single one only to be compressed harder, or cleared out."""
        group: list[tuple[SegmentRecord, int]] = []
        files = told = 0
        sealing = self._rooms.catalog.sealing
        for record, counts in candidates:
            more = len(sealing.held_in(record.id))
            more_told = told_bytes_max(more, sealing.path_chars(record.id))
            full = sum(size for _, size in group) + counts > self._segment_bytes
            full |= files + more > SEAL_BATCH_FILES or told + more_told > MANIFEST_BYTES_MAX - MIB
            if group and (group[0][0].agent != record.agent or full):
                if self._is_worth_it(group, old_before_ns):
                    yield [one for one, _ in group]
                group, files, told = [], 0, 0
            group.append((record, counts))
            files += more
            told += more_told
        if self._is_worth_it(group, old_before_ns):
            yield [one for one, _ in group]

    def _is_worth_it(self, group: Sequence[tuple[SegmentRecord, int]], old_before_ns: int) -> bool:
        if any(record.level < self._level and record.created_ns < old_before_ns for record, _ in group):
            return True
        if any(is_wasteful(record, counts) for record, counts in group):
            return True
        # A large one is not written again for each small one that comes: that would cost the square of their number.
        sizes = [counts for _, counts in group]
        return len(group) > 1 and sum(sizes) >= 2 * max(sizes)

    def _merge(self, group: Sequence[SegmentRecord]) -> Compacted:
        writer = SegmentWriter(self._rooms, group[0].agent, self._level, self._maker)
        moving = _Moving(self._rooms, group)
        try:
            written = writer.write(moving.parts)
        except LogferryError as error:
            return Compacted(problems=(str(error),))
        if written is None:  # nothing of them counts any more
            self._rooms.catalog.writer.run(LetGo(self._rooms, group))
            return Compacted(len(group), 0, sum(r.bytes for r in group))
        try:
            self._rooms.catalog.writer.run(MoveExtents(self._rooms, written, group, moving, writer.index))
        except Conflict as error:  # refused for sure: nothing refers to it
            writer.drop(written.name)
            return Compacted(problems=(str(error),))
        except LogferryError as error:  # perhaps it is committed; if not, the sweep finds it
            return Compacted(problems=(str(error),))
        why = (writer.index.why,) if writer.index is not None and writer.index.why else ()
        return Compacted(len(group), 1, sum(r.bytes for r in group), written.bytes, why)


@dataclass(slots=True)
class _Moving:
    """The extents of a group of segments, in the order in which they go into the new one."""

    rooms: Rooms
    group: Sequence[SegmentRecord]
    taken: list[tuple[HeldExtent, int]] = field(default_factory=list)
    """Each extent as it was, with the segment it was in."""
    placed: list[HeldExtent] = field(default_factory=list)
    """Where they lie now; neighbours are one."""

    def parts(self, builder: Builder) -> Iterator[bytes]:
        """Feed the builder. Raises Damaged: then nothing of the group moves."""
        facts: dict[int, HeldGeneration] = {}
        extents: list[tuple[HeldExtent, SegmentRecord]] = []
        for record in self.group:
            for extent in self.rooms.catalog.sealing.held_in(record.id):
                if extent.generation_id not in facts:
                    facts[extent.generation_id] = known(held(self.rooms, extent.generation_id))
                extents.append((extent, record))
        extents.sort(key=lambda e: (likeness(facts[e[0].generation_id].path), e[0].generation_id, e[0].offset))
        for extent, record in extents:
            start = builder.raw_bytes
            yield from self._extent(builder, facts[extent.generation_id], extent, record)
            self.taken.append((extent, record.id))
            self._place(extent, start)

    def _extent(
        self, builder: Builder, generation: HeldGeneration, extent: HeldExtent, record: SegmentRecord
    ) -> Iterator[bytes]:
        segment = self.rooms.segments.open(record.name, record.bytes)
        done = 0
        while done < extent.length:
            raw_offset = extent.raw_offset + done
            number = segment.frame_at(raw_offset)
            start = raw_offset - segment.manifest.frames[number].raw_offset
            content = self.rooms.segments.frame(record.name, record.bytes, number)
            data = content[start : start + min(COPY_BYTES, extent.length - done)]
            if not data:
                raise Damaged(f"store/{record.name} is shorter than the catalog says", where=f"store/{record.name}")
            yield from builder.add(generation, extent.offset + done, data)
            done += len(data)

    def _place(self, extent: HeldExtent, start: int) -> None:
        last = self.placed[-1] if self.placed else None
        if last is not None and last.generation_id == extent.generation_id and last.end == extent.offset:
            self.placed[-1] = last._replace(length=last.length + extent.length)
        else:
            self.placed.append(extent._replace(raw_offset=start))


class LetGo(Change[None]):
    """Segments of which nothing counts are to go."""

    def __init__(self, rooms: Rooms, group: Sequence[SegmentRecord]) -> None:
        self._rooms = rooms
        self._group = group

    def apply(self, transaction: Transaction) -> None:
        for record in self._group:
            self._rooms.catalog.sealing.let_go(transaction, record.id, self._rooms.clock.now_ns())


class MoveExtents(LetGo):
    """All extents of a group lie in the new segment from now on. Conflict when one of them changed meanwhile."""

    def __init__(
        self,
        rooms: Rooms,
        record: SegmentRecord,
        group: Sequence[SegmentRecord],
        moving: _Moving,
        index: IndexRecord | None = None,
    ) -> None:
        super().__init__(rooms, group)
        self._record = record
        self._moving = moving
        self._index = index

    def apply(self, transaction: Transaction) -> None:
        sealing = self._rooms.catalog.sealing
        segment_id = sealing.add_segment(transaction, self._record)
        if self._index is not None:
            self._rooms.catalog.indexing.put(transaction, self._index._replace(segment_id=segment_id))
        for extent, was_in in self._moving.taken:
            sealing.drop_extent(transaction, extent, was_in)
        for extent in self._moving.placed:
            sealing.add_extent(transaction, extent, segment_id)
        super().apply(transaction)
