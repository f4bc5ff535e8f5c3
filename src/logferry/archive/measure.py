"""Measuring: how many lines there are, and from when to when, noted in the catalog for lists of files.

What is sealed is told by the indexes of its segments, without reading a line. What is not is counted on where it grew,
a little at a time. Where neither has got to, lists do without or estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from logferry.archive.catalog.measuring import Growing, Measure
from logferry.archive.catalog.sealing import SegmentRecord
from logferry.archive.index.encoding import encoding_of
from logferry.archive.index.version import VERSION
from logferry.archive.indexes import opened
from logferry.archive.reader import GenerationReader, open_generation
from logferry.archive.rooms import Rooms
from logferry.compressed import form_by_name
from logferry.encodings import UTF_8, UTF_16_BE, UTF_16_LE, Encoding
from logferry.errors import Conflict, Damaged, NotFound
from logferry.limits import (
    CARE_PAGE_ROWS,
    MEASURE_LIVE_BYTES,
    MEASURE_LIVE_ROWS,
    MEASURE_LIVE_TURN_BYTES,
    MEASURE_ROWS,
    MEASURE_TIME_BYTES,
    MEASURE_TIME_LINES,
    MIB,
)

_SECOND_NS = 1_000_000_000
_ENCODINGS = {"bytes": UTF_8, "utf-16-le": UTF_16_LE, "utf-16-be": UTF_16_BE}
"""As an index tells them apart: by the mark at the beginning."""

Times = Callable[[list[bytes]], list[int | None]]
"""The time of each line of a file, in nanoseconds since 1970; None where it shows none."""


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Measured:
    """What was done: segments, generations with unsealed bytes, and how many of those were counted."""

    segments: int = 0
    generations: int = 0
    bytes: int = 0

    def __add__(self, other: Measured) -> Measured:
        return Measured(self.segments + other.segments, self.generations + other.generations, self.bytes + other.bytes)


class Measurer:
    """Measures the generations of one archive. One thread at a time; where it is broken off, the next goes on."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._behind: tuple[int, int] | None = None
        """How far the generations that have not changed lately were looked at."""

    def sealed(self) -> Iterator[Measured]:
        """Measure what segments hold, segment by segment, the newest first. Raises Later, Unreachable."""
        before = 1 << 62
        while page := self._rooms.catalog.measuring.due(VERSION, before=before, limit=CARE_PAGE_ROWS):
            for record in page:
                yield self._segment(record)
            before = page[-1].id

    def growing(self, go_on: Callable[[], bool] = _always) -> Measured:
        """Count what has come that is not sealed, as far as one turn goes and ``go_on`` says yes. Raises Later."""
        found: list[Measure] = []
        count = 0
        for row in self._to_look_at():
            if count >= MEASURE_LIVE_TURN_BYTES or len(found) == MEASURE_ROWS or not go_on():
                break
            done = row.measure.length if row.measure else 0
            if done < row.size - row.sealed and not form_by_name(row.name):
                measure = self._grown(row)
                if measure is not None:
                    found.append(measure)
                    count += measure.length - done
        self._rooms.catalog.measuring.put(found)
        return Measured(0, len(found), count)

    def _to_look_at(self) -> Iterator[Growing]:
        """Generations with unsealed bytes: those that changed last, then some of the others, turn by turn."""
        growing = self._rooms.catalog.measuring.growing
        newest = growing(None, MEASURE_LIVE_ROWS)
        yield from newest
        if len(newest) == MEASURE_LIVE_ROWS:
            last = _key(newest[-1])
            older = growing(min(self._behind or last, last), MEASURE_LIVE_ROWS)
            self._behind = _key(older[-1]) if len(older) == MEASURE_LIVE_ROWS else None
            known = {row.generation_id for row in newest}
            yield from (row for row in older if row.generation_id not in known)

    # Sealed ----------------------------------------------------------------------------------------------------------

    def _segment(self, record: SegmentRecord) -> Measured:
        from logferry.archive.index.bounds import bounds_of

        index = self._rooms.indexes.usable(record.id)
        if index is None:  # it was found damaged, or is being built anew: then it is due again
            return Measured()
        extents = self._rooms.catalog.sealing.held_in(record.id)
        try:
            blocks = opened(self._rooms.segments.store, index, record)
            bounds = bounds_of(blocks, [(one.raw_offset, one.raw_offset + one.length) for one in extents])
        except (Damaged, NotFound) as error:
            self._rooms.indexes.distrust(index, error)
            return Measured()
        found = [
            Measure(
                extent.generation_id, extent.offset, extent.length, told.line_ends, told.is_open,
                _ns(told.first_s), _ns(told.last_s),
            )
            for extent, told in zip(extents, bounds, strict=True) if told is not None
        ]  # fmt: skip
        self._rooms.catalog.measuring.put(found)
        self._rooms.catalog.measuring.done(record.id, index.name)
        return Measured(1)

    # Not sealed ------------------------------------------------------------------------------------------------------

    def _grown(self, row: Growing) -> Measure | None:
        """The measure of a generation's unsealed bytes, counted on; None: it is gone, or cannot be read."""
        measure = row.measure or Measure(row.generation_id, row.sealed, 0, 0, False, None, None)
        try:
            with open_generation(self._rooms, row.generation_id) as reader:
                if reader.sealed_bytes > measure.offset:  # sealed meanwhile: its index tells
                    return None
                return _counted(reader, measure, self._times(row))
        except (NotFound, Damaged, Conflict):
            return None  # whoever reads it is told what is wrong with it

    def _times(self, row: Growing) -> Times:
        def times(lines: list[bytes]) -> list[int | None]:
            from logferry.archive.timestamps import NO_TIME, Evidence, Reading, rules_of
            from logferry.archive.timestamps.reference import times_of

            reading = Reading(row.changed_ns, rules_of(self._rooms.catalog.zones.of(row.agent)))
            found = times_of(lines, reading, Evidence.none())
            # As an index has them: whole seconds, rounded down.
            return [None if ns == NO_TIME else ns // _SECOND_NS * _SECOND_NS for ns, _, _ in found]

        return times


def _counted(reader: GenerationReader, measure: Measure, times: Times) -> Measure:
    """``measure`` with some of what comes behind it."""
    encoding = _ENCODINGS[encoding_of(reader.read_at(0, 4))]
    ends = encoding.ends
    start, end = measure.end, min(reader.size, measure.end + MEASURE_LIVE_BYTES)
    line_ends = measure.line_ends
    for at in range(start - start % ends.width, end, MIB):  # half a character was not counted
        line_ends += ends.count(reader.read_at(at, min(MIB, end - at)), at)
    first_ns, last_ns = measure.first_ns, measure.last_ns
    # That of a line that had not ended may have been cut.
    is_sure = first_ns is not None and not (measure.is_open and first_ns == last_ns)
    if not is_sure and measure.length < MEASURE_TIME_BYTES:
        head = _lines(reader, measure.offset, min(end, measure.offset + MEASURE_TIME_BYTES), encoding)
        first_ns = next((ns for ns in times(head[:MEASURE_TIME_LINES]) if ns is not None), None)
    tail = _lines(reader, max(measure.offset, end - MEASURE_TIME_BYTES), end, encoding)
    last_ns = next((ns for ns in reversed(times(tail[-MEASURE_TIME_LINES:])) if ns is not None), last_ns)
    before = max(0, end - ends.width)
    is_open = ends.after(reader.read_at(before, end - before), before) < 0
    return measure._replace(
        length=end - measure.offset, line_ends=line_ends, is_open=is_open, first_ns=first_ns, last_ns=last_ns
    )


def _lines(reader: GenerationReader, low: int, high: int, encoding: Encoding) -> list[bytes]:
    """The lines that begin between two places, without the one that goes on behind ``high``, as UTF-8."""
    ends = encoding.ends
    begin = max(0, low - low % ends.width - ends.width)
    data = reader.read_at(begin, high - begin)
    if begin:  # the first one begins behind a line end
        after = ends.after(data, begin)
        data = data[after:] if after >= 0 else b""
    text = encoding.utf8(data, cut=True)[0] if encoding.is_wide else data
    lines = text.split(b"\n")
    return lines if high == reader.size and lines[-1] else lines[:-1]


def _ns(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * _SECOND_NS


def _key(row: Growing) -> tuple[int, int]:
    return row.changed_ns, row.generation_id
