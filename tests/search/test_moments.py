"""``from`` and ``to``: RFC 3339 or the words of the language, as spans of time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from logferry.errors import Refused
from logferry.search.moments import moment
from logferry.zones import zone_named

NS = 1_000_000_000
NOW = int(datetime(2026, 11, 23, 8, 31, 7, tzinfo=UTC).timestamp()) * NS


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    """Seconds since 1970 of a time in UTC."""
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("text", "low_s", "length_s"),
    [
        ("2026-11-23T08:15:00Z", at(2026, 11, 23, 8, 15), 1),
        ("2026-11-23t08:15:00z", at(2026, 11, 23, 8, 15), 1),
        ("2026-11-23 08:15:00Z", at(2026, 11, 23, 8, 15), 1),
        ("2026-11-23T08:15:00+02:00", at(2026, 11, 23, 6, 15), 1),
        ("2026-11-23T08:15-05:30", at(2026, 11, 23, 13, 45), 60),
        ("2026-11-23T08:15:30", at(2026, 11, 23, 8, 15, 30), 1),
        ("2026-11-23T08:15", at(2026, 11, 23, 8, 15), 60),
        ("2026-11-23", at(2026, 11, 23), 86400),
        ("2026-11", at(2026, 11, 1), 30 * 86400),
        ("08:15", at(2026, 11, 23, 8, 15), 60),
        ("today", at(2026, 11, 23), 86400),
        ("yesterday", at(2026, 11, 22), 86400),
        (" today ", at(2026, 11, 23), 86400),
    ],
)
def test_a_time_is_the_span_it_names(text: str, low_s: int, length_s: int) -> None:
    """The whole day, minute or second; zones count."""
    found = moment(text, "from", NOW)
    assert (found.low, found.end) == (low_s * NS, (low_s + length_s) * NS)


@pytest.mark.parametrize(("text", "seconds"), [("now", 0), ("now-15m", 900), ("now-2h", 7200), ("now-1d", 86400)])
def test_times_before_now_are_moments(text: str, seconds: int) -> None:
    """They are as fine as the clock."""
    assert moment(text, "from", NOW).low == NOW - seconds * NS


@pytest.mark.parametrize(
    ("fraction", "low_ns", "length_ns"),
    [("5", 500_000_000, 100_000_000), ("882", 882_000_000, 1_000_000), ("000000001", 1, 1)],
)
@pytest.mark.parametrize("zone", ["Z", "+00:00", ""])
def test_fractions_of_a_second_are_kept(fraction: str, low_ns: int, length_ns: int, zone: str) -> None:
    """To the nanosecond."""
    found = moment(f"2026-11-23T08:15:00.{fraction}{zone}", "to", NOW)
    begin = at(2026, 11, 23, 8, 15) * NS
    assert (found.low, found.end) == (begin + low_ns, begin + low_ns + length_ns)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T08:15+02:00",
        "2026-11-23T08:15:30+02:00",
        "2026-11-23 08:15:30.25+05:30",
        "2026-11-23t08:15:30+00:00",
    ],
)
def test_a_plus_that_an_address_made_a_space_is_a_plus(text: str) -> None:
    """``+`` stands for a space there, and is seldom escaped."""
    assert moment(text.replace("+", " "), "from", NOW) == moment(text, "from", NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "08:15 02:00",
        "2026-11-23 08:15 2:00",
        "2026-11-23T08:15Z 02:00",
        "2026-13-01",
        "2026-11-31T00:00:00Z",
        "25:00",
        "now+1h",
        "2026-11-23T08:15:00+99:99",
        "99999-01-01",
        "24h",
    ],
)
def test_what_is_no_time_is_refused_by_the_name_of_its_parameter(text: str) -> None:
    """With an example of what is one."""
    with pytest.raises(Refused) as refused:
        moment(text, "from", NOW)
    assert refused.value.message.startswith("from: ")
    assert "2026-11-23T08:15:00Z" in refused.value.hint


BERLIN = zone_named("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "low", "end"),
    [
        ("2026-11-23T08:15", "2026-11-23T07:15", "2026-11-23T07:16"),
        ("2026-07-01 08:15", "2026-07-01T06:15", "2026-07-01T06:16"),
        ("2026-03-29", "2026-03-28T23:00", "2026-03-29T22:00"),  # a day of 23 hours
        ("2026-10-25", "2026-10-24T22:00", "2026-10-25T23:00"),  # and one of 25
        ("2026-10-25T02:30", "2026-10-25T00:30", "2026-10-25T01:31"),  # shown twice: both are meant
        ("2026-03-29T02:30", "2026-03-29T00:30", "2026-03-29T01:31"),  # skipped: what lies around it
        ("2026-10", "2026-09-30T22:00", "2026-10-31T23:00"),
        ("today", "2026-11-22T23:00", "2026-11-23T23:00"),
        ("yesterday", "2026-11-21T23:00", "2026-11-22T23:00"),
        ("09:15", "2026-11-23T08:15", "2026-11-23T08:16"),
        ("2026-11-23T08:15:00Z", "2026-11-23T08:15", "2026-11-23T08:15:01"),
        ("2026-11-23T08:15Z", "2026-11-23T08:15", "2026-11-23T08:16"),
    ],
)
def test_a_time_is_of_the_zone_where_it_names_none(text: str, low: str, end: str) -> None:
    """With the rules of its summer time."""
    found = moment(text, "from", NOW, BERLIN)
    ends = [int(datetime.fromisoformat(each).replace(tzinfo=UTC).timestamp()) * NS for each in (low, end)]
    assert [found.low, found.end] == ends


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("text", ["0001-01-01", "1969-12-31", "9999-12-31", "9999-12", "9999-12-31T23:59:59"])
def test_the_ends_of_the_calendar_are_times_in_every_zone(text: str, zone: str) -> None:
    """What lies outside of it is cut off by whoever asks."""
    found = moment(text, "to", NOW, zone_named(zone))
    assert found.low < found.end
