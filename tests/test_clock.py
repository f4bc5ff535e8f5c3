"""The clock as a parameter, and how times are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.clock import SYSTEM, ManualClock, rfc3339


def test_a_manual_clock_moves_only_when_told() -> None:
    """Both hands go forward together by what was asked for, sleeping included."""
    clock = ManualClock(now_ns=1_000)
    before = clock.monotonic_s()
    clock.sleep(1.5)
    clock.advance(0.5)
    assert clock.now_ns() == 1_000 + 2_000_000_000
    assert clock.monotonic_s() - before == pytest.approx(2.0)


def test_the_system_clock_does_not_run_backwards() -> None:
    """The monotonic hand never decreases, and sleeping moves it."""
    before = SYSTEM.monotonic_s()
    SYSTEM.sleep(0.001)
    assert SYSTEM.monotonic_s() > before
    assert SYSTEM.now_ns() > 1_700_000_000_000_000_000


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_421_641_882_000_000, "2026-11-23T08:14:01.882Z"),
        (1_795_421_641_999_999_999, "2026-11-23T08:14:01.999Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_written_in_utc_with_milliseconds(ns: int, text: str) -> None:
    """RFC 3339, cut and not rounded, before 1970 as well."""
    assert rfc3339(ns) == text


@given(st.integers(0, 4_000_000_000), st.integers(1, 1_000_000))
def test_written_times_sort_as_the_times_do(second: int, later_ms: int) -> None:
    """The text order is the time order."""
    assert rfc3339(second * 10**9) < rfc3339(second * 10**9 + later_ms * 10**6)
