"""Renames on the server: archived bytes follow a rename on the node, old generations move aside.

Each step is recorded before the next one begins, so that after a crash at most one step is in doubt, and looking at the
two names tells whether it was done.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from logging import WARNING

from logferry.agent import identity
from logferry.agent.journal import Journal
from logferry.agent.plan import Rename, sequence
from logferry.agent.registry import Registry
from logferry.agent.rows import Row, State
from logferry.agent.shipper import ensure_parent, move_aside, whole_size, wire
from logferry.clock import Clock
from logferry.errors import Conflict, LogferryError
from logferry.ftp.client import FtpClient
from logferry.names import split


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a row's rename: ``row`` is what is true now (None: forgotten), ``error`` why it is not done."""

    before: Row
    row: Row | None
    error: LogferryError | None = None


class Mover:
    """Brings misplaced rows to where they belong, on one connection."""

    def __init__(
        self, client: FtpClient, registry: Registry, journal: Journal, clock: Clock, stamp: Callable[[], str]
    ) -> None:
        self._client = client
        self._registry = registry
        self._journal = journal
        self._clock = clock
        self._stamp = stamp

    def move(self, rows: Sequence[Row]) -> list[Moved]:
        """Rename all ``rows``, in an order in which none lands on another. Stops at the first failure."""
        now: dict[int, Row | None] = {row.id: row for row in rows}
        error: LogferryError | None = None
        for step in sequence(rows, self._waiting_place):
            row = now[step.row.id]
            if row is None:
                continue
            try:
                if row.stop_over:
                    row = self._step(Rename(row, row.stop_over)) or row
                now[row.id] = self._step(Rename(row, step.target))
            except LogferryError as failure:
                error = failure
                break
        return [
            Moved(row, after, error if after is not None and after.misplaced else None)
            for row in rows
            for after in [now[row.id]]
        ]

    def _step(self, step: Rename) -> Row | None:
        row, target = step.row, step.target
        if self._client.size(wire(row.remote)) is None:
            return self._missing(row, target)
        if whole_size(self._client, target) is not None:
            self._clear(row, target)
        ensure_parent(self._client, target)
        self._client.rename(wire(row.remote), wire(target))
        return self._record(dataclasses.replace(row, remote=target))

    def _clear(self, row: Row, target: str) -> None:
        """Something that no row leaves is at ``target``: it is kept under another name."""
        if any(other.id != row.id for other in self._registry.by_remote(target)):
            raise Conflict(f"{target} is still in use", hint="it is tried again after the next look")
        aside = move_aside(self._client, target, self._stamp())
        self._journal.event("unknown content moved aside", level=WARNING, path=target, aside=aside)

    def _missing(self, row: Row, target: str) -> Row | None:
        """The source name is gone: either the step was done just before a crash, or the server lost the file."""
        if row.state is State.ENDED or whole_size(self._client, target) is not None:
            return self._record(dataclasses.replace(row, remote=target))
        self._journal.event("missing on the server", level=WARNING, path=row.remote, bytes=row.offset)
        if row.state is State.GONE:
            self._registry.apply(remove=[row.id], now_ns=self._clock.now_ns())
            return None
        return self._record(
            dataclasses.replace(row, remote="", state=State.NEW, print=identity.EMPTY, seen=identity.UNSEEN, target=0)
        )

    def _record(self, row: Row) -> Row:
        if not self._registry.apply([row], now_ns=self._clock.now_ns()):
            assert self._registry.behind is not None
            raise self._registry.behind  # the next rename may only start when this one is recorded
        return row

    def _waiting_place(self, row: Row) -> str:
        folder, _ = split(row.want)
        name = f".~lf-swap-{row.id}"
        return f"{folder}/{name}" if folder else name
