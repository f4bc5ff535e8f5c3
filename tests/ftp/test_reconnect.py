"""Trying again with jittered waits."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.errors import Busy, Later, NotSignedIn, Refused, Unreachable
from logferry.ftp import Aborted, Backoff, retrying


class Highest:
    """Dice that always show the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_the_ceiling_doubles_up_to_its_maximum_and_begins_again_after_reset() -> None:
    """1, 2, 4, 8, 10, 10 seconds at most."""
    backoff = Backoff(min_s=1, max_s=10, dice=Highest())
    assert [backoff.next_s() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    backoff.reset()
    assert backoff.next_s() == 1


@given(st.integers(0, 2**32))
def test_every_wait_lies_between_nothing_and_the_ceiling(seed: int) -> None:
    """Full jitter: a fleet comes back spread evenly."""
    backoff = Backoff(min_s=1, max_s=60, dice=random.Random(seed))
    waits = [backoff.next_s() for _ in range(20)]
    assert all(0 <= wait_s <= min(60, 2**n) for n, wait_s in enumerate(waits))


def attempt(errors: list[Exception], waits: list[float], attempts: int = 5) -> int:
    """Retry work that fails with ``errors`` in turn; returns how many calls it took."""
    calls = 0

    def work() -> int:
        nonlocal calls
        calls += 1
        if errors:
            raise errors.pop(0)
        return calls

    return retrying(work, attempts=attempts, backoff=Backoff(dice=Highest()), sleep=waits.append)


def test_what_may_work_later_is_tried_again() -> None:
    """With growing waits; a busy server is given the time it asks for."""
    waits: list[float] = []
    assert attempt([Unreachable("a"), Later("b"), Busy("c", retry_after_s=30.0)], waits) == 4
    assert waits == [1, 2, 30]


def test_the_last_failure_is_raised() -> None:
    """When the attempts are used up, without a further wait."""
    waits: list[float] = []
    with pytest.raises(Later, match="second"):
        attempt([Unreachable("first"), Later("second"), Later("third")], waits, attempts=2)
    assert len(waits) == 1


@pytest.mark.parametrize("error", [Refused("x"), NotSignedIn("x"), Aborted("x")])
def test_what_would_fail_again_is_not_tried_again(error: Exception) -> None:
    """Nor what the caller stopped."""
    waits: list[float] = []
    with pytest.raises(type(error)):
        attempt([error], waits)
    assert waits == []


def test_failures_are_told_with_the_wait_that_follows() -> None:
    """For one log line per failure."""
    told: list[tuple[str, float]] = []
    errors = [Unreachable("gone")]

    def work() -> None:
        if errors:
            raise errors.pop()

    retrying(
        work,
        attempts=2,
        backoff=Backoff(dice=Highest()),
        sleep=lambda _: None,
        on_failure=lambda error, wait_s: told.append((error.message, wait_s)),
    )
    assert told == [("gone", 1.0)]
