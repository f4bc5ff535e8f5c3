"""Taking back what workers did: rows, queue, open files and journal are brought up to date."""

from __future__ import annotations

import os
from logging import WARNING

from logferry.agent.copies import Skipped, Undecided
from logferry.agent.files import Handles
from logferry.agent.holding import Held, HeldLimits, excess
from logferry.agent.journal import Journal, text
from logferry.agent.link import concerns_link
from logferry.agent.lookout import Lookout
from logferry.agent.mover import Moved
from logferry.agent.registry import Registry
from logferry.agent.roster import Roster, Work
from logferry.agent.rows import State
from logferry.agent.shipper import Failed, Outcome, Sent, Waits
from logferry.agent.slices import Disagrees, LookAgain
from logferry.agent.tally import Tally
from logferry.clock import Clock
from logferry.errors import Damaged
from logferry.limits import HANDLE_IDLE_S


class Settler:
    """Used by the runner's thread only."""

    def __init__(
        self,
        registry: Registry,
        roster: Roster,
        lookout: Lookout,
        handles: Handles,
        journal: Journal,
        clock: Clock,
        limits: HeldLimits,
        tally: Tally,
    ) -> None:
        self._registry = registry
        self._roster = roster
        self._lookout = lookout
        self._handles = handles
        self._journal = journal
        self._clock = clock
        self.limits = limits
        self.held_files = 0
        """Files without a name that are kept open, and the room on the disk that they take (bytes)."""
        self.held_bytes = 0
        self._tally = tally
        self._ended: dict[int, float] = {}
        """ENDED rows that are in their place, with the time until which they are remembered."""
        self.sent_slices = 0
        self.sent_bytes = 0
        self.copies = 0
        """Compressed copies that were not sent."""
        self.last_path = ""
        self.mismatches = 0
        """Uploads whose digest on the server was another one than here."""

    def load_unsettled(self) -> None:
        """At the start: what the last run left to do on the server."""
        for row in self._registry.unsettled():
            # Nothing can be done for one without a name here and there, either: its open handle is gone.
            if row.state is State.ENDED and (not row.remote or (row.remote == row.want and not row.going)):
                self._registry.apply(remove=[row.id], now_ns=self._clock.now_ns())
            else:
                self._roster.update(row)

    def settle(self, outcome: Outcome | Skipped | Undecided) -> None:
        """One task came back."""
        task = outcome.task
        row_id = task.row.id
        work = self._roster.works.get(row_id)
        held_for = row_id
        self._roster.busy.discard(row_id)
        match outcome:
            case Sent():
                self._settle_sent(outcome, work)
            case Failed():
                self._settle_failed(outcome, work)
            case Disagrees():
                made = self._lookout.disagreed(task, outcome.file, outcome.why)
                self._roster.drop(row_id) if made is None else None
                held_for = row_id if made is None else made
                if made is None and task.file is not None:
                    self._lookout.save_or_close(task.row, task.file)
                    task.file = None
            case Skipped():
                self._roster.update(outcome.row)
                self._roster.drop(row_id)
                self._lookout.scanner.note(outcome.row.path, outcome.row.seen.mark)
                self.copies += 1
            case Undecided():
                if work is not None:
                    self._roster.undecided(work, outcome.seen)
            case Waits():
                self._roster.update(outcome.row)
            case LookAgain():
                self._roster.drop(row_id)
                if task.row.path:
                    self._lookout.deferred.add(task.row.path)
        if task.file is not None:
            for closed in self._handles.keep(held_for, task.file, self._clock.monotonic_s()):
                self._closed(closed, "too many files are open")
        self._roster.release(row_id)

    def _settle_sent(self, outcome: Sent, work: Work | None) -> None:
        row = outcome.row
        self.sent_slices += bool(outcome.sent) or not outcome.task.compare
        self.sent_bytes += outcome.sent
        self.last_path = row.want
        self._roster.update(row)
        if row.path and row.seen.size == row.offset and row.state is State.LIVE:
            self._lookout.scanner.note(row.path, row.seen.mark)
        if outcome.sent and row.id in self._handles.nameless:
            self._handles.nameless[row.id] = self._clock.monotonic_s()
        if work is None:
            return
        if work.failures:
            self._journal.state(text(row.path), "")
        work.failures, work.error, work.due_s, work.compare = 0, "", 0.0, False
        work.size = max(row.offset + outcome.left, work.grown)
        work.confirmed()
        if work.lag == 0 and row.state is not State.NEW:
            self._roster.drop(row.id)

    def _settle_failed(self, outcome: Failed, work: Work | None) -> None:
        row = outcome.row
        if work is None:
            return
        self._roster.update(row)
        self._roster.unchecked(row.id)
        self.mismatches += isinstance(outcome.error, Damaged)
        if concerns_link(outcome.error):
            return
        self._tally.failed(outcome.error)
        wait_s = self._roster.failed(work, str(outcome.error))
        thing = text(row.path or os.fsencode(row.want))
        self._journal.state(thing, "failing", level=WARNING, why=str(outcome.error), retry_s=round(wait_s, 1))

    def settle_moves(self, moves: list[Moved]) -> None:
        """A job of renames came back."""
        self._roster.moving = False
        failed = [move for move in moves if move.error is not None]
        for move in moves:
            self._roster.busy.discard(move.before.id)
            if move.row is None:
                self._roster.forget(move.before.id)
                continue
            self._roster.update(move.row)
            if move.row.state is State.NEW and move.row.path:  # the server lost it: send it anew
                self._lookout.deferred.add(move.row.path)
            if move.row.state is State.ENDED and not move.row.misplaced:
                # Remembered for a moment: its file may yet turn up under another name.
                self._ended[move.row.id] = self._clock.monotonic_s() + HANDLE_IDLE_S
            self._roster.release(move.before.id)
        if not failed:
            self._roster.moves_worked()
            self._journal.state("renames", "")
        elif not any(concerns_link(move.error) for move in failed if move.error is not None):
            self._roster.moves_failed()
            self._journal.state("renames", "failing", level=WARNING, why=str(failed[0].error))

    # Open files ------------------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """What is not recorded yet, files without a name that are still written to, idle handles. Now and then."""
        self._record_the_rest()
        now = self._clock.monotonic_s()
        held = [one for row_id in list(self._handles.nameless) if (one := self._nameless(row_id)) is not None]
        self.held_files, self.held_bytes = len(held), sum(one.space for one in held)
        for one, why in excess(held, self.limits, now):
            self._handles.close(one.row_id)
            self._closed(one.row_id, why)
        for row_id in [r for r, until in self._ended.items() if until < now and self._handles.get(r) is None]:
            del self._ended[row_id]
            self._closed(row_id, "")
        for row_id in self._handles.idle(now):
            if row_id not in self._roster.works:
                self._handles.close(row_id)
                self._closed(row_id, "")

    def _record_the_rest(self) -> None:
        """What the registry could not write, at a full disk for example, is written as soon as it can be."""
        if self._registry.behind is not None:
            self._registry.apply(now_ns=self._clock.now_ns())
        if (why := self._registry.behind) is None:
            self._journal.state("registry", "")
        else:
            self._journal.state("registry", "behind", level=WARNING, why=str(why))

    def _nameless(self, row_id: int) -> Held | None:
        """A file that only an open handle still has, as it is now; None while a worker is busy with it, or for ever."""
        if row_id in self._roster.busy:
            return None
        row, file = self._registry.by_id(row_id), self._handles.get(row_id)
        if row is None or file is None or not (row.untouched or row.state in (State.GONE, State.ENDED)):
            self._handles.nameless.pop(row_id, None)
            return None
        if not row.untouched:
            self._lookout.watch_held(row)
        space = file.space if file.deleted else 0
        return Held(row_id, self._handles.nameless[row_id], space, max(0, file.stat.size - row.offset))

    def _closed(self, row_id: int, why: str) -> None:
        """The open file of a row was closed; one that cannot be opened again ends here, whatever was unsent of it."""
        nameless = self._handles.nameless.pop(row_id, None) is not None
        if not nameless and row_id not in self._roster.ended:  # nearly all; the registry need not be asked
            return
        row = self._registry.by_id(row_id)
        if row is not None:
            self._journal.state(f"open file {text(row.want)}", "")
        if row is None or not (nameless or row.state is State.ENDED):
            return
        work = self._roster.works.get(row_id)
        if work is not None:
            self._roster.drop(row_id)
            if work.lag:
                self._handles.dropped(work.lag)
                hint = "see [limits] held_bytes and held_time"
                path = row.path or row.want
                self._journal.event(
                    "unsent bytes were dropped", level=WARNING, path=path, bytes=work.lag, why=why, hint=hint
                )
        if row.untouched or (row.state is State.ENDED and not row.misplaced and row_id not in self._ended):
            self._registry.apply(remove=[row_id], now_ns=self._clock.now_ns())
            self._roster.forget(row_id)
