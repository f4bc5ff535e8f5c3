"""Blocks of a file: which lines start in it, read whole, searched in bulk. No state between blocks: any order works.

A block is a byte range; its lines are those that *start* in it. The last one is read to its end. A line longer than
``SCAN_LINE_BYTES_MAX`` is not held in memory but searched window by window (``giant``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from logferry.limits import LINE_INDEX_STEP_BYTES, SCAN_LINE_BYTES_MAX
from logferry.search.query.nodes import Node
from logferry.search.scan.cursors import Block, cursor
from logferry.search.scan.giant import GiantLine
from logferry.search.scan.source import Source


@dataclass(frozen=True, slots=True)
class Match:
    """A line that matches."""

    start: int
    end: int
    """Its bytes without the line end: ``start <= x < end``, in the source."""
    newlines: int
    """Line ends between the start of the range that was scanned and this line."""
    first_seen: int | None = None
    """For a line too long to hold: where a term was first seen, if any was."""


class Scanner:
    """A query made ready to run over many blocks, one after the other. Not for several threads at once."""

    def __init__(self, node: Node, *, exact_case: bool) -> None:
        self._cursor = cursor(node, exact_case=exact_case)
        self._giant = GiantLine(node, exact_case=exact_case)

    def scan(
        self, source: Source, start: int, end: int, *, newest_first: bool, check: Callable[[], None]
    ) -> Iterator[Match]:
        """The matching lines that start in ``start <= x < end``, in the order asked for.

        ``check`` is called between steps; what it raises ends the scan.
        """
        lines = _read_lines(source, start, end, check)
        if lines is None:
            return
        found = self._matches(lines, source, check)
        yield from reversed(list(found)) if newest_first else found

    def _matches(self, lines: _Lines, source: Source, check: Callable[[], None]) -> Iterator[Match]:
        data, at = lines.data, lines.first
        block = Block(data, first=lines.first, limit=lines.limit, check=check)
        self._cursor.enter(block)
        newlines, counted = 0, lines.before
        steps = 0
        while at < lines.limit:
            at = self._cursor.seek(at)
            if at >= lines.limit:
                break
            newlines += data.count(b"\n", counted, at)
            counted = at
            end = data.find(b"\n", at)
            end = len(data) if end < 0 else end
            yield Match(lines.offset + at, lines.offset + end, newlines)
            at = end + 1
            steps += 1
            if steps % 1024 == 0:
                check()
        if lines.giant_at is not None:
            newlines += data.count(b"\n", counted)
            found = self._giant.find(source, lines.giant_at, check)
            if found.matches:
                yield Match(found.start, found.end, newlines, found.first_seen)


@dataclass(frozen=True, slots=True)
class _Lines:
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


def _read_lines(source: Source, start: int, end: int, check: Callable[[], None]) -> _Lines | None:
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
            return _Lines(data[:limit], offset, before, min(first, limit), limit, offset + max(first, limit))
        check()
        piece = source.read_at(offset + held, LINE_INDEX_STEP_BYTES)
        if not piece:
            break
        newline = piece.find(b"\n")
        pieces.append(piece if newline < 0 else piece[: newline + 1])
        held += len(pieces[-1])
    return _Lines(b"".join(pieces), offset, before, first, limit, giant_at)
