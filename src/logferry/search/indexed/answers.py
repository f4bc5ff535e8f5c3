"""From a query to the lines of one segment that may match it, by its index alone. Pure."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from logferry.archive.index import MAYBE, YES, Candidates, SegmentIndex
from logferry.archive.index.kernel import OPAQUE
from logferry.errors import BadQuery
from logferry.search.indexed.deciding import decided
from logferry.search.indexed.needed import All, Needed, Part, needed
from logferry.search.query import And, Everything, Filter, Literal, Node, Not, Or, Text
from logferry.search.scan.automaton import Automaton
from logferry.search.scan.patterns import Program, matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    I64 = npt.NDArray[np.int64]
    U8 = npt.NDArray[np.uint8]
    Bools = npt.NDArray[np.bool_]

_TERMS_PER_LITERAL_MAX = 64
"""Literals of one value that are looked up; what a long regular expression needs besides prunes little more."""

_ANSWER_BYTES, _KNOWN_BYTES = 2_000, 200
"""What Python's own objects take beside arrays: of an answer, and of each granule that is known."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """In the place of an answer, that no line of a segment matches: kept, it takes less."""

    nbytes: int = 100


NOTHING = Nothing()


class Answer:
    """What the index says of a query: ``sure`` is how many lines of each granule match without being read, ``maybe``
    which granules have lines that have to be read."""

    def __init__(self, index: SegmentIndex, found: Candidates) -> None:
        """Parts of cut lines are never sure: whoever reads them sees whole lines."""
        shape = index.shape
        pairs = shape.pairs
        self._shape = shape
        self._types: U8 | None = None
        self._states: U8 | None = None
        self._sure_types: Bools | None = None
        self._is_mixed = False
        self.maybe: Bools = np.zeros(shape.granules, np.bool_)
        opaque = slice(int(pairs.starts[OPAQUE]), int(pairs.starts[OPAQUE + 1]))
        if found.types is not None:
            self._types = np.zeros(len(pairs.starts) - 1, np.uint8)
            self._types[found.types] = YES
            types = found.types
            if self._types[OPAQUE]:
                self._types[OPAQUE] = MAYBE
                types = types[types != OPAQUE]
                self.maybe[pairs.granules[opaque]] = True
            chosen = _ranges(pairs.starts[types], pairs.starts[types + 1])
        else:
            states = found.states
            if (states[opaque] == YES).any():
                states = states.copy()
                np.minimum(states[opaque], MAYBE, out=states[opaque])
            self._states = states
            self.maybe[pairs.granules[states == MAYBE]] = True
            chosen = np.flatnonzero(states == YES)
        self.sure: I64 = np.bincount(pairs.granules[chosen], pairs.lines[chosen], shape.granules).astype(np.int64)
        self.hot: Bools = self.maybe | (self.sure > 0)
        """The granules with lines that match or may."""
        self.known: dict[int, U8] = {}
        """Bits of the rows of granules whose text was read."""
        self.is_known: Bools = np.zeros(shape.granules, np.bool_)
        self.is_nothing = not self.hot.any()
        """Whether no line can match."""
        self.matches_all = found.types is not None and len(found.types) == len(pairs.starts) - 1

    @property
    def nbytes(self) -> int:
        """The memory that it takes, but for what all answers of a segment share."""
        arrays = (self._types, self._states, self._sure_types, self.maybe, self.sure, self.hot, self.is_known)
        own = sum(0 if array is None else array.nbytes for array in arrays)
        return own + sum(bits.nbytes + _KNOWN_BYTES for bits in self.known.values()) + _ANSWER_BYTES

    def settled(self, known: Mapping[int, Bools]) -> Answer:
        """The same, but of some granules it is known by their text which of their rows match."""
        made = copy.copy(self)
        made.known = {**self.known, **{granule: np.packbits(marks) for granule, marks in known.items()}}
        made.sure, made.maybe = self.sure.copy(), self.maybe.copy()
        for granule, marks in known.items():
            made.sure[granule], made.maybe[granule] = np.count_nonzero(marks), False
        made.hot = made.maybe | (made.sure > 0)
        made.is_nothing = not made.hot.any()
        made.is_known = self.is_known.copy()
        made.is_known[list(known)] = True
        return made

    def rows(self, granule: int, types: npt.NDArray[np.uint32]) -> U8:
        """NO, MAYBE or YES of each row of a granule, from the types of its rows."""
        bits = self.known.get(granule)
        if bits is not None:
            return np.unpackbits(bits, count=len(types)) * np.uint8(YES)
        found: U8 = self.of_types(granule)[types]
        return found

    def sure_types(self) -> Bools | None:
        """The types of which all lines match; None where some match in one granule and not in another."""
        if self._types is not None:
            sure: Bools = self._types == YES
            return sure
        if self._sure_types is None:
            assert self._states is not None
            starts = self._shape.pairs.starts
            yes = np.zeros(len(self._states) + 1, np.int64)
            np.cumsum(self._states == YES, out=yes[1:])
            counts = yes[starts[1:]] - yes[starts[:-1]]
            found = counts > 0
            # Searches share answers: whoever sees the types must see whether they are mixed, too.
            self._is_mixed = bool((found & (counts < np.diff(starts))).any())
            self._sure_types = found
        return None if self._is_mixed else self._sure_types

    def of_types(self, granule: int) -> U8:
        """NO, MAYBE or YES of each type in a granule; what it says of types that are not there means nothing."""
        if self._types is not None:
            return self._types
        assert self._states is not None
        order, starts = self._shape.by_granule
        pairs = order[starts[granule] : starts[granule + 1]]
        found = np.zeros(len(self._shape.pairs.starts) - 1, np.uint8)
        found[self._shape.pair_types[pairs]] = self._states[pairs]
        return found


