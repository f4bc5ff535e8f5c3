"""Times are told as the table of formats says; what only looks like one is none."""

from __future__ import annotations

import datetime
import re
from zoneinfo import ZoneInfo

import pytest

from logferry.archive.timestamps.formats import FORMATS, Format, Place
from logferry.archive.timestamps.orders import Evidence
from logferry.archive.timestamps.reading import NO_TIME, Reading, Zone
from logferry.archive.timestamps.reference import times_of

UTC = datetime.UTC


def ns(text: str) -> int:
    """Nanoseconds of ``2026-11-26T07:15:00.123456789Z``."""
    whole, _, part = text.removesuffix("Z").partition(".")
    seconds = int(datetime.datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return seconds * 10**9 + int(part.ljust(9, "0"))


NOON = Reading(ns("2026-11-26T12:00:00Z"))
MORNING = ns("2026-11-26T07:15:00Z")
EXAMPLES = [(form, *example) for form in FORMATS for example in form.examples]


def read(line: bytes, reading: Reading = NOON) -> tuple[int, bytes]:
    """The time of a line, and its text."""
    [(time, start, end)] = times_of([line], reading, Evidence.none())
    return time, line[start:end]


@pytest.mark.parametrize(("form", "text", "wanted"), EXAMPLES, ids=[text for _, text, _ in EXAMPLES])
def test_every_example_is_read_by_its_own_format(form: Format, text: str, wanted: str) -> None:
    """Wherever it may stand, and its text is the whole example."""
    lines = ["{}", "{} INFO started", "[{}] x", "<34>{} host", '"{}" x']
    lines += ["host app[12]: {} x", "1.2.3.4 - - [{}]", "\x1b[32m{}\x1b[0m x", "a=b time={} x"] * (
        form.place is Place.ANYWHERE
    )
    lines += ["level=info ts={} x", '{{"msg":"2026-11-25 01:02:03","ts":"{}"}}', "type=USER msg=audit({}): x"] * (
        form.place is not Place.START
    )
    for line in lines:
        assert read(line.format(text).encode()) == (ns(wanted), text.encode()), line
    matching = [other.name for other in FORMATS if other.pattern.match(re.sub(r"^Thu,? ", "", text).encode())]
    assert matching == [form.name]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"10.20.26.11 192.168.100.200:8080 said no",
        b"version 2026.11.26 and 1.2.3-rc4",
        b"2026-13-26 07:15:00",
        b"2026-02-29 07:15:00",
        b"2026-11-26 24:00:00",
        b"2026-11-26 07:60:00",
        b"2026-11-26 07:15:61",
        b"2026-11-26 07:15:60",
        b"2026-11-26T07:15:00x",
        b"x2026-11-26T07:15:00",
        b"1989-12-31 23:59:59",
        b"2026-11-29 07:15:00",
        b"nova.log.2017-05-16_13:53:08",
        b"took 1795677300 ns",
        b"1234567890123456789012",
        b"1795677300-abc",
        b"[12345.678901] usb 1-1: at 2026-11-26 07:15:00",
        b"<6>[    0.000000] Linux version",
        b"Nov 31 07:15:00",
        b"13:15:00 AM",
        b"11/26/2026 13:15:00 AM",
        b"07:15:00.123 INFO no date",
        b"I1126 07:15:00 no fraction",
        b" " * 200 + b"2026-11-26 07:15:00",
    ],
)
def test_what_only_looks_like_a_time_is_none(line: bytes) -> None:
    assert read(line) == (NO_TIME, b"")


def test_a_leap_second_is_the_first_of_the_next_minute() -> None:
    assert read(b"2016-12-31T23:59:60.5Z")[0] == ns("2017-01-01T00:00:00.5Z")


def test_29_february_is_found_in_the_last_leap_year() -> None:
    assert read(b"Feb 29 10:00:00 x")[0] == ns("2024-02-29T10:00:00Z")


