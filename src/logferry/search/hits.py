"""From a matching line (or entry) in a file to a hit to show: text, marked spans, number, neighbours; all bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from logferry.archive import LinePage, LineRow
from logferry.encodings import UTF_8
from logferry.encodings import Encoding as Charset
from logferry.limits import ENTRY_BYTES_SHOWN_MAX, HIT_BYTES_SHOWN_MAX, SCAN_LINE_BYTES_MAX
from logferry.search.events import Hit, Row
from logferry.search.filters import Candidate
from logferry.search.scan import Encoding, Marker, Match, Source, utf16_text
from logferry.search.text import character_spans, line_text

_LEAD_BYTES = HIT_BYTES_SHOWN_MAX // 4
"""How much of a long line is shown before its first match."""


class Numbered(Protocol):
    """Line numbers, and the lines around a place."""

    def number_at(self, byte: int, go_on: Callable[[], bool], /) -> int | None:
        """The number of the line that holds ``byte``; None if ``go_on`` said no before it was known."""
        ...

    def page_at(self, byte: int, count: int, /) -> LinePage:
        """Lines from the one that holds ``byte`` on."""
        ...

    def page_before(self, byte: int, count: int, /) -> LinePage:
        """Lines before the one that holds ``byte``."""
        ...


class HitMaker:
    """Makes the hits of one generation. ``lines`` gives numbers and neighbours."""

    def __init__(
        self,
        file: Candidate,
        reader: Source,
        lines: Numbered,
        marker: Marker,
        *,
        context: int,
        encoding: Encoding | None,
        charset: Charset = UTF_8,
        go_on: Callable[[], bool],
        entries: bool = False,
    ) -> None:
        self._shown_max = ENTRY_BYTES_SHOWN_MAX if entries else HIT_BYTES_SHOWN_MAX
        self._file = file
        self._reader = reader
        self._lines = lines
        self._marker = marker
        self._context = context
        self._encoding = encoding
        self._charset = charset
        self._go_on = go_on
        self._numbers: dict[int, int | None] = {}

    def hit(self, match: Match, range_start: int) -> Hit:
        """The hit for a match that was found scanning from ``range_start``."""
        text, text_from, cut, spans = self._shown(match)
        length = self._whole_length(match)
        number = self._number(match, range_start)
        before, after = self._neighbours(match.start, length, number, match.lines)
        return Hit(
            agent=self._file.agent,
            path=self._file.path,
            file_id=self._file.file_id,
            generation=self._file.number,
            number=number,
            byte=match.start,
            length=length,
            text=text,
            text_from=text_from,
            cut=cut,
            spans=spans,
            before=before,
            after=after,
        )

    def _number(self, match: Match, range_start: int) -> int | None:
        if range_start not in self._numbers:
            self._numbers[range_start] = self._lines.number_at(range_start, self._go_on)
        first = self._numbers[range_start]
        return None if first is None else first + match.newlines

    def _whole_length(self, match: Match) -> int:
        width = 2 if self._encoding else 1
        return min(match.end + width, self._reader.size) - match.start

    def _shown(self, match: Match) -> tuple[str, int, bool, tuple[tuple[int, int], ...]]:
        """(text, where it begins in the line, whether there is more, spans)."""
        if self._encoding:
            return self._shown_utf16(match, self._encoding)
        start = 0
        if match.first_seen is not None:
            start = max(0, match.first_seen - match.start - _LEAD_BYTES)
        held = min(match.end - match.start - start, SCAN_LINE_BYTES_MAX if start == 0 else self._shown_max * 2)
        line = self._reader.read_at(match.start + start, held)
        if match.start + start + held == match.end:
            line = line.removesuffix(b"\r")
        if self._charset is not UTF_8:
            line = self._charset.utf8(line, cut=True)[0]
        spans = self._marker.spans(line)
        if spans and spans[0][1] > self._shown_max:
            skip = max(0, spans[0][0] - _LEAD_BYTES)
            while skip and line[skip] & 0xC0 == 0x80:  # not in the middle of a character
                skip -= 1
            line, start = line[skip:], start + self._bytes_of(line[:skip])
            spans = [(first - skip, last - skip) for first, last in spans]
        is_short = len(line) <= self._shown_max
        cut = start > 0 or not is_short
        shown = line[: self._shown_max]
        spans = [(first, min(last, len(shown))) for first, last in spans if first < len(shown)]
        return line_text(shown, cut=not is_short), start, cut, tuple(character_spans(shown, spans))

    def _bytes_of(self, text: bytes) -> int:
        """How many bytes of the file these are, where none of them is a bad one."""
        if self._charset is UTF_8:
            return len(text)
        return len(text.decode("utf-8").encode(self._charset.codec, "replace"))

    def _shown_utf16(self, match: Match, encoding: Encoding) -> tuple[str, int, bool, tuple[tuple[int, int], ...]]:
        held = min(match.end - match.start, SCAN_LINE_BYTES_MAX)
        text = utf16_text(self._reader.read_at(match.start, held), encoding).removesuffix("\r")
        line = text.encode("utf-8", "replace")
        spans = character_spans(line, self._marker.spans(line))
        shown = text[: self._shown_max]
        kept = tuple((first, min(last, len(shown))) for first, last in spans if first < len(shown))
        return shown, 0, len(shown) < len(text), kept

    def _neighbours(
        self, byte: int, length: int, number: int | None, lines: int
    ) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
        if not self._context:
            return (), ()
        before: tuple[LineRow, ...] = ()
        after: tuple[LineRow, ...] = ()
        if byte:
            before = tuple(r for r in self._lines.page_before(byte, self._context).rows if r.byte < byte)
        if byte + length < self._reader.size:
            after = self._lines.page_at(byte + length, self._context).rows
        first = None if number is None else number - len(before)
        following = None if number is None else number + lines
        return _rows(before, first), _rows(after, following)


def _rows(found: tuple[LineRow, ...], number: int | None) -> tuple[Row, ...]:
    return tuple(
        Row(
            None if number is None else number + i,
            row.byte,
            row.length,
            line_text(row.data[:HIT_BYTES_SHOWN_MAX], cut=row.cut or len(row.data) > HIT_BYTES_SHOWN_MAX),
            row.cut or len(row.data) > HIT_BYTES_SHOWN_MAX,
        )
        for i, row in enumerate(found)
    )
