"""Renames on the server: archived bytes follow a rename on the node, old generations move aside.

Each rename is recorded before it is asked for and after it was answered, so that after a crash at most one is in doubt,
and looking at the two names tells whether it was done.
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
from logferry.agent.remote import ensure_parent, move_aside, whole_size, wire
from logferry.agent.rows import Row, State
from logferry.clock import Clock
from logferry.errors import BadName, Conflict, Later, LogferryError
from logferry.ftp.client import FtpClient
from logferry.names import plain_path, split


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of a row's rename: ``row`` is what is true now (None: forgotten), ``error`` why it is not done."""

    before: Row
    row: Row | None
    error: LogferryError | None = None


class Mover:
    """Brings misplaced rows to where they belong, on one connection."""

    def __init__(
        self,
        client: FtpClient,
        registry: Registry,
        journal: Journal,
        clock: Clock,
        stamp: Callable[[], str],
        unproved: Callable[[int], bool] = lambda _: False,
        *,
        leaving: Callable[[Row], None] | None = None,
    ) -> None:
        """``unproved``: whether a row speaks of another server than this one.

        ``leaving`` hears of each generation that is about to be filed under an aside name.
        """
        self._unproved = unproved
        self._leaving = leaving
        self._client = client
        self._registry = registry
        self._journal = journal
        self._clock = clock
        self._stamp = stamp
        self._unrecorded: list[Row] = []
        self._recorded: dict[int, Row] = {}
        """What the registry has on disk of rows that are further by now."""

    def move(self, rows: Sequence[Row]) -> list[Moved]:
        """Rename all ``rows``, in an order in which none lands on another. Stops at the first failure.

        A rename that was made but could not be recorded counts as not known: as long as the registry calls it begun,
        the names stay taken. With other content under the old name, the next agent would take that for the bytes.

        None is done when another server was met on the way here: files that can be compared with it are, before that.
        """
        if any(row.comparable and self._unproved(row.id) for row in rows):
            return [Moved(row, row) for row in rows]
        now: dict[int, Row | None] = {row.id: row for row in rows}
        error: LogferryError | None = None
        try:
            for row in rows:
                now[row.id] = self._resolved(row) if row.going else row
            for step in sequence(
                [row for row in now.values() if row is not None and row.misplaced], self._waiting_place
            ):
                self._step(now, step)
        except LogferryError as failure:
            error = failure
        if not self._record([]) and error is None:
            error = self._unrecordable()
        now.update(self._recorded)
        return [
            Moved(row, after, error if after is not None and after.misplaced else None)
            for row in rows
            for after in [now[row.id]]
        ]

    def _step(self, now: dict[int, Row | None], step: Rename) -> None:
        """One row to one place: recorded before it, as ``going``, and after it, together with the next one's before."""
        row = now[step.row.id]
        if row is None:
            return
        for target in [row.stop_over, step.target]:
            if target and row.remote != target:
                after = now[row.id] = self._one(row, target, now)
                if after is None:
                    return
                row = after

    def _one(self, row: Row, target: str, now: dict[int, Row | None]) -> Row | None:
        have = self._client.size(wire(row.remote))
        # Of a file that is gone from the node its size is all there is to compare.
        if have is None or (have != row.remote_size and self._unproved(row.id)):
            return self._lost(row)
        if self._leaving is not None and target == row.want and row.state is State.ENDED:
            self._leaving(row)
        if whole_size(self._client, target) is not None:
            self._clear(row, target)
        ensure_parent(self._client, target)
        now[row.id] = begun = dataclasses.replace(row, going=target)
        if not self._record([begun]):
            raise self._unrecordable()  # what may be in doubt afterwards must be known first
        try:
            self._client.rename(wire(row.remote), wire(target))
        except BadName:
            plain = plain_path(row.want)
            if target != row.want or plain == row.want or row.state is State.ENDED:
                raise
            self._journal.event("name refused", level=WARNING, path=row.want, instead=plain)
            return self._noted(begun, dataclasses.replace(row, want=plain, going=""))
        return self._noted(begun, dataclasses.replace(row, remote=target, going=""))

    def _resolved(self, row: Row) -> Row | None:
        """A rename whose end nobody recorded: was it carried out?"""
        if self._client.size(wire(row.remote)) is not None:
            return self._noted(row, dataclasses.replace(row, going=""))
        # An archive files a generation under an aside name and does not show it again; that it left is all one can see.
        filed = row.state is State.ENDED and row.going == row.want
        if filed or whole_size(self._client, row.going) is not None:
            return self._noted(row, dataclasses.replace(row, remote=row.going, going=""))
        return self._lost(row)

    def _clear(self, row: Row, target: str) -> None:
        """Something that no row leaves is at ``target``: it is kept under another name."""
        if any(other.id != row.id for other in self._registry.by_place(target)):
            raise Conflict(f"{target} is still in use", hint="it is tried again after the next look")
        aside = move_aside(self._client, target, self._stamp())
        self._journal.event("unknown content moved aside", level=WARNING, path=target, aside=aside)

    def _lost(self, row: Row) -> Row | None:
        """The server has the bytes no more."""
        self._journal.event("missing on the server", level=WARNING, path=row.remote, bytes=row.offset)
        if not row.path or row.state is State.GONE:
            self._registry.apply(remove=[row.id], now_ns=self._clock.now_ns())
            return None
        return self._noted(
            row,
            dataclasses.replace(
                row,
                remote="",
                going="",
                state=State.NEW,
                print=identity.EMPTY,
                seen=identity.UNSEEN,
                target=0,
            ),
        )

    def _noted(self, recorded: Row, row: Row) -> Row:
        self._recorded.setdefault(row.id, recorded)
        self._unrecorded.append(row)
        return row

    def _record(self, rows: list[Row]) -> bool:
        rows = [*self._unrecorded, *rows]
        self._unrecorded.clear()
        if not self._registry.apply(rows, now_ns=self._clock.now_ns()):
            return False
        self._recorded.clear()
        return True

    def _unrecordable(self) -> Later:
        """The registry is behind. That says nothing about the server, however full the disk here is."""
        why = self._registry.behind
        assert why is not None
        return Later(why.message, hint=why.hint)

    def _waiting_place(self, row: Row) -> str:
        folder, _ = split(row.want)
        name = f".~lf-swap-{row.id}"
        return f"{folder}/{name}" if folder else name
