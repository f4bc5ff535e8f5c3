"""Sorting numbers by some of their bits, in passes: faster than by comparison, and stable."""

from __future__ import annotations

import numpy as np

from logferry.archive.index.compiled import kernel
from logferry.archive.index.words import I64, U64

_DIGIT_BITS = 11
_CHUNK = (1 << 22) + 4096
"""In a piece of ``Numbers``: more than 32 MiB, which the allocator gives back to the system when it is freed."""


class Numbers:
    """Numbers that become many: in pieces, none of which is moved or copied when more come."""

    def __init__(self) -> None:
        self._full: list[U64] = []
        self._last = np.empty(_CHUNK, np.uint64)
        self._used = 0

    def __len__(self) -> int:
        return sum(map(len, self._full)) + self._used

    def room(self, count: int) -> U64:
        """A place for up to ``count`` numbers; ``take`` those that were written, from the first on."""
        if self._used + count > len(self._last):
            self._full.append(self._last[: self._used])
            self._last = np.empty(max(_CHUNK, count), np.uint64)
            self._used = 0
        return self._last[self._used : self._used + count]

    def take(self, count: int) -> None:
        """So many numbers were written into the last ``room``."""
        self._used += count

    def parted(self, low: int, high: int) -> tuple[U64, I64]:
        """All numbers, grouped by their bits from ``low`` to ``high`` (exclusive), else in the order they came in.

        Returns:
            The numbers, and where each group begins in them, with the end of the last one. Nothing is kept.
        """
        pieces = [*self._full, self._last[: self._used]]
        self._full, self._last, self._used = [], self._last[:0], 0
        starts = np.zeros((1 << (high - low)) + 1, np.int64)
        for piece in pieces:
            _count(piece, low, starts)
        np.cumsum(starts, out=starts)
        if high == low and len(pieces) == 1:
            return pieces[0], starts
        together = np.empty(int(starts[-1]), np.uint64)
        places = starts.copy()
        pieces.reverse()
        while pieces:  # each is let go of when it is copied
            _scatter(pieces.pop(), low, places, together)
        return together, starts


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
