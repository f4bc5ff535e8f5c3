"""Lines and times of stretches of a segment's content, as its index tells them; needs no kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from logferry.archive.index.layout import BLOCK_GRANULES, Blocks, Kind
from logferry.archive.index.planes import unpack, unzigzag
from logferry.archive.index.runs import OPEN, RunTable, runs_of
from logferry.errors import Damaged

if TYPE_CHECKING:
    from logferry.archive.index.words import I64


class Bounds(NamedTuple):
    """How many lines end in a stretch, whether its last one does not, and the first and last time in it, in seconds
    since 1970, rounded down; None: no line shows one."""

    line_ends: int
    is_open: bool
    first_s: int | None
    last_s: int | None


def bounds_of(blocks: Blocks, stretches: Sequence[tuple[int, int]]) -> list[Bounds | None]:
    """Those of stretches (start, end) of the content, in its order.

    None for one that does not begin and end where runs do: the index does not tell.

    Raises:
        Damaged: the index is not whole.
    """
    runs = runs_of(blocks)
    starts = np.array([start for start, _ in stretches], np.int64)
    ends = np.array([end for _, end in stretches], np.int64)
    last_place = len(runs.at) - 1
    first_run = np.minimum(runs.at.searchsorted(starts), last_place)
    last_run = np.minimum(runs.at.searchsorted(ends), last_place)
    fits = (runs.at[first_run] == starts) & (runs.at[last_run] == ends) & (first_run < last_run)
    is_open = (runs.flags & OPEN) > 0
    open_before = np.concatenate([np.zeros(1, np.int64), np.cumsum(is_open)])
    first_row, last_row = runs.rows[first_run], runs.rows[last_run]
    line_ends = last_row - first_row - (open_before[last_run] - open_before[first_run])
    first_s, last_s = _times(blocks, runs, first_row, last_row)
    return [
        Bounds(int(line_ends[n]), bool(is_open[last_run[n] - 1]), first_s[n], last_s[n]) if fits[n] else None
        for n in range(len(stretches))
    ]


def _times(blocks: Blocks, runs: RunTable, first_row: I64, last_row: I64) -> tuple[list[int | None], list[int | None]]:
    """First and last time of the rows from ``first_row`` on, before ``last_row``, of each stretch."""
    first_s: list[int | None] = [None] * len(first_row)
    last_s: list[int | None] = [None] * len(first_row)
    granules = len(runs.granules) - 1
    for number in range(-(-granules // BLOCK_GRANULES)):
        if not blocks.has(Kind.TIMES, number):
            continue
        low = int(runs.rows[runs.granules[number * BLOCK_GRANULES]])
        high = int(runs.rows[runs.granules[min((number + 1) * BLOCK_GRANULES, granules)]])
        touched = range(int(last_row.searchsorted(low, "right")), int(first_row.searchsorted(high)))
        if not touched:
            continue
        rows, seconds = _timed(blocks, number, high - low)
        firsts = rows.searchsorted(first_row[touched.start : touched.stop] - low)
        lasts = rows.searchsorted(last_row[touched.start : touched.stop] - low)
        for n, first, last in zip(touched, firsts.tolist(), lasts.tolist(), strict=True):
            if first < last:
                if first_s[n] is None:
                    first_s[n] = int(seconds[first])
                last_s[n] = int(seconds[last - 1])
    return first_s, last_s


def _timed(blocks: Blocks, number: int, rows: int) -> tuple[I64, I64]:
    """The rows of a block that have a time, from its first on, and their times. Raises Damaged."""
    where = f"{blocks.where} times {number}"
    bits, steps = unpack(blocks.read(Kind.TIMES, number), 2, where=where)
    timed: npt.NDArray[np.int64] = np.arange(rows)
    if len(bits):
        if len(bits) != (rows + 7) // 8:
            raise Damaged(f"{where}: times that make no sense", where=where)
        timed = np.flatnonzero(np.unpackbits(bits.astype(np.uint8), count=rows, bitorder="little"))
    if len(steps) != len(timed):
        raise Damaged(f"{where}: times that make no sense", where=where)
    return timed, np.cumsum(unzigzag(steps))
