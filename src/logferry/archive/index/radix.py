"""Sorting numbers by some of their bits, in passes: faster than by comparison, and stable."""

from __future__ import annotations

import numpy as np

from logferry.archive.index.compiled import kernel
from logferry.archive.index.words import U64

_DIGIT_BITS = 11


@kernel
def _pass(values: U64, to: U64, shift: int, bits: int) -> None:
    mask = np.uint64((1 << bits) - 1)
    places = np.zeros((1 << bits) + 1, np.int64)
    for value in values:
        places[np.int64((value >> np.uint64(shift)) & mask) + 1] += 1
    for digit in range(1 << bits):
        places[digit + 1] += places[digit]
    for value in values:
        digit = np.int64((value >> np.uint64(shift)) & mask)
        to[places[digit]] = value
        places[digit] += 1


def sorted_by(values: U64, low: int, high: int) -> U64:
    """The values in the order of their bits from ``low`` to ``high`` (exclusive). ``values`` is overwritten."""
    if high <= low:
        return values
    other = np.empty_like(values)
    passes = max(1, -(-(high - low) // _DIGIT_BITS))
    width = -(-(high - low) // passes)
    for at in range(low, high, width):
        _pass(values, other, at, min(width, high - at))
        values, other = other, values
    return values
