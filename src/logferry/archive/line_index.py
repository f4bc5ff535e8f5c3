"""Line ends before certain places: what makes line numbers exact and jumps quick in files of any size.

A generation's bytes only grow, so a count once made holds for ever. Counting runs at more than 1 GiB/s, in the
background for large files; everything else works while it is not ready yet. What is sealed need not be counted: the
indexes of its segments tell.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from logferry.archive.reader import GenerationReader
from logferry.clock import SYSTEM, Clock
from logferry.encodings import BYTE_ENDS, LineEnds
from logferry.errors import LogferryError
from logferry.limits import FILE_BYTES_MAX, LINE_INDEX_BLOCKS_MAX, LINE_INDEX_NOW_TABLES, LINE_INDEX_STEP_BYTES

STEP = LINE_INDEX_STEP_BYTES
_BLOCKS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class LineCounts:
    """Line ends per ``step`` bytes of a generation of ``size`` bytes, as far as counted (all, when ``complete``)."""

    size: int
    step: int
    counts: tuple[int, ...]
    lines_total: int | None
    complete: bool


class LineIndex:
    """Places in one generation and how many line ends lie before each, as far as known. Thread-safe.

    The places are a MiB apart where they were counted here, a granule where an index of sealed bytes told them.
    """

    def __init__(self, ends: LineEnds = BYTE_ENDS) -> None:
        """``ends``: where lines end in it."""
        self.ends = ends
        self._lock = threading.Lock()
        # Whoever reads without the lock finds a number of line ends for every place.
        self._places, self._ends = array("Q", [0]), array("Q", [0])
        self._steps = array("Q")  # line ends up to and including each whole MiB from the start
        self.told_sealed = -1
        """How many bytes were sealed when indexes had no more to tell …"""
        self.told_again = 0
        """… before lines are counted up to here."""
        self.steps_wanted = False
        """Whether somebody wants to know how many lines each MiB holds."""

    @property
    def blocks(self) -> int:
        """Places known, the start not counted."""
        return len(self._places) - 1

    @property
    def covered(self) -> int:
        """Bytes counted."""
        return self._places[-1]

    def before(self, byte: int) -> tuple[int, int] | None:
        """The last known place at or before ``byte`` and the line ends before it; None when not counted that far."""
        found = bisect_right(self._places, byte) - 1
        place = self._places[found]
        return (place, self._ends[found]) if byte - place < STEP or place != self.covered else None

    def holding(self, line_ends: int) -> tuple[int, int, int] | None:
        """Where the ``line_ends``-th line end (from 1) lies: (start, end, line ends before the start).

        None when not counted that far.
        """
        found = bisect_left(self._ends, line_ends)
        if found >= len(self._places):
            return None
        return self._places[found - 1], self._places[found], self._ends[found - 1]

    def around(self, byte: int) -> tuple[int, int, bool]:
        """The bytes between two places, around ``byte``: (start, end, whether they are known to hold no line end)."""
        after = bisect_right(self._places, byte)
        if after < len(self._places):
            return self._places[after - 1], self._places[after], self._ends[after - 1] == self._ends[after]
        start = byte - (byte - self._places[after - 1]) % STEP
        return start, start + STEP, False

    def counts(self) -> tuple[int, ...]:
        """Line ends of each whole MiB, as far as counted."""
        ends = list(self._steps)
        return tuple(after - before for before, after in zip([0, *ends], ends, strict=False))

    @property
    def last(self) -> tuple[int, int]:
        """The last known place, and the line ends before it."""
        with self._lock:
            return self._places[-1], self._ends[-1]

    def learn(self, places: Sequence[int], ends: Sequence[int]) -> None:
        """Line ends before places in order, as an index tells; those that are known already are left out."""
        with self._lock:
            new = bisect_right(places, self._places[-1])
            self._ends.extend(ends[new:])
            self._places.extend(places[new:])

    def count_on(self, reader: GenerationReader, until: int, go_on: Callable[[], bool]) -> bool:
        """Count on by whole MiB up to byte ``until``; False when ``go_on`` said no before that."""
        until = min(until, reader.size)
        while True:
            with self._lock:  # one counts, the others wait and find it done
                place = self._places[-1]
                if place + STEP > until:
                    return True
                ends = self._ends[-1] + self.ends.count(reader.read_at(place, STEP), place)
                self._ends.append(ends)
                self._places.append(place + STEP)
                if place == len(self._steps) * STEP:
                    self._steps.append(ends)
            if not go_on():
                return False

    def count_steps(self, reader: GenerationReader, most: int, go_on: Callable[[], bool]) -> bool:
        """Find out for each MiB how many lines it holds, as far as counted, reading at most ``most`` times.

        False when there are more, or ``go_on`` said no.
        """
        while True:
            with self._lock:
                end = (len(self._steps) + 1) * STEP
                known = self.before(end)
                if known is None or end > reader.size:
                    return True
                place, ends = known
                if place != end:
                    if not most:
                        return False
                    most -= 1
                    ends += self.ends.count(reader.read_at(place, end - place), place)
                self._steps.append(ends)
            if not go_on():
                return False


class Told(NamedTuple):
    """Places in a generation, and how many line ends lie before each. More could be told from ``again_at`` on."""

    places: Sequence[int]
    ends: Sequence[int]
    again_at: int


class Teller(Protocol):
    """What knows of lines without reading them."""

    def __call__(self, generation_id: int, reader: GenerationReader, at: int, before: int, most: int, /) -> Told:
        """Places behind byte ``at``, before which ``before`` lines end, from at most ``most`` sources."""
        ...


def _no_rest(_is_over: Callable[[], bool]) -> None:
    """Nobody else has urgent work."""


def nothing_told(_generation_id: int, _reader: GenerationReader, _at: int, _before: int, _most: int, /) -> Told:
    """Nothing is known."""
    return Told((), (), FILE_BYTES_MAX)


Key: TypeAlias = tuple[int, LineEnds]
"""A generation, and where lines end in it for whoever asks: it may be read in another encoding than it has."""


class LineIndexes:
    """The indexes of all generations looked at lately, and the thread that completes them."""

    def __init__(
        self,
        open_generation: Callable[[int], GenerationReader],
        clock: Clock = SYSTEM,
        told: Teller = nothing_told,
    ) -> None:
        """``told``: what is known of a generation's lines without reading them."""
        self.clock = clock
        self._open = open_generation
        self._told = told
        self._lock = threading.Lock()
        self._known: OrderedDict[Key, LineIndex] = OrderedDict()
        self._wanted: deque[Key] = deque()
        self._awake = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._closed = False
        self.stand_back: Callable[[Callable[[], bool]], None] = _no_rest
        """Called in the background before each MiB, without a lock: it may rest as long as others have urgent work, but
        no longer once what it is given says that all is over."""

    def of(self, generation_id: int, ends: LineEnds = BYTE_ENDS) -> LineIndex:
        """The index of a generation, empty at first."""
        key = generation_id, ends
        with self._lock:
            index = self._known.get(key)
            if index is None:
                index = self._known[key] = LineIndex(ends)
            self._known.move_to_end(key)
            self._forget_oldest()
            return index

    def ask(self, generation_id: int, reader: GenerationReader, ends: LineEnds = BYTE_ENDS) -> LineIndex:
        """The index of a generation, with some of what the indexes of its sealed bytes tell of them."""
        index = self.of(generation_id, ends)
        self._hear(index, generation_id, reader)
        return index

    def count(
        self, index: LineIndex, generation_id: int, reader: GenerationReader, until: int, go_on: Callable[[], bool]
    ) -> bool:
        """Know the lines up to byte ``until``: what indexes tell of them, all else is counted by whole MiB.

        False when ``go_on`` said no before that.
        """
        until = min(until, reader.size)
        while index.covered + STEP <= until:
            if self._hear(index, generation_id, reader):
                if not go_on():
                    return False
                continue
            if not index.count_on(reader, min(until, _some_more(index)), go_on):
                return False
        return True

    def _hear(self, index: LineIndex, generation_id: int, reader: GenerationReader) -> bool:
        """Learn what some of the next indexes tell; whether more can be told at once."""
        sealed = reader.sealed_bytes
        at, before = index.last
        if index.ends is not BYTE_ENDS:  # they tell of such lines alone
            return False
        if at + STEP > sealed or (sealed == index.told_sealed and at < index.told_again):
            return False
        told = self._told(generation_id, reader, at, before, LINE_INDEX_NOW_TABLES)
        index.learn(told.places, told.ends)
        index.told_sealed, index.told_again = sealed, told.again_at
        return told.again_at <= index.covered

    def want(self, generation_id: int, ends: LineEnds = BYTE_ENDS) -> None:
        """Complete the generation's index in the background."""
        key = generation_id, ends
        with self._awake:
            if self._closed or key in self._wanted:
                return
            self._wanted.append(key)
            if self._thread is None:
                self._thread = threading.Thread(target=self._count, name="line-index", daemon=True)
                self._thread.start()
            self._awake.notify()

    def close(self) -> None:
        """Stop counting."""
        with self._awake:
            self._closed = True
            self._awake.notify()
        if self._thread is not None:
            self._thread.join()

    def _forget_oldest(self) -> None:
        # ``blocks`` may be a moment old; the bound need not be exact.
        while len(self._known) > 1 and sum(map(_blocks, self._known.values())) > LINE_INDEX_BLOCKS_MAX:
            self._known.popitem(last=False)

    def _is_closed(self) -> bool:
        return self._closed

    def _goes_on(self) -> bool:
        self.stand_back(self._is_closed)
        return not self._closed

    def _count(self) -> None:
        while True:
            with self._awake:
                while not self._wanted and not self._closed:
                    self._awake.wait()
                if self._closed:
                    return
                key = self._wanted.popleft()
            if not self._count_some(*key):
                self.want(*key)

    def _count_some(self, generation_id: int, ends: LineEnds) -> bool:
        """Count a few blocks, so that large files take turns. True when this one is done (or gone)."""
        try:
            with self._open(generation_id) as reader:
                index = self.of(generation_id, ends)
                if self._hear(index, generation_id, reader):
                    return False
                until = min(reader.size, _some_more(index))
                index.count_on(reader, until, self._goes_on)
                if until < reader.size:
                    return False
                return not index.steps_wanted or index.count_steps(reader, _BLOCKS_AT_ONCE, self._goes_on)
        except LogferryError:
            return True  # whoever reads the lines is told what is wrong with the file


def _some_more(index: LineIndex) -> int:
    """Where to stop counting for a moment: after some blocks, or where an index may tell the rest."""
    covered = index.covered
    return min(covered + _BLOCKS_AT_ONCE * STEP, max(covered, index.told_again) + STEP)


def _blocks(index: LineIndex) -> int:
    return index.blocks