def test_dates_without_year_are_the_nearest_not_more_than_a_day_ahead() -> None:
    assert read(b"Nov 27 11:59:59 x")[0] == ns("2026-11-27T11:59:59Z")
    assert read(b"Nov 27 12:00:01 x")[0] == ns("2025-11-27T12:00:01Z")
    assert read(b"Jan  1 00:00:00 x", Reading(ns("2026-12-31T23:00:00Z")))[0] == ns("2027-01-01T00:00:00Z")


def test_a_file_tells_whether_the_day_comes_first() -> None:
    """One line settles it for all others; what arrived before stays known."""
    evidence = Evidence.none()
    first = times_of([b"05/06/2026 07:15:00", b"13/06/2026 07:15:00"], NOON, evidence)
    assert first[0][0] == ns("2026-06-05T07:15:00Z")
    assert times_of([b"04/06/2026 07:15:00"], NOON, evidence)[0][0] == ns("2026-06-04T07:15:00Z")
    assert read(b"05/06/2026 07:15:00")[0] == ns("2026-05-06T07:15:00Z")
    assert read(b"05-06-2026 07:15:00")[0] == ns("2026-06-05T07:15:00Z")


def test_three_pairs_of_digits_are_of_the_latest_year_they_can_be() -> None:
    assert read(b"11/05/26,07:15:00")[0] == ns("2026-11-05T07:15:00Z")
    assert read(b"26/11/05 07:15:00")[0] == ns("2026-11-05T07:15:00Z")
    assert read(b"17/06/09 07:15:00")[0] == ns("2017-06-09T07:15:00Z")


def test_lines_without_zone_are_in_the_zone_of_their_file() -> None:
    """Skipped and repeated times have the offset before the change, as stated in docs/reference/timestamps.md."""
    berlin = Reading(NOON.arrival_ns, Zone.of(ZoneInfo("Europe/Berlin")))
    for line, wanted in (
        (b"2026-11-26 08:15:00", "2026-11-26T07:15:00Z"),
        (b"Nov 26 08:15:00 x", "2026-11-26T07:15:00Z"),
        (b"2026-11-26T07:15:00Z", "2026-11-26T07:15:00Z"),
        (b"1795677300", "2026-11-26T07:15:00Z"),
        (b"2026-03-29 01:59:59", "2026-03-29T00:59:59Z"),
        (b"2026-03-29 02:30:00", "2026-03-29T01:30:00Z"),
        (b"2026-03-29 03:00:00", "2026-03-29T01:00:00Z"),
        (b"2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),
        (b"2026-10-25 03:00:00", "2026-10-25T02:00:00Z"),
    ):
        assert read(line, berlin)[0] == ns(wanted), line


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_a_zones_offsets_are_those_of_python(name: str) -> None:
    """At every quarter of an hour of two years."""
    zone, table = ZoneInfo(name), Zone.of(ZoneInfo(name))
    local = datetime.datetime(2025, 1, 1)  # noqa: DTZ001 - a local time without zone is what is asked about
    for _ in range(2 * 365 * 96):
        offset = local.replace(tzinfo=zone).utcoffset()
        assert offset is not None
        assert table.offset_s(int(local.replace(tzinfo=UTC).timestamp())) == offset.total_seconds(), local
        local += datetime.timedelta(minutes=15)


def test_json_prefers_a_known_key_to_what_comes_first() -> None:
    line = b'{"msg":"since 2026-11-25T01:02:03Z","note":"%s","@timestamp":"2026-11-26T07:15:00Z"}' % (b"x" * 500)
    assert read(line)[0] == MORNING
    assert read(b'{"msg":"since 2026-11-25T01:02:03Z","time":"5 ms"}')[0] == ns("2026-11-25T01:02:03Z")
    assert read(b'{"uptime":1795670000,"ts":1795677300.0}')[0] == MORNING


def test_the_first_timestamp_counts() -> None:
    assert read(b"app 2026-11-26 07:15:00 since 2026-11-25 01:02:03") == (MORNING, b"2026-11-26 07:15:00")
    assert read(b"2026-11-29 07:15:00 implausible, 2026-11-26 07:15:00 plausible")[0] == MORNING


def test_a_comma_behind_the_seconds_may_be_a_column() -> None:
    assert read(b"2026-11-26 07:15:00,42,foo") == (MORNING, b"2026-11-26 07:15:00")
