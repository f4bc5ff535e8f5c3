"""The levels of the lines of a segment whose text was read: whoever counts by level next needs no text for that.

A level is in the text alone, whatever is searched for, so that what one search has read does for all others.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from logferry.archive.index.runs import RunTable
from logferry.search.scan.level_kernel import NO_LEVEL

I8 = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]


class RowLevels:
    """Of one segment, a byte for each line. Thread-safe."""

    def __init__(self, runs: RunTable) -> None:
        self._lock = threading.Lock()
        self._rows = runs.rows
        self._is_read = np.zeros(len(runs.rows) - 1, np.bool_)
        self.ranks: I8 = np.full(int(runs.rows[-1]), NO_LEVEL, np.int8)
        """By row; it means nothing where nobody has read the run."""

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        return self.ranks.nbytes + self._is_read.nbytes

    def is_unread(self, runs: npt.NDArray[np.int64]) -> Bools:
        """Which of some runs nobody has read."""
        found: Bools = ~self._is_read[runs]
        return found

    def learn(self, run: int, ranks: I8) -> None:
        """The levels of all lines of a run, as ``levels_of`` has them."""
        first, end = int(self._rows[run]), int(self._rows[run + 1])
        if len(ranks) == end - first:
            with self._lock:
                self.ranks[first:end] = ranks
                self._is_read[run] = True
