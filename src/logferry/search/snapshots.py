"""What the catalog holds, kept in memory from one search to the next and never older than its last commit.

A search would else walk over all files. Whether anything was committed since is asked each time and costs
microseconds; then what is not sealed is read anew, or all if files were named anew, sealed or deleted.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import replace

import numpy as np

from logferry.archive import Catalog
from logferry.archive.catalog.looking import LookedAt, Mark, News
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
        self._marks: tuple[Snapshot | None, str] = None, ""
        """What the catalog told of what is not sealed when this snapshot was brought up to date."""
        self._told_indexes: tuple[str, dict[int, str]] = "", {}
        """What it told of indexes, and what that says."""
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
            version = self._looking.version()
            before = self._now
            is_old = self._clock.monotonic_s() - self._full_s > SNAPSHOT_FACTS_S_MAX
            is_late = is_old and before is not None and len(before.files) > SNAPSHOT_AT_ONCE_MAX
            will_do = self._is_exact or not (exact_facts or (is_old and not is_late))
            found = before if version == self._version and will_do else None
            if found is None:
                news = self._looking.news(VERSION)
                if before is not None and news.stamp == self._stamp and not exact_facts and (is_late or not is_old):
                    found = self._refreshed(before, news)
                self._is_exact = found is None
                if found is None:
                    found = self._read_all()
                    self._marks = found, news.marks  # of before: what came meanwhile is compared once more
                self._stamp, self._version, self._now = news.stamp, version, found
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
            news = self._looking.news(VERSION)
            found = self._read()
            with self._lock:
                self._took_s = self._clock.monotonic_s() - began_s
                if self._now is not None and self._looking.stamp() == news.stamp == self._stamp:
                    # Whoever asks next reads once more what is not sealed: it may have grown meanwhile.
                    self._now, self._version, self._is_exact, self._full_s = found, None, False, began_s
                    self._marks = found, news.marks
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
                self._marks = None, ""

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
        indexes = self._indexes(self._looking.news(VERSION))
        rows = self._looking.generations()
        return Snapshot([_candidate(row) for row in rows], dict(places), indexes)

    def _indexes(self, news: News) -> dict[int, str]:
        """The same dict as before where they are the same."""
        told, known = news.indexes if self._indexed else "", self._told_indexes
        if told != known[0]:
            rows = (line.partition(" ") for line in told.split("\n") if line)
            known = self._told_indexes = told, {int(segment): name for segment, _, name in rows}
        return known[1]

    def _refreshed(self, before: Snapshot, news: News) -> Snapshot:
        """The same generations, some of them longer, and new ones."""
        indexes, marks = self._indexes(news), news.marks
        known = self._marks[1] if self._marks[0] is before else ""
        if marks == known and indexes == before.indexes:
            return before
        told = [Mark.of(line) for line in set(marks.split("\n")) - set(known.split("\n")) if line]
        ranks = before.ranks(np.array([mark.id for mark in told], np.int64)).tolist()
        files = before.files
        changed = {
            rank: _changed(files[rank], mark)
            for rank, mark in zip(ranks, told, strict=True)
            if rank >= 0 and _differs(files[rank], mark)
        }
        missing = sorted(mark.id for rank, mark in zip(ranks, told, strict=True) if rank < 0)  # it came, or was empty
        made = before
        if changed or missing or indexes != before.indexes:
            made = before.changed(changed, [_candidate(row) for row in self._looking.these(missing)], indexes)
        self._marks = made, marks  # behind all that may fail
        return made


def _candidate(row: LookedAt) -> Candidate:
    return Candidate(
        row.agent, row.path, row.file_id, row.number, row.id, row.size, row.modified_ns, row.received_ns,
        row.changed_ns, row.sha256,
    )  # fmt: skip


def _changed(file: Candidate, mark: Mark) -> Candidate:
    return replace(file, size=mark.size, modified_ns=mark.modified_ns, changed_ns=mark.changed_ns, sha256=mark.sha256)


def _differs(file: Candidate, mark: Mark) -> bool:
    return (file.size, file.changed_ns, file.modified_ns, file.sha256) != (
        mark.size,
        mark.changed_ns,
        mark.modified_ns,
        mark.sha256,
    )
