"""Sizes, levels and times of the query language: what each text spans."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from logferry.errors import BadQuery
from logferry.search.query import Glob, Literal, Wild
from logferry.search.query.values import LEVELS, span

NOW = datetime(2026, 11, 23, 8, 30, 15, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9


def _time(text: str) -> tuple[str, str]:
    found = span("modified", Literal(text), NOW_NS, 1)
    return tuple(datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S") for ns in (found.low, found.end))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("text", "low", "end"),
    [
        ("2026-11", "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
        ("2028-02", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
        ("2026-11-23", "2026-11-23T00:00:00", "2026-11-24T00:00:00"),
        ("2026-11-23T08", "2026-11-23T08:00:00", "2026-11-23T09:00:00"),
        ("2026-11-23T08:15", "2026-11-23T08:15:00", "2026-11-23T08:16:00"),
        ("2026-11-23T08:15:30", "2026-11-23T08:15:30", "2026-11-23T08:15:31"),
        ("2026-11-23T08:15:30Z", "2026-11-23T08:15:30", "2026-11-23T08:15:31"),
        ("08:15", "2026-11-23T08:15:00", "2026-11-23T08:16:00"),
        ("today", "2026-11-23T00:00:00", "2026-11-24T00:00:00"),
        ("yesterday", "2026-11-22T00:00:00", "2026-11-23T00:00:00"),
        ("now", "2026-11-23T08:30:15", "2026-11-23T08:30:15"),
        ("now-15m", "2026-11-23T08:15:15", "2026-11-23T08:15:15"),
        ("now-2d", "2026-11-21T08:30:15", "2026-11-21T08:30:15"),
        ("now-1w", "2026-11-16T08:30:15", "2026-11-16T08:30:15"),
    ],
)
def test_a_time_is_the_whole_of_what_was_written(text: str, low: str, end: str) -> None:
    """A month, a day, an hour, a minute, a second, or a moment."""
    assert _time(text) == (low, end)


@pytest.mark.parametrize(
    "text", ["2026", "2026-00", "2026-11-00", "24:00", "now-5y", "tomorrow", "0000-01", "12", "2026-1-1"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """With an example of what is."""
    with pytest.raises(BadQuery, match="not a time"):
        _time(text)


def test_the_last_year_there_is_does_not_overflow() -> None:
    """A date at the end of time is a time."""
    assert _time("9999-12-30")[0] == "9999-12-30T00:00:00"


@pytest.mark.parametrize(
    ("text", "count"), [("0", 0), ("10k", 10_000), ("2MB", 2_000_000), ("1GiB", 2**30), ("1.5 k", 1500)]
)
def test_a_size_is_bytes(text: str, count: int) -> None:
    """Decimal and binary units."""
    found = span("size", Literal(text), 0, 1)
    assert (found.low, found.end) == (count, count + 1)


def test_levels_have_an_order_and_aliases() -> None:
    """From trace to critical."""
    ranks = [span("level", Literal(name), 0, 1).low for name in LEVELS]
    assert ranks == sorted(ranks)
    assert span("level", Literal("WARNING"), 0, 1) == span("level", Literal("warn"), 0, 1)
    assert span("level", Literal("fatal"), 0, 1) == span("level", Literal("critical"), 0, 1)


def test_wildcards_have_no_size() -> None:
    """A pattern cannot be compared."""
    with pytest.raises(BadQuery, match="wildcards"):
        span("size", Glob((Wild.RUN,)), 0, 7)
