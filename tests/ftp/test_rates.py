"""Token buckets shared by name, in one process and in several."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.clock import SYSTEM, ManualClock
from logferry.ftp.board import Board
from logferry.ftp.rates import Rates
from logferry.limits import FTP_BUCKETS_MAX


def test_all_who_use_a_name_share_its_rate() -> None:
    """And nobody else's."""
    rates = Rates(Board(), ManualClock())
    assert rates.take("a", 100_000, 100_000, 0) == 1.0
    assert rates.take("a", 100_000, 100_000, 0) == 2.0
    assert rates.take("b", 100_000, 100_000, 0) == 1.0


def test_another_rate_holds_from_now_on() -> None:
    """What was taken stays taken, and is waited for at the new rate."""
    clock = ManualClock()
    rates = Rates(Board(), clock)
    assert rates.take("a", 1000, 1000, 0) == 1.0
    assert rates.take("a", 0, 100, 0) == 10.0
    clock.advance(5)
    assert rates.take("a", 0, 1000, 0) == 0.0


def test_a_quiet_hour_is_worth_one_burst() -> None:
    """Not an hour's bytes."""
    clock = ManualClock()
    rates = Rates(Board(), clock)
    rates.take("a", 10_000, 1000, 500)
    clock.advance(3600)
    assert rates.take("a", 1500, 1000, 500) == 1.0


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5000)), min_size=1, max_size=60), st.integers(100, 10_000)
)
def test_whoever_waits_as_told_keeps_to_the_rate(steps: list[tuple[str, int]], rate: int) -> None:
    """Whatever mixture of names and sizes."""
    clock = ManualClock()
    rates = Rates(Board(), clock)
    begin = clock.monotonic_s()
    for name, size in steps:
        clock.advance(rates.take(name, size, rate, 1000))
    for name in "abc":
        taken = sum(size for whose, size in steps if whose == name)
        assert taken <= 1000 + rate * (clock.monotonic_s() - begin) * (1 + 1e-9) + 1e-6


def test_names_without_end_take_no_room() -> None:
    """A bucket in use keeps its level while twice as many others than there are rows come and go."""
    clock = ManualClock()
    rates = Rates(Board(), clock)
    rates.take("mine", 10_000, 100, 0)
    for number in range(2 * FTP_BUCKETS_MAX):
        rates.take(f"other {number}", 1, 1000, 0)
    assert rates.take("mine", 0, 100, 0) == pytest.approx(100.0)


def test_processes_share_a_bucket() -> None:
    """Four of them take 50,000 tokens at 100,000 per second: together it takes at least its half second."""
    rates = Rates(Board(4), SYSTEM)
    begin = time.monotonic()
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            for _ in range(125):
                time.sleep(rates.take("a", 100, 100_000, 0))
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    assert time.monotonic() - begin >= 0.5
    assert rates.take("a", 0, 1.0, 0) < 50_000
