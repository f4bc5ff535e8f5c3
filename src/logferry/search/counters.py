"""Adding up a tally: buckets of time that become wider when there are too many, and values with their lines. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logferry.limits import FACET_VALUES_SHOWN, HISTOGRAM_BUCKETS_MAX
from logferry.search.tally import STEPS_S, Buckets, Facet, FacetField, Histogram

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    I64 = npt.NDArray[np.int64]

NO_TIME = -(1 << 63)
_FAR = 1 << 40
_PARTS_MAX = 256
_COUNTED_BYTES = 300
"""What Python's own objects take beside arrays."""


@dataclass(frozen=True, slots=True)
class CountedTimes:
    """Lines by time that were counted apart: ``counts`` lines in buckets that begin at ``places`` times ``step_s``."""

    wanted: Buckets
    from_step_s: int
    """How wide buckets were at least before these lines were counted."""
    step_s: int
    """And behind: that wide they need to be for these lines alone, or for those before."""
    places: I64
    counts: I64
    untimed: int
    outside: int

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        return self.places.nbytes + self.counts.nbytes + _COUNTED_BYTES


class TimeCounter:
    """Lines by time. What is counted at one width can be told at a wider one."""

    def __init__(self, wanted: Buckets) -> None:
        self.wanted = wanted
        """What was asked for."""
        self.step_s = wanted.step_s or STEPS_S[0]
        """Present width."""
        self.untimed = 0
        self.outside = 0
        self._parts: list[tuple[I64, I64]] = []

    @property
    def bounds(self) -> tuple[int, int]:
        """Seconds since 1970 that are counted in buckets: ``low <= x < end``."""
        start, end = self.wanted.start_s, self.wanted.end_s
        return -_FAR if start is None else start, _FAR if end is None else end

    def expect(self, first_s: int, last_s: int) -> None:
        """A line at each of these times, or before and behind, will come: begin with buckets of which they do not need
        too many. They decide how wide the buckets are in the end, so lines have to be there."""
        start, end = self.wanted.start_s, self.wanted.end_s
        first_s = first_s if start is None else max(first_s, start)
        last_s = last_s if end is None else min(last_s, end - 1)
        while last_s // self.step_s - first_s // self.step_s + 1 > self._most(first_s, last_s):
            self._widened()

    def _most(self, first: int, last: int) -> int:
        """How many buckets there may be from one with ``first`` in it to one with ``last``. However wide, one ends
        where 1970 begins: on both sides of that there are two."""
        most = HISTOGRAM_BUCKETS_MAX if self.wanted.step_s else self.wanted.shown
        return max(most, 2) if first < 0 <= last else most

    def add_seconds(self, seconds: I64) -> None:
        """One line for each of ``seconds`` (since 1970; ``NO_TIME``: none)."""
        import numpy as np

        timed = seconds[seconds != NO_TIME]
        self.untimed += len(seconds) - len(timed)
        kept = timed
        if self.wanted.start_s is not None:
            kept = kept[kept >= self.wanted.start_s]
        if self.wanted.end_s is not None:
            kept = kept[kept < self.wanted.end_s]
        self.outside += len(timed) - len(kept)
        if len(kept):
            self.expect(int(kept.min()), int(kept.max()))
            self.add(*np.unique(kept // self.step_s, return_counts=True))

    def apart(self) -> TimeCounter:
        """One for some of the lines, which are to be added later: see ``counted`` and ``join``."""
        made = TimeCounter(self.wanted)
        made.step_s = self.step_s
        return made

    def counted(self, from_step_s: int) -> CountedTimes:
        """All that was counted. ``from_step_s``: the width that it began with."""
        places, counts = self._merge(1)
        return CountedTimes(self.wanted, from_step_s, self.step_s, places, counts, self.untimed, self.outside)

    def may_join(self, counted: CountedTimes) -> bool:
        """Whether it can be added, and buckets become no wider than if its lines were counted here."""
        return counted.wanted == self.wanted and counted.from_step_s <= self.step_s

    def join(self, counted: CountedTimes) -> None:
        """Add it; it may."""
        while self.step_s < counted.step_s:
            self._widened()
        self.untimed += counted.untimed
        self.outside += counted.outside
        factor = self.step_s // counted.step_s
        if len(counted.places):
            first, last = int(counted.places[0]), int(counted.places[-1])
            self.add(counted.places // factor, counted.counts)
            self.expect(first * counted.step_s, last * counted.step_s)

    def add(self, places: I64, counts: I64) -> None:
        """``counts`` lines in buckets that begin at ``places`` times the present width."""
        if len(places):
            self._parts.append((places, counts))
            if len(self._parts) > _PARTS_MAX:
                self._merge(1)

    def told(self) -> Histogram:
        """The histogram so far, not more buckets than asked for."""
        places, counts = self._merge(1)
        while len(places) and places[-1] - places[0] + 1 > self._most(int(places[0]), int(places[-1])):
            places, counts = self._widened()
        told = zip((places * self.step_s).tolist(), counts.tolist(), strict=True)
        return Histogram(self.step_s, tuple(told), self.untimed, self.outside)

    def _merge(self, factor: int) -> tuple[I64, I64]:
        """Put everything into buckets that are so many times as wide; each once, in order."""
        import numpy as np

        none = np.zeros(0, np.int64)
        places = np.concatenate([none, *(part[0] for part in self._parts)]) // factor
        counts = np.concatenate([none, *(part[1] for part in self._parts)])
        places, where = np.unique(places, return_inverse=True)
        counts = np.bincount(where, counts, len(places)).astype(np.int64)
        self._parts = [(places, counts)]
        return places, counts

    def _widened(self) -> tuple[I64, I64]:
        step = next((step for step in STEPS_S if step > self.step_s and step % self.step_s == 0), 2 * self.step_s)
        factor, self.step_s = step // self.step_s, step
        return self._merge(factor)


class FacetCounter:
    """Lines by the values of one field."""

    def __init__(self, field: FacetField) -> None:
        self.field = field
        self.counts: Counter[str] = Counter()

    def told(self) -> Facet:
        """The values with the most lines; of two with as many the first by name."""
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        top = tuple(ordered[:FACET_VALUES_SHOWN])
        return Facet(self.field, top, self.counts.total() - sum(count for _, count in top), len(ordered))


def facet_counters(fields: Sequence[FacetField]) -> tuple[FacetCounter, ...]:
    """One for each field, each once."""
    return tuple(FacetCounter(field) for field in dict.fromkeys(fields))
