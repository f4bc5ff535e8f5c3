"""Cursors on what a line is rather than what it says: its level and its time. In bulk, some lines at a time."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from logferry.archive.timestamps import NO_TIME
from logferry.limits import SCAN_LINES_BYTES, TIME_REACH_BYTES
from logferry.search.query.nodes import Filter
from logferry.search.query.values import LEVELS, bounds
from logferry.search.scan.block import END, Block
from logferry.search.scan.cursors import Cursor, Remembering
from logferry.search.scan.filetimes import inherited, line_bounds
from logferry.search.scan.levels import levels_of

I64 = npt.NDArray[np.int64]


class _LineTerm(Remembering):
    """A cursor that decides about all lines of a stretch at once."""

    __slots__ = ("_hits", "_until")

    def __init__(self) -> None:
        super().__init__()
        self._hits: list[int] = []
        self._until = 0

    def enter(self, block: Block) -> None:
        super().enter(block)
        self._hits = []
        self._until = block.first

    def _next(self, at: int) -> int:
        while True:
            place = bisect_left(self._hits, at)
            if place < len(self._hits):
                return self._hits[place]
            at = max(at, self._until)
            if at >= len(self._block.data):
                return END
            self._block.check()
            starts, ends = line_bounds(self._block.data, at, min(at + SCAN_LINES_BYTES, len(self._block.data)))
            self._hits = starts[self._matching(starts, ends)].tolist()
            self._until = int(ends[-1]) + 1

    @abstractmethod
    def _matching(self, starts: I64, ends: I64) -> npt.NDArray[np.bool_]:
        """Which of these lines of the block match. Stretches come in order; not all of them do."""


class LevelTerm(_LineTerm):
    """Lines of some levels."""

    __slots__ = ("_end", "_low")

    def __init__(self, wanted: Filter) -> None:
        super().__init__()
        low, end = bounds(wanted, 0)
        self._low = 0 if low is None else low
        self._end = len(LEVELS) if end is None else end

    def _matching(self, starts: I64, ends: I64) -> npt.NDArray[np.bool_]:
        levels = levels_of(self._block.data, starts, ends)
        matching: npt.NDArray[np.bool_] = (levels >= self._low) & (levels < self._end)
        return matching


class TimeTerm(_LineTerm):
    """Lines of some time. One without a time of its own has that of the nearest line before it that has one, if that
    starts at most ``TIME_REACH_BYTES`` before it.
    """

    __slots__ = ("_end_ns", "_low_ns", "_timed_at", "_timed_ns", "_told_to")

    def __init__(self, wanted: Filter, now_ns: int) -> None:
        super().__init__()
        low, end = bounds(wanted, now_ns)
        self._low_ns = NO_TIME + 1 if low is None else low
        self._end_ns = np.iinfo(np.int64).max if end is None else end
        self._told_to = -1
        self._timed_at = 0
        self._timed_ns = NO_TIME

    def enter(self, block: Block) -> None:
        super().enter(block)
        self._told_to = -1

    def _matching(self, starts: I64, ends: I64) -> npt.NDArray[np.bool_]:
        times = self._times(starts, ends)
        matching: npt.NDArray[np.bool_] = (times >= self._low_ns) & (times < self._end_ns)
        return matching

    def _times(self, starts: I64, ends: I64) -> I64:
        assert self._block.facts is not None
        own: I64 = self._block.facts.times(self._block.data, starts, ends).times
        timed = np.flatnonzero(own != NO_TIME)
        if self._told_to != starts[0] and (not len(timed) or timed[0] > 0):
            self._look_back(int(starts[0]))
        times = inherited(starts, own, (self._timed_at, self._timed_ns))
        if len(timed):
            self._timed_at, self._timed_ns = int(starts[timed[-1]]), int(own[timed[-1]])
        self._told_to = int(ends[-1]) + 1
        return times

    def _look_back(self, at: int) -> None:
        """Find the nearest line with a time before ``at``; within the block if it can be there, else before it."""
        block = self._block
        assert block.facts is not None
        self._timed_at, self._timed_ns = at, NO_TIME
        shift, text, first = 0, block.data, block.data.rfind(b"\n", 0, max(at - TIME_REACH_BYTES, 0)) + 1
        if at - TIME_REACH_BYTES < block.first:
            before = block.behind(TIME_REACH_BYTES)
            text, first, shift = before + block.data[block.first : at], 0, block.first - len(before)
        starts, ends = line_bounds(text, first, at - shift)
        times = block.facts.times(text, starts, ends).times if len(starts) else np.zeros(0, np.int64)
        timed = np.flatnonzero(times != NO_TIME)
        if len(timed):
            self._timed_at, self._timed_ns = int(starts[timed[-1]]) + shift, int(times[timed[-1]])


def line_term(wanted: Filter, now_ns: int) -> Cursor:
    """The cursor of ``level:`` or ``time:``."""
    return LevelTerm(wanted) if wanted.name == "level" else TimeTerm(wanted, now_ns)
