"""Sorting numbers by some of their bits, in passes: faster than by comparison, and stable."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from logferry.archive.index.compiled import kernel
from logferry.archive.index.words import I64, U64

_DIGIT_BITS = 11
_CHUNK = 1 << 20
"""Numbers that come together before they are grouped: 8 MiB, of which a processor's cache has a good part."""
_GROUP_BITS = 10
_BITS = 64


class Numbers:
    """Numbers that become many, grouped by their highest bits in pieces as they come: never all in two places."""

    def __init__(self) -> None:
        self._pieces: list[tuple[U64, I64]] = []
        self._waiting = np.empty(_CHUNK, np.uint64)
        self._used = 0

    def __len__(self) -> int:
        return sum(len(piece) for piece, _ in self._pieces) + self._used

    def room(self, count: int) -> U64:
        """A place for up to ``count`` numbers; ``take`` those that were written, from the first on."""
        if self._used + count > len(self._waiting):
            self._group()
            if count > len(self._waiting):
                self._waiting = np.empty(count, np.uint64)
        return self._waiting[self._used : self._used + count]

    def take(self, count: int) -> None:
        """So many numbers were written into the last ``room``."""
        self._used += count

    def _group(self) -> None:
        """What waits becomes a piece."""
        waiting = self._waiting[: self._used]
        starts = np.zeros((1 << _GROUP_BITS) + 1, np.int64)
        _count(waiting, _BITS - _GROUP_BITS, starts)
        np.cumsum(starts, out=starts)
        piece = np.empty_like(waiting)
        _scatter(waiting, _BITS - _GROUP_BITS, starts.copy(), piece)
        self._pieces.append((piece, starts))
        self._used = 0

    def groups(self, bits: int) -> Iterator[U64]:
        """All numbers, one array for each value of their highest ``bits``. Nothing is kept in the end.

        The arrays are the caller's. Those of the same highest ten bits are in the order they came in.
        """
        self._group()
        self._waiting = self._waiting[:0]
        step = 1 << max(0, _GROUP_BITS - bits)
        for first in range(0, 1 << _GROUP_BITS, step):
            parts = [piece[starts[first] : starts[first + step]] for piece, starts in self._pieces]
            group = np.concatenate(parts)
            if bits <= _GROUP_BITS:
                yield group
            else:
                yield from _divided(group, _BITS - bits, _BITS - _GROUP_BITS)
        self._pieces.clear()


def _divided(values: U64, low: int, high: int) -> Iterator[U64]:
    """One array for each value of the bits from ``low`` to ``high`` (exclusive)."""
    values = sorted_by(values, low, high)
    numbers = (values >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
    bounds = np.searchsorted(numbers, np.arange((1 << (high - low)) + 1, dtype=np.uint64))
    for start, end in pairwise(bounds.tolist()):
        yield values[start:end].copy()


@kernel
def _count(values: U64, low: int, counts: I64) -> None:
    """Add how often each group occurs, one place behind its own; there is one more place than groups."""
    shift, mask = np.uint64(low), np.uint64(len(counts) - 2)
    for value in values:
        counts[((value >> shift) & mask) + np.uint64(1)] += 1


@kernel
def _scatter(values: U64, low: int, places: I64, to: U64) -> None:
    shift, mask = np.uint64(low), np.uint64(len(places) - 2)
    for value in values:
        group = (value >> shift) & mask
        to[places[group]] = value
        places[group] += 1


@kernel
def _pass(values: U64, to: U64, low: int, bits: int) -> None:
    places = np.zeros((1 << bits) + 1, np.int64)
    _count(values, low, places)
    for digit in range(1 << bits):
        places[digit + 1] += places[digit]
    _scatter(values, low, places, to)


def sorted_by(values: U64, low: int, high: int) -> U64:
    """The values in the order of their bits from ``low`` to ``high`` (exclusive). ``values`` is overwritten."""
    if high <= low or len(values) < 2:
        return values
    other = np.empty_like(values)
    passes = -(-(high - low) // _DIGIT_BITS)
    width = -(-(high - low) // passes)
    for at in range(low, high, width):
        _pass(values, other, at, min(width, high - at))
        values, other = other, values
    return values
