"""What the indexes of segments tell of a generation's lines: places in it, and how many line ends lie before each."""

from __future__ import annotations

import contextlib
from array import array
from typing import TYPE_CHECKING

from logferry.archive.line_index import Told
from logferry.archive.rooms import Rooms
from logferry.errors import LogferryError

if TYPE_CHECKING:
    from logferry.archive.catalog.sealing import SealedExtent
    from logferry.archive.index.runs import RunTable


def told_of(rooms: Rooms, generation_id: int) -> Told:
    """From the first byte on, as far as segments with an index hold it. Text that is UTF-16 is left out.

    Reads no more than the table of granules of each index.
    """
    places, ends = array("Q"), array("Q")
    at = before = 0
    for extent in rooms.catalog.sealing.extents(generation_id):
        runs = _runs(rooms, extent.segment_id) if extent.offset == at else None
        if runs is None or not _add(runs, extent, before, places, ends):
            break
        at, before = places[-1], ends[-1]
        if at != extent.end:
            break
    return places, ends


def _runs(rooms: Rooms, segment_id: int) -> RunTable | None:
    # Lines are counted then; whoever reads the bytes is told what is wrong with the store.
    with contextlib.suppress(LogferryError):
        return rooms.indexes.runs(segment_id)
    return None


def _add(runs: RunTable, extent: SealedExtent, before: int, places: array[int], ends: array[int]) -> bool:
    """The runs that lie in an extent; whether there are any."""
    from logferry.archive.index.runs import UTF16_BE, UTF16_LE

    first, last = runs.within(extent.raw_offset, extent.raw_offset + extent.length)
    if first >= last or runs.at[first] != extent.raw_offset:
        return False
    if (runs.flags[first:last] & (UTF16_LE | UTF16_BE)).any():
        return False
    found, counts = runs.line_ends(int(runs.at[first]), int(runs.at[last]))
    places.extend((found[1:] + (extent.offset - extent.raw_offset)).tolist())
    ends.extend((counts[1:] + before).tolist())
    return True
