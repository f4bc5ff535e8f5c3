"""Who sends what: work from the roster goes to the crew, what became of it to the settler; a crew may be replaced."""

from __future__ import annotations

import math
from collections.abc import Callable
from logging import INFO

from logferry.agent.config import AgentConfig
from logferry.agent.configfile import connection_key
from logferry.agent.crew import Crew, end_all
from logferry.agent.link import Link
from logferry.agent.parts import Parts
from logferry.agent.roster import Work
from logferry.agent.rows import Row, State
from logferry.agent.slices import Task
from logferry.agent.worker import MoveJob, ShipJob
from logferry.limits import BATCH_NEW_FILES

_ONCE_LINK_FAILURES_MAX = 3
_COMPARE_S = 1.0
"""Pause after a look for files to compare that found none."""


class Dispatch:
    """Used by the runner's thread only."""

    def __init__(self, parts: Parts, make_crew: Callable[[AgentConfig, int], Crew], config: AgentConfig) -> None:
        """``make_crew`` starts a crew for settings, with the epoch from which its link counts."""
        self._parts = parts
        self._make_crew = make_crew
        self._key = connection_key(config)
        self._leaving: list[Crew] = []
        self._compare_s = -math.inf
        self._compared = 0
        """The last row that was lined up to be compared with another server, 0 at the end of a round."""
        self.crew = make_crew(config, 0)

    @property
    def link(self) -> Link:
        """That of the crew that gets new work."""
        return self.crew.link

    def renew(self, config: AgentConfig) -> bool:
        """Another crew, if the connections are to be others under ``config``; returns whether.

        Whoever is at work finishes its job under the old settings; its files are nobody else's until then.
        """
        key = connection_key(config)
        if key == self._key:
            return False
        old, self._key = self.crew, key
        old.retire()
        self._leaving.append(old)
        self.crew = self._make_crew(config, old.link.epoch + 1)
        return True

    def end(self) -> None:
        """Stop all workers."""
        end_all([self.crew, *self._leaving])

    # Handing out ------------------------------------------------------------------------------------------------------

    def hand_out(self) -> None:
        """Give what waits to whoever is free."""
        roster, crew = self._parts.roster, self.crew
        if crew.link.wait_s() > 0:
            return
        if self._parts.registry.behind is None and crew.may_take() and (rows := roster.next_moves()):
            crew.submit(MoveJob(rows))
        while roster.waiting and crew.may_take() and not self._quiet():
            batch = roster.next_batch(crew.free)
            if not batch:
                break
            crew.submit(ShipJob([self._task(work) for work in batch]))

    def _quiet(self) -> bool:
        """Whether it is an hour in which nothing new is sent; renames and signs of life go on."""
        quiet = self.crew.pace.quiet
        self._parts.journal.state("sending", "quiet hours" if quiet else "", level=INFO)
        return quiet

    def compare_some(self, pause_s: float) -> None:
        """After another server was met, files with nothing to send are compared too, a few hundred at a time."""
        parts, now = self._parts, self._parts.clock.monotonic_s()
        if (
            not (parts.elsewhere.any and self.link.up)
            or parts.roster.waiting >= BATCH_NEW_FILES
            or now < self._compare_s
        ):
            return
        found = 0
        ids = parts.elsewhere.some(2 * BATCH_NEW_FILES, after=self._compared)
        self._compared = ids[-1] if ids else 0  # those that cannot be compared now keep no others from it
        for row_id in ids:
            row = parts.registry.by_id(row_id)
            if row is not None and row_id not in parts.roster.works:
                parts.roster.add(row, row.offset, linked=parts.lookout.scanner.is_link(row.path))
                found += 1
        if not found and not self._compared:
            self._compare_s = now + min(_COMPARE_S, pause_s)

    def _task(self, work: Work) -> Task:
        row = work.row
        return Task(
            row,
            self._parts.handles.take(row.id),
            linked=work.linked,
            checked=self._parts.roster.check(row.id, self.crew.link.epoch),
            compare=work.compare,
            if_unknown_same=work.if_unknown_same,
            may_publish=work.may_publish,
            failures=work.failures,
            maybe_copy=self.crew.skips_copies and self._may_be_copy(row),
            copy_tries=work.copy_tries,
            copy_seen=work.copy_seen,
            prove=self._parts.elsewhere.any and self._parts.elsewhere.holds(row.id),
        )

    def _may_be_copy(self, row: Row) -> bool:
        """Whether nothing of the file was sent yet and nothing is to be, if it is a compressed copy."""
        if row.state is not State.NEW or row.offset or row.remote or row.going or not row.path:
            return False
        source = self._parts.lookout.scanner.source_at(row.path)
        return source is not None and source.may_skip(row.path)

    def nothing_more(self, now_s: float) -> bool:
        """For ``once``: everything is sent, or what is left cannot be sent now."""
        roster, link = self._parts.roster, self.crew.link.status
        if roster.busy or self.crew.busy or self._parts.lookout.deferred:
            return False
        if self._parts.lookout.put_off and roster.has_room:
            return False
        if link.failures and (link.failures >= _ONCE_LINK_FAILURES_MAX or link.word == "refused"):
            return True
        if roster.any_undecided:
            return False
        if roster.misplaced and self._parts.registry.behind is not None:
            return self.link.wait_s() <= 0  # renames wait for the registry, and files for renames
        if roster.misplaced and roster.move_due_s <= now_s and roster.any_movable:
            return False
        return not roster.any_sendable or self.crew.pace.quiet

    # Taking back ------------------------------------------------------------------------------------------------------

    def receive(self) -> None:
        """Settle what came back. Raises Later, Full when the registry fails."""
        settler = self._parts.settler
        for crew in (self.crew, *self._leaving):
            for done in crew.received():
                for outcome in done.outcomes:
                    settler.settle(outcome)
                if isinstance(done.job, MoveJob):
                    settler.settle_moves(done.moves)
        if self._leaving:
            self._leaving = [crew for crew in self._leaving if not crew.is_gone()]
