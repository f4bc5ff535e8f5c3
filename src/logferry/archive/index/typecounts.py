"""Which log type occurs in which granule, and in how many lines, while an index is built: in the order of granules."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logferry.archive.index.compiled import kernel
from logferry.archive.index.kernel import RARE, U32
from logferry.archive.index.words import I64


class TypeCounts:
    """One item per type and granule: the type, the granule, the lines."""

    def __init__(self) -> None:
        none = np.zeros(0, np.uint32)
        self._types, self._granules, self._lines = none, none, none
        self._new: list[tuple[U32, U32]] = []
        self._done = 0

    def add(self, types: U32, lines: U32) -> None:
        """The types of the next granule, each once, and their lines."""
        self._new.append((types, lines))

    def _join(self) -> None:
        if not self._new:
            return
        numbers = range(self._done, self._done + len(self._new))
        lengths = [len(types) for types, _ in self._new]
        self._granules = np.concatenate([self._granules, np.repeat(np.array(numbers, np.uint32), lengths)])
        self._types = np.concatenate([self._types, *(types for types, _ in self._new)])
        self._lines = np.concatenate([self._lines, *(lines for _, lines in self._new)])
        self._done += len(self._new)
        self._new.clear()

    def totals(self, count: int) -> I64:
        """Lines of each of ``count`` types."""
        self._join()
        totals = np.zeros(count, np.int64)
        _sum(self._types, self._lines, totals)
        return totals

    def of(self, wanted: npt.NDArray[np.bool_]) -> tuple[U32, U32]:
        """The items of some types: type and granule."""
        self._join()
        chosen = wanted[self._types]
        return self._types[chosen], self._granules[chosen]

    def renumber(self, numbers: U32) -> None:
        """Types get other numbers. Those that become RARE are one from here on."""
        self._join()
        count = int(_renumber(self._types, self._granules, self._lines, numbers))
        self._types, self._granules, self._lines = (
            array[:count].copy() for array in (self._types, self._granules, self._lines)
        )

    def by_type(self, count: int) -> tuple[I64, U32, U32]:
        """Where each of ``count`` types begins (and the last one ends) among granules and lines ordered by type."""
        self._join()
        starts = np.zeros(count + 1, np.int64)
        granules, lines = np.empty_like(self._granules), np.empty_like(self._lines)
        _order(self._types, self._granules, self._lines, starts, granules, lines)
        return starts, granules, lines


@kernel
def _sum(types: U32, lines: U32, totals: I64) -> None:
    for i in range(len(types)):
        totals[types[i]] += lines[i]


@kernel
def _renumber(types: U32, granules: U32, lines: U32, numbers: U32) -> int:
    """In place; returns how many items are left."""
    count = 0
    rare = -1  # the item of rare lines of the granule
    for i in range(len(types)):
        number, granule, some = numbers[types[i]], granules[i], lines[i]
        if i and granule != granules[count - 1]:
            rare = -1
        if number == RARE and rare >= 0:
            lines[rare] += some
            continue
        if number == RARE:
            rare = count
        types[count], granules[count], lines[count] = number, granule, some
        count += 1
    return count


@kernel
def _order(types: U32, granules: U32, lines: U32, starts: I64, to_granules: U32, to_lines: U32) -> None:
    for number in types:
        starts[number + 1] += 1
    for number in range(1, len(starts)):
        starts[number] += starts[number - 1]
    places = starts.copy()
    for i in range(len(types)):
        place = places[types[i]]
        places[types[i]] = place + 1
        to_granules[place], to_lines[place] = granules[i], lines[i]
