"""Line counts per MiB: what makes line numbers exact and jumps quick in files of any size.

A generation's bytes only grow, so a count once made holds for ever. Counting runs at more than 1 GiB/s, in the
background for large files; everything else works while it is not ready yet.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from logferry.archive.reader import GenerationReader
from logferry.clock import SYSTEM, Clock
from logferry.errors import LogferryError
from logferry.limits import LINE_INDEX_BLOCKS_MAX, LINE_INDEX_STEP_BYTES

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
    """Line ends per whole MiB of one generation, as far as counted. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends = array("Q")  # line ends up to and including each whole block

    @property
    def blocks(self) -> int:
        """Whole blocks counted."""
        return len(self._ends)

    @property
    def covered(self) -> int:
        """Bytes counted."""
        return len(self._ends) * STEP

    def before(self, block: int) -> int | None:
        """Line ends before the block, None when not counted that far."""
        if block == 0:
            return 0
        return self._ends[block - 1] if block <= len(self._ends) else None

    def block_of(self, line_ends: int) -> int | None:
        """The block in which the ``line_ends``-th line end (from 1) lies, None when not counted that far."""
        block = bisect_left(self._ends, line_ends)
        return block if block < len(self._ends) else None

    def is_empty(self, block: int) -> bool:
        """Whether the block is known to hold no line end."""
        before, after = self.before(block), self.before(block + 1)
        return before is not None and before == after

    def counts(self) -> tuple[int, ...]:
        """Line ends of each whole block counted."""
        ends = list(self._ends)
        return tuple(after - before for before, after in zip([0, *ends], ends, strict=False))

    def count_on(self, reader: GenerationReader, until: int, go_on: Callable[[], bool]) -> bool:
        """Count whole blocks up to byte ``until``; False when ``go_on`` said no before that."""
        until = min(until, reader.size)
        while True:
            with self._lock:  # one counts, the others wait and find it done
                block = len(self._ends)
                if (block + 1) * STEP > until:
                    return True
                last = self._ends[-1] if block else 0
                self._ends.append(last + reader.read_at(block * STEP, STEP).count(b"\n"))
            if not go_on():
                return False


class LineIndexes:
    """The indexes of all generations looked at lately, and the thread that completes them."""

    def __init__(self, open_generation: Callable[[int], GenerationReader], clock: Clock = SYSTEM) -> None:
        self.clock = clock
        self._open = open_generation
        self._lock = threading.Lock()
        self._known: OrderedDict[int, LineIndex] = OrderedDict()
        self._wanted: deque[int] = deque()
        self._awake = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._closed = False

    def of(self, generation_id: int) -> LineIndex:
        """The index of a generation, empty at first."""
        with self._lock:
            index = self._known.get(generation_id)
            if index is None:
                index = self._known[generation_id] = LineIndex()
            self._known.move_to_end(generation_id)
            self._forget_oldest()
            return index

    def want(self, generation_id: int) -> None:
        """Complete the generation's index in the background."""
        with self._awake:
            if self._closed or generation_id in self._wanted:
                return
            self._wanted.append(generation_id)
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

    def _count(self) -> None:
        while True:
            with self._awake:
                while not self._wanted and not self._closed:
                    self._awake.wait()
                if self._closed:
                    return
                generation_id = self._wanted.popleft()
            if not self._count_some(generation_id):
                self.want(generation_id)

    def _count_some(self, generation_id: int) -> bool:
        """Count a few blocks, so that large files take turns. True when this one is done (or gone)."""
        index = self.of(generation_id)
        try:
            with self._open(generation_id) as reader:
                until = min(reader.size, (index.blocks + _BLOCKS_AT_ONCE) * STEP)
                index.count_on(reader, until, lambda: not self._closed)
                return until >= reader.size
        except LogferryError:
            return True  # whoever reads the lines is told what is wrong with the file


def _blocks(index: LineIndex) -> int:
    return index.blocks
