"""The state of an agent follows from what the server heard."""

from __future__ import annotations

import dataclasses

import pytest

from logferry.server.health import Heard, agent_state, duration

NOW = 1_800_000_000_000_000_000
SECOND = 1_000_000_000


def ago(seconds: float) -> int:
    """The moment ``seconds`` before NOW."""
    return NOW - int(seconds * SECOND)


def heard(seconds: float, **more: object) -> Heard:
    """An agent that looks every 10 s, was heard ``seconds`` ago and uploaded then."""
    base = Heard(joined_ns=ago(10**6), heard_ns=ago(seconds), uploaded_ns=ago(seconds), interval_s=10.0)
    return dataclasses.replace(base, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("case", "state", "reason"),
    [
        (heard(0), "ok", "last heard 0 s ago"),
        (heard(30), "ok", "last heard 30 s ago"),
        (heard(30.001), "late", "last heard 30 s ago, expected every 10 s"),
        (heard(900), "late", "last heard 15 m ago, expected every 10 s"),
        (heard(900.001), "silent", "last heard 15 m ago, expected every 10 s"),
        (heard(1000, interval_s=200.0), "late", "last heard 16 m ago, expected every 3 m"),
        (heard(2001, interval_s=200.0), "silent", "last heard 33 m ago, expected every 3 m"),
        (heard(61, expect_every_s=60.0), "silent", "last heard 1 m ago, expected every 1 m"),
        (heard(59, expect_every_s=60.0), "late", "last heard 59 s ago, expected every 10 s"),
        (heard(7000, expect_every_s=7200.0), "late", "last heard 1 h 56 m ago, expected every 10 s"),
        (heard(25, interval_s=None), "ok", "last heard 25 s ago"),
        (heard(25, interval_s=0.0), "ok", "last heard 25 s ago"),
        (heard(2.5, interval_s=0.01), "ok", "last heard 2 s ago"),
        (heard(5, uploaded_ns=None), "new", "connected 5 s ago, nothing uploaded yet"),
        (heard(5, heard_ns=None, uploaded_ns=None, joined_ns=ago(3600)), "new", "joined 1 h ago, never heard since"),
        (heard(20, error="disk full", error_ns=ago(12)), "failing", "disk full (12 s ago)"),
        (heard(5, error="disk full", error_ns=ago(12)), "ok", "last heard 5 s ago"),
        (heard(5, uploaded_ns=None, error="refused: name", error_ns=ago(5)), "failing", "refused: name (5 s ago)"),
        (heard(60, error="disk full", error_ns=ago(12)), "failing", "disk full (12 s ago)"),
        (heard(3600, error="disk full", error_ns=ago(12)), "silent", "last heard 1 h ago, expected every 10 s"),
        (heard(3600, paused=True), "paused", "paused by a person"),
        (heard(3600, gone_ns=ago(3599)), "gone", "stopped 59 m ago"),
        (heard(10, gone_ns=ago(3599)), "ok", "last heard 10 s ago"),
        (heard(10, gone_ns=ago(10)), "gone", "stopped 10 s ago"),
        (heard(10, paused=True, gone_ns=ago(5)), "paused", "paused by a person"),
        (heard(-5), "ok", "last heard 0 s ago"),
    ],
)
def test_state_and_reason_follow_from_what_was_heard(case: Heard, state: str, reason: str) -> None:
    """One row per rule and per edge of a rule."""
    found = agent_state(case, NOW)
    assert (found.state, found.reason) == (state, reason)


def test_lag_is_the_time_since_the_last_sign_of_life() -> None:
    """In seconds; None for an agent nobody has heard."""
    assert agent_state(heard(12.5), NOW).silence_s == 12.5
    assert agent_state(heard(0, heard_ns=None), NOW).silence_s is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 m"),
        (3599, "59 m"),
        (3600, "1 h"),
        (19140, "5 h 19 m"),
        (86400, "1 d"),
        (93700, "1 d 2 h"),
    ],
)
def test_a_duration_reads_in_at_most_two_units(seconds: float, text: str) -> None:
    """Rounded down."""
    assert duration(seconds) == text
