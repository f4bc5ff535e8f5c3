"""Where lines begin and end in a piece of text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from logferry.archive.index.compiled import kernel, load64, trailing_zeros
from logferry.archive.index.words import HIGH, U8

I32 = npt.NDArray[np.int32]

_LINE_END = np.uint64(0x0A0A0A0A0A0A0A0A)
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONE = np.uint64(1)


@kernel
def _find(data: U8, breaks: I32, starts: I32, ends: I32, rows: I32) -> int:
    row = start = 0
    for k in range(len(breaks)):
        stop = breaks[k]
        first, i = start, start
        while i < stop:
            # A byte that is a line end becomes 0, and only a 0 leaves its high bit clear below.
            x = load64(data, i) ^ _LINE_END
            mask = ~(((x & _LOW7) + _LOW7) | x) & HIGH
            while mask:
                at = i + (trailing_zeros(mask) >> 3)
                if at >= stop:
                    break
                starts[row], ends[row] = first, at
                row += 1
                first = at + 1
                mask &= mask - _ONE
            i += 8
        if first < stop:
            starts[row], ends[row] = first, stop
            row += 1
        rows[k] = row
        start = stop
    return row


def find_lines(data: U8, breaks: Sequence[int]) -> tuple[I32, I32, I32]:
    """Starts and ends (without line ends) of the lines in ``data[:breaks[-1]]``, and how many end by each break.

    Args:
        data: text with at least eight more bytes behind the last break.
        breaks: places, in order, where a line ends whatever stands there.
    """
    # Room for as many lines as there can be: memory that nobody writes to is not taken.
    most = breaks[-1] + len(breaks)
    starts, ends, rows = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(len(breaks), np.int32)
    count = int(_find(data, np.array(breaks, np.int32), starts, ends, rows))
    return starts[:count].copy(), ends[:count].copy(), rows
