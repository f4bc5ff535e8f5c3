"""What the catalog holds, kept in memory from one search to the next and never older than its last commit.

A search would else walk over all files. Whether anything was committed since is asked each time and costs
microseconds; then what is not sealed is read anew, or all if files came, were named anew, sealed or deleted.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from logferry.archive import Catalog
from logferry.archive.catalog.looking import LookedAt
from logferry.archive.catalog.sealing import HeldExtent
from logferry.archive.index.version import VERSION
from logferry.clock import Clock
from logferry.compressed import form_by_name
from logferry.limits import SNAPSHOT_FACTS_S_MAX, SNAPSHOT_GENERATIONS_MAX
from logferry.search.filters import Candidate

I64 = npt.NDArray[np.int64]
Place = tuple[int, int, int, int]
"""Offset and length in a generation, segment, raw offset there."""


class Snapshot:
    """All generations with bytes, ordered by their last arrival. A *rank* is a place in this order. Never changed."""

    def __init__(self, files: list[Candidate], places: dict[int, list[Place]], indexes: dict[int, str]) -> None:
        """``places``: of the sealed bytes of each generation, in order. ``indexes``: their names, by segment."""
        files.sort(key=lambda file: (file.changed_ns, file.generation_id))
        self.files = files
        self.places = places
        self.indexes = indexes
        self.ids = np.array([file.generation_id for file in files], np.int64)
        self.sizes = np.array([file.size for file in files], np.int64)
        self.packed = [rank for rank, file in enumerate(files) if form_by_name(file.name)]
        """Ranks of those whose names say that they are compressed."""
        self._by_id = np.argsort(self.ids)
        self._sorted = self.ids[self._by_id]
        by_agent: dict[str, list[int]] = defaultdict(list)
        for rank, file in enumerate(files):
            by_agent[file.agent].append(rank)
        self.by_agent = {agent: np.array(ranks, np.int64) for agent, ranks in by_agent.items()}
        """Ranks of each agent."""

    def ranks(self, generation_ids: I64) -> I64:
        """The ranks of generations, -1 for those that are not there."""
        if not len(self._sorted):
            return np.full(len(generation_ids), -1, np.int64)
        found = np.minimum(np.searchsorted(self._sorted, generation_ids), len(self._sorted) - 1)
        return np.where(self._sorted[found] == generation_ids, self._by_id[found], -1)

    @cached_property
    def unindexed(self) -> Snapshot:
        """The same, as if no segment had an index."""
        return Snapshot(self.files, self.places, {})

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
        for segment, extents in self.held.items():
            ranks = self.ranks(np.array([extent.generation_id for extent in extents], np.int64))
            found[segment] = np.unique(ranks[ranks >= 0])
        return found

    @cached_property
    def is_in_part(self) -> npt.NDArray[np.bool_]:
        """By rank: whether bytes of it lie in no segment whose index can be used, or it is compressed itself."""
        covered = dict.fromkeys(self.ids.tolist(), 0)
        for extents in self.held.values():
            for extent in extents:
                if extent.generation_id in covered:
                    covered[extent.generation_id] += extent.length
        found = np.array([covered[file.generation_id] for file in self.files], np.int64) < self.sizes
        found[self.packed] = True
        return found


class Snapshots:
    """The present snapshot of one catalog. Thread-safe."""

    def __init__(self, catalog: Catalog, clock: Clock, *, indexed: bool = True) -> None:
        """``indexed`` False: as if no segment had an index."""
        self._indexed = indexed
        self._looking = catalog.looking
        self._clock = clock
        self._lock = threading.Lock()
        self._now: Snapshot | None = None
        self._version: object = None
        self._stamp: object = None
        self._full_s = 0.0
        self._is_exact = False
        """Whether every fact is as new as ``_version``."""

    def now(self, *, exact_facts: bool = False) -> Snapshot:
        """All that is committed when this is called, or later.

        ``exact_facts``: so are corrections of single facts (checksums, times of the node), which else may be some
        seconds late.
        """
        with self._lock:
            version = self._looking.version()
            is_old = exact_facts or self._clock.monotonic_s() - self._full_s > SNAPSHOT_FACTS_S_MAX
            if self._now is not None and version == self._version and (self._is_exact or not is_old):
                return self._now
            stamp = self._looking.stamp()
            found = None
            if self._now is not None and stamp is not None and stamp == self._stamp and not is_old:
                found = self._refreshed(self._now)
                # What was sealed while that was read is not among the unsealed any more, and may have grown before.
                found = found if self._looking.stamp() == stamp else None
            self._is_exact = found is None
            if found is None:
                found = self._read()
                self._full_s = self._clock.monotonic_s()
            self._stamp, self._version = stamp, version
            self._now = found
            if len(found.files) > SNAPSHOT_GENERATIONS_MAX:
                self._now = None  # too large to be kept: read for each search
            return found

    def _read(self) -> Snapshot:
        # Places first: what is sealed after that is read where it lay before.
        places: dict[int, list[Place]] = defaultdict(list)
        for generation, offset, length, segment, raw_offset in self._looking.extents():
            places[generation].append((offset, length, segment, raw_offset))
        indexes = self._indexes()
        rows = self._looking.generations()
        return Snapshot([_candidate(row) for row in rows], dict(places), indexes)

    def _indexes(self) -> dict[int, str]:
        return dict(self._looking.indexed(VERSION)) if self._indexed else {}

    def _refreshed(self, before: Snapshot) -> Snapshot:
        """The same generations, some of them longer."""
        indexes = self._indexes()
        rows = self._looking.unsealed()
        ranks = before.ranks(np.array([row.id for row in rows], np.int64)).tolist()
        files = before.files
        changed: list[tuple[int, LookedAt]] = [
            (rank, row) for rank, row in zip(ranks, rows, strict=True) if rank < 0 or _differs(files[rank], row)
        ]
        if not changed and indexes == before.indexes:
            return before
        files = list(files)
        new: list[Candidate] = []
        for rank, row in changed:
            if rank < 0:  # it was empty
                new.append(_candidate(row))
            else:
                files[rank] = replace(
                    files[rank],
                    size=row.size,
                    changed_ns=row.changed_ns,
                    modified_ns=row.modified_ns,
                    sha256=row.sha256,
                )
        made = Snapshot(files + new, before.places, indexes)
        if indexes == before.indexes:
            made.__dict__["held"] = before.held  # nothing was sealed: no need to order it again
        return made


def _by_content(extent: HeldExtent) -> int:
    return extent.raw_offset


def _candidate(row: LookedAt) -> Candidate:
    return Candidate(
        row.agent, row.path, row.file_id, row.number, row.id, row.size, row.modified_ns, row.received_ns,
        row.changed_ns, row.sha256,
    )  # fmt: skip


def _differs(file: Candidate, row: LookedAt) -> bool:
    return (file.size, file.changed_ns, file.modified_ns, file.sha256) != (
        row.size,
        row.changed_ns,
        row.modified_ns,
        row.sha256,
    )


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
