"""Whose turn it is."""

from __future__ import annotations

from logferry.agent.queue import Rounds


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
