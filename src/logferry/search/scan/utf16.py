"""UTF-16 files, searched as text: each block becomes UTF-8, what is found in it is told in the file's own bytes.

Lone surrogates survive the way there and back. A line longer than ``SCAN_LINE_BYTES_MAX`` is searched up to that
length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from logferry.limits import ENTRY_BYTES_MAX, LINE_INDEX_STEP_BYTES, SCAN_LINE_BYTES_MAX
from logferry.search.scan.block import Block
from logferry.search.scan.blocks import Match, Scanner
from logferry.search.scan.facts import FileFacts
from logferry.search.scan.source import Source

Encoding = Literal["utf-16-le", "utf-16-be"]
_LINE_ENDS: dict[Encoding, bytes] = {"utf-16-le": b"\n\x00", "utf-16-be": b"\x00\n"}


def utf16_of(head: bytes) -> Encoding | None:
    """The encoding that a byte order mark at the start of a file tells; None for all but UTF-16."""
    if head.startswith(b"\xff\xfe") and not head.startswith(b"\xff\xfe\x00\x00"):  # that is UTF-32
        return "utf-16-le"
    return "utf-16-be" if head.startswith(b"\xfe\xff") else None


def utf16_named(name: str) -> Encoding | None:
    """The encoding of this name, if it is one of these."""
    return next((encoding for encoding in _LINE_ENDS if encoding == name), None)


def utf16_text(data: bytes, encoding: Encoding) -> str:
    """Bytes of such a file as text, without a byte order mark; lone surrogates become U+FFFD."""
    return data.decode(encoding, "replace").removeprefix("\ufeff")


def scan_utf16(
    scanner: Scanner,
    source: Source,
    start: int,
    end: int,
    encoding: Encoding,
    *,
    newest_first: bool,
    check: Callable[[], None],
    facts: FileFacts | None = None,
) -> Iterator[Match]:
    """Like ``Scanner.scan``; ``start`` and ``end`` are even. ``facts`` are those of the file as text."""
    region = _region(source, start, end, _LINE_ENDS[encoding], check)
    if region is None:
        return
    offset, data, skipped = region
    text = _as_text(data, encoding)
    limit = len(text)
    if scanner.has_entries and data.endswith(_LINE_ENDS[encoding]):
        text += _following(source, offset + len(data), encoding)
    block = Block(
        text,
        first=0,
        limit=limit,
        check=check,
        behind=lambda count: _preceding(source, offset, count, encoding),
        facts=facts,
        has_entries=scanner.has_entries,
    )
    matches = list(_told(scanner.in_block(block, 0, 0), text, offset, encoding, skipped))
    yield from reversed(matches) if newest_first else matches


def utf16_head(source: Source, encoding: Encoding, count: int) -> bytes:
    """The first ``count`` bytes of such a file as UTF-8 text, fewer only where the file is shorter."""
    return _as_text(source.read_at(0, min(2 * count, source.size & ~1)), encoding)[:count]


def _as_text(data: bytes, encoding: Encoding) -> bytes:
    return data.decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")


def _preceding(source: Source, at: int, count: int, encoding: Encoding) -> bytes:
    """``source.preceding_lines`` as text: no character takes more bytes there than twice those of UTF-8."""
    first = max(0, at - 2 * count - 2)
    data = source.read_at(first, at - first)
    after = _after_line_end(data, 0, _LINE_ENDS[encoding]) if first else 0
    return b"" if after is None else _as_text(data[after:], encoding)


def _following(source: Source, at: int, encoding: Encoding) -> bytes:
    """``blocks.following_lines`` as text; a line longer than what is read at once is cut."""
    data = source.read_at(at, min(2 * ENTRY_BYTES_MAX + LINE_INDEX_STEP_BYTES, (source.size & ~1) - at))
    return _as_text(data, encoding)


def _told(found: Iterator[Match], text: bytes, offset: int, encoding: Encoding, skipped: int) -> Iterator[Match]:
    """Matches in UTF-8 bytes as matches in the file."""
    at, there = 0, offset
    for match in found:
        there += _length(text[at : match.start], encoding)
        start, at = there, match.start
        end = start + _length(text[match.start : match.end], encoding)
        yield Match(start, end, match.newlines + skipped, lines=match.lines)


def _length(text: bytes, encoding: Encoding) -> int:
    return len(text.decode("utf-8", "surrogatepass").encode(encoding, "surrogatepass"))


def _region(
    source: Source, start: int, end: int, line_end: bytes, check: Callable[[], None]
) -> tuple[int, bytes, int] | None:
    """(offset, bytes, line ends before it within the range) of the lines that start in the range; None if none does."""
    size = source.size & ~1
    before = 2 if start else 0
    data = source.read_at(start - before, min(end, size) - start + before)
    first = _after_line_end(data, 0, line_end) if before else 0
    if first is None or first >= len(data):
        return None
    pieces, held = [data], len(data)
    while pieces[-1][-2:] != line_end and start - before + held < size and held < SCAN_LINE_BYTES_MAX + len(data):
        check()
        piece = source.read_at(start - before + held, min(LINE_INDEX_STEP_BYTES, size - (start - before + held)))
        after = _after_line_end(piece, 0, line_end)
        pieces.append(piece if after is None else piece[:after])
        held += len(pieces[-1])
    whole = b"".join(pieces)
    skipped = 1 if before and first > before else 0
    return start - before + first, whole[first:], skipped


def _after_line_end(data: bytes, at: int, line_end: bytes) -> int | None:
    """The index after the first line end at or after ``at``, on a character's border; None if there is none."""
    while True:
        found = data.find(line_end, at)
        if found < 0:
            return None
        if found % 2 == 0:
            return found + 2
        at = found + 1
