"""Marking the lines that hold a text, in native code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logferry.archive.index.compiled import inlined, kernel, load64
from logferry.archive.index.words import I64, U8, first_bytes
from logferry.search.scan.automaton import DEAD

I32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
PADDING = 16
"""Bytes that must be readable behind a text."""
_STRIDE = 64
"""So many places are looked at together for where a text may begin."""


@inlined
def _equal(data: U8, at: int, wanted: U8, cases: U8, length: int) -> bool:
    """Whether ``data`` has, from ``at`` on, what follows the first eight bytes of ``wanted``."""
    i = 8
    while i + 8 <= length:
        if load64(data, at + i) | load64(cases, i) != load64(wanted, i):
            return False
        i += 8
    return i >= length or first_bytes((load64(data, at + i) | load64(cases, i)) ^ load64(wanted, i), length - i) == 0


@inlined
def _may_begin(data: U8, at: int, behind: int, first: int, last: int, first_case: int, last_case: int) -> bool:
    """Whether a text with these first and last bytes, ``behind`` apart, may begin at one of ``_STRIDE`` places."""
    here, there = data[at : at + _STRIDE], data[at + behind : at + behind + _STRIDE]
    some = np.uint8(0)
    for k in range(_STRIDE):  # a vector instruction or two
        some |= np.uint8(np.uint8(here[k] | first_case) == first) & np.uint8(np.uint8(there[k] | last_case) == last)
    return bool(some)


@inlined
def _found(data: U8, i: int, last: int, wanted: U8, cases: U8, length: int) -> int:
    """Where ``wanted[:length]`` begins first from ``i`` on, ``last`` at the latest; ``last + 1`` if nowhere.

    ``cases``: 0x20 where a letter, which is a small one in ``wanted``, may be a capital, too.
    """
    head = min(length, 8)
    mask = first_bytes(~np.uint64(0), head)
    first = load64(wanted, 0) & mask
    case = load64(cases, 0) & mask
    a, b, a_case, b_case = wanted[0], wanted[length - 1], cases[0], cases[length - 1]
    while i <= last:
        stop = min(i + _STRIDE - 1, last)
        if i + _STRIDE - 1 <= last and not _may_begin(data, i, length - 1, a, b, a_case, b_case):
            i = stop + 1
            continue
        while i <= stop:
            if (load64(data, i) | case) & mask == first and (length <= 8 or _equal(data, i, wanted, cases, length)):
                return i
            i += 1
    return last + 1


@kernel
def mark_lines(data: U8, starts: I32, ends: I32, wanted: U8, cases: U8, length: int, marks: Bools) -> int:
    """Mark the lines ``data[starts[i]:ends[i]]`` that hold ``wanted[:length]``; returns how many do.

    The lines are in order. All texts have ``PADDING`` more bytes behind them; ``wanted`` is not empty and holds no
    line end. ``cases``: 0x20 where a letter, which is a small one in ``wanted``, may be a capital, too.
    """
    count = 0
    rows = len(starts)
    if rows == 0:
        return 0
    row = 0
    i: int = np.int64(starts[0])  # type: ignore[assignment]
    last: int = np.int64(ends[rows - 1]) - length  # type: ignore[assignment]
    while True:
        i = _found(data, i, last, wanted, cases, length)
        if i > last:
            return count
        while ends[row] <= i:
            row += 1
        if i >= starts[row] and i + length <= ends[row]:
            marks[row] = True
            count += 1
            row += 1
            if row == rows:
                return count
            i = np.int64(starts[row])  # type: ignore[assignment]
        else:
            i += 1


@kernel
def mark_matches(
    data: U8,
    starts: I32,
    ends: I32,
    wanted: U8,
    cases: U8,
    length: int,
    begins: bool,
    class_of: U8,
    steps: I32,
    matches_at_end: Bools,
    first: int,
    idle: int,
    place: I64,
    marks: Bools,
) -> int:
    """Mark the lines that an automaton takes, as far as its steps are known; returns the state of which they are not.

    Texts as above; lines hold ``wanted`` (nothing, if ``length`` is 0), and if ``begins``, each match begins with it.
    ``place``: which row is next, the byte in it and the state there (-1: it was not begun). Returns -1 at the end.
    """
    width = steps.shape[1]
    table = steps.reshape(-1)
    rows = len(starts)
    if rows == 0:
        return -1
    row: int = place[0]
    at: int = place[1]
    state: int = place[2]
    last: int = np.int64(ends[rows - 1]) - length  # type: ignore[assignment]
    nowhere = idle * width if length and begins and not matches_at_end[idle] else -1
    ahead: int = np.int64(0)  # type: ignore[assignment]
    while row < rows:
        if state < 0:
            at = max(np.int64(starts[row]), ahead)  # type: ignore[assignment]
            while length:
                at = _found(data, at, last, wanted, cases, length)
                if at > last:
                    return -1
                while ends[row] <= at:
                    row += 1
                if at >= starts[row] and at + length <= ends[row]:
                    break
                at += 1
            if length and begins:
                state = idle * width
            else:
                at = np.int64(starts[row])  # type: ignore[assignment]
                state = first * width
        end: int = np.int64(ends[row])  # type: ignore[assignment]
        while at < end and state > DEAD * width:
            following: int = table[state + class_of[data[at]]]
            if following < 0:
                place[0], place[1], place[2] = row, at, state
                return int(state // width)
            state = following
            at += 1
            if state == nowhere:  # nothing of a match is there: on to what it begins with
                at = _found(data, at, last, wanted, cases, length)
                if at > last:
                    return -1
                if at + length > end:
                    state, ahead = DEAD * width, at
        marks[row] = matches_at_end[state // width]
        row += 1
        state = -1
    return -1
