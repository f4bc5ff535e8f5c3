"""Mending an archive whose catalog is there: extents that were lost are found, damaged segments give what is whole.

Nothing that is damaged is deleted: the object of a damaged segment stays in the store under another name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from logferry.archive.catalog.rebuilding import Rebuilding
from logferry.archive.catalog.sealing import HeldExtent, SegmentRecord
from logferry.archive.catalog.writer import Change, Rows, Transaction
from logferry.archive.changes import Sync
from logferry.archive.check import check
from logferry.archive.facts import known
from logferry.archive.findings import Findings, FoundBytes, FoundExtent, FoundSegment, covering, look_through, save
from logferry.archive.index_making import IndexMaker
from logferry.archive.object_reader import ObjectReader, behind_cache
from logferry.archive.reader import held
from logferry.archive.rebuild import record_of
from logferry.archive.reindex import Reindexer
from logferry.archive.rooms import Rooms
from logferry.archive.segment import Segment
from logferry.archive.verify import Verifier
from logferry.errors import Conflict, Damaged, NotFound
from logferry.limits import CARE_PAGE_ROWS, COPY_BYTES

DAMAGED_SUFFIX = ".damaged"
"""Added to the name of an object that is kept for its finder only."""


@dataclass(frozen=True, slots=True)
class Mended:
    """Something that was not well at ``place``; ``mended``: it is now, as far as ``text`` says."""

    kind: str
    place: str
    text: str
    mended: bool
    is_damage: bool
    """Whether confirmed bytes stay lost."""


def mend(rooms: Rooms, *, write: bool = True, maker: IndexMaker | None = None) -> Iterator[Mended]:
    """Mend what can be mended, and name the rest. Safe while uploads go on.

    Args:
        write: else only tell what would be done.
        maker: of indexes; None: those that are missing or damaged are left for a ``reindexer``.
    """
    for record in _segments(rooms):
        yield from _segment(rooms, record, write=write)
    yield from _holes(rooms, write=write)
    for finding in check(rooms, repair=write):
        yield Mended(finding.kind, finding.place, finding.text, finding.repaired, finding.is_damage)
    if maker is not None:
        yield from _indexes(rooms, maker, write=write)


def _segments(rooms: Rooms) -> Iterator[SegmentRecord]:
    after = 0
    while page := rooms.catalog.sealing.segments(after=after, limit=CARE_PAGE_ROWS):
        yield from (record for record in page if record.gone_ns is None)
        after = page[-1].id


def _indexes(rooms: Rooms, maker: IndexMaker, *, write: bool) -> Iterator[Mended]:
    """Indexes that are missing or not whole are built again. Those that were never built come with time."""
    verifier, reindexer = Verifier(rooms), Reindexer(rooms, maker)
    for record in _segments(rooms):
        for flaw in verifier.index(record, mark=write):
            if not write:
                yield Mended("index", flaw.place, flaw.what, False, False)
                continue
            done = reindexer.build(record)
            if done.is_gone:
                continue
            text = done.problem or f"{flaw.what.partition(';')[0]}; it is built again"
            yield Mended("index", flaw.place, text, not done.problem, False)


# Damaged segments -------------------------------------------------------------------------------------------------


def _segment(rooms: Rooms, record: SegmentRecord, *, write: bool) -> Iterator[Mended]:
    """A segment that cannot be opened gives its whole frames to a new one."""
    store = behind_cache(rooms.segments.store)
    place = f"store/{record.name}"
    size = store.size(record.name)
    if size is None:
        yield Mended("missing", place, f"the segment {place} is missing; restore it from a backup", False, True)
        return
    try:
        Segment.open(ObjectReader(store, record.name).read, size, where=place)
    except Damaged as error:
        findings = _told_by_catalog(rooms, record)
        saved = save(rooms, findings, record.name, size, write=write)
        text = f"{error.message}; {saved.frames} whole frames, {saved.bytes} bytes, are saved"
        if write:
            if store.size(record.name + DAMAGED_SUFFIX) is None:  # else a run that was cut off has put it there
                store.put(record.name + DAMAGED_SUFFIX, _parts(ObjectReader(store, record.name), size))
            try:
                rooms.catalog.writer.run(TakeOver(rooms, record, saved.segment, findings))
            except Conflict as conflict:
                yield Mended("manifest", place, str(conflict), False, True)
                return
        yield Mended("manifest", place, text, write, False)
        for lost in saved.lost[:-1]:
            yield Mended("frame", place, lost, False, True)


def _told_by_catalog(rooms: Rooms, record: SegmentRecord) -> Findings:
    findings = Findings(record.agent)
    for extent in rooms.catalog.sealing.held_in(record.id):
        try:
            state = held(rooms, extent.generation_id)
        except NotFound:
            continue
        findings.generations[state.uid] = FoundBytes(known(state), 0)
    return findings


def _parts(reading: ObjectReader, size: int) -> Iterator[bytes]:
    for offset in range(0, size, COPY_BYTES):
        yield reading.read(offset, COPY_BYTES)


class TakeOver(Change[None]):
    """What was saved of a damaged segment lies in a new one from now on; what was not lies nowhere."""

    def __init__(self, rooms: Rooms, record: SegmentRecord, saved: FoundSegment | None, findings: Findings) -> None:
        self._rooms = rooms
        self._record = record
        self._saved = saved
        self._findings = findings

    def apply(self, transaction: Transaction) -> None:
        sealing = self._rooms.catalog.sealing
        new_id = 0
        if self._saved is not None:
            new_id = sealing.add_segment(transaction, record_of(self._record.agent, self._saved))
        for extent in sealing.held_in(self._record.id):
            sealing.drop_extent(transaction, extent, self._record.id)
            for part in self._parts(transaction, extent):
                sealing.add_extent(transaction, part, new_id)
        sealing.let_go(transaction, self._record.id, self._rooms.clock.now_ns())
        if new_id:
            sealing.let_go(transaction, new_id, self._rooms.clock.now_ns())  # if nothing of it counts

    def _parts(self, transaction: Transaction, extent: HeldExtent) -> Iterator[HeldExtent]:
        state = self._rooms.catalog.filing.held(transaction.cursor, extent.generation_id)
        found = self._findings.generations.get(state.uid) if state is not None else None
        for saved in covering(found.extents) if found is not None else ():
            start, end = max(saved.offset, extent.offset), min(saved.end, extent.end)
            if start < end:
                yield HeldExtent(extent.generation_id, start, end - start, saved.raw_offset + start - saved.offset)


# Lost extents -----------------------------------------------------------------------------------------------------


def _holes(rooms: Rooms, *, write: bool) -> Iterator[Mended]:
    """Generations with bytes that no extent covers: whether some segment has them."""
    rebuilding = Rebuilding(rooms.catalog.filing, rooms.catalog.sealing)
    holes = rooms.catalog.writer.run(Rows(rebuilding.with_holes))
    findings: Findings | None = None
    for generation_id, uid, agent, path, sealed in sorted(holes, key=lambda hole: hole[2]):
        if findings is None or findings.agent != agent:
            findings = look_through(rooms, agent, deep=False)
        found = findings.generations.get(uid)
        filling, left = _filling(rooms, generation_id, found.extents if found else [], sealed)
        if filling and write:
            rooms.catalog.writer.run(FillHoles(rooms, agent, generation_id, filling))
        count = sum(extent.length for extent in filling)
        place = f"{agent}/{path}"
        if count:
            yield Mended("extent", place, f"{place}: {count} bytes are found in the store", write, False)
        if left:
            yield Mended("extent", place, f"{place}: {left} bytes lie in no segment", False, True)


def _filling(
    rooms: Rooms, generation_id: int, found: Sequence[FoundExtent], sealed: int
) -> tuple[list[FoundExtent], int]:
    """What of ``found`` fills the holes of a generation, and how many bytes of them stay."""
    nowhere = FoundSegment("", 0, 0, "", 1 << 62)  # what the catalog knows counts more than any segment
    there = [FoundExtent(e.offset, e.length, 0, nowhere) for e in rooms.catalog.sealing.extents(generation_id)]
    whole = covering([*there, *(e for e in found if e.end <= sealed)])
    filling = [extent for extent in whole if extent.segment is not nowhere]
    return filling, sealed - sum(extent.length for extent in whole)


class FillHoles(Change[None]):
    """Extents of one generation that the catalog had lost."""

    def __init__(self, rooms: Rooms, agent: str, generation_id: int, found: Sequence[FoundExtent]) -> None:
        self._rooms = rooms
        self._agent = agent
        self._generation_id = generation_id
        self._found = found
        self._records: dict[str, SegmentRecord] = {}

    def stage(self, sync: Sync) -> None:  # noqa: ARG002 - no name changes
        """Hash the segments that have no row, before anybody waits for us."""
        for segment in {extent.segment.name: extent.segment for extent in self._found}.values():
            if self._rooms.catalog.sealing.named(segment.name) is None:
                self._records[segment.name] = self._record(segment)

    def apply(self, transaction: Transaction) -> None:
        sealing = self._rooms.catalog.sealing
        ids: dict[str, int] = {}
        for name in dict.fromkeys(extent.segment.name for extent in self._found):
            known = sealing.named(name)
            if known is None and name not in self._records:
                raise Conflict(f"the segment {name} was removed meanwhile", hint="call logferry repair again")
            ids[name] = known.id if known else sealing.add_segment(transaction, self._records[name])
        rebuilding = Rebuilding(self._rooms.catalog.filing, sealing)
        rebuilding.add_missing_extents(
            transaction,
            self._generation_id,
            [(e.offset, e.length, ids[e.segment.name], e.raw_offset) for e in self._found],
        )

    def _record(self, segment: FoundSegment) -> SegmentRecord:
        reading = ObjectReader(behind_cache(self._rooms.segments.store), segment.name)
        return record_of(self._agent, segment)._replace(sha256=reading.hash_all(segment.bytes))
