"""One source of a merged view: a file, or the pieces of a rotated one as if they were one, as lines with times.

Read a window at a time around where somebody looks. A line without a time has that of the entry it continues; a clock
that was set back by less than a window does not move lines either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from logferry.archive.lines import LineRow, Lines
from logferry.archive.timestamps import NO_TIME, Reading
from logferry.archive.timestamps.naming import Named, named_in
from logferry.limits import MERGE_LOOK_BACK_LINES, MERGE_PROBE_BYTES, MERGE_WINDOW_LINES, TIME_FORMAT_LINES
from logferry.search.merge.order import STICKS, Item
from logferry.search.scan.filetimes import FileTimes

Place = tuple[int, int]
"""Number of a part, and a byte of it."""
START: Place = (0, 0)
END: Place = (1 << 31, 0)
"""Behind the last part, however many there are."""
LAST_NS = (1 << 63) - 1
"""The time of lines of a file that has no times: they come last."""


@dataclass(frozen=True, slots=True)
class Part:
    """One generation. ``size``: of its bytes as stored, before it is opened."""

    fid: int
    gen: int
    generation_id: int
    path: str
    size: int
    reading: Reading


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a part; ``time_ns`` is its own, None where it shows none."""

    part: Part
    row: LineRow
    time_ns: int | None


@dataclass(slots=True)
class _Open:
    lines: Lines
    times: FileTimes


