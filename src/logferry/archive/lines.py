"""A generation as lines, addressed by byte, by number or from the end. Works on any size with bounded memory.

A line ends with LF; what follows the last LF is a line too. Every row says where its line begins and how long it is, in
the bytes of the file, and has its text, which is UTF-8 unless the file's own bytes are to be shown as such; of a very
long line only the beginning is in the row. Numbers count from 1 and are None while the counting has not got there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from logferry.archive.line_index import STEP, LineCounts, LineIndex, LineIndexes
from logferry.archive.reader import GenerationReader
from logferry.encodings import UTF_8, Encoding, half_character
from logferry.limits import (
    LINE_BYTES_SHOWN_MAX,
    LINE_INDEX_NOW_BYTES,
    LINE_INDEX_WAIT_S,
    LINE_WINDOW_BYTES,
    LINES_BYTES_PER_REQUEST_MAX,
    LINES_PER_REQUEST_MAX,
)


@dataclass(frozen=True, slots=True)
class LineRow:
    """One line. ``data`` is its text without a line end (LF or CR LF); ``length`` counts the line's bytes with it.

    ``data`` is UTF-8; what is read as UTF-8 may have any bytes. ``cut``: there is more of the line than ``data``, which
    is the text of the first ``shown`` bytes. ``ended``: a line end closes it.
    """

    number: int | None
    byte: int
    length: int
    data: bytes
    cut: bool
    shown: int
    ended: bool


@dataclass(frozen=True, slots=True)
class LinePage:
    """Lines in order. ``prev`` and ``next`` are bytes to ask ``page_at`` for the page before and after (None: none).

    ``exact`` says that the rows have numbers and are the ones asked for; False: an estimate while counting goes on.
    """

    rows: tuple[LineRow, ...]
    prev: int | None
    next: int | None
    exact: bool


class Lines:
    """The lines of an open generation. Close it, or use it in a ``with`` statement."""

    def __init__(
        self, reader: GenerationReader, indexes: LineIndexes, generation_id: int, encoding: Encoding = UTF_8
    ) -> None:
        """``encoding``: what its bytes are read as."""
        self.encoding = encoding
        self._ends = encoding.ends
        self._reader = reader
        self._indexes = indexes
        self._generation_id = generation_id
        self._index: LineIndex = indexes.ask(generation_id, reader, self._ends)
        rest = reader.size - self._index.covered
        self._index.count_on(reader, reader.size if rest <= LINE_INDEX_NOW_BYTES else LINE_INDEX_NOW_BYTES, _always)
        if self._index.covered + STEP <= reader.size:
            indexes.want(generation_id, self._ends)

    @property
    def size(self) -> int:
        """Bytes of the generation."""
        return self._reader.size

    @property
    def total(self) -> int | None:
        """How many lines there are, None while the counting has not got to the end."""
        if self.size == 0:
            return 0
        ends = self._ends_before(self.size)
        if ends is None:
            return None
        return ends if self._ends_at(self.size) else ends + 1

    def index(self) -> LineCounts:
        """Line ends per MiB as far as counted; the last, incomplete MiB is there only when all are."""
        self._index.count_steps(self._reader, _READS_AT_ONCE, _always)
        counts, total = self._index.counts(), self.total
        rest = self.size - len(counts) * STEP
        complete = rest < STEP
        if not complete:
            self._index.steps_wanted = True
            self._indexes.want(self._generation_id, self._ends)
        if complete and rest:
            at = self.size - rest
            counts = (*counts, self._ends.count(self._reader.read_at(at, rest), at))
        return LineCounts(self.size, STEP, counts, total, complete)

    def page_at(self, byte: int, count: int, max_bytes: int = LINES_BYTES_PER_REQUEST_MAX) -> LinePage:
        """``count`` lines from the one that holds ``byte`` on; rows hold at most ``max_bytes`` together."""
        byte = max(0, min(byte, self.size - 1))
        return self._page(self._start_of(byte), count, max_bytes)

    def page_from(self, line_no: int, count: int, max_bytes: int = LINES_BYTES_PER_REQUEST_MAX) -> LinePage:
        """``count`` lines from number ``line_no`` (from 1) on.

        Waits a moment for the counting to get there, then answers with an estimate (``exact`` False). Past the end:
        an empty page.
        """
        byte = self._byte_of_line(max(1, line_no))
        if byte is None:
            return self.page_at(self._estimate(line_no), count, max_bytes)
        if byte >= self.size:
            return LinePage((), self._start_of_page_before(self.size, count), None, exact=True)
        return self._page(byte, count, max_bytes)

    def page_before(self, byte: int, count: int, max_bytes: int = LINES_BYTES_PER_REQUEST_MAX) -> LinePage:
        """The ``count`` lines before the one that holds ``byte``."""
        end = self._start_of(max(0, min(byte, self.size)))
        start = self._start_of_page_before(end, count)
        return self._page(0 if start is None else start, count, max_bytes, until=end)

    def tail(self, count: int, max_bytes: int = LINES_BYTES_PER_REQUEST_MAX) -> LinePage:
        """The last ``count`` lines (as many of them from the end as fit ``max_bytes``)."""
        start = self._start_of_page_before(self.size, count, max_bytes)
        return self._page(0 if start is None else start, count, max_bytes)

    def number_at(self, byte: int, go_on: Callable[[], bool]) -> int | None:
        """The number of the line that holds ``byte``. Counts as far as needed while ``go_on``; None if that was not
        enough."""
        self._count(byte, go_on)
        ends = self._ends_before(byte)
        return None if ends is None else ends + 1

    def head(self, count: int) -> bytes:
        """The first bytes of the text, fewer only where it is shorter."""
        if self.encoding is UTF_8:
            return self._reader.read_at(0, min(count, self.size))
        width = self._ends.width
        head = self._reader.read_at(0, min(width * count, self.size))
        return self.encoding.utf8(head, cut=True)[0][:count]

    def whole_between(self, low: int, high: int) -> tuple[int, bytes]:
        """The file's own bytes of the lines that begin in ``low <= x < high`` and end before ``high``, and where the
        first of them begins. What follows the last line end counts as a line if ``high`` is the end of the file."""
        width, high = self._ends.width, min(high, self.size)
        low -= low % width
        before = width if low else 0
        data = self._reader.read_at(low - before, high - low + before)
        first = self._ends.after(data, low - before) if before else 0
        if first < 0:
            return high, b""
        last = len(data) if high == self.size else self._ends.last(data, low - before, len(data)) + width
        return low - before + first, data[first:last]

    def text_before(self, byte: int, count: int) -> bytes:
        """The text of whole lines before the one that begins at ``byte``, of some ``count`` bytes, each with LF."""
        width = self._ends.width
        first = max(0, byte - width * count - width)
        first += (byte - first) % width
        data = self._reader.read_at(first, byte - first)
        if first:
            after = self._ends.after(data, first)
            data = data[after:] if after >= 0 else b""
        return data if self.encoding is UTF_8 else self.encoding.utf8(data)[0]

    def text_at(self, byte: int, count: int) -> tuple[bytes, int]:
        """Up to ``count`` bytes from ``byte``, where a character begins, as text; and how many of them that is.

        It ends where the line does, whose line end is left out but counted.
        """
        data = self._reader.read_at(byte, max(0, min(count, self.size - byte)))
        after = self._ends.after(data, byte)
        if after >= 0:
            data = data[:after]
        is_cut = after < 0 and byte + len(data) < self.size
        text, taken = self.encoding.utf8(self._ends.without(data), cut=is_cut)
        return text, taken if is_cut else len(data)

    def close(self) -> None:
        """Release the reader."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Rows ------------------------------------------------------------------------------------------------------------

    def _page(self, start: int, count: int, max_bytes: int, *, until: int | None = None) -> LinePage:
        count = max(1, min(count, LINES_PER_REQUEST_MAX))
        max_bytes = max(1, min(max_bytes, LINES_BYTES_PER_REQUEST_MAX))
        until = self.size if until is None else until
        ends = self._ends_before(start)
        rows: list[LineRow] = []
        used = 0
        for row in self._rows(start, until, None if ends is None else ends + 1):
            # At least one row, whatever its length, else nobody would ever get past it.
            if rows and (len(rows) == count or used + len(row.data) > max_bytes):
                break
            rows.append(row)
            used += len(row.data)
        following = rows[-1].byte + rows[-1].length if rows else start
        return LinePage(
            tuple(rows),
            self._start_of_page_before(start, count),
            following if following < self.size else None,
            exact=ends is not None,
        )

    def _rows(self, start: int, until: int, number: int | None) -> Iterator[LineRow]:
        """Lines from ``start`` (where one begins) to ``until``, read a window at a time."""
        base, window = start, b""
        while start < until:
            after = self._ends.after(window, base, start - base)
            if after < 0 and base + len(window) < self.size and base + len(window) - start < LINE_WINDOW_BYTES:
                base, window = start, self._reader.read_at(start, LINE_WINDOW_BYTES)
                after = self._ends.after(window, base)
            offset = start - base
            ended = after >= 0
            if ended:
                length, line = after - offset, self._ends.without(window[offset:after])
            else:
                line = window[offset : offset + LINE_BYTES_SHOWN_MAX + 1]
                end, ended = self._end_of(base + len(window))
                length = end - start
            yield self._row(number, start, length, line, ended=ended)
            start += length
            number = None if number is None else number + 1

    def _row(self, number: int | None, start: int, length: int, line: bytes, *, ended: bool) -> LineRow:
        cut = len(line) > LINE_BYTES_SHOWN_MAX
        data = line[:LINE_BYTES_SHOWN_MAX]
        if self.encoding is UTF_8:  # bad bytes stay what they are for whoever wants to know them
            return LineRow(number, start, length, data, cut, len(data) - half_character(data) * cut, ended)
        text, shown = self.encoding.utf8(data, cut=cut)
        if start == 0 and self.encoding.is_wide:
            text = text.removeprefix(_MARK)
        return LineRow(number, start, length, text, cut, shown, ended)

    # Where lines begin and end ---------------------------------------------------------------------------------------

    def _ends_at(self, byte: int) -> bool:
        """Whether a line end stands right before ``byte``."""
        start = max(0, byte - self._ends.width)
        return self._ends.after(self._reader.read_at(start, byte - start), start) >= 0

    def _end_of(self, byte: int) -> tuple[int, bool]:
        """The byte after the first line end behind ``byte``, and True; the size and False if there is none."""
        byte -= byte % self._ends.width
        while byte < self.size:
            _, end, is_empty = self._index.around(byte)
            if is_empty:
                byte = end
                continue
            data = self._reader.read_at(byte, min(end, byte + STEP) - byte)
            after = self._ends.after(data, byte)
            if after >= 0:
                return byte + after, True
            byte += len(data)
        return self.size, False

    def _start_of(self, byte: int) -> int:
        """Where the line that holds ``byte`` begins."""
        return self._back(byte - byte % self._ends.width, 1)

    def _back(self, byte: int, count: int) -> int:
        """The byte after the ``count``-th line end before ``byte``, going back; 0 when there are fewer."""
        while byte > 0:
            start, _, is_empty = self._index.around(byte - 1)
            if is_empty:
                byte = start
                continue
            low = max(start, byte - LINE_WINDOW_BYTES)
            low += (byte - low) % self._ends.width  # on the border of a character, as ``byte`` is
            data = self._reader.read_at(low, byte - low)
            found = self._ends.count(data, low)
            if found >= count:
                position = len(data)
                for _ in range(count):
                    position = self._ends.last(data, low, position)
                return low + position + self._ends.width
            count -= found
            byte = low
        return 0

    def _start_of_page_before(self, start: int, count: int, max_bytes: int | None = None) -> int | None:
        """Where ``count`` lines that end right before ``start`` begin, None when there is nothing before it."""
        if start <= 0:
            return None
        count = max(1, min(count, LINES_PER_REQUEST_MAX))
        # The line end right before ``start`` (if there) closes the last of those lines: do not count it.
        last = start - self._ends.width if self._ends_at(start) else start
        begin = self._back(last, count)
        if max_bytes is None or start - begin <= max_bytes:
            return begin
        return self._fitting(begin, start, max_bytes)

    def _fitting(self, begin: int, end: int, max_bytes: int) -> int:
        """Where the last lines between ``begin`` and ``end`` begin whose rows fit into ``max_bytes``, at least one."""
        sizes = [(row.byte, len(row.data)) for row in self._rows(begin, end, None)]
        start, used = sizes[-1][0], 0
        for byte, size in reversed(sizes):
            used += size
            if used > max_bytes:
                break
            start = byte
        return start

    # Numbers ---------------------------------------------------------------------------------------------------------

    def _count(self, until: int, go_on: Callable[[], bool]) -> bool:
        return self._indexes.count(self._index, self._generation_id, self._reader, until, go_on)

    def _ends_before(self, byte: int) -> int | None:
        """Line ends before ``byte``, None when not counted that far."""
        known = self._index.before(byte)
        if known is None:
            return None
        place, ends = known
        return ends + (self._ends.count(self._reader.read_at(place, byte - place), place) if place < byte else 0)

    def _byte_of_line(self, line_no: int) -> int | None:
        """Where line ``line_no`` begins; the size when there are fewer; None when not counted in time."""
        ends = line_no - 1
        if ends == 0:
            return 0
        found = self._index.holding(ends)
        if found is None:
            clock = self._indexes.clock
            deadline = clock.monotonic_s() + LINE_INDEX_WAIT_S
            done = self._count(self.size, lambda: clock.monotonic_s() < deadline and self._index.holding(ends) is None)
            found = self._index.holding(ends)
            if found is None and not done:
                return None
        if found is None:  # behind the last place, or nowhere
            last = self._index.before(self.size)
            if last is None:
                return None
            found = (last[0], self.size, last[1])
        start, end, before = found
        return self._after_ends(start, min(end, self.size), ends - before)

    def _after_ends(self, start: int, end: int, count: int) -> int:
        """The byte after the ``count``-th line end between two places; the size when there are fewer."""
        data = self._reader.read_at(start, end - start)
        for low in range(0, len(data), _PART):
            part, position = data[low : low + _PART], 0
            found = self._ends.count(part, start + low)
            if found >= count:
                for _ in range(count):
                    position = self._ends.after(part, start + low, position)
                return start + low + position
            count -= found
        return self.size

    def _estimate(self, line_no: int) -> int:
        """About where line ``line_no`` may begin, from the density of lines counted so far."""
        known = self._index.before(self._index.covered)
        if known is None or not known[1]:
            return self.size - 1
        return min(self.size - 1, int(known[0] * (line_no / known[1])))


_MARK = "\ufeff".encode()
_PART = 16 * 1024
_READS_AT_ONCE = 32


def _always() -> bool:
    return True