def _ranges(starts: I64, ends: I64) -> I64:
    """All numbers of the ranges, one after the other."""
    lengths = ends - starts
    total = int(lengths.sum())
    if not total:
        return np.zeros(0, np.int64)
    firsts = np.cumsum(lengths) - lengths
    found: I64 = np.arange(total) + np.repeat(starts - firsts, lengths)
    return found


def candidates(
    index: SegmentIndex, node: Node, *, exact_case: bool, of_filter: Callable[[SegmentIndex, Filter], Candidates]
) -> Candidates:
    """The lines that may match. Raises Damaged.

    Args:
        of_filter: what is known of a filter that is decided line by line.
    """

    def of(node: Node) -> Candidates:
        if isinstance(node, Everything):
            return index.everything()
        if isinstance(node, Not):
            return ~of(node.child)
        if isinstance(node, And):
            found = of(node.children[0])
            for child in node.children[1:]:
                if found.is_empty:
                    break
                found &= of(child)
            return found
        if isinstance(node, Or):
            found = of(node.children[0])
            for child in node.children[1:]:
                found |= of(child)
            return found
        if isinstance(node, Filter):
            return of_filter(index, node)
        return of_text(index, node, exact_case=exact_case)

    return of(node)


def of_text(index: SegmentIndex, text: Text, *, exact_case: bool) -> Candidates:
    """The lines that may hold a text. Raises Damaged."""
    wanted = needed(text.value, exact_case=exact_case)
    if isinstance(wanted, Part) and wanted.is_all:
        return index.literal(wanted.text, exact_case=wanted.exact_case)
    left = _TERMS_PER_LITERAL_MAX

    def of(wanted: Needed) -> Candidates:
        nonlocal left
        if isinstance(wanted, Part):
            left -= 1
            if left < 0:
                return index.everything()
            return index.literal(wanted.text, exact_case=wanted.exact_case)
        if isinstance(wanted, All):
            found = index.everything()
            # The longest first: most likely nothing is left then.
            for part in sorted(wanted.of, key=_length, reverse=True):
                found &= of(part)
                if found.is_empty:
                    break
            return found
        found = index.nothing()
        for part in wanted.of:
            found |= of(part)
        return found

    found = of(wanted).maybe()
    automaton = _automaton(text, exact_case)
    return found if automaton is None else decided(index, found, automaton)


def _automaton(text: Text, exact_case: bool) -> Automaton | None:
    if isinstance(text.value, Literal):
        return None
    try:
        program = matcher(text.value, exact_case=exact_case)
    except BadQuery:
        return None  # whoever reads lines says so
    return program.automaton if isinstance(program, Program) else None


def _length(wanted: Needed) -> int:
    if isinstance(wanted, Part):
        return len(wanted.text)
    lengths = [_length(part) for part in wanted.of]
    return max(lengths, default=0) if isinstance(wanted, All) else min(lengths, default=0)
