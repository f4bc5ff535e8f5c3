"""Whose turn it is."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from logferry.agent.queue import Rounds
from logferry.limits import SLICE_BYTES


def drain(line: Rounds) -> list[int]:
    """Everything in line, in order."""
    return list(iter(line.pop, None))


def test_the_largest_lag_goes_first_and_every_file_once_a_round() -> None:
    """A file that had its slice waits until all others had theirs."""
    line = Rounds()
    for row_id, lag in ((1, 10), (2, 5000), (3, 70)):
        line.add(row_id, lag)
    assert line.pop() == 2
    line.add(2, 4000, again=True)
    assert drain(line) == [3, 1, 2]


def test_a_file_in_line_is_there_once_with_its_newest_lag() -> None:
    """Growth moves it forward; leaving takes it out."""
    line = Rounds()
    line.add(1, 10)
    line.add(2, 20)
    line.add(1, 30)
    assert len(line) == 2
    line.discard(2)
    assert drain(line) == [1]
    assert len(line) == 0


def test_an_urgent_file_goes_before_any_backlog() -> None:
    """Whatever waits below it, and however long it has been waiting."""
    line = Rounds()
    for row_id in range(100):
        line.add(row_id, 10 * SLICE_BYTES, priority=-1)
    for _ in range(10):
        assert line.pop() is not None
    line.add(1000, 1, priority=5)
    assert line.pop() == 1000


def served(line: Rounds, priorities: dict[int, int], turns: int, lag: int = SLICE_BYTES) -> Counter[int]:
    """How many of so many turns each priority gets while all files have more to send all the time."""
    had: Counter[int] = Counter()
    for row_id, priority in priorities.items():
        line.add(row_id, lag, priority=priority)
    for _ in range(turns):
        turn = line.pop()
        assert turn is not None
        had[priorities[turn]] += 1
        line.add(turn, lag, again=True, priority=priorities[turn])
    return had


def test_each_priority_gets_an_eighth_of_what_the_next_higher_gets() -> None:
    """Seven eighths for the highest, and nobody stands still."""
    had = served(Rounds(), {1: 2, 2: 2, 3: 0, 4: -4}, 7300)
    assert 6350 < had[2] < 6500
    assert 700 < had[0] < 850
    assert 80 < had[-4] < 110


def test_small_files_of_low_priority_cost_what_their_commands_cost() -> None:
    """Tiny slices of one priority against large ones of a lower: shares are of bytes, not of turns."""
    line = Rounds()
    line.add(1, SLICE_BYTES, priority=0)
    for row_id in range(100, 200):
        line.add(row_id, 1, priority=1)
    order = [line.pop() for _ in range(80)]
    assert 1 not in order[:79]


def test_who_had_nothing_to_send_has_saved_nothing_up() -> None:
    """A priority that was quiet for long does not shut out the others afterwards."""
    line = Rounds()
    served(line, {1: 1}, 500)
    had = served(line, {1: 1, 2: 0}, 90)
    assert 70 <= had[1] <= 85
    line.discard(1)
    served(line, {2: 0}, 500)
    had = served(line, {1: 1, 2: 0}, 90)
    assert 70 <= had[1] <= 85


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 10**9), st.integers(-9, 9), st.booleans()), max_size=200))
def test_whatever_comes_and_goes_everybody_has_one_turn(steps: list[tuple[int, int, int, bool]]) -> None:
    """What is in line comes out once, nothing else does, and within a round the larger lag first."""
    line = Rounds()
    waiting: dict[int, tuple[int, int]] = {}
    for row_id, lag, priority, leaves in steps:
        if leaves:
            line.discard(row_id)
            waiting.pop(row_id, None)
        else:
            line.add(row_id, lag, priority=priority)
            waiting[row_id] = (priority, lag)
        assert len(line) == len(waiting)
    order = drain(line)
    assert sorted(order) == sorted(waiting)
    for priority in {priority for priority, _ in waiting.values()}:
        lags = [waiting[row_id][1] for row_id in order if waiting[row_id][0] == priority]
        assert lags == sorted(lags, reverse=True)
