"""A query as cursors over one block of bytes: each knows the next line, from a given one on, that matches.

``seek(at)`` takes the start of a line and gives the start of the first matching line there or later, ``END`` if there
is none. Seeks within a block only move forward, and each cursor remembers what it found, so every term looks at every
byte at most once, in bulk. AND leaps from term to term: lines that no term points at are never visited.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from logferry.limits import SCAN_DENSE_HITS, SCAN_REGEX_BYTES
from logferry.search.query.nodes import And, Everything, Filter, Node, Not, Or, Text
from logferry.search.scan.block import END, Block
from logferry.search.scan.patterns import Matcher, Needle, Program, matcher

_STEPS_PER_CHECK = 4096


class Cursor(Protocol):
    """Finds matching lines of one block after the other."""

    def enter(self, block: Block) -> None:
        """Begin with a new block."""
        ...

    def seek(self, at: int, /) -> int:
        """The start of the first matching line at or after the line that starts at ``at``; ``END`` if none."""
        ...


class EveryLine:
    """Matches each line."""

    def enter(self, block: Block) -> None:
        """Begin with a new block."""

    def seek(self, at: int) -> int:
        """This very line."""
        return at


class NoLine:
    """Matches nothing: what a line end inside a term comes to."""

    def enter(self, block: Block) -> None:
        """Begin with a new block."""

    def seek(self, _at: int) -> int:
        """Never."""
        return END


class Remembering(ABC):
    """A cursor that remembers what it found: asked again, it must never ask its children to go back."""

    __slots__ = ("_at", "_block")

    def __init__(self) -> None:
        self._at = -1
        self._block = Block(b"", first=0, limit=0, check=lambda: None)

    def enter(self, block: Block) -> None:
        self._block = block
        self._at = -1

    def seek(self, at: int, /) -> int:
        if at > self._at:
            self._at = self._next(at)
        return self._at

    @abstractmethod
    def _next(self, at: int) -> int:
        """The start of the first matching line at or after the line that starts at ``at``; ``END`` if none."""


class _Term(Remembering):
    """A cursor on the next occurrence of a term."""

    __slots__ = ()

    def _next(self, at: int) -> int:
        found = self._find(at)
        return END if found < 0 else max(self._block.data.rfind(b"\n", at, found) + 1, at)

    @abstractmethod
    def _find(self, at: int) -> int:
        """The index of the next occurrence at or after ``at``; negative if none."""


class ExactTerm(_Term):
    """A literal, as it is written."""

    __slots__ = ("_needle",)

    def __init__(self, needle: bytes) -> None:
        super().__init__()
        self._needle = needle

    def _find(self, at: int) -> int:
        return self._block.data.find(self._needle, at)


class AnyCaseTerm(_Term):
    """A literal in any case. Rare ones are fastest in RE2, frequent ones in a lowered copy."""

    __slots__ = ("_dense", "_lowered", "_program", "_seeks")

    def __init__(self, program: Program, lowered: bytes | None) -> None:
        super().__init__()
        self._program = program
        self._lowered = lowered
        self._seeks = 0
        self._dense = False

    def enter(self, block: Block) -> None:
        super().enter(block)
        self._dense = self._lowered is not None and self._seeks > SCAN_DENSE_HITS
        self._seeks = 0

    def _find(self, at: int) -> int:
        self._seeks += 1
        if self._dense:
            assert self._lowered is not None
            return self._block.lowered.find(self._lowered, at)
        if self._lowered is not None and self._seeks > SCAN_DENSE_HITS:
            self._dense = True
        data = self._block.data
        return self._program.search(data, at, len(data))[0]


class RegexTerm(_Term):
    """A regular expression, run over stretches of whole lines so that a slow one can be stopped in between."""

    __slots__ = ("_program",)

    def __init__(self, program: Program) -> None:
        super().__init__()
        self._program = program

    def _find(self, at: int) -> int:
        data = self._block.data
        while at < len(data):
            end = data.find(b"\n", at + SCAN_REGEX_BYTES)
            end = len(data) if end < 0 else end
            found = self._program.search(data, at, end)[0]
            if found >= 0:
                is_behind = found == len(data) and data[-1:] == b"\n"  # an empty match behind the last line is none
                return -1 if is_behind else found
            self._block.check()
            at = end + 1
        return -1


class AllOf(Remembering):
    """Lines that every child matches: leap to the first child's line, ask the others, leap on to where they point."""

    __slots__ = ("_first", "_others")

    def __init__(self, children: list[Cursor]) -> None:
        super().__init__()
        self._first, *self._others = children

    def enter(self, block: Block) -> None:
        super().enter(block)
        for child in (self._first, *self._others):
            child.enter(block)

    def _next(self, at: int) -> int:
        at = self._first.seek(at)
        steps = 0
        while at != END:
            for child in self._others:
                there = child.seek(at)
                if there != at:
                    at = END if there == END else self._first.seek(there)
                    break
            else:
                return at
            steps += 1
            if steps % _STEPS_PER_CHECK == 0:
                self._block.check()
        return END


