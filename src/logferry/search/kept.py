"""Some lines of a file, with their true numbers: its entries folded to their first lines, or those a query keeps.

An entry is a line with those that continue it (``scan.entries``). What is kept or left out is always a whole entry; so
many lines as asked stand around it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from logferry.archive.lines import LineRow, Lines
from logferry.archive.timestamps import Reading
from logferry.clock import Clock
from logferry.encodings import UTF_8
from logferry.errors import Later
from logferry.limits import (
    ENTRY_BYTES_MAX,
    KEPT_ENTRY_LINES_MAX,
    KEPT_HITS_MAX,
    KEPT_PAGE_S,
    KEPT_WINDOW_BYTES,
    KEPT_WINDOW_BYTES_MAX,
    KEPT_WINDOW_BYTES_MIN,
    KEPT_WINDOW_S,
)
from logferry.search.scan.entries import Entries
from logferry.search.scan.filetimes import FileTimes

_ROWS_AT_ONCE = 500
_REGION_BYTES = 2 * ENTRY_BYTES_MAX
"""Where entries begin is told so far around a place: others that are asked for lie near it, mostly."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A line that is shown. ``more`` lines that continue it are folded under it; ``span`` is the bytes of all of them.

    ``is_hit``: it is of an entry that the query found, not one beside it.
    """

    row: LineRow
    more: int
    span: int
    is_hit: bool = False


@dataclass(frozen=True, slots=True)
class KeptPage:
    """Lines in order. ``prev`` and ``next`` are where to ask for what comes before and after (None: nothing does).

    There may be no lines at all, and more behind ``next``: looking for them took as long as one answer may.
    """

    rows: tuple[Kept, ...]
    prev: int | None
    next: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """Consecutive lines of which the first begins an entry and the others continue it."""

    rows: tuple[LineRow, ...]

    @property
    def start(self) -> int:
        """Where it begins."""
        return self.rows[0].byte

    @property
    def end(self) -> int:
        """The byte behind it."""
        return self.rows[-1].byte + self.rows[-1].length


class Hits(Protocol):
    """Finds lines of the file."""

    def __call__(self, after: int, before: int, limit: int, *, newest_first: bool) -> tuple[list[int], bool]:
        """Where lines begin, ``after <= x < before``, that the query finds, in that order, and whether these are all.

        Not all: there are more than ``limit``, or it took longer than ``KEPT_SEARCH_S``.
        """
        ...


class EntryLines:
    """The lines of one file as entries."""

    def __init__(self, lines: Lines, reading: Reading) -> None:
        self.lines = lines
        self._times = FileTimes(reading, lines.head)
        self._region = (0, 0)
        self._heads: list[int] = []
        """Where entries begin in this region."""

    def times(self, rows: Sequence[LineRow]) -> list[int | None]:
        """Their own times; None where a line shows none."""
        from logferry.search.merge.source import own_times

        return own_times(rows, self._times)

    def holding(self, byte: int) -> Entry:
        """The entry that holds ``byte``: quick where others near it were asked for before."""
        found = self._known(byte)
        if found is None:
            self._learn(byte)
            found = self._known(byte)
        if found is None:  # a line that is very long stands near
            return next(self.forward(byte))
        start, end = found
        rows: list[LineRow] = []
        while start < end:
            page = self.lines.page_at(start, _ROWS_AT_ONCE)
            rows += [row for row in page.rows if row.byte < end]
            start = page.rows[-1].byte + page.rows[-1].length
        return Entry(tuple(rows))

    def _known(self, byte: int) -> tuple[int, int] | None:
        """Where the entry that holds ``byte`` begins and ends, if that is known."""
        low, high = self._region
        if not low <= byte < high:
            return None
        place = bisect_right(self._heads, byte)
        if not place:
            return None
        if place < len(self._heads):
            return self._heads[place - 1], self._heads[place]
        return (self._heads[-1], high) if high == self.lines.size else None

    def _learn(self, byte: int) -> None:
        """Find where the entries around ``byte`` begin."""
        low, data = self.lines.whole_between(max(0, byte - _REGION_BYTES), byte + _REGION_BYTES)
        self._region, self._heads = (low, low + len(data)), []
        if not data:
            return
        ends, encoding = self.lines.encoding.ends, self.lines.encoding
        text = data if encoding is UTF_8 else encoding.utf8(data)[0]
        found = Entries.of(text, 0, lambda count: self._behind(low, count), self._times).heads
        if encoding is UTF_8:
            self._heads = [low + head for head in found]
        else:  # a line of the text is the line of the same number
            own, there, at = 0, 0, iter(found)
            head = next(at, None)
            while head is not None:
                if own == head:
                    self._heads.append(low + there)
                    head = next(at, None)
                own = text.find(b"\n", own) + 1
                there = ends.after(data, low, there)
                if not own or there < 0:
                    break
        if low == 0 and self._heads[:1] != [0]:
            self._heads.insert(0, 0)

    def forward(self, byte: int) -> Iterator[Entry]:
        """The entry that holds ``byte``, and those after it."""
        size = self.lines.size
        at = max(0, byte - ENTRY_BYTES_MAX)
        pending: list[LineRow] = []
        while at < size:
            rows = self.lines.page_at(at, _ROWS_AT_ONCE).rows
            for row, begins in zip(rows, self._begins(rows), strict=True):
                if begins and pending:
                    if pending[-1].byte + pending[-1].length > byte:
                        yield Entry(tuple(pending))
                    pending = []
                pending.append(row)
            at = rows[-1].byte + rows[-1].length
        if pending and (pending[-1].byte + pending[-1].length > byte or byte >= size):
            yield Entry(tuple(pending))

    def backward(self, byte: int) -> Iterator[Entry]:
        """The entries that begin before ``byte``, the last one first."""
        reach = ENTRY_BYTES_MAX
        while byte > 0:
            low = max(0, byte - reach)
            found = []
            for entry in self.forward(low):
                if entry.start >= byte:
                    break
                found.append(entry)
            # What it begins with may be a piece of an entry that is longer than entries are told apart.
            yield from reversed(found)
            if not found:
                return
            byte = found[0].start

    def _begins(self, rows: Sequence[LineRow]) -> list[bool]:
        """Which of these consecutive lines begin an entry; the first of a file does."""
        data = b"".join(row.data + b"\n" for row in rows)
        found = Entries.of(data, 0, lambda count: self._behind(rows[0].byte, count), self._times)
        at, begins = 0, []
        for row in rows:
            begins.append(row.byte == 0 or found.of_line(at) == at)
            at += len(row.data) + 1
        return begins

    def _behind(self, byte: int, count: int) -> bytes:
        """The text of whole lines before the one at ``byte``, some ``count`` bytes of it."""
        return self.lines.text_before(byte, count)


class Keeping:
    """Pages of what is kept of one file. ``hits`` None: everything is. ``context``: lines around what a query finds."""

    def __init__(
        self, entries: EntryLines, clock: Clock, *, hits: Hits | None = None, context: int = 0, fold: bool = False
    ) -> None:
        self._entries = entries
        self._lines = entries.lines
        self._clock = clock
        self._hits = hits
        self._context = context
        self._fold = fold

    def after(self, byte: int, count: int) -> KeptPage:
        """About ``count`` lines from the entry on that holds ``byte``, or the next one that is kept.

        Lines around those may stand before ``byte``. Raises Later: even a small piece took too long to look through.
        """
        byte = max(0, min(byte, self._lines.size))
        if self._hits is None:
            return self._all(self._entries.forward(byte), count, byte)
        found, at = self._look(self._hits, byte, count, newest_first=False)
        return KeptPage(self._around(found), byte or None, at if at < self._lines.size else None)

    def before(self, byte: int, count: int) -> KeptPage:
        """About ``count`` lines of entries that begin before ``byte``."""
        size = self._lines.size
        byte = max(0, min(byte, size))
        following = byte if byte < size else None
        if self._hits is None:
            rows = tuple(reversed(self._all(self._entries.backward(byte), count, byte).rows))
            return KeptPage(rows, rows[0].row.byte or None if rows else None, following)
        found, at = self._look(self._hits, byte, count, newest_first=True)
        return KeptPage(self._around(found[::-1]), at or None, following)

    def _look(self, hits: Hits, byte: int, count: int, *, newest_first: bool) -> tuple[list[Entry], int]:
        """Entries that are found from ``byte`` on (back), and how far it was looked for them."""
        until_s = self._clock.monotonic_s() + KEPT_PAGE_S
        size = self._lines.size
        found: list[Entry] = []
        at, window, height = byte, KEPT_WINDOW_BYTES, 0
        while (at > 0 if newest_first else at < size) and height < count:
            began_s = self._clock.monotonic_s()
            low, high = (max(0, at - window), at) if newest_first else (at, min(size, at + window))
            starts, is_all = hits(low, high, KEPT_HITS_MAX, newest_first=newest_first)
            taken = 0
            for start in starts:
                if not found or not found[-1].start <= start < found[-1].end:
                    found.append(self._entries.holding(start))
                    height += self._height(found[-1])
                taken += 1
                if height >= count or self._clock.monotonic_s() > until_s:
                    break
            if not starts and not is_all:  # it takes too long to look through so much at once
                if window <= KEPT_WINDOW_BYTES_MIN:
                    raise Later("the search takes too long here", hint="try again when the server has less to do")
                window = max(window // 8, KEPT_WINDOW_BYTES_MIN)
                continue
            edge = low if newest_first else high
            if found:
                last = found[-1].start if newest_first else found[-1].end
                edge = (min if newest_first else max)(edge, last) if is_all and taken == len(starts) else last
            at = edge
            now_s = self._clock.monotonic_s()
            if now_s > until_s:
                break
            window = min(2 * window, KEPT_WINDOW_BYTES_MAX) if now_s - began_s < KEPT_WINDOW_S else window
        return found, at

    def _height(self, entry: Entry) -> int:
        return (1 if self._fold else len(entry.rows)) + 2 * self._context

    def _all(self, entries: Iterable[Entry], count: int, byte: int) -> KeptPage:
        rows: list[Kept] = []
        following: int | None = None
        for entry in entries:
            if len(rows) >= count:
                following = entry.start
                break
            rows.append(self._folded(entry))
        return KeptPage(tuple(rows), min(byte, rows[0].row.byte if rows else byte) or None, following)

    def _folded(self, entry: Entry, *, is_hit: bool = False) -> Kept:
        return Kept(entry.rows[0], len(entry.rows) - 1, entry.end - entry.start, is_hit)

    def _around(self, found: Sequence[Entry]) -> tuple[Kept, ...]:
        """What was found with the lines around it, each once, in order."""
        kept: dict[int, Kept] = {}
        covered: list[tuple[int, int]] = []
        for entry in found:
            if self._fold:
                kept[entry.start] = self._folded(entry, is_hit=True)
            else:
                kept.update({row.byte: Kept(row, 0, row.length, True) for row in entry.rows[:KEPT_ENTRY_LINES_MAX]})
            covered.append((entry.start, entry.end))
        for entry in found if self._context else ():
            beside: list[LineRow] = []
            if entry.start:
                beside += self._lines.page_before(entry.start, self._context).rows
            if entry.end < self._lines.size:
                beside += self._lines.page_at(entry.end, self._context).rows
            for row in beside:
                if not any(start <= row.byte < end for start, end in covered):
                    kept.setdefault(row.byte, Kept(row, 0, row.length))
        return tuple(kept[byte] for byte in sorted(kept))
