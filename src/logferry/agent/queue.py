"""Whose turn it is. Pure.

Within one priority every waiting file gets one slice per round, the one with the most unsent bytes first. Between
priorities the higher goes first, but not alone: of the bytes sent while several wait, the highest gets seven parts of
eight, the next seven eighths of the rest, and so on (from the fourth on all alike). What nobody higher wants goes to
the next one whole. So a backlog of low priority slows an urgent log by one slice at most, and is never left for good.
"""

from __future__ import annotations

import heapq
from operator import itemgetter

from logferry.limits import PRIORITY_RATIO, PRIORITY_STEPS_MAX, SLICE_BYTES, TURN_BYTES_MIN


class _Level:
    """The files of one priority, in rounds. ``used`` is what it has had, in bytes that count more the lower it is."""

    __slots__ = ("behind", "heap", "round", "used", "waiting")

    def __init__(self) -> None:
        self.heap: list[tuple[int, int, int]] = []
        self.round = 0
        self.used = 0
        self.waiting = 0
        self.behind = False
        """It has been told to wait its share out since it was last served; no newcomer makes that longer."""


class Rounds:
    """A queue of row ids. A file that comes back after its slice waits for the next round, so none is starved."""

    def __init__(self) -> None:
        self._levels: dict[int, _Level] = {}
        self._entry: dict[int, tuple[int, int, int]] = {}
        self._priority: dict[int, int] = {}
        """Of files in line that have another one than 0."""
        self._now = 0
        """What the priority that was served last had had before."""

    def __len__(self) -> int:
        return len(self._entry)

    def __contains__(self, row_id: int) -> bool:
        return row_id in self._entry

    def add(self, row_id: int, lag_bytes: int, *, again: bool = False, priority: int = 0) -> None:
        """Put a file in line with its unsent bytes; ``again``: it just had a slice, so it stands in the next round.

        A file that is in line already keeps its round; its lag is brought up to date.
        """
        old = self._entry.get(row_id)
        if old is not None and self._priority.get(row_id, 0) != priority:
            self.discard(row_id)
            old = None
        level = self._levels.get(priority)
        if level is None:
            level = self._levels[priority] = _Level()
        turn = old[0] if old else level.round + (1 if again else 0)
        entry = (turn, -lag_bytes, row_id)
        if entry != old:
            if old is None:
                self._enter(level)
                if priority:
                    self._priority[row_id] = priority
            self._entry[row_id] = entry
            heapq.heappush(level.heap, entry)

    def pop(self) -> int | None:
        """The file whose turn it is, or None."""
        while (found := self._next_level()) is not None:
            level, rank = found
            while level.heap:
                entry = heapq.heappop(level.heap)
                if self._entry.get(entry[2]) == entry:
                    self._leave(entry[2], level)
                    level.round = max(level.round, entry[0])
                    level.behind = False
                    self._now = level.used
                    level.used += max(TURN_BYTES_MIN, min(SLICE_BYTES, -entry[1])) * _weight(rank)
                    return entry[2]
        return None

    def discard(self, row_id: int) -> None:
        """Take a file out of the line."""
        if row_id in self._entry:
            self._leave(row_id, self._levels[self._priority.get(row_id, 0)])

    def _enter(self, level: _Level) -> None:
        """Who had nothing to send has saved nothing up by that; and the lower ones let the higher begin."""
        level.waiting += 1
        if level.waiting > 1 or len(self._levels) == 1:
            return
        waiting = self._waiting()
        level.used = max(level.used, self._now)
        if len(waiting) == 1:
            return
        for rank, other in enumerate(waiting[max(1, waiting.index(level)) :], max(1, waiting.index(level))):
            if not other.behind:
                other.used = max(other.used, waiting[0].used + SLICE_BYTES * _weight(rank))
                other.behind = True

    def _leave(self, row_id: int, level: _Level) -> None:
        del self._entry[row_id]
        self._priority.pop(row_id, None)
        level.waiting -= 1
        if level.waiting == 0:
            level.heap.clear()

    def _next_level(self) -> tuple[_Level, int] | None:
        """Among those that wait the one that has had the least, the higher of two; and how many are above it."""
        if len(self._levels) == 1:
            (level,) = self._levels.values()
            return (level, 0) if level.waiting else None
        waiting = self._waiting()
        if not waiting:
            return None
        rank = min(range(len(waiting)), key=lambda index: waiting[index].used)
        return waiting[rank], rank

    def _waiting(self) -> list[_Level]:
        """Those with somebody in line, the highest first."""
        return [level for _, level in sorted(self._levels.items(), key=itemgetter(0), reverse=True) if level.waiting]


def _weight(rank: int) -> int:
    """How much more a byte counts with ``rank`` priorities above that wait, too."""
    return int(PRIORITY_RATIO ** min(rank, PRIORITY_STEPS_MAX))
