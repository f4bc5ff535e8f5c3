"""Files in an encoding that is neither UTF-8 nor UTF-16, searched as text: each block becomes UTF-8, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from logferry.encodings import Encoding
from logferry.search.scan.block import Block
from logferry.search.scan.blocks import Match, Scanner, following_lines, lines_in
from logferry.search.scan.facts import FileFacts
from logferry.search.scan.source import Source, preceding_lines


def scan_encoded(
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
    """Like ``Scanner.scan``. Of a line too long to hold only what is ASCII is found."""
    lines = lines_in(source, start, end, check)
    if lines is None:
        return
    data, offset = lines.data[lines.first :], lines.offset + lines.first
    own = lines.limit - lines.first
    if scanner.has_entries and lines.giant_at is None:
        data += following_lines(source, lines.offset + len(lines.data), check)
    text = encoding.utf8(data)[0]
    block = Block(
        text,
        first=0,
        limit=len(text) if own >= len(data) else len(encoding.utf8(data[:own])[0]),
        check=check,
        behind=lambda count: encoding.utf8(preceding_lines(source, offset, count))[0],
        facts=facts,
        has_entries=scanner.has_entries,
    )
    skipped = lines.data.count(b"\n", lines.before, lines.first)
    matches = list(_told(scanner.in_block(block, 0, 0), data, offset, skipped))
    if lines.giant_at is not None:
        matches.extend(scanner.in_giant(source, lines, check, facts))
    yield from reversed(matches) if newest_first else matches


def _told(found: Iterator[Match], data: bytes, offset: int, skipped: int) -> Iterator[Match]:
    """Matches in the text as matches in the file: a line is the line of the same number."""
    number = at = 0
    for match in found:
        for _ in range(match.newlines - number):
            at = data.index(b"\n", at) + 1
        number, end = match.newlines, at - 1
        for _ in range(match.lines):
            end = data.find(b"\n", end + 1)
            end = len(data) if end < 0 else end
        yield Match(offset + at, offset + end, match.newlines + skipped, lines=match.lines)
