"""One segment as a search sees it: the runs of its index, whose bytes they are, and what was asked of it lately."""

from __future__ import annotations

import weakref
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from logferry.archive.index.runs import CUT_END, CUT_START, OPEN, UTF16_BE, UTF16_LE
from logferry.archive.indexed import IndexedSegment
from logferry.archive.shared_blocks import SharedBlocks
from logferry.errors import LogferryError
from logferry.search.counters import CountedTimes
from logferry.search.indexed.answers import Answer, Nothing
from logferry.search.indexed.rowlevels import I8, RowLevels
from logferry.search.snapshot import Snapshot

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class View:
    """Runs by number: run ``r`` is the bytes of generation ``generation[r]`` (0: of none) from ``offset[r]`` on.

    ``granule`` is the granule of each run; ``is_plain`` says that its lines are its own and UTF-8: none is cut. Hold
    ``lock`` while you ask ``index``.
    """

    def __init__(self, segment: IndexedSegment, answers: SharedBlocks, levels: SharedBlocks) -> None:
        """``answers``, ``levels``: where what was asked is kept, and what was read. Raises Damaged."""
        self.segment = segment
        self.index = segment.index
        self.lock = segment.lock
        with self.lock:
            runs = self.index.runs
        self.runs = runs
        self.count = len(runs.at) - 1
        self.length: I64 = np.diff(runs.at)
        self.rows: I64 = np.diff(runs.rows)
        self.runs_in: I64 = np.diff(runs.granules)
        """How many runs each granule has."""
        self.granule = np.repeat(np.arange(len(self.runs_in)), self.runs_in)
        self.is_plain: Bools = runs.flags & (CUT_START | CUT_END | UTF16_LE | UTF16_BE) == 0
        self.line_ends = np.zeros(self.count + 1, np.int64)
        """Line ends before each run, in the segment's content."""
        np.cumsum(self.rows - (runs.flags & OPEN > 0), out=self.line_ends[1:])
        self.generation = np.zeros(self.count, np.int64)
        self.offset = np.zeros(self.count, np.int64)
        self.is_tiled = self._place()
        """Whether each extent consists of whole runs. Else they cannot tell of it."""
        self.is_whole = bool((self.generation > 0).all())
        self._answers = answers
        self._levels = levels
        self._own = object()
        """Begins the names of our answers."""
        self.trusted: dict[int, tuple[int, bool]] = {}
        """By generation, as of its last change: whether the times of the index are those of its text."""
        self._ranks: tuple[weakref.ref[Snapshot], I64, bool] | None = None
        """Of the snapshot asked for last, which this keeps from nobody who wants to let go of it."""
        self.bytes = int(runs.at[-1])
        """Of content."""

    def _place(self) -> bool:
        at = self.runs.at
        for extent in self.segment.extents:
            first = int(at.searchsorted(extent.raw_offset))
            last = int(at.searchsorted(extent.raw_offset + extent.length))
            if last >= len(at) or at[first] != extent.raw_offset or at[last] != extent.raw_offset + extent.length:
                return False
            self.generation[first:last] = extent.generation_id
            self.offset[first:last] = at[first:last] + (extent.offset - extent.raw_offset)
        return True

    @property
    def id(self) -> int:
        """Of the segment."""
        return self.segment.record.id

    def ranks(self, snapshot: Snapshot) -> I64:
        """The rank of each run's generation, -1 where there is none."""
        return self._ranks_now(snapshot)[1]

    def _ranks_now(self, snapshot: Snapshot) -> tuple[weakref.ref[Snapshot], I64, bool]:
        found = self._ranks
        if found is None or found[0]() is not snapshot:
            ranks = snapshot.ranks(self.generation)
            found = self._ranks = (weakref.ref(snapshot), ranks, bool((ranks >= 0).all()))
        return found

    def content(self, run: int) -> bytes:
        """The bytes of a run. Raises Damaged."""
        at = self.runs.at
        return self.segment.content(int(at[run]), int(at[run + 1] - at[run]))

    def frame(self, run: int) -> int:
        """The frame in which a run begins; one of its own where that cannot be read. In any thread."""
        try:
            return self.segment.frame_at(int(self.runs.at[run]))
        except (LogferryError, OSError):
            return -1 - run  # whoever reads it says what is wrong

    @cached_property
    def nothing(self) -> Answer:
        """That no line matches. Hold ``lock``. Raises Damaged."""
        return Answer(self.index, self.index.nothing())

    def is_all_of(self, snapshot: Snapshot) -> bool:
        """Whether each run belongs to a generation of the snapshot."""
        return self._ranks_now(snapshot)[2]

    @property
    def levels(self) -> RowLevels:
        """The levels of lines, as far as they are known; what is learned is kept for the next search.

        Raises Damaged.
        """
        found: RowLevels | None = self._levels.known(self._own)
        if found is None:
            found = RowLevels(self.runs)
            with self.lock:
                found.learn_types(self.index, self.is_plain)
            self._levels.keep(self._own, found)
        return found

    def learn_levels(self, run: int, ranks: I8) -> None:
        """The text of a run was read: the levels of all its lines."""
        found: RowLevels | None = self._levels.known(self._own)
        if found is not None:
            found.learn(run, ranks)

    def forget_answers(self) -> None:
        """Nothing is kept any more."""
        self._own = object()

    def peek(self, key: object) -> Any:
        """What is kept under ``key``; None: nothing."""
        return self._answers.known((self._own, key))

    def keep(self, key: object, made: Answer | CountedTimes | I64 | Nothing, beside: int) -> None:
        """From now on that is known under ``key``, which takes so many bytes ``beside``."""
        self._answers.keep((self._own, key), made, beside)
