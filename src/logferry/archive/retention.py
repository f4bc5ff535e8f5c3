"""Retention: what no rule keeps any longer goes, in an order that survives being cut off anywhere.

============================== ============================================ ====================================
step                            cut off after it                             what happens then
============================== ============================================ ====================================
commit: rows go, it is noted    bytes that nothing refers to; rows say so    nobody sees them any more
grace time                      the same                                     the same
remove the file                 a row about a file that is gone              removed by the next run
remove a segment left empty     a row about an object that is gone           removed by the next run
============================== ============================================ ====================================

Age counts from the arrival of the last byte, by this server's clock: no time that a node tells can bring a deletion
forward. What shares its segments with others leaves them when those are compacted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from logferry.archive.catalog.filing import SEALED, PathState
from logferry.archive.catalog.retaining import HoldRecord, OldGeneration, Retaining
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.changes import Sync
from logferry.archive.locks import locked, removing
from logferry.archive.reader import held
from logferry.archive.rooms import Rooms, place_of
from logferry.archive.tails import Tail, release
from logferry.clock import rfc3339
from logferry.errors import Busy, Conflict, Damaged, NotFound, Refused
from logferry.globs import matches
from logferry.limits import EXPIRED_KEPT_S, RETENTION_BATCH, RETENTION_GRACE_S


@dataclass(frozen=True, slots=True)
class Rule:
    """Files that ``match`` (a glob over ``agent/path``) takes in go ``keep_s`` seconds after their last byte came."""

    match: str
    keep_s: float

    def __str__(self) -> str:
        for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60)):
            if self.keep_s >= seconds:
                return f"{self.match} keep {self.keep_s / seconds:g}{unit}"
        return f"{self.match} keep {self.keep_s:g}s"


class Due(NamedTuple):
    """A generation that goes with the next run, by which rule and why."""

    generation: OldGeneration
    rule: str
    reason: str


class Retention:
    """The rules over one archive; the first that matches a file counts, and without one it stays for ever."""

    def __init__(self, rooms: Rooms, rules: Sequence[Rule], *, grace_s: float = RETENTION_GRACE_S) -> None:
        self._rooms = rooms
        self._rules = tuple(rules)
        self._grace_s = grace_s

    def due(self, at_ns: int | None = None) -> Iterator[Due]:
        """Exactly what ``run`` would delete now, by id. Held files are left out.

        Args:
            at_ns: what would be due at that moment instead, if nothing changed until then.
        """
        if not self._rules:
            return
        now_ns = self._rooms.clock.now_ns() if at_ns is None else at_ns
        retaining = self._rooms.catalog.retaining
        holds = retaining.holds()
        for old in retaining.old(now_ns - int(min(rule.keep_s for rule in self._rules) * 1e9)):
            rule = next((rule for rule in self._rules if matches(rule.match, old.agent, old.path)), None)
            if rule is None or old.changed_ns >= now_ns - int(rule.keep_s * 1e9):
                continue
            if holds and is_held(holds, old.agent, [old.path, *retaining.former_paths(old.id)]):
                continue
            yield Due(old, str(rule), f"its last byte came at {rfc3339(old.changed_ns)}")

    def run(self, at_ns: int | None = None) -> Iterator[list[Due]]:
        """Delete what is due; yields what each commit deleted.

        What is being written to waits for the next run.

        Args:
            at_ns: delete what was due at that moment, which is not to come: what a preview showed then.

        Raises:
            Busy: a backup is being taken; so everything waits.
            Refused: ``at_ns`` is in the future.
        """
        if at_ns is not None and at_ns > self._rooms.clock.now_ns():
            raise Refused("that moment has not come yet", hint="leave it out to delete what is due now")
        batch: list[Due] = []
        for due in self.due(at_ns):
            batch.append(due)
            if len(batch) >= RETENTION_BATCH:
                yield self._expire(batch)
                batch = []
        if batch:
            yield self._expire(batch)
        forget_ns = self._rooms.clock.now_ns() - int(EXPIRED_KEPT_S * 1e9)
        self._rooms.catalog.retaining.forget_expired(forget_ns)

    def _expire(self, batch: Sequence[Due]) -> list[Due]:
        with removing(self._rooms.data_dir) as may_remove:
            if not may_remove:
                raise Busy("a backup is being taken, which retention waits for", hint="try again when it is over")
            return self._rooms.catalog.writer.run(Expire(self._rooms, batch, self._grace_s))


def is_held(holds: Sequence[HoldRecord], agent: str, paths: Sequence[str]) -> bool:
    """Whether one of the holds takes in one of the paths."""
    return any(matches(hold.glob, agent, path) for hold in holds for path in paths)


class Expire(Change[list[Due]]):
    """Generations are held no more; their bytes go after the grace time. The result: those that it was done with.

    One that has changed since it was found due, that somebody is writing to, or that is held by now, stays.
    """

    def __init__(self, rooms: Rooms, batch: Sequence[Due], grace_s: float) -> None:
        self._rooms = rooms
        self._batch = batch
        self._grace_s = grace_s
        self._ready: list[Due] = []
        self._release: list[int | Tail] = []

    def stage(self, sync: Sync) -> None:  # noqa: ARG002 - no name changes yet
        for due in self._batch:
            with contextlib.suppress(Busy, Conflict, NotFound, Damaged):
                self._lock(held(self._rooms, due.generation.id))
                self._ready.append(due)

    def _lock(self, state: PathState) -> None:
        """Keep writers and the sealer away from it until the commit."""
        if state.state == SEALED:
            self._release.append(Tail.open(self._rooms, state))
            return
        fd = self._rooms.open_bytes(state)
        assert fd is not None
        self._release.append(fd)
        locked(fd, state.path)

    def apply(self, transaction: Transaction) -> list[Due]:
        holds = Retaining.holds_now(transaction.connection)
        return [due for due in self._ready if self._expire(transaction, due, holds)]

    def _expire(self, transaction: Transaction, due: Due, holds: Sequence[HoldRecord]) -> bool:
        catalog, connection = self._rooms.catalog, transaction.connection
        state = catalog.filing.held(transaction.cursor, due.generation.id)
        if state is None or not _is_same(state, due.generation):
            return False
        former = Retaining.former_paths_now(connection, due.generation.id) if holds else []
        if is_held(holds, state.agent, [state.path, *former]):
            return False
        now_ns = self._rooms.clock.now_ns()
        segments = Retaining.let_go(connection, state, due.rule, due.reason, now_ns)
        catalog.filing.drop(transaction, state, now_ns)
        for segment_id in segments:
            catalog.sealing.let_go(transaction, segment_id, now_ns)
        place = place_of(state)
        if place != "store":
            catalog.sealing.to_go(transaction, place, now_ns + int(self._grace_s * 1e9))
        return True

    def release(self) -> None:
        release(self._release)


def _is_same(state: PathState, old: OldGeneration) -> bool:
    return (state.agent, state.path, state.own_number, state.size, state.changed_ns) == (
        old.agent,
        old.path,
        old.number,
        old.size,
        old.changed_ns,
    )
