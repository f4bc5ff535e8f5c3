"""What the indexes of segments tell of a generation's lines: places in it, and how many line ends lie before each."""

from __future__ import annotations

import contextlib
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING

from logferry.archive.line_index import Told
from logferry.archive.reader import GenerationReader
from logferry.archive.rooms import Rooms
from logferry.errors import LogferryError
from logferry.limits import FILE_BYTES_MAX, SCAN_BLOCK_BYTES

if TYPE_CHECKING:
    from logferry.archive.catalog.sealing import SealedExtent
    from logferry.archive.index.runs import RunTable


def told_of(rooms: Rooms, generation_id: int, reader: GenerationReader, at: int, before: int, most: int) -> Told:
    """From byte ``at`` on, as far as segments with an index hold it. Text that is UTF-16 is left out.

    Reads the table of granules of at most ``most`` indexes, and of the text the rest of one granule.
    """
    places, ends = array("Q"), array("Q")
    extents = rooms.catalog.sealing.extents(generation_id)
    first = bisect_right(extents, at, key=lambda extent: extent.offset) - 1
    for number, extent in enumerate(extents[max(0, first) :]):
        if at < extent.offset or number == most:
            return Told(places, ends, extent.offset)
        if extent.end <= at:  # a hole
            continue
        runs = _runs(rooms, extent.segment_id)
        if runs is None or not _add(runs, extent, reader, at, before, places, ends) or places[-1] != extent.end:
            return Told(places, ends, extent.end)
        at, before = places[-1], ends[-1]
    return Told(places, ends, FILE_BYTES_MAX)


def _runs(rooms: Rooms, segment_id: int) -> RunTable | None:
    # Lines are counted then; whoever reads the bytes is told what is wrong with the store.
    with contextlib.suppress(LogferryError):
        return rooms.indexes.runs(segment_id)
    return None


def _add(
    runs: RunTable,
    extent: SealedExtent,
    reader: GenerationReader,
    at: int,
    before: int,
    places: array[int],
    ends: array[int],
) -> bool:
    """Where runs of an extent end behind byte ``at`` of the generation; False where the index does not tell."""
    from logferry.archive.index.runs import UTF16_BE, UTF16_LE

    shift = extent.offset - extent.raw_offset
    first, last = runs.within(at - shift, extent.raw_offset + extent.length)
    if first > last:
        return False
    start = int(runs.at[first]) + shift
    begun = start > at  # ``at`` lies inside a run
    if (runs.flags[first - begun : last] & (UTF16_LE | UTF16_BE)).any():
        return False
    if begun:
        if start > reader.size or start - at > SCAN_BLOCK_BYTES:
            return False
        before += reader.read_at(at, start - at).count(b"\n")
    found, counts = runs.line_ends(int(runs.at[first]), int(runs.at[last]))
    skip = not begun
    places.extend((found[skip:] + shift).tolist())
    ends.extend((counts[skip:] + before).tolist())
    return len(found) > skip