class AnyOf(Remembering):
    """Lines that some child matches."""

    __slots__ = ("_children",)

    def __init__(self, children: list[Cursor]) -> None:
        super().__init__()
        self._children = children

    def enter(self, block: Block) -> None:
        super().enter(block)
        for child in self._children:
            child.enter(block)

    def _next(self, at: int) -> int:
        nearest = END
        for child in self._children:
            there = child.seek(at)
            if there == at:
                return at
            nearest = min(nearest, there)
        return nearest


class NoneOf(Remembering):
    """Lines that the child does not match."""

    __slots__ = ("_child",)

    def __init__(self, child: Cursor) -> None:
        super().__init__()
        self._child = child

    def enter(self, block: Block) -> None:
        super().enter(block)
        self._child.enter(block)

    def _next(self, at: int) -> int:
        block = self._block
        steps = 0
        at = block.unit_at(at)
        while at < block.limit and self._child.seek(at) == at:
            at = block.unit_after(at)
            steps += 1
            if steps % _STEPS_PER_CHECK == 0:
                block.check()
        return at if at < block.limit else END


class InEntry(Remembering):
    """Entries one of whose lines the child matches; or only their first line."""

    __slots__ = ("_child", "_only_first")

    def __init__(self, child: Cursor, *, only_first: bool = False) -> None:
        super().__init__()
        self._child = child
        self._only_first = only_first

    def enter(self, block: Block) -> None:
        super().enter(block)
        self._child.enter(block)

    def _next(self, at: int) -> int:
        while at != END:
            line = self._child.seek(at)
            if line == END:
                return END
            entries = self._block.entries
            entry = entries.of_line(line)
            if entry >= at and (entry == line or not self._only_first):
                return entry if entry < self._block.limit else END
            at = entries.at_or_after(line)  # it belongs to an entry of the block before, or is not the first line
        return END


def cursor(node: Node, *, exact_case: bool, now_ns: int = 0, entries: bool = False) -> Cursor:
    """The cursor of a query. ``entries``: it finds entries, in blocks that have them, instead of lines."""
    if isinstance(node, Not):
        return NoneOf(cursor(node.child, exact_case=exact_case, now_ns=now_ns, entries=entries))
    if isinstance(node, (And, Or)):
        # What costs least goes first; the others are asked only where it points.
        children = [
            cursor(child, exact_case=exact_case, now_ns=now_ns, entries=entries)
            for child in sorted(node.children, key=_cost)
        ]
        return AllOf(children) if isinstance(node, And) else AnyOf(children)
    found: Cursor
    if isinstance(node, Everything):
        found = EveryLine()
    elif isinstance(node, Text):
        found = term_cursor(matcher(node.value, exact_case=exact_case))
    else:
        found = filter_cursor(node, exact_case=exact_case, now_ns=now_ns)
    return InEntry(found, only_first=isinstance(node, Filter) and not node.name.startswith("@")) if entries else found


def filter_cursor(wanted: Filter, *, exact_case: bool, now_ns: int) -> Cursor:
    """The cursor of a filter that is decided line by line. What it stands on is loaded when it is needed."""
    assert not wanted.is_file_level, "these filters were decided by the plan"
    if wanted.name.startswith("@"):
        from logferry.search.scan.fieldterm import FieldTerm

        return FieldTerm(wanted, exact_case=exact_case)
    from logferry.search.scan.lineterms import line_term

    return line_term(wanted, now_ns)


def _cost(node: Node) -> int:
    """What a term costs: texts are found in bulk, levels and times in stretches of lines, fields line by line."""
    if isinstance(node, Filter):
        return 2 if node.name.startswith("@") else 1
    return max(map(_cost, node.children)) if isinstance(node, (And, Or)) else 3 if isinstance(node, Not) else 0


def term_cursor(found: Matcher) -> Cursor:
    """The cursor of one term."""
    if found is None:
        return EveryLine()
    if isinstance(found, Program):
        return RegexTerm(found)
    if b"\n" in found.exact:
        return NoLine()
    if found.program is not None:
        return AnyCaseTerm(found.program, found.lowered)
    return ExactTerm(found.exact)


__all__ = ["END", "Block", "Cursor", "Needle", "Remembering", "cursor", "filter_cursor", "term_cursor"]
