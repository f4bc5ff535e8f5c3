"""How many lines that an index says match are which level, where their levels are known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from logferry.archive.index import YES
from logferry.archive.index.compiled import kernel
from logferry.archive.index.layout import BLOCK_GRANULES
from logferry.search.indexed.answers import Answer
from logferry.search.indexed.rowlevels import I8, RowLevels
from logferry.search.indexed.timing import wanted_of
from logferry.search.indexed.typelevels import UNTOLD
from logferry.search.indexed.view import I64, Bools, View
from logferry.search.query.values import LEVELS
from logferry.search.scan.level_kernel import NO_LEVEL

U32 = npt.NDArray[np.uint32]
KINDS = len(LEVELS) + 1
"""Levels, and at last: none."""


@kernel
def _count_rows(types: U32, ranks: I8, bounds: I64, chosen: I64, wanted: Bools, counts: I64) -> None:
    """Count the rows of wanted types in the chosen granules by their level; the last: none."""
    last = len(counts) - 1
    for granule in chosen:
        for row in range(bounds[granule], bounds[granule + 1]):
            if wanted[types[row]]:
                rank = np.int64(ranks[row])
                counts[rank if rank >= 0 else last] += 1


def counts_of(ranks: I8) -> I64:
    """How many of them are which level."""
    found: I64 = np.bincount(np.where(ranks == NO_LEVEL, len(LEVELS), ranks), minlength=KINDS).astype(np.int64)
    return found


@kernel
def _mark_untold(types: U32, ranks: I8, bounds: I64, chosen: I64, wanted: Bools, untold: int, marks: Bools) -> None:
    """Mark those of the chosen granules that have a row of a wanted type whose level is not told."""
    for granule in chosen:
        for row in range(bounds[granule], bounds[granule + 1]):
            if ranks[row] == untold and wanted[types[row]]:
                marks[granule] = True
                break


def _by_type(view: View, found: Answer, plain: I64) -> Iterator[tuple[int, U32, I64, I64, Bools]]:
    """Granules in which types alone say what matches, some at a time: the granule from which the others are counted,
    the types of its rows and of those behind it, where each granule begins in them, the granules, and the types that
    match there. Raises Damaged."""
    sure = found.sure_types()
    rows = view.runs.rows[view.runs.granules]
    for number in np.unique(plain // BLOCK_GRANULES).tolist():
        before = number * BLOCK_GRANULES
        with view.lock:
            types, _ = view.index.rows_of_block(number)
        bounds = rows[before : before + BLOCK_GRANULES + 1] - rows[before]
        for some, wanted in wanted_of(found, sure, plain[plain // BLOCK_GRANULES == number] - before, before):
            yield before, types, bounds, some, wanted


def untold(view: View, found: Answer, levels: RowLevels, granules: Bools) -> Bools:
    """In which of some granules a line that surely matches has a level that nobody knows without its text.

    Raises:
        Damaged: the index is.
    """
    marks = np.zeros(len(granules), np.bool_)
    hot = granules & (found.sure > 0)
    rows = view.runs.rows[view.runs.granules]
    for before, types, bounds, some, wanted in _by_type(view, found, np.flatnonzero(hot & ~found.is_known)):
        _mark_untold(types, levels.ranks[rows[before] :], bounds, some, wanted, UNTOLD, marks[before:])
    for granule in np.flatnonzero(hot & found.is_known).tolist():
        with view.lock:
            row_types = view.index.row_types(granule)
        matching = found.rows(granule, row_types) == YES
        marks[granule] = (levels.ranks[rows[granule] : rows[granule + 1]][matching] == UNTOLD).any()
    return marks


def count_levels(view: View, found: Answer, levels: RowLevels, mine: Bools, granules: Bools) -> I64:
    """How many of the lines that surely match, of runs ``mine`` in the granules marked, are which level.

    Raises:
        Damaged: the index is. Nothing was counted then.
    """
    counts = np.zeros(KINDS, np.int64)
    hot = granules & (found.sure > 0)
    is_full = np.bincount(view.granule[mine], minlength=len(view.runs_in)) == view.runs_in
    rows = view.runs.rows[view.runs.granules]
    for before, types, bounds, some, wanted in _by_type(view, found, np.flatnonzero(hot & is_full & ~found.is_known)):
        _count_rows(types, levels.ranks[rows[before] :], bounds, some, wanted, counts)
    for granule in np.flatnonzero(hot & ~(is_full & ~found.is_known)).tolist():
        runs = slice(int(view.runs.granules[granule]), int(view.runs.granules[granule + 1]))
        with view.lock:
            row_types = view.index.row_types(granule)
        matching = (found.rows(granule, row_types) == YES) & np.repeat(mine[runs], view.rows[runs])
        counts += counts_of(levels.ranks[rows[granule] : rows[granule + 1]][matching])
    return counts
