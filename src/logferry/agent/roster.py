"""What is still to be done: files with unsent bytes, rows misplaced on the server, and which of them are busy."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass

from logferry.agent.identity import Stat
from logferry.agent.queue import Rounds
from logferry.agent.rows import Row, State
from logferry.agent.sources import Priorities
from logferry.clock import Clock
from logferry.ftp.reconnect import Dice
from logferry.limits import (
    BACKOFF_S_MIN,
    BATCH_BYTES,
    BATCH_FILES,
    BATCH_NEW_FILES,
    CHECKED_MAX,
    COPY_WAIT_S_MAX,
    COPY_WAIT_S_MIN,
    FILE_BACKOFF_S_MAX,
    WORKS_MAX,
    WORKS_NEW_MAX,
)

_BATCH_FILES_MIN = 8


@dataclass(slots=True)
class Work:
    """A file with something to send. ``size`` is the newest known; ``due_s`` (monotonic) is when it may go."""

    row: Row
    size: int
    grown: int = 0
    """A size that was seen while a worker was busy with the file; 0 = none."""
    linked: bool = False
    due_s: float = 0.0
    compare: bool = False
    if_unknown_same: bool = False
    may_publish: bool = True
    copy_tries: int = 0
    copy_seen: Stat | None = None
    """How often it could not be told yet whether it is a compressed copy, and what the file was the last time."""
    failures: int = 0
    error: str = ""
    priority: int = 0
    since_s: float = 0.0
    """Monotonic time at which the oldest byte that is not confirmed was seen first."""
    younger: tuple[int, float] | None = None
    """From this size on the bytes were seen at this time or later."""

    @property
    def lag(self) -> int:
        """Bytes not confirmed yet."""
        return max(0, self.size - self.row.offset)

    def seen(self, size: int, now_s: float) -> None:
        """The file was seen with ``size`` bytes."""
        known = max(self.size, self.grown)
        if not self.since_s or known <= self.row.offset:
            self.since_s, self.younger = now_s, None
        elif size > known and self.younger is None:
            self.younger = (known, now_s)

    def confirmed(self) -> None:
        """``row`` has another offset now."""
        if self.younger is not None and self.row.offset >= self.younger[0]:
            self.since_s, self.younger = self.younger[1], None


class Roster:
    """Used by the runner's thread only."""

    def __init__(
        self,
        clock: Clock,
        dice: Dice,
        priorities: Priorities | None = None,
        unproved: Callable[[int], bool] = lambda _: False,
    ) -> None:
        """``unproved``: whether a row has still to be compared with the server in use, before it is renamed there."""
        self._unproved = unproved
        self._priorities = priorities or Priorities()
        self._clock = clock
        self._dice = dice
        self.works: dict[int, Work] = {}
        self.misplaced: dict[int, Row] = {}
        self.busy: set[int] = set()
        self.held: set[int] = set()
        """Rows that get no new work until the next look has decided about them."""
        self.ended: set[int] = set()
        """Rows of generations that are over, as far as this run has come to know them: the few that need care."""
        self.moving = False
        """Whether a job of renames is under way; there is one at a time."""
        self.move_due_s = 0.0
        self._move_failures = 0
        self._checked: dict[int, int] = {}
        self._claims: dict[int, set[str]] = {}
        self._line = Rounds()
        self._later: list[tuple[float, int]] = []
        self._due: dict[int, float] = {}
        """The entry of each row in ``_later`` that counts."""

    def prefer(self, priorities: Priorities) -> None:
        """From now on other sources go first."""
        self._priorities = priorities

    # Adding ---------------------------------------------------------------------------------------------------------

    def add(self, row: Row, size: int, *, linked: bool = False, wait_s: float = 0.0) -> Work:
        """There is something to send for ``row``; its file has ``size`` bytes. ``wait_s``: leave it alone that long."""
        work = self.works.get(row.id)
        if work is None:
            work = self.works[row.id] = Work(row, size, priority=self._priorities.of(row.path))
        work.row, work.linked = row, linked
        work.seen(size, self._clock.monotonic_s())
        if row.id in self.busy:
            work.grown = size
        else:
            work.size = size
        if wait_s:
            work.due_s = self._clock.monotonic_s() + wait_s
        self._line_up(work)
        return work

    def compare(self, row: Row, size: int, *, linked: bool, if_unknown_same: bool) -> None:
        """The file of ``row`` is to be compared with the server's."""
        work = self.add(row, size, linked=linked)
        work.compare, work.if_unknown_same = True, if_unknown_same

    def update(self, row: Row) -> None:
        """``row`` is what is true now."""
        if row.misplaced:
            self.misplaced[row.id] = row
        else:
            self.misplaced.pop(row.id, None)
        if row.state is State.ENDED:
            self.ended.add(row.id)
        else:
            self.ended.discard(row.id)
        if claims := row.claims:
            self._claims[row.id] = claims
        else:
            self._claims.pop(row.id, None)
        if (work := self.works.get(row.id)) is not None:
            work.row = row

    def drop(self, row_id: int) -> None:
        """Nothing is to be sent for this row any more."""
        self.works.pop(row_id, None)
        self._line.discard(row_id)

    def forget(self, row_id: int) -> None:
        """The row does not exist any more."""
        self.drop(row_id)
        self.misplaced.pop(row_id, None)
        self.ended.discard(row_id)
        self._claims.pop(row_id, None)

    def check(self, row_id: int, epoch: int) -> bool:
        """Whether the size of this row's file on the server was asked for since connection number ``epoch`` began.

        It counts as asked from now on.
        """
        if len(self._checked) >= CHECKED_MAX:
            self._checked.clear()
        checked = self._checked.get(row_id) == epoch
        self._checked[row_id] = epoch
        return checked

    def unchecked(self, row_id: int) -> None:
        """The size on the server is in doubt again."""
        self._checked.pop(row_id, None)

    def release(self, row_id: int) -> None:
        """No worker is busy with this row any more; what is left to send for it gets in line for the next round."""
        self.busy.discard(row_id)
        if (work := self.works.get(row_id)) is not None:
            self._line_up(work, again=True)

    def failed(self, work: Work, why: str) -> float:
        """It did not work: wait after ``release``, longer each time, with jitter. Returns the seconds."""
        work.failures += 1
        work.error = why
        ceiling_s = min(FILE_BACKOFF_S_MAX, BACKOFF_S_MIN * 2 ** min(work.failures, 16))
        wait_s = self._dice.uniform(BACKOFF_S_MIN / 2, ceiling_s)
        work.due_s = self._clock.monotonic_s() + wait_s
        return wait_s

    def undecided(self, work: Work, seen: Stat) -> None:
        """It may be a compressed copy: ask again after ``release``, later each time."""
        work.copy_tries += 1
        work.copy_seen = seen
        work.due_s = self._clock.monotonic_s() + min(COPY_WAIT_S_MAX, COPY_WAIT_S_MIN * 2**work.copy_tries)

    @property
    def any_undecided(self) -> bool:
        """Whether some file waits only for such an answer."""
        return any(work.copy_tries and work.row.offset == 0 and not work.error for work in self.works.values())

    def moves_failed(self) -> None:
        """A job of renames did not get through."""
        self._move_failures += 1
        ceiling_s = min(FILE_BACKOFF_S_MAX, BACKOFF_S_MIN * 2 ** min(self._move_failures, 16))
        self.move_due_s = self._clock.monotonic_s() + self._dice.uniform(BACKOFF_S_MIN / 2, ceiling_s)

    def moves_worked(self) -> None:
        """A job of renames got through."""
        self._move_failures = 0
        self.move_due_s = 0.0

    def _line_up(self, work: Work, *, again: bool = False) -> None:
        if work.row.id in self.busy:
            return
        if work.due_s > self._clock.monotonic_s():
            self._line.discard(work.row.id)
            if work.due_s < self._due.get(work.row.id, math.inf):  # one entry each, however often it is seen
                self._due[work.row.id] = work.due_s
                heapq.heappush(self._later, (work.due_s, work.row.id))
        else:
            self._line.add(work.row.id, work.lag, again=again, priority=work.priority)

    # Taking -----------------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Bring into line whose time has come."""
        now = self._clock.monotonic_s()
        while self._later and self._later[0][0] <= now:
            due_s, row_id = heapq.heappop(self._later)
            if self._due.get(row_id) != due_s:
                continue
            del self._due[row_id]
            work = self.works.get(row_id)
            if work is not None:
                self._line_up(work)

    def next_due_s(self) -> float:
        """Monotonic time at which the next waiting file is due; infinity if none waits."""
        return self._later[0][0] if self._later else math.inf

    @property
    def waiting(self) -> int:
        """How many files could be sent now."""
        return len(self._line)

    def next_batch(self, workers_free: int) -> list[Work]:
        """Files for one worker, by turn: one large slice or many small ones. Marks them busy."""
        count_max = max(_BATCH_FILES_MIN, min(BATCH_NEW_FILES, -(-len(self._line) // max(1, workers_free))))
        claimed = self._claimed()
        batch: list[Work] = []
        held_back: list[Work] = []
        total = grown = 0
        while (
            len(batch) < count_max
            and grown < BATCH_FILES
            and total < BATCH_BYTES
            and (row_id := self._line.pop()) is not None
        ):
            work = self.works.get(row_id)
            if work is None or row_id in self.busy:
                continue
            row = work.row
            work.may_publish = claimed.get(row.want, row_id) == row_id
            if row_id in self.held or self._must_wait(row, work.may_publish):
                held_back.append(work)
                continue
            work.grown = 0
            batch.append(work)
            grown += row.offset > 0
            total += work.lag
        for work in held_back:
            self._line_up(work)
        self.busy.update(work.row.id for work in batch)
        return batch

    @property
    def any_sendable(self) -> bool:
        """Whether some file in line can go now, or after the next look, rather than wait for the rename of another."""
        if not self._line:
            return False
        claimed = self._claimed()
        for row_id, work in self.works.items():
            may_publish = claimed.get(work.row.want, row_id) == row_id
            if row_id in self._line and (row_id in self.held or not self._must_wait(work.row, may_publish)):
                return True
        return False

    def _claimed(self) -> dict[str, int]:
        return {name: row_id for row_id, names in self._claims.items() for name in names}

    def _must_wait(self, row: Row, may_publish: bool) -> bool:
        """Another generation has to leave the file's name first, or a rename of its own is in doubt.

        A rename that was begun on another server is looked into when the file is compared with this one.
        """
        if row.state is not State.NEW and row.remote:
            return row.going != "" and not (row.comparable and self._unproved(row.id))
        return not may_publish and not row.going

    def next_moves(self) -> list[Row]:
        """Misplaced rows that can be renamed now, all in one job; marks them busy.

        Bytes that only an open handle still has go first (rows without a path); and no row may land on a name that
        another one, which cannot move yet, still has.
        """
        if self.moving or not self.misplaced or self.move_due_s > self._clock.monotonic_s():
            return []
        ready = self._movable()
        self.busy.update(ready)
        self.moving = bool(ready)
        return list(ready.values())

    @property
    def any_movable(self) -> bool:
        """Whether some misplaced row waits for nothing but its turn."""
        return bool(self._movable())

    def _movable(self) -> dict[int, Row]:
        ready = {
            row.id: row
            for row in self.misplaced.values()
            if row.id not in self.busy | self.held
            and (row.state is State.LIVE or row.id not in self.works)
            and not (row.comparable and self._unproved(row.id))
        }
        while True:
            staying = {name for row_id, names in self._claims.items() if row_id not in ready for name in names}
            there = {row.remote for row in self.misplaced.values() if row.id not in ready}
            blocked = [row.id for row in ready.values() if row.want in staying or row.stop_over in there]
            if not blocked:
                break
            for row_id in blocked:
                del ready[row_id]
        return ready

    @property
    def full(self) -> bool:
        """Whether it has enough to do, so that further files had better wait outside, where they cost no memory."""
        return len(self._line) + len(self.busy) >= WORKS_MAX

    @property
    def crowded(self) -> bool:
        """Whether there is no place for new files, be it because too many settle, fail or wait for others."""
        return self.full or len(self.works) >= WORKS_NEW_MAX

    @property
    def has_room(self) -> bool:
        """Whether it is worth a look to fill it up again."""
        return len(self._line) + len(self.busy) < WORKS_MAX // 2 and len(self.works) < WORKS_NEW_MAX

    def lag(self) -> tuple[int, float]:
        """All bytes known to be unsent, and how many seconds ago the oldest of them was seen first (0 = none)."""
        total, oldest_s = 0, math.inf
        for work in self.works.values():
            total += work.lag
            oldest_s = min(oldest_s, work.since_s)
        return total, max(0.0, self._clock.monotonic_s() - oldest_s) if self.works else 0.0
