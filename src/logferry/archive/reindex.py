"""Building the indexes that are missing, damaged or of another version. The segments stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from logferry.archive.catalog.indexing import IndexRecord
from logferry.archive.catalog.sealing import SegmentRecord
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.durable import of_the_disk
from logferry.archive.index.version import VERSION
from logferry.archive.index_making import IndexMaker
from logferry.archive.rooms import Rooms
from logferry.archive.segment import Segment
from logferry.archive.sidecars import SidecarWriter
from logferry.archive.verify import Pace, Reading, behind_cache, no_pace
from logferry.errors import Damaged, Later, NotFound
from logferry.limits import CARE_PAGE_ROWS, INDEX_AGAIN_S


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What became of the index of one segment. ``problem``: why there is none; ``bytes`` are 0 then."""

    segment: str
    agent: str
    raw_bytes: int
    bytes: int
    problem: str = ""


class Reindexer:
    """Builds the indexes of one archive. Any process may, beside all others."""

    def __init__(self, rooms: Rooms, maker: IndexMaker, *, pace: Pace = no_pace) -> None:
        """``pace``: told the bytes of segments read."""
        self._rooms = rooms
        self._maker = maker
        self._pace = pace

    def due(self, *, at_once: bool = False, all_of_them: bool = False) -> Iterator[SegmentRecord]:
        """Segments whose index is to be built now, the newest first.

        Args:
            at_once: also where it failed a moment ago.
            all_of_them: also where it is well.
        """
        before = 1 << 62
        now_ns = before if at_once or all_of_them else self._rooms.clock.now_ns()
        version = -1 if all_of_them else VERSION  # no index is of version -1
        while page := self._rooms.catalog.indexing.due(version, now_ns, before=before, limit=CARE_PAGE_ROWS):
            yield from page
            before = page[-1].id

    def build(self, segment: SegmentRecord) -> Reindexed:
        """Build the index of one segment. What it had before counts until the new one does.

        Raises:
            Later: the store or the catalog cannot be reached.
        """
        record = self._built(segment)
        if not record.name and self._rooms.indexes.usable(segment.id) is not None:
            return Reindexed(segment.name, segment.agent, segment.raw_bytes, 0, record.why)  # it keeps what it has
        is_there = self._rooms.catalog.writer.run(PutIndex(self._rooms, record))
        self._rooms.indexes.forget(segment.id)
        if not is_there and record.name:  # the segment was compacted meanwhile
            self._rooms.segments.store.remove(record.name)
        return Reindexed(segment.name, segment.agent, segment.raw_bytes, record.bytes, record.why)

    def _built(self, segment: SegmentRecord) -> IndexRecord:
        where = f"store/{segment.name}"
        reading = Reading(behind_cache(self._rooms.segments.store), segment.name, self._pace)
        try:
            opened = Segment.open(reading.read, segment.bytes, where=where)
            sidecar = SidecarWriter(self._rooms, self._maker, opened, segment.name)
            for number in range(len(opened.manifest.frames)):
                if sidecar.problem:
                    break
                sidecar.take(number, opened.frame(number))
        except (Damaged, NotFound, Later) as error:
            if isinstance(error, Later) and not of_the_disk(error):
                raise  # a bucket that cannot be reached
            return self._failed(segment, f"{where} has no index: {error}")
        return sidecar.put()._replace(segment_id=segment.id)

    def _failed(self, segment: SegmentRecord, why: str) -> IndexRecord:
        now_ns = self._rooms.clock.now_ns()
        return IndexRecord(segment.id, "", 0, VERSION, now_ns, now_ns + int(INDEX_AGAIN_S * 1e9), why)


class PutIndex(Change[bool]):
    """A segment has this index from now on. False: it counts no more."""

    def __init__(self, rooms: Rooms, record: IndexRecord) -> None:
        self._rooms = rooms
        self._record = record

    def apply(self, transaction: Transaction) -> bool:
        return self._rooms.catalog.indexing.put(transaction, self._record)
