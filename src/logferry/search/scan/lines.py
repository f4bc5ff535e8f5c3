"""Whole lines in memory, and which of them match a query: a row of truth values, made in bulk.

Literals are found by a kernel, everything else by cursors that leap from match to match. Of an AND or OR each term
looks only at the lines that are still undecided.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from logferry.archive.index.lines import find_lines
from logferry.limits import SCAN_REGEX_BYTES
from logferry.search.query.nodes import And, Everything, Leaf, Literal, Node, Not, Or, Regex, Text
from logferry.search.scan.automaton import Automaton
from logferry.search.scan.cursors import END, Block, Cursor, cursor
from logferry.search.scan.kernels import PADDING, mark_lines, mark_matches
from logferry.search.scan.patterns import Needle, Program, matcher

I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
_LETTERS = frozenset(string.ascii_letters.encode())
_FEW = 4
"""A term looks at the undecided lines alone where they are less than one in so many."""


class Lines:
    """The lines of ``data``: line ``i`` is ``data[starts[i]:ends[i]]``, without its line end.

    ``known``: terms of which it is known which of the lines they take, whatever their text says.
    """

    __slots__ = ("data", "ends", "known", "padded", "starts")

    def __init__(self, data: bytes, known: Mapping[Leaf, Bools] | None = None) -> None:
        self.data = data
        self.known: Mapping[Leaf, Bools] = known or {}
        self.padded = np.empty(len(data) + PADDING, np.uint8)
        self.padded[: len(data)] = np.frombuffer(data, np.uint8)
        self.padded[len(data) :] = 10
        self.starts, self.ends, _ = find_lines(self.padded, [len(data)])

    def __len__(self) -> int:
        return len(self.starts)

    def only(self, rows: npt.NDArray[np.intp]) -> Lines:
        """Some of the lines."""
        data = self.data
        starts, ends = self.starts[rows].tolist(), self.ends[rows].tolist()
        known = {leaf: marks[rows] for leaf, marks in self.known.items()}
        return Lines(b"".join([data[start : end + 1] for start, end in zip(starts, ends, strict=True)]), known)


class Matching:
    """A query made ready to be asked of many ``Lines``, one after the other. Not for several threads at once."""

    def __init__(self, node: Node, *, exact_case: bool) -> None:
        self._node = node
        self._terms: dict[Leaf, _Literal | _Pattern | _Other | None] = {}
        self._exact_case = exact_case

    def __call__(self, lines: Lines, check: Callable[[], None]) -> Bools:
        """Which of the lines match. ``check`` is called now and then; what it raises stops it."""
        return self._of(self._node, lines, check)

    def _of(self, node: Node, lines: Lines, check: Callable[[], None]) -> Bools:
        if isinstance(node, Everything):
            return np.ones(len(lines), np.bool_)
        if isinstance(node, Not):
            return ~self._of(node.child, lines, check)
        if isinstance(node, (And, Or)):
            return self._all_or_any(node, lines, check)
        return self._leaf(node, lines, check)

    def _all_or_any(self, node: And | Or, lines: Lines, check: Callable[[], None]) -> Bools:
        is_and = isinstance(node, And)
        children = sorted(node.children, key=partial(self._cost, lines, check))
        found = self._of(children[0], lines, check)
        for child in children[1:]:
            undecided = found if is_and else ~found
            count = int(np.count_nonzero(undecided))
            if not count:
                break
            if _FEW * count < len(lines):
                rows = np.flatnonzero(undecided)
                found[rows] = self._of(child, lines.only(rows), check)
            elif is_and:
                found &= self._of(child, lines, check)
            else:
                found |= self._of(child, lines, check)
        return found

    def _cost(self, lines: Lines, check: Callable[[], None], node: Node) -> int:
        """What is asked first: what takes least time."""
        if isinstance(node, Not):
            return self._cost(lines, check, node.child)
        if isinstance(node, (And, Or)):
            return max(self._cost(lines, check, child) for child in node.children)
        if isinstance(node, Text):
            if node not in self._terms:
                check()  # it is made ready
            return 1 if isinstance(self._term(node), _Literal) else 3 if isinstance(node.value, Regex) else 2
        return 0 if node in lines.known else 4

    def _leaf(self, leaf: Leaf, lines: Lines, check: Callable[[], None]) -> Bools:
        known = lines.known.get(leaf)
        if known is not None:
            return known.copy()
        check()  # there may be hundreds of terms, each of which looks at all lines
        term = self._term(leaf)
        return np.ones(len(lines), np.bool_) if term is None else term.marks(lines, check)

    def _term(self, leaf: Leaf) -> _Literal | _Pattern | _Other | None:
        if leaf not in self._terms:
            self._terms[leaf] = _term(leaf, exact_case=self._exact_case)
        return self._terms[leaf]


class _Literal:
    """Bytes that stand for themselves, or ASCII in any case."""

    def __init__(self, wanted: bytes, *, any_case: bool) -> None:
        self._is_never = b"\n" in wanted
        self._length = len(wanted)
        cases = bytes(32 * (any_case and byte in _LETTERS) for byte in wanted)
        self._cases = padded(cases)
        self._wanted = padded(bytes(byte | case for byte, case in zip(wanted, cases, strict=True)))

    def marks(self, lines: Lines, _check: Callable[[], None]) -> Bools:
        """Which lines hold it."""
        found = np.zeros(len(lines), np.bool_)
        if not self._is_never:
            mark_lines(lines.padded, lines.starts, lines.ends, self._wanted, self._cases, self._length, found)
        return found


class _Pattern:
    """A regular expression, or a glob: an automaton, or RE2, which looks for matches one by one."""

    def __init__(self, program: Program) -> None:
        self._search = program.search
        self._automaton = program.automaton
        if self._automaton is not None and self._automaton.is_full:
            self._automaton = None
        run = None if self._automaton is None else self._automaton.run
        self._begins = run is not None and run.is_first
        self._length = 0 if run is None else len(run.text)
        self._wanted, self._cases = padded(run.text if run else b""), padded(run.cases if run else b"")

    def marks(self, lines: Lines, check: Callable[[], None]) -> Bools:
        """Which lines match."""
        found = None if self._automaton is None else self._taken(self._automaton, lines, check)
        if found is None:
            self._automaton = None  # it would need too many states here, too
            found = self._searched(lines, check)
        return found

    def _taken(self, automaton: Automaton, lines: Lines, check: Callable[[], None]) -> Bools | None:
        """The lines that the automaton takes; None: it has too many states."""
        marks = np.zeros(len(lines), np.bool_)
        place = np.array([0, 0, -1], np.int64)
        while True:
            check()
            state = mark_matches(
                lines.padded, lines.starts, lines.ends, self._wanted, self._cases, self._length, self._begins,
                automaton.class_of, automaton.steps, automaton.matches_at_end, automaton.first, automaton.idle,
                place, marks,
            )  # fmt: skip
            if state < 0:
                return marks
            if not automaton.learn(state):
                return None

    def _searched(self, lines: Lines, check: Callable[[], None]) -> Bools:
        """Run over stretches of whole lines so that a slow one can be stopped between."""
        data, search = lines.data, self._search
        found: list[int] = []
        at, size = 0, len(data)
        while at < size:
            check()
            end = data.find(b"\n", at + SCAN_REGEX_BYTES)
            end = size if end < 0 else end
            while at <= end:
                place = search(data, at, end)[0]
                if place < 0 or (place == size and data[-1:] == b"\n"):  # one behind the last line is none
                    break
                found.append(place)
                newline = data.find(b"\n", place)
                at = size + 1 if newline < 0 else newline + 1
            else:
                continue  # the next stretch begins where the line of the last match ends
            at = end + 1
        marks = np.zeros(len(lines), np.bool_)
        marks[np.searchsorted(lines.starts, np.array(found, np.int32), "right") - 1] = True
        return marks


class _Other:
    """What a cursor finds."""

    def __init__(self, made: Cursor) -> None:
        self._cursor = made

    def marks(self, lines: Lines, check: Callable[[], None]) -> Bools:
        """Which lines it finds."""
        data = lines.data
        self._cursor.enter(Block(data, first=0, limit=len(data), check=check))
        found: list[int] = []
        at = 0
        while at < len(data):
            at = self._cursor.seek(at)
            if at >= len(data) or at == END:
                break
            found.append(at)
            newline = data.find(b"\n", at)
            at = len(data) if newline < 0 else newline + 1
        marks = np.zeros(len(lines), np.bool_)
        marks[rows_of(lines.starts, found)] = True
        return marks


def padded(text: bytes) -> U8:
    """As kernels want it."""
    return np.frombuffer(text + bytes(PADDING), np.uint8)


def rows_of(starts: I32, places: Sequence[int]) -> npt.NDArray[np.intp]:
    """The lines that begin at these places."""
    return np.searchsorted(starts, np.array(places, np.int32))


def _term(leaf: Leaf, *, exact_case: bool) -> _Literal | _Pattern | _Other | None:
    if isinstance(leaf, Text):
        found = matcher(leaf.value, exact_case=exact_case)
        if found is None:
            return None
        is_plain = isinstance(leaf.value, Literal) and isinstance(found, Needle) and not isinstance(found, Program)
        if is_plain and isinstance(found, Needle):
            if found.program is None:
                return _Literal(found.exact, any_case=False)
            if found.lowered is not None:
                return _Literal(found.exact, any_case=True)
        if isinstance(found, Program):
            return _Pattern(found)
    return _Other(cursor(leaf, exact_case=exact_case))