@dataclass
class Source:
    """A ``Track`` of ``order``. Close it. Opens parts as they are needed, so it may raise what opening them raises."""

    parts: Sequence[Part]
    open_lines: Callable[[Part], Lines]
    _open: dict[int, _Open] = field(default_factory=dict)
    _named: Named | None = None
    _is_timed: bool | None = None

    def close(self) -> None:
        """Close all parts."""
        for part in self._open.values():
            part.lines.close()
        self._open.clear()

    # What it is ------------------------------------------------------------------------------------------------------

    @property
    def timed(self) -> bool:
        """Whether its lines have times: the beginning of its newest part that has content tells."""
        if self._is_timed is None:
            self._is_timed = any(self._look(number) for number in range(len(self.parts) - 1, -1, -1))
        return self._is_timed

    @property
    def named(self) -> Named | None:
        """What its timestamps name; None without times."""
        return self._named if self.timed else None

    def _look(self, number: int) -> bool:
        part = self._at(number)
        rows = part.lines.page_at(0, TIME_FORMAT_LINES).rows if part.lines.size else ()
        data, starts, ends = _joined(rows)
        found = part.times(data, starts, ends)
        timed = np.flatnonzero(found.times != NO_TIME)
        if len(timed):
            first = int(timed[0])
            self._named = named_in(data[int(found.starts[first]) : int(found.ends[first])])
        return bool(len(timed))

    def size_of(self, number: int) -> int:
        """Bytes of a part: of its text once it was opened."""
        return self._open[number].lines.size if number in self._open else self.parts[number].size

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(self.size_of(number) for number in range(len(self.parts)))

    def bytes_before(self, place: Place) -> int:
        """Bytes of all parts before ``place``."""
        whole = min(place[0], len(self.parts))
        inside = place[1] if place[0] < len(self.parts) else 0
        return sum(self.size_of(number) for number in range(whole)) + inside

    def place_at(self, byte: int) -> Place:
        """The place so many bytes from the beginning."""
        for number in range(len(self.parts)):
            if byte < self.size_of(number):
                return number, max(0, byte)
            byte -= self.size_of(number)
        return self.end()

    def end(self) -> Place:
        """The place behind everything there is now: what comes later in the last part lies behind it."""
        last = len(self.parts) - 1
        return last, self._at(last).lines.size

    # Lines -----------------------------------------------------------------------------------------------------------

    def forward(self, place: Place) -> Iterator[Item[Place, Line]]:
        """See ``Track``. From within a line: the whole of it."""
        number, byte = place
        while number < len(self.parts):
            lines = self._at(number).lines
            while byte < lines.size:
                page = lines.page_at(byte, MERGE_WINDOW_LINES)
                yield from self._items(number, page.rows)
                byte = page.rows[-1].byte + page.rows[-1].length
            number, byte = number + 1, 0

    def backward(self, place: Place) -> Iterator[Item[Place, Line]]:
        """See ``Track``."""
        number, byte = place if place[0] < len(self.parts) else self.end()
        unbounded = 1 << 62
        while number >= 0:
            lines = self._at(number).lines
            byte = min(byte, lines.size)
            while byte > 0:
                rows = self._rows_before(number, byte)
                if not rows:
                    break
                yield from reversed(self._items(number, rows))
                byte = rows[0].byte
            number, byte = number - 1, unbounded

    def _rows_before(self, number: int, byte: int) -> tuple[LineRow, ...]:
        lines = self._at(number).lines
        # Behind the end lies the last line, whether it is finished or not.
        page = lines.tail(MERGE_WINDOW_LINES) if byte == lines.size else lines.page_before(byte, MERGE_WINDOW_LINES)
        return page.rows

    def _items(self, number: int, rows: Sequence[LineRow]) -> list[Item[Place, Line]]:
        own, keys = self._timed_rows(number, rows)
        part = self.parts[number]
        return [
            Item(
                key,
                (number, row.byte),
                (number, row.byte + row.length),
                Line(part, row, time if time != NO_TIME else None),
                len(row.data),
            )
            for row, time, key in zip(rows, own, keys, strict=True)
        ]

    def _timed_rows(self, number: int, rows: Sequence[LineRow]) -> tuple[list[int], list[int | None]]:
        """Own times, and what orders the lines."""
        if not self.timed:
            return [NO_TIME] * len(rows), [LAST_NS] * len(rows)
        part = self._at(number)
        first = rows[0].byte
        back = part.lines.page_before(first, MERGE_LOOK_BACK_LINES).rows if first else ()
        own = part.times(*_joined([*back, *rows])).times
        run = np.maximum.accumulate(own)[len(back) :]
        if not first and run[-1] != NO_TIME:  # what stands before the first time belongs to it
            run = np.where(run == NO_TIME, own[own != NO_TIME][0], run)
        keys = [STICKS if key == NO_TIME else int(key) for key in run.tolist()]
        return own[len(back) :].tolist(), keys

    # Times -----------------------------------------------------------------------------------------------------------

    def seek(self, time_ns: int) -> Place:
        """The place before the first line of this time or later; lines of a part are taken to be in order."""
        if not self.timed:
            return START
        number = len(self.parts) - 1
        while number > 0 and not self._begins_before(number, time_ns):
            number -= 1
        return self._seek_in(number, time_ns)

    def _begins_before(self, number: int, time_ns: int) -> bool:
        first = next((key for key in self._first_keys(number) if key is not None), None)
        return first is not None and first < time_ns

    def _first_keys(self, number: int) -> list[int | None]:
        lines = self._at(number).lines
        return self._timed_rows(number, lines.page_at(0, TIME_FORMAT_LINES).rows)[1] if lines.size else []

    def _seek_in(self, number: int, time_ns: int) -> Place:
        lines = self._at(number).lines
        low, high = 0, lines.size
        while high - low > MERGE_PROBE_BYTES:
            middle = (low + high) // 2
            found = self.time_at((number, middle))
            if found is None or found[1] >= time_ns:
                high = middle
            else:
                low = max(found[0], middle)
        for item in self.forward((number, low)):
            # From the middle of an entry on the window tells nothing of lines before: they are of the one before.
            if item.time is not None and item.time >= time_ns:
                return item.start
            if item.start[0] != number:
                return item.start
        return self.end()

    def time_at(self, place: Place) -> tuple[int, int] | None:
        """Byte and own time of the first line with one, from the one at ``place`` on, if it is not far."""
        number, byte = place
        part = self._at(number)
        if byte >= part.lines.size:
            return None
        rows = part.lines.page_at(byte, MERGE_LOOK_BACK_LINES, MERGE_PROBE_BYTES).rows
        times = part.times(*_joined(rows)).times
        timed = np.flatnonzero(times != NO_TIME)
        return (rows[timed[0]].byte, int(times[timed[0]])) if len(timed) else None

    def _at(self, number: int) -> _Open:
        if number not in self._open:
            part = self.parts[number]
            lines = self.open_lines(part)
            self._open[number] = _Open(lines, FileTimes(part.reading, lines.head))
        return self._open[number]


def times_of(rows: Sequence[LineRow], reading: Reading, head: Callable[[int], bytes]) -> list[int | None]:
    """The own times of some lines of a file, None where a line shows none. ``head``: gives the file's first bytes."""
    return own_times(rows, FileTimes(reading, head))


def own_times(rows: Sequence[LineRow], times: FileTimes) -> list[int | None]:
    """The own times of some lines, as their file tells them."""
    found = times(*_joined(rows)).times.tolist()
    return [None if time == NO_TIME else time for time in found]


def _joined(rows: Sequence[LineRow]) -> tuple[bytes, list[int], list[int]]:
    """The lines as one text, with where each begins and ends."""
    starts, ends, at = [], [], 0
    for row in rows:
        starts.append(at)
        at += len(row.data)
        ends.append(at)
        at += 1
    return b"\n".join(row.data for row in rows), starts, ends
