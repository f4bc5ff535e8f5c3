"""Blocks of a file: which lines start in it, read whole, searched in bulk. No state between blocks: any order works.

A block is a byte range; its lines are those that *start* in it. The last one is read to its end. A line longer than
``SCAN_LINE_BYTES_MAX`` is not held in memory but searched window by window (``giant``). Where entries are looked for,
those that start in the range are the block's, and it is read on to where the last one can end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from logferry.limits import ENTRY_BYTES_MAX, LINE_INDEX_STEP_BYTES, SCAN_LINE_BYTES_MAX
from logferry.search.query.nodes import Node
from logferry.search.scan.block import Block
from logferry.search.scan.cursors import cursor
from logferry.search.scan.facts import FileFacts
from logferry.search.scan.giant import GiantLine
from logferry.search.scan.source import Source, preceding_lines


@dataclass(frozen=True, slots=True)
class Match:
    """A line, or an entry, that matches."""

    start: int
    end: int
    """Its bytes without the line end: ``start <= x < end``, in the source."""
    newlines: int
    """Line ends between the start of the range that was scanned and this line."""
    first_seen: int | None = None
    """For a line too long to hold: where a term was first seen, if any was."""
    lines: int = 1
    """How many lines it has."""


class Scanner:
    """A query made ready to run over many blocks, one after the other. Not for several threads at once.

    ``now_ns``: what ``now`` means in the query. ``entries``: it is matched against whole entries, not lines.
    """

    def __init__(self, node: Node, *, exact_case: bool, now_ns: int = 0, entries: bool = False) -> None:
        self._cursor = cursor(node, exact_case=exact_case, now_ns=now_ns, entries=entries)
        self._giant = GiantLine(node, exact_case=exact_case, now_ns=now_ns)
        self.has_entries = entries

    def scan(
        self,
        source: Source,
        start: int,
        end: int,
        *,
        newest_first: bool,
        check: Callable[[], None],
        facts: FileFacts | None = None,
    ) -> Iterator[Match]:
        """The matching lines (entries) that start in ``start <= x < end``, in the order asked for.

        ``check`` is called between steps; what it raises ends the scan. ``facts`` are needed for ``time:`` and
        entries.
        """
        lines = lines_in(source, start, end, check)
        if lines is None:
            return
        found = self._in_lines(lines, source, check, facts)
        yield from reversed(list(found)) if newest_first else found

    def _in_lines(
        self, lines: LinesIn, source: Source, check: Callable[[], None], facts: FileFacts | None
    ) -> Iterator[Match]:
        data = lines.data
        if self.has_entries and lines.giant_at is None:
            data += following_lines(source, lines.offset + len(data), check)
        block = Block(
            data,
            first=lines.first,
            limit=lines.limit,
            check=check,
            behind=lambda count: preceding_lines(source, lines.offset + lines.first, count),
            facts=facts,
            has_entries=self.has_entries,
        )
        yield from self.in_block(block, lines.offset, lines.before)
        if lines.giant_at is not None:
            yield from self.in_giant(source, lines, check, facts)

    def in_giant(
        self, source: Source, lines: LinesIn, check: Callable[[], None], facts: FileFacts | None
    ) -> Iterator[Match]:
        """The line that is too long to hold, if it matches."""
        assert lines.giant_at is not None
        newlines = lines.data.count(b"\n", lines.before)
        found = self._giant.find(source, lines.giant_at, check, facts)
        if found.matches:
            yield Match(found.start, found.end, newlines, found.first_seen)

    def in_block(self, block: Block, offset: int, counted: int) -> Iterator[Match]:
        """The matches in a block, oldest first; ``offset`` is added to where they are.

        Line ends are counted from ``counted``, a place in the block's data, on.
        """
        data, at = block.data, block.first
        self._cursor.enter(block)
        newlines = steps = 0
        while at < block.limit:
            at = self._cursor.seek(at)
            if at >= block.limit:
                break
            newlines += data.count(b"\n", counted, at)
            counted = at
            end = block.unit_end(at)
            lines = 1 + data.count(b"\n", at, end) if block.has_entries else 1
            yield Match(offset + at, offset + end, newlines, lines=lines)
            at = end + 1
            steps += 1
            if steps % 1024 == 0:
                block.check()


def following_lines(source: Source, at: int, check: Callable[[], None]) -> bytes:
    """Whole lines from ``at`` on, one more than may belong to an entry that starts before. None too long to hold."""
    data = source.read_at(at, ENTRY_BYTES_MAX + 1)
    held = [data]
    while held[-1] and b"\n" not in held[-1][-1:] and sum(map(len, held)) < SCAN_LINE_BYTES_MAX:
        check()
        piece = source.read_at(at + sum(map(len, held)), LINE_INDEX_STEP_BYTES)
        newline = piece.find(b"\n")
        held.append(piece if newline < 0 else piece[: newline + 1])
    if held[-1] and not held[-1].endswith(b"\n"):  # too long to hold: it is no part of an entry
        return data[: data.rfind(b"\n") + 1]
    return b"".join(held)


@dataclass(frozen=True, slots=True)
class LinesIn:
    """The whole lines that start in a range, and where one starts that is too long to hold."""

    data: bytes
    offset: int
    """Of ``data`` in the source."""
    before: int
    """How many bytes of ``data`` stand before the range: 1, or 0 at the start of the source."""
    first: int
    """Where the first line starts in ``data``."""
    limit: int
    """Lines that start here or later in ``data`` belong to the next range."""
    giant_at: int | None


def lines_in(source: Source, start: int, end: int, check: Callable[[], None]) -> LinesIn | None:
    """Read the lines that start in the range; None if none does."""
    before = 1 if start else 0  # a line starts at ``start`` only if a line end stands before it
    offset = start - before
    data = source.read_at(offset, min(end, source.size) - offset)
    first = data.find(b"\n") + 1 if before else 0
    if len(data) <= before or (before and first == 0) or first >= len(data):
        return None
    limit = len(data)
    pieces, held, giant_at = [data], limit, None
    while pieces[-1][-1:] != b"\n" and offset + held < source.size:
        if held - limit >= SCAN_LINE_BYTES_MAX:
            limit = data.rfind(b"\n") + 1  # the lines before the giant one
            return LinesIn(data[:limit], offset, before, min(first, limit), limit, offset + max(first, limit))
        check()
        piece = source.read_at(offset + held, LINE_INDEX_STEP_BYTES)
        if not piece:
            break
        newline = piece.find(b"\n")
        pieces.append(piece if newline < 0 else piece[: newline + 1])
        held += len(pieces[-1])
    return LinesIn(b"".join(pieces), offset, before, first, limit, giant_at)
