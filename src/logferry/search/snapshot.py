"""What the catalog holds, in memory: all generations with bytes, where their sealed bytes lie, and columns of facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from logferry.archive.catalog.sealing import HeldExtent
from logferry.compressed import form_by_name
from logferry.search.filters import Candidate

I64 = npt.NDArray[np.int64]
Place = tuple[int, int, int, int]
"""Offset and length in a generation, segment, raw offset there."""


class Snapshot:
    """All generations with bytes, ordered by their last arrival. A *rank* is a place in this order. Never changed."""

    def __init__(
        self,
        files: list[Candidate],
        places: dict[int, list[Place]],
        indexes: dict[int, str],
        columns: Columns | None = None,
    ) -> None:
        """``places``: of the sealed bytes of each generation, in order. ``indexes``: their names, by segment.
        ``columns``: of ``files``, where they are known."""
        columns = columns or Columns.of(files)
        order = np.lexsort((columns.ids, columns.changed_ns))
        if len(order) and (np.diff(order) != 1).any():
            held = np.empty(len(files), object)
            held[:] = files
            files, columns = held[order].tolist(), columns.at(order)
        self.files = files
        self.places = places
        self.indexes = indexes
        self._columns = columns
        self.ids, self.sizes = columns.ids, columns.sizes
        self.packed: list[int] = np.flatnonzero(columns.is_packed).tolist()
        """Ranks of those whose names say that they are compressed."""
        self._by_id = np.argsort(self.ids)
        self._sorted = self.ids[self._by_id]
        ordered = np.argsort(columns.agents, kind="stable")
        firsts = np.searchsorted(columns.agents[ordered], np.arange(len(columns.names) + 1))
        self.by_agent = {name: ordered[firsts[i] : firsts[i + 1]] for i, name in enumerate(columns.names)}
        """Ranks of each agent."""

    def changed(self, changed: Mapping[int, Candidate], new: Sequence[Candidate], indexes: dict[int, str]) -> Snapshot:
        """The same with other files at some ranks, and more files. Costs little where these are few."""
        files = [*self.files, *new]
        columns = self._columns.also(new) if new else self._columns.copy()
        for rank, file in changed.items():
            files[rank] = file
            columns.sizes[rank], columns.changed_ns[rank] = file.size, file.changed_ns
        made = Snapshot(files, self.places, indexes, columns)
        if indexes == self.indexes:  # nothing was sealed: no need to order it again
            made.__dict__.update({name: getattr(self, name) for name in ("held", "_ids_in", "_covered")})
        return made

    def ranks(self, generation_ids: I64) -> I64:
        """The ranks of generations, -1 for those that are not there."""
        if not len(self._sorted):
            return np.full(len(generation_ids), -1, np.int64)
        found = np.minimum(np.searchsorted(self._sorted, generation_ids), len(self._sorted) - 1)
        return np.where(self._sorted[found] == generation_ids, self._by_id[found], -1)

    @cached_property
    def unindexed(self) -> Snapshot:
        """The same, as if no segment had an index."""
        return Snapshot(self.files, self.places, {}, self._columns)

    @cached_property
    def held(self) -> dict[int, tuple[HeldExtent, ...]]:
        """What lies in each segment with an index that can be used, in the order of its content."""
        found: dict[int, list[HeldExtent]] = {segment: [] for segment in self.indexes}
        for generation, places in self.places.items():
            for offset, length, segment, raw_offset in places:
                if segment in found:
                    found[segment].append(HeldExtent(generation, offset, length, raw_offset))
        return {segment: tuple(sorted(of, key=_by_content)) for segment, of in found.items() if of}

    @cached_property
    def ranks_in(self) -> dict[int, I64]:
        """The ranks with bytes in each of these segments, ascending."""
        found: dict[int, I64] = {}
        for segment, ids in self._ids_in.items():
            ranks = self.ranks(ids)
            found[segment] = np.sort(ranks[ranks >= 0])
        return found

    @cached_property
    def _ids_in(self) -> dict[int, I64]:
        """The generations with bytes in each of these segments."""
        return {
            segment: np.unique(np.array([extent.generation_id for extent in extents], np.int64))
            for segment, extents in self.held.items()
        }

    @cached_property
    def _covered(self) -> tuple[I64, I64]:
        """Generations, and how many bytes of each lie in these segments."""
        extents = [extent for of in self.held.values() for extent in of]
        ids, which = np.unique(np.array([e.generation_id for e in extents], np.int64), return_inverse=True)
        lengths = np.array([extent.length for extent in extents], np.int64)
        return ids, np.bincount(which, lengths, len(ids)).astype(np.int64)

    @cached_property
    def covered(self) -> I64:
        """By rank: how many bytes of it lie in segments whose index can be used."""
        ids, lengths = self._covered
        ranks = self.ranks(ids)
        covered = np.zeros(len(self.files), np.int64)
        covered[ranks[ranks >= 0]] = lengths[ranks >= 0]
        return covered

    @cached_property
    def is_in_part(self) -> npt.NDArray[np.bool_]:
        """By rank: whether bytes of it lie in no segment whose index can be used, or it is compressed itself."""
        found: npt.NDArray[np.bool_] = (self.covered < self.sizes) | self._columns.is_packed
        return found


@dataclass(frozen=True, slots=True)
class Columns:
    """What is asked of many files at once, one value for each. ``agents``: which of ``names``."""

    ids: I64
    sizes: I64
    changed_ns: I64
    is_packed: npt.NDArray[np.bool_]
    agents: I64
    names: tuple[str, ...]

    @classmethod
    def of(cls, files: Sequence[Candidate], names: Sequence[str] = ()) -> Columns:
        """``names``: agents that have numbers already."""
        numbers = {name: number for number, name in enumerate(names)}
        agents = [numbers.setdefault(file.agent, len(numbers)) for file in files]
        return cls(
            np.array([file.generation_id for file in files], np.int64),
            np.array([file.size for file in files], np.int64),
            np.array([file.changed_ns for file in files], np.int64),
            np.array([bool(form_by_name(file.name)) for file in files], np.bool_),
            np.array(agents, np.int64),
            tuple(numbers),
        )

    def at(self, order: I64) -> Columns:
        """In another order."""
        return Columns(
            self.ids[order], self.sizes[order], self.changed_ns[order], self.is_packed[order], self.agents[order],
            self.names,
        )  # fmt: skip

    def copy(self) -> Columns:
        """To be changed."""
        return self.at(np.arange(len(self.ids)))

    def also(self, new: Sequence[Candidate]) -> Columns:
        """And more files behind these."""
        more = Columns.of(new, self.names)
        return Columns(
            np.concatenate((self.ids, more.ids)),
            np.concatenate((self.sizes, more.sizes)),
            np.concatenate((self.changed_ns, more.changed_ns)),
            np.concatenate((self.is_packed, more.is_packed)),
            np.concatenate((self.agents, more.agents)),
            more.names,
        )


def _by_content(extent: HeldExtent) -> int:
    return extent.raw_offset


def gaps(covered: Sequence[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """What of ``0 <= x < size`` is in none of the ranges (from, to), which are in order."""
    found: list[tuple[int, int]] = []
    at = 0
    for start, end in covered:
        if start >= size:
            break
        if start > at:
            found.append((at, start))
        at = max(at, end)
    if at < size:
        found.append((at, size))
    return found
