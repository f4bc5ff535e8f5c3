"""Marking the lines that hold a text, in native code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logferry.archive.index.compiled import inlined, kernel, load64, store64
from logferry.archive.index.words import U8, first_bytes, folded

I32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
PADDING = 16
"""Bytes that must be readable behind a text."""
_STRIDE = 64
"""So many places are looked at together for where a text may begin."""


@kernel
def lowered(data: U8) -> U8:
    """A copy with ASCII letters in lower case. ``data`` is padded."""
    made = np.empty(len(data), np.uint8)
    end = len(data) - 8
    i = 0
    while i <= end:
        store64(made, i, folded(load64(data, i)))
        i += 8
    while i < len(data):
        c = data[i]
        made[i] = c + 32 if 65 <= c <= 90 else c
        i += 1
    return made


@inlined
def _equal(left: U8, at: int, right: U8, length: int) -> bool:
    i = 8
    while i + 8 <= length:
        if load64(left, at + i) != load64(right, i):
            return False
        i += 8
    return i >= length or first_bytes(load64(left, at + i) ^ load64(right, i), length - i) == 0


@inlined
def _may_begin(data: U8, at: int, first: int, behind: int, last: int) -> bool:
    """Whether a text with these first and last bytes, ``behind`` apart, may begin at one of ``_STRIDE`` places."""
    here, there = data[at : at + _STRIDE], data[at + behind : at + behind + _STRIDE]
    some = np.uint8(0)
    for k in range(_STRIDE):  # a vector instruction or two
        some |= np.uint8(here[k] == first) & np.uint8(there[k] == last)
    return bool(some)


@kernel
def mark_lines(data: U8, starts: I32, ends: I32, wanted: U8, length: int, marks: Bools) -> int:
    """Mark the lines ``data[starts[i]:ends[i]]`` that hold ``wanted[:length]``; returns how many do.

    The lines are in order. Both texts have ``PADDING`` more bytes behind them; ``wanted`` is not empty and holds no
    line end.
    """
    count = 0
    rows = len(starts)
    if rows == 0:
        return 0
    head = min(length, 8)
    first = first_bytes(load64(wanted, 0), head)
    mask = first_bytes(~np.uint64(0), head)
    row = 0
    i: int = np.int64(starts[0])  # type: ignore[assignment]
    last: int = np.int64(ends[rows - 1]) - length  # type: ignore[assignment]
    while i <= last:
        stop = min(i + _STRIDE - 1, last)
        if i + _STRIDE - 1 <= last and not _may_begin(data, i, wanted[0], length - 1, wanted[length - 1]):
            i = stop + 1
            continue
        while i <= stop:
            if load64(data, i) & mask == first and (length <= 8 or _equal(data, i, wanted, length)):
                while ends[row] <= i:
                    row += 1
                if i >= starts[row] and i + length <= ends[row]:
                    marks[row] = True
                    count += 1
                    row += 1
                    if row == rows:
                        return count
                    i = np.int64(starts[row])  # type: ignore[assignment]
                    continue
            i += 1
    return count
