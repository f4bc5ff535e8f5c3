"""What the index knows about the lines of a segment that may match: which surely do, which may, which cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from logferry.archive.index.pairs import Pairs
from logferry.archive.index.words import I64, U8
from logferry.errors import Damaged

NO, MAYBE, YES = 0, 1, 2
"""Of a line: it cannot match, its text has to be read, it matches."""

Mask = npt.NDArray[np.bool_]


class Shape:
    """The pairs of (log type, granule) in a segment: what candidates are told by. Same pair, same answer."""

    def __init__(self, pairs: Pairs, granules: int) -> None:
        self.pairs = pairs
        self.granules = granules

    @cached_property
    def totals(self) -> I64:
        """Lines of each type."""
        return self.pairs.totals()

    @cached_property
    def by_granule(self) -> tuple[I64, I64]:
        """The pairs ordered by granule, and where each granule's begin."""
        order = np.argsort(self.pairs.granules, kind="stable")
        starts = np.searchsorted(self.pairs.granules[order], np.arange(self.granules + 1))
        return order, starts.astype(np.int64)

    @cached_property
    def pair_types(self) -> I64:
        """The type of each pair."""
        return self.pairs.types

    def states(self, types: I64, value: int) -> U8:
        """``value`` for every pair of these types, NO for the others."""
        per_type = np.zeros(len(self.pairs.starts) - 1, np.uint8)
        per_type[types] = value
        return np.repeat(per_type, np.diff(self.pairs.starts))


@dataclass(frozen=True, eq=False, slots=True)
class Candidates:
    """NO, MAYBE or YES for every line. Combine them with ``&``, ``|`` and ``~``: a line is never lost.

    Either ``types`` is given (the lines of these types match, all others do not), or ``pairs``: one state per pair.
    """

    shape: Shape
    types: I64 | None
    pairs: U8 | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no line can match."""
        return not self.lines_at_most()

    @property
    def is_exact(self) -> bool:
        """Whether nothing has to be read to know which lines match."""
        return self.types is not None or not (self.states == MAYBE).any()

    @property
    def states(self) -> U8:
        """NO, MAYBE or YES per pair of the shape."""
        if self.pairs is not None:
            return self.pairs
        assert self.types is not None
        return self.shape.states(self.types, YES)

    def lines(self) -> int:
        """How many lines surely match."""
        if self.types is not None:
            return int(self.shape.totals[self.types].sum())
        return int(self.shape.pairs.lines[self.states == YES].sum())

    def lines_at_most(self) -> int:
        """How many lines may match."""
        if self.types is not None:
            return self.lines()
        return int(self.shape.pairs.lines[self.states != NO].sum())

    def granules(self) -> I64:
        """The granules that hold lines which may match, ascending."""
        return self._granules(self.states != NO)

    def to_verify(self) -> I64:
        """The granules of which text has to be read, ascending."""
        return self._granules(self.states == MAYBE) if self.types is None else np.zeros(0, np.int64)

    def lines_per_granule(self) -> I64:
        """How many lines of each granule surely match."""
        pairs = self.shape.pairs
        sure = self.states == YES
        counts: I64 = np.bincount(pairs.granules[sure], pairs.lines[sure], self.shape.granules).astype(np.int64)
        return counts

    def rows(self, granule: int, row_types: npt.NDArray[np.unsignedinteger]) -> U8:
        """NO, MAYBE or YES per row of a granule, from the types of its rows (``SegmentIndex.row_types``).

        Raises:
            Damaged: they are not those of the granule.
        """
        order, starts = self.shape.by_granule
        pairs = order[starts[granule] : starts[granule + 1]]
        types = self.shape.pair_types[pairs]
        places = np.searchsorted(types, row_types)
        if not np.array_equal(types[np.minimum(places, len(types) - 1)] if len(types) else types, row_types):
            where = f"granule {granule}"
            raise Damaged(f"the index disagrees with itself about {where}", where=where, hint="build it again")
        found: U8 = self.states[pairs][places]
        return found

    def maybe(self) -> Candidates:
        """The same, of which nothing is sure any more: for what this is only a necessary part of."""
        return Candidates(self.shape, None, np.minimum(self.states, MAYBE))

    def within(self, granules: Mask) -> Candidates:
        """The same, without the lines of granules that are not marked."""
        return Candidates(self.shape, None, np.where(granules[self.shape.pairs.granules], self.states, NO))

    def __and__(self, other: Candidates) -> Candidates:
        assert self.shape is other.shape
        if self.types is not None and other.types is not None:
            return Candidates(self.shape, np.intersect1d(self.types, other.types, assume_unique=True))
        if self.is_empty or other.is_empty:
            return nothing(self.shape)
        return Candidates(self.shape, None, np.minimum(self.states, other.states))

    def __or__(self, other: Candidates) -> Candidates:
        assert self.shape is other.shape
        if self.types is not None and other.types is not None:
            return Candidates(self.shape, np.union1d(self.types, other.types))
        return Candidates(self.shape, None, np.maximum(self.states, other.states))

    def __invert__(self) -> Candidates:
        return Candidates(self.shape, None, YES - self.states)

    def _granules(self, wanted: Mask) -> I64:
        marks = np.zeros(self.shape.granules, np.bool_)
        marks[self.shape.pairs.granules[wanted]] = True
        return np.flatnonzero(marks)


def nothing(shape: Shape) -> Candidates:
    """No line matches."""
    return Candidates(shape, np.zeros(0, np.int64))


def everything(shape: Shape) -> Candidates:
    """Every line matches."""
    return Candidates(shape, np.arange(len(shape.pairs.starts) - 1))


def joined(shape: Shape, sure: I64, parts: Sequence[tuple[I64, Mask | None]]) -> Candidates:
    """The lines of the types ``sure`` match; those of the types of each part, in its granules (all, if None), may."""
    parts = [(types, mask) for types, mask in parts if len(types) and (mask is None or mask.any())]
    if not parts:
        return Candidates(shape, sure)
    states = shape.states(sure, YES)
    for types, mask in parts:
        if len(types) == 1:  # one of the two special ones
            span = slice(int(shape.pairs.starts[types[0]]), int(shape.pairs.starts[types[0] + 1]))
            granules = shape.pairs.granules[span]
            new = np.full(len(granules), MAYBE, np.uint8) if mask is None else mask[granules].astype(np.uint8)
            np.maximum(states[span], new, out=states[span])
            continue
        new = shape.states(types, MAYBE)
        if mask is not None:
            new &= mask[shape.pairs.granules].view(np.uint8)
        np.maximum(states, new, out=states)
    return Candidates(shape, None, states)
