"""How many lines that an index says match are which level, where their levels are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logferry.archive.index import YES
from logferry.archive.index.compiled import kernel
from logferry.search.indexed.answers import Answer
from logferry.search.indexed.rowlevels import I8, RowLevels
from logferry.search.indexed.timing import rows_by_type
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


def untold(view: View, found: Answer, levels: RowLevels, granules: Bools) -> Bools:
    """In which of some granules a line that surely matches has a level that nobody knows without its text.

    Raises:
        Damaged: the index is.
    """
    marks = np.zeros(len(granules), np.bool_)
    hot = granules & (found.sure > 0)
    rows = view.runs.rows[view.runs.granules]
    for some in rows_by_type(view, found, found.sure_types(), np.flatnonzero(hot & ~found.is_known)):
        ranks, its_marks = levels.ranks[rows[some.before] :], marks[some.before :]
        _mark_untold(some.types, ranks, some.bounds, some.granules, some.wanted, UNTOLD, its_marks)
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
    for some in rows_by_type(view, found, found.sure_types(), np.flatnonzero(hot & is_full & ~found.is_known)):
        ranks = levels.ranks[rows[some.before] :]
        _count_rows(some.types, ranks, some.bounds, some.granules, some.wanted, counts)
    for granule in np.flatnonzero(hot & ~(is_full & ~found.is_known)).tolist():
        runs = slice(int(view.runs.granules[granule]), int(view.runs.granules[granule + 1]))
        with view.lock:
            row_types = view.index.row_types(granule)
        matching = (found.rows(granule, row_types) == YES) & np.repeat(mine[runs], view.rows[runs])
        counts += counts_of(levels.ranks[rows[granule] : rows[granule + 1]][matching])
    return counts
