"""Limits by the time of day: what is read, what is refused, what holds when."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.errors import BadConfig
from logferry.ftp import Timetable
from logferry.ftp.timetable import DAY_MIN, Span, rate_text, timetable

MIB = 1024 * 1024


def ns(text: str, zone: str = "UTC") -> int:
    """Nanoseconds since 1970 of a wall-clock time in ``zone``."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("5 MiB/s", "5 MiB/s"),
        ("0", "no limit"),
        ("none", "no limit"),
        ("1500", "1500 B/s"),
        ("2048KiB/s", "2 MiB/s"),
        ("08:00-18:00 1 MiB/s, else 10 MiB/s", "08:00-18:00 1 MiB/s, else 10 MiB/s, zone local"),
        ("8:00 - 18:00  1MiB/s , ELSE unlimited,zone UTC", "08:00-18:00 1 MiB/s, else no limit, zone UTC"),
        ("22:00-06:00 no limit, else 1 MB/s, zone UTC", "22:00-06:00 no limit, else 1000000 B/s, zone UTC"),
        ("12:00-24:00 2 KiB, 00:00-12:00 1 KiB", "00:00-12:00 1 KiB/s, 12:00-24:00 2 KiB/s, else no limit, zone local"),
        ("1 KiB, 10:00-11:00 2 KiB, zone UTC", "10:00-11:00 2 KiB/s, else 1 KiB/s, zone UTC"),
    ],
)
def test_texts_and_their_canonical_form(text: str, canonical: str) -> None:
    """What people write, and how it is told back; the canonical form reads back to the same."""
    table = Timetable.parse(text)
    assert str(table) == canonical
    assert Timetable.parse(canonical) == table


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fast",
        "-1",
        "08:00-18:00",
        "08:00-18:00 fast",
        "25:00-26:00 1 KiB",
        "08:60-09:00 1 KiB",
        "08:00-08:00 1 KiB",
        "24:00-06:00 1 KiB",
        "08:00-18:00 1 KiB, 17:59-19:00 2 KiB",
        "22:00-06:00 1 KiB, 05:00-07:00 2 KiB",
        "08:00-18:00 1 KiB, else 2 KiB, else 3 KiB",
        "1 KiB, else 2 KiB",
        "08:00-18:00 1 KiB, zone Nowhere/Land",
        "08:00-18:00 1 KiB, zone ../../etc/passwd",
        "08:00-18:00 1 KiB, zone UTC, else 2 KiB",
        "08:00-18:00 1 KiB, 2 KiB",
        "٠8:00-18:00 1 KiB",
        f"{2**70}",
    ],
)
def test_what_is_no_timetable_is_refused(text: str) -> None:
    """With a hint; nothing is guessed."""
    with pytest.raises(BadConfig) as caught:
        Timetable.parse(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("when", "rate"),
    [
        ("2026-03-01T07:59:59", 10 * MIB),
        ("2026-03-01T08:00:00", 1 * MIB),
        ("2026-03-01T17:59:59", 1 * MIB),
        ("2026-03-01T18:00:00", 10 * MIB),
        ("2026-03-01T21:59:59", 10 * MIB),
        ("2026-03-01T22:00:00", 0),
        ("2026-03-01T23:59:59", 0),
        ("2026-03-01T00:00:00", 0),
        ("2026-03-01T05:59:59", 0),
        ("2026-03-01T06:00:00", 10 * MIB),
    ],
)
def test_the_begin_belongs_to_a_span_and_the_end_does_not(when: str, rate: int) -> None:
    """Also over midnight."""
    table = Timetable.parse("08:00-18:00 1 MiB/s, 22:00-06:00 none, else 10 MiB/s, zone UTC")
    assert table.rate_at(ns(when)) == rate


def test_the_zone_decides_and_summer_time_counts() -> None:
    """08:00 in Berlin is 07:00 UTC in winter and 06:00 in summer."""
    table = Timetable.parse("08:00-18:00 1 KiB/s, else 2 KiB/s, zone Europe/Berlin")
    assert table.rate_at(ns("2026-01-15T07:00:00")) == 1024
    assert table.rate_at(ns("2026-01-15T06:59:00")) == 2048
    assert table.rate_at(ns("2026-07-15T06:00:00")) == 1024
    assert table.rate_at(ns("2026-07-15T05:59:00")) == 2048


def test_the_hour_that_does_not_exist_hurts_nobody() -> None:
    """02:00-03:00 is left out once a year in Berlin, and comes twice in autumn: the clock on the wall counts."""
    table = Timetable.parse("02:00-03:00 1 KiB/s, else 2 KiB/s, zone Europe/Berlin")
    spring = datetime(2026, 3, 29, tzinfo=UTC)
    autumn = datetime(2026, 10, 25, tzinfo=UTC)

    def slow_minutes(day: datetime) -> int:
        moments = (int((day + timedelta(minutes=m)).timestamp()) * 1_000_000_000 for m in range(4 * 60))
        return sum(table.rate_at(moment) == 1024 for moment in moments)

    assert slow_minutes(spring) == 0
    assert slow_minutes(autumn) == 120


def test_numbers_are_bytes_per_second() -> None:
    """As a limit may also be given; a fraction is not mistaken for no limit."""
    assert timetable(1000).rate_at(0) == 1000
    assert timetable(0).rate_at(0) == 0
    assert timetable(0.5).rate_at(0) == 1
    for wrong in (-1, float("inf"), float("nan")):
        with pytest.raises(BadConfig):
            timetable(wrong)


@st.composite
def tables(draw: st.DrawFn) -> Timetable:
    """Any timetable: cuts of the day, of which some parts have a rate."""
    cuts = sorted(draw(st.sets(st.integers(0, DAY_MIN - 1), min_size=2, max_size=8)))
    parts = [*itertools.pairwise(cuts), (cuts[-1], cuts[0])]
    chosen = draw(st.lists(st.sampled_from(parts), unique=True, max_size=len(parts)))
    rates = st.integers(0, 2**40)
    spans = tuple(Span(start, end, draw(rates)) for start, end in chosen)
    return Timetable(spans, draw(rates), draw(st.sampled_from(["local", "UTC", "Asia/Kathmandu"])))


@given(tables())
def test_every_timetable_reads_back_from_its_text(table: Timetable) -> None:
    """Equal, zone and all (without spans there is no zone to tell)."""
    again = Timetable.parse(str(table))
    assert again == table if table.spans else again.otherwise == table.otherwise


@given(tables(), st.integers(0, DAY_MIN - 1))
def test_each_minute_has_the_rate_of_the_span_it_lies_in(table: Timetable, minute: int) -> None:
    """Against a plain walk over the day."""
    table = Timetable(table.spans, table.otherwise, "UTC")
    expected = table.otherwise
    for span in table.spans:
        length = (span.end_min - span.start_min) % DAY_MIN or DAY_MIN
        if (minute - span.start_min) % DAY_MIN < length:
            expected = span.rate_bytes_s
    assert table.rate_at(minute * 60 * 1_000_000_000) == expected


@given(st.integers(0, 2**53 - 1))
def test_rates_read_back(rate: int) -> None:
    """Whatever unit they are told in."""
    assert Timetable.parse(rate_text(rate)).otherwise == rate
