"""The levels of the lines of a segment, as far as their log types tell them, or somebody has read their text.

A level is in the text alone, whatever is searched for, so that what one search has read does for all others.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from logferry.archive.index import SegmentIndex
from logferry.archive.index.layout import BLOCK_GRANULES
from logferry.archive.index.runs import RunTable
from logferry.search.indexed.typelevels import UNTOLD, levels_told

I8 = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]


class RowLevels:
    """Of one segment, a byte for each line. Thread-safe."""

    def __init__(self, runs: RunTable) -> None:
        self._lock = threading.Lock()
        self._rows = runs.rows
        self.ranks: I8 = np.full(int(runs.rows[-1]), UNTOLD, np.int8)
        """By row."""

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        return self.ranks.nbytes

    def learn_types(self, index: SegmentIndex, is_plain: Bools) -> None:
        """Those that log types tell, of runs whose lines are their own and UTF-8. Raises Damaged."""
        told = levels_told(index)
        if (told == UNTOLD).all():
            return
        runs = index.runs
        rows = runs.rows[runs.granules]
        for number in range(0, len(rows) - 1, BLOCK_GRANULES):
            types, _ = index.rows_of_block(number // BLOCK_GRANULES)
            self.ranks[rows[number] : rows[min(number + BLOCK_GRANULES, len(rows) - 1)]] = told[types]
        for run in np.flatnonzero(~is_plain).tolist():
            self.ranks[self._rows[run] : self._rows[run + 1]] = UNTOLD

    def learn(self, run: int, ranks: I8) -> None:
        """The levels of all lines of a run, as ``levels_of`` has them."""
        first, end = int(self._rows[run]), int(self._rows[run + 1])
        if len(ranks) == end - first:
            with self._lock:
                self.ranks[first:end] = ranks
