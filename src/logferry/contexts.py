"""Hits with lines around them, as grep prints them: what overlaps or touches becomes one block, each line once. Pure.

Hits of a file come in the order of its lines, or against it; in a block lines stand in their order.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from logferry.limits import CONTEXT_BLOCK_LINES_MAX

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Placed(Generic[R]):
    """A line at bytes ``start`` to ``end`` of its file: a hit, or one beside it."""

    start: int
    end: int
    is_hit: bool
    row: R


@dataclass(frozen=True, slots=True)
class Block(Generic[R]):
    """Lines of one file without a gap. ``follows``: the one that was given before ends where this begins."""

    lines: tuple[Placed[R], ...]
    follows: bool


class Blocks(Generic[R]):
    """Gathers hits into blocks. Add all, then ``rest``."""

    def __init__(self) -> None:
        self._file: Hashable = None
        self._is_open = False
        self._low = self._high = 0
        """Where the present block begins and ends, what was given of it included."""
        self._lines: dict[int, Placed[R]] = {}
        self._hits: list[tuple[int, int]] = []
        """Where the hits of the present block begin and end, in order."""
        self._newest = -1
        """Where the hit begins that was added last."""
        self._parts = range(0)
        """Where those lines of it stand that were given already."""
        self._given: tuple[Hashable, int] | None = None
        """Where the lines ended that were given last."""

    def add(self, file: Hashable, lines: Iterable[Placed[R]]) -> Iterator[Block[R]]:
        """One hit with its neighbours, in order; the blocks to which nothing can be added any more."""
        new = list(lines)
        low, high = new[0].start, new[-1].end
        if self._is_open and not (file == self._file and low <= self._high and high >= self._low):
            yield from self.rest()
        if not self._is_open:
            self._is_open, self._file, self._low, self._high = True, file, low, high
        self._low, self._high = min(self._low, low), max(self._high, high)
        hit = next(line for line in new if line.is_hit)
        self._newest = hit.start
        insort(self._hits, (hit.start, hit.end))
        for start in [start for start in self._lines if hit.start < start < hit.end]:
            del self._lines[start]  # a hit of several lines: they are in it
        for line in new:
            if (line.is_hit or line.start not in self._lines) and not self._is_there(line):
                self._lines[line.start] = line
        if len(self._lines) > CONTEXT_BLOCK_LINES_MAX:
            yield from self._some(hit.start, backwards=low == self._low)

    def so_far(self, *, backwards: bool) -> Iterator[Block[R]]:
        """What can be given while nothing comes: all but the lines behind the newest hit, which may be hits, too.

        ``backwards``: hits come against the order of lines.
        """
        if self._newest in self._lines:
            yield from self._some(self._newest, backwards=backwards)

    def rest(self) -> Iterator[Block[R]]:
        """What is left."""
        if self._lines:
            yield self._block(sorted(self._lines))
        self._lines, self._hits = {}, []
        self._parts = range(0)
        self._is_open = False

    def _is_there(self, line: Placed[R]) -> bool:
        """Whether it was given, or is a part of a hit."""
        if line.start in self._parts:
            return True
        before = bisect_left(self._hits, (line.start, 0)) - 1
        return not line.is_hit and before >= 0 and self._hits[before][1] > line.start

    def _some(self, hit: int, *, backwards: bool) -> Iterator[Block[R]]:
        """Most of a long block: not the lines behind its newest hit, which may turn out to be hits."""
        given = sorted(start for start in self._lines if (start >= hit if backwards else start <= hit))
        end = self._lines[given[-1]].end
        yield self._block(given)
        for start in given:
            del self._lines[start]
        low, high = (self._parts.start, self._parts.stop) if self._parts else (given[0], end)
        self._parts = range(min(low, given[0]), max(high, end))

    def _block(self, starts: list[int]) -> Block[R]:
        lines = tuple(self._lines[start] for start in starts)
        follows = self._given == (self._file, lines[0].start)
        self._given = (self._file, lines[-1].end)
        return Block(lines, follows)
