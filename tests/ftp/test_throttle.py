"""The token bucket."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logferry.clock import ManualClock
from logferry.ftp import TokenBucket


def test_a_burst_passes_at_once_and_the_rest_at_the_rate() -> None:
    """1,000 bytes/s with a burst of 500."""
    clock = ManualClock()
    bucket = TokenBucket(1000, burst_bytes=500, clock=clock)
    assert bucket.take(500) == 0.0
    assert bucket.take(1000) == 1.0
    clock.advance(1.0)
    assert bucket.take(250) == 0.25


def test_waiting_fills_no_more_than_the_burst() -> None:
    """An idle hour is no reason for an hour's bytes at once."""
    clock = ManualClock()
    bucket = TokenBucket(1000, burst_bytes=500, clock=clock)
    clock.advance(3600)
    assert bucket.take(1500) == 1.0


def test_the_rate_may_change() -> None:
    """For timetables; what was taken stays taken."""
    clock = ManualClock()
    bucket = TokenBucket(1000, burst_bytes=0, clock=clock)
    assert bucket.take(1000) == 1.0
    bucket.change(100)
    assert bucket.take(0) == 10.0


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=50), st.integers(100, 100_000))
def test_whoever_waits_as_told_keeps_to_the_rate(sizes: list[int], rate: int) -> None:
    """Over any sequence of sizes: never more than the burst and the time's worth."""
    clock = ManualClock()
    begin = clock.monotonic_s()
    bucket = TokenBucket(rate, burst_bytes=1000, clock=clock)
    for size in sizes:
        clock.advance(bucket.take(size))
    assert sum(sizes) <= 1000 + rate * (clock.monotonic_s() - begin) * (1 + 1e-9) + 1e-6
