"""What is to be done, and what waits for its time."""

from __future__ import annotations

import random

from logferry.agent.identity import UNSEEN
from logferry.agent.roster import Roster
from logferry.agent.rows import Row, State
from logferry.clock import ManualClock


def row(row_id: int, **more: object) -> Row:
    """A row that is in order."""
    values: dict[str, object] = {"path": b"/a.log", "want": "a.log", "remote": "a.log", "state": State.LIVE} | more
    return Row(row_id, inode=1, inode_generation=0, seen=UNSEEN, **values)  # type: ignore[arg-type]  # as they come


def test_a_file_that_settles_waits_once_however_often_it_is_seen() -> None:
    """And comes into line when it was left alone for long enough."""
    clock = ManualClock()
    roster = Roster(clock, random.Random(1))
    for size in range(1, 500):
        roster.add(row(1), size, linked=False, wait_s=10.0)
        clock.advance(0.01)
    assert len(roster._later) == 1
    clock.advance(5)
    roster.wake()
    assert roster.waiting == 0
    clock.advance(5.1)
    roster.wake()
    assert roster.waiting == 1


def test_a_rename_that_has_to_wait_for_a_comparison_is_no_work_now() -> None:
    """So that a single run ends and says what is left."""
    unproved = {1}
    roster = Roster(ManualClock(), random.Random(1), unproved=unproved.__contains__)
    roster.update(row(1, remote="old.log"))
    assert roster.misplaced
    movable = [roster.any_movable]
    assert roster.next_moves() == []
    unproved.clear()
    assert [*movable, roster.any_movable] == [False, True]
    assert [moved.id for moved in roster.next_moves()] == [1]


def test_a_rename_begun_on_another_server_is_looked_into_when_the_file_is_compared() -> None:
    """It waits for nothing: the comparison would wait for the rename, and the rename for the comparison."""
    unproved = {1}
    roster = Roster(ManualClock(), random.Random(1), unproved=unproved.__contains__)
    roster.update(row(1, going="b.log"))
    roster.add(row(1, going="b.log"), 0)
    sendable = [roster.any_sendable]
    assert roster.next_moves() == []
    assert [work.row.id for work in roster.next_batch(1)] == [1]
    roster.release(1)
    unproved.clear()
    assert [*sendable, roster.any_sendable] == [True, False]
    assert roster.next_batch(1) == []
    assert [moved.id for moved in roster.next_moves()] == [1]


def test_a_file_whose_name_is_still_another_rows_cannot_be_sent_now() -> None:
    """So that a single run ends although something waits in line."""
    roster = Roster(ManualClock(), random.Random(1), unproved=lambda row_id: row_id == 1)
    roster.update(row(1, remote="b.log"))
    roster.add(row(2, want="b.log", remote="", state=State.NEW), 10)
    assert roster.next_batch(1) == []
    assert (roster.waiting, roster.any_sendable) == (1, False)
    roster.held.add(2)
    assert roster.any_sendable, "the next look decides"


def test_the_copy_of_a_file_that_is_gone_is_renamed_although_it_cannot_be_compared() -> None:
    """Nothing of it is left on the node; as long as it waited, it would keep its name from others."""
    roster = Roster(ManualClock(), random.Random(1), unproved=lambda _: True)
    roster.update(row(1, remote="old.log", state=State.GONE))
    roster.update(row(2, remote="older.log"))
    assert [moved.id for moved in roster.next_moves()] == [1]
