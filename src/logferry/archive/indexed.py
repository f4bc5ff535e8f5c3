"""A segment with its index: which bytes of which generations the granules hold. What a search works on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from logferry.archive.catalog.indexing import IndexRecord
from logferry.archive.catalog.sealing import HeldExtent, SegmentRecord
from logferry.archive.catalog.zones import UTC
from logferry.archive.rooms import Rooms
from logferry.errors import Damaged, NotFound

if TYPE_CHECKING:
    from logferry.archive.index import SegmentIndex


class IndexedPiece(NamedTuple):
    """``length`` bytes from ``offset`` of a generation, which lie from ``raw_offset`` in the segment's content.

    They are (a part of) run ``run`` of the index.
    """

    generation_id: int
    offset: int
    length: int
    raw_offset: int
    run: int


@dataclass(frozen=True, slots=True)
class IndexedSegment:
    """``extents``: what of the content counts, in its order; other bytes of it belong to nobody any more.

    The index is shared with other threads: hold ``lock`` while you ask it.
    """

    record: SegmentRecord
    index: SegmentIndex
    extents: tuple[HeldExtent, ...]
    lock: threading.Lock
    _index_record: IndexRecord
    _rooms: Rooms

    @property
    def zone(self) -> str:
        """The name of the zone in which the index took times that name none."""
        return self._index_record.zone or UTC

    def pieces(self, granule: int) -> Iterator[IndexedPiece]:
        """What of which generations a granule holds, in the order of the content. Raises Damaged."""
        runs = self.index.runs
        first, last = int(runs.granules[granule]), int(runs.granules[granule + 1])
        for run in range(first, last):
            start, end = int(runs.at[run]), int(runs.at[run + 1])
            for extent in self._over(start, end):
                begin = max(start, extent.raw_offset)
                stop = min(end, extent.raw_offset + extent.length)
                yield IndexedPiece(
                    extent.generation_id, extent.offset + begin - extent.raw_offset, stop - begin, begin, run
                )

    def _over(self, start: int, end: int) -> Iterator[HeldExtent]:
        low, high = 0, len(self.extents)
        while low < high:  # the first that ends behind ``start``
            middle = (low + high) // 2
            if self.extents[middle].raw_offset + self.extents[middle].length > start:
                high = middle
            else:
                low = middle + 1
        for extent in self.extents[low:]:
            if extent.raw_offset >= end:
                return
            yield extent

    def frame_at(self, raw_offset: int) -> int:
        """Number of the frame that holds this byte of the content. Raises Damaged."""
        return self._rooms.segments.open(self.record.name, self.record.bytes).frame_at(raw_offset)

    def content(self, raw_offset: int, count: int) -> bytes:
        """Content of the segment, through the frames that were read lately. Raises Damaged."""
        segments, record = self._rooms.segments, self.record
        segment = segments.open(record.name, record.bytes)
        parts: list[bytes] = []
        while count > 0:
            number = segment.frame_at(raw_offset)
            start = raw_offset - segment.manifest.frames[number].raw_offset
            part = segments.frame(record.name, record.bytes, number)[start : start + count]
            if not part:
                raise Damaged(f"store/{record.name} is shorter than its index says", where=f"store/{record.name}")
            parts.append(part)
            raw_offset += len(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def distrust(self, error: Damaged | NotFound) -> None:
        """The index raised this: it is built anew, and ``Archive.indexed`` gives None until then."""
        self._rooms.indexes.distrust(self._index_record, error)


def indexed(rooms: Rooms, segment_id: int) -> IndexedSegment | None:
    """A segment with its open index; None while it has none that can be used, or counts no more."""
    record = rooms.catalog.sealing.segment(segment_id)
    if record is None or record.gone_ns is not None:
        return None
    found = rooms.indexes.index(record)
    if found is None:
        return None
    extents = tuple(rooms.catalog.sealing.held_in(segment_id))
    return IndexedSegment(record, found.index, extents, found.lock, found.record, rooms)
