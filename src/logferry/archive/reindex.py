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
from logferry.archive.object_reader import ObjectReader, Pace, behind_cache, no_pace
from logferry.archive.rooms import Rooms
from logferry.archive.segment import Segment
from logferry.archive.sidecars import SidecarWriter, failed
from logferry.errors import Damaged, Later, NotFound
from logferry.limits import CARE_PAGE_ROWS, INDEX_AGAIN_S, INDEX_LATER_S


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What became of the index of one segment. ``problem``: why there is none; ``bytes`` are 0 then.

    ``is_gone``: the segment counts no more, nobody needs its index.
    """

    segment: str
    agent: str
    raw_bytes: int
    bytes: int
    problem: str = ""
    is_gone: bool = False


class Reindexer:
    """Builds the indexes of one archive. Any process may, beside all others."""

    def __init__(self, rooms: Rooms, maker: IndexMaker, *, pace: Pace = no_pace) -> None:
        """``pace``: told the bytes of segments read."""
        self._rooms = rooms
        self._maker = maker
        self._pace = pace
        self._put_off: dict[int, tuple[int, int]] = {}
        """Segments that the store did not give: when they come again, and how long they waited for it."""

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
            yield from (record for record in page if self._put_off.get(record.id, (0, 0))[0] <= now_ns)
            before = page[-1].id

    def build(self, segment: SegmentRecord) -> Reindexed:
        """Build the index of one segment. What it had before counts until the new one does.

        Raises:
            Later: the store or the catalog cannot be reached. For a while the segment is not ``due``, then longer.
        """
        try:
            record = self._built(segment)
        except Later:
            now_ns, waited_ns = self._rooms.clock.now_ns(), self._put_off.get(segment.id, (0, 0))[1]
            wait_ns = int(min(max(INDEX_LATER_S * 1e9, 2 * waited_ns), INDEX_AGAIN_S * 1e9))
            self._put_off[segment.id] = (now_ns + wait_ns, wait_ns)
            raise
        self._put_off.pop(segment.id, None)
        gone = Reindexed(segment.name, segment.agent, segment.raw_bytes, 0, is_gone=True)
        if not record.name:
            if not self._counts(segment):
                return gone
            if self._rooms.indexes.usable(segment.id) is not None:  # it keeps what it has
                return Reindexed(segment.name, segment.agent, segment.raw_bytes, 0, record.why)
        is_there = self._rooms.catalog.writer.run(PutIndex(self._rooms, record))
        self._rooms.indexes.forget(segment.id)
        if not is_there:  # it was compacted meanwhile
            if record.name:
                self._rooms.segments.store.remove(record.name)
            return gone
        return Reindexed(segment.name, segment.agent, segment.raw_bytes, record.bytes, record.why)

    def _counts(self, segment: SegmentRecord) -> bool:
        now = self._rooms.catalog.sealing.segment(segment.id)
        return now is not None and now.gone_ns is None

    def _built(self, segment: SegmentRecord) -> IndexRecord:
        where = f"store/{segment.name}"
        before = self._rooms.catalog.indexing.of(segment.id)
        reading = ObjectReader(behind_cache(self._rooms.segments.store), segment.name, self._pace)
        try:
            opened = Segment.open(reading.read, segment.bytes, where=where)
            sidecar = SidecarWriter(self._rooms, self._maker, opened, segment.name, before)
            for number in range(len(opened.manifest.frames)):
                if sidecar.problem:
                    break
                sidecar.take(number, opened.frame(number))
        except (Damaged, NotFound, Later) as error:
            if isinstance(error, Later) and not of_the_disk(error):
                raise  # a bucket that cannot be reached
            why = f"{where} has no index: {error}"
            return failed(self._rooms.clock.now_ns(), why, before)._replace(segment_id=segment.id)
        return sidecar.put()._replace(segment_id=segment.id)


class PutIndex(Change[bool]):
    """A segment has this index from now on. False: it counts no more."""

    def __init__(self, rooms: Rooms, record: IndexRecord) -> None:
        self._rooms = rooms
        self._record = record

    def apply(self, transaction: Transaction) -> bool:
        return self._rooms.catalog.indexing.put(transaction, self._record)
