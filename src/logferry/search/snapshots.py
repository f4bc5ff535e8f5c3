"""What the catalog holds, kept in memory from one search to the next and never older than its last commit.

A search would else walk over all files. Whether anything was committed since is asked each time and costs
microseconds; then what is not sealed is read anew, or all if files were named anew, sealed or deleted.
"""

from __future__ import annotations

import threading
from collections import defaultdict

import numpy as np

from logferry.archive import Catalog
from logferry.archive.catalog.looking import LookedAt
from logferry.archive.index.version import VERSION
from logferry.clock import Clock
from logferry.errors import LogferryError
from logferry.limits import (
    SNAPSHOT_AT_ONCE_MAX,
    SNAPSHOT_FACTS_S_MAX,
    SNAPSHOT_GENERATIONS_MAX,
    SNAPSHOT_IDLE_S,
    SNAPSHOT_REST,
)
from logferry.search.filters import Candidate
from logferry.search.snapshot import Place, Snapshot


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
        """When all of it was read last."""
        self._took_s = 0.0
        """How long that took."""
        self._is_exact = False
        """Whether every fact is as new as ``_version``."""
        self._renewing: threading.Thread | None = None
        self._used_s = 0.0
        self._idle: threading.Timer | None = None

    def now(self, *, exact_facts: bool = False) -> Snapshot:
        """All that is committed when this is called, or later.

        ``exact_facts``: so are corrections of single facts (checksums, times of the node), which else may be some
        seconds late; of many files they are read in the background, and are as late as that takes.
        """
        with self._lock:
            version, stamp = self._looking.version(), None
            before = self._now
            is_old = self._clock.monotonic_s() - self._full_s > SNAPSHOT_FACTS_S_MAX
            is_late = is_old and before is not None and len(before.files) > SNAPSHOT_AT_ONCE_MAX
            will_do = self._is_exact or not (exact_facts or (is_old and not is_late))
            found = before if version == self._version and will_do else None
            if found is None:
                stamp = self._looking.stamp()
                if before is not None and stamp == self._stamp and not exact_facts and (is_late or not is_old):
                    found = self._refreshed(before)
                    # What was sealed while that was read is not among the unsealed any more, and may have grown before.
                    found = found if self._looking.stamp() == stamp else None
                self._is_exact = found is None
                if found is None:
                    found = self._read_all()
                self._stamp, self._version, self._now = stamp, version, found
            if is_late and not self._is_exact:
                self._renew()
            self._keep_while_used(found)
            return found

    # Facts, in the background ----------------------------------------------------------------------------------------

    def _renew(self) -> None:
        """Read everything anew, and let nobody wait for it; not more often than leaves time for other things."""
        if self._renewing is not None and self._renewing.is_alive():
            return
        if self._clock.monotonic_s() - self._full_s < self._took_s * SNAPSHOT_REST:
            return
        self._renewing = threading.Thread(target=self._renewed, name="search-facts", daemon=True)
        self._renewing.start()

    def _renewed(self) -> None:
        began_s = self._clock.monotonic_s()
        try:
            stamp = self._looking.stamp()
            found = self._read()
            with self._lock:
                self._took_s = self._clock.monotonic_s() - began_s
                if self._now is not None and self._looking.stamp() == stamp == self._stamp:
                    # Whoever asks next reads once more what is not sealed: it may have grown meanwhile.
                    self._now, self._version, self._is_exact, self._full_s = found, None, False, began_s
        except LogferryError:  # whoever asks next meets it, too, and is told
            with self._lock:
                self._full_s = began_s  # not again at once

    # Memory ----------------------------------------------------------------------------------------------------------

    def _keep_while_used(self, found: Snapshot) -> None:
        """A large one is let go of when no search has asked for a while."""
        self._used_s = self._clock.monotonic_s()
        if self._idle is None and len(found.files) > SNAPSHOT_GENERATIONS_MAX:
            self._wait_for_idleness()

    def _wait_for_idleness(self) -> None:
        self._idle = threading.Timer(SNAPSHOT_IDLE_S, self._forget_if_idle)
        self._idle.daemon = True
        self._idle.start()

    def _forget_if_idle(self) -> None:
        with self._lock:
            if self._clock.monotonic_s() - self._used_s < SNAPSHOT_IDLE_S:
                self._wait_for_idleness()
            else:
                self._idle = self._now = None

    # Reading ---------------------------------------------------------------------------------------------------------

    def _read_all(self) -> Snapshot:
        began_s = self._clock.monotonic_s()
        found = self._read()
        self._full_s = self._clock.monotonic_s()
        self._took_s = self._full_s - began_s
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
        """The same generations, some of them longer, and new ones."""
        indexes = self._indexes()
        rows = self._looking.unsealed()
        ranks = before.ranks(np.array([row.id for row in rows], np.int64)).tolist()
        files = before.files
        changed: list[tuple[int, LookedAt]] = [
            (rank, row) for rank, row in zip(ranks, rows, strict=True) if rank < 0 or _differs(files[rank], row)
        ]
        if not changed and indexes == before.indexes:
            return before
        new = [_candidate(row) for rank, row in changed if rank < 0]  # it came, or was empty
        return before.changed({rank: _candidate(row) for rank, row in changed if rank >= 0}, new, indexes)


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
