"""The kernel tells the same times, and the same bytes, as the reference."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from logferry.archive.timestamps import Evidence, LineTimes, Reading, Zone
from logferry.archive.timestamps.reference import times_of
from tests.archive.timestamps.making import EXAMPLES, NEARLY, line_of
from tests.archive.timestamps.test_reference import NOON, ns

SEED = int(os.environ.get("LOGFERRY_SEED", random.SystemRandom().randrange(1 << 30)))
LINES = int(os.environ.get("LOGFERRY_TIMESTAMP_LINES", "6000"))
READINGS = (
    NOON,
    Reading(NOON.arrival_ns, Zone.of(ZoneInfo("Europe/Berlin"))),
    Reading(ns("2027-01-01T00:30:00Z"), Zone.of(ZoneInfo("America/New_York"))),
    Reading(ns("2024-02-29T23:59:59.999999999Z"), Zone.of(ZoneInfo("Australia/Lord_Howe"))),
)


def natively(lines: list[bytes], reading: Reading, evidence: Evidence) -> list[tuple[int, int, int]]:
    """What the kernel says of lines that stand in one buffer with others around them."""
    data, starts, ends = bytearray(b"7:15:00"), [], []
    for line in lines:
        starts.append(len(data))
        data += line
        ends.append(len(data))
        data += b"0Z"  # would belong to the timestamp, were it in the line
    found = LineTimes(reading, evidence)(bytes(data), starts, ends)
    rows = zip(found.times.tolist(), found.starts.tolist(), found.ends.tolist(), starts, strict=True)
    return [(time, start - at, end - at) if end else (time, 0, 0) for time, start, end, at in rows]


def agree(lines: list[bytes], reading: Reading = NOON) -> None:
    """Both say the same, alone and of the order of dates."""
    by_reference, by_kernel = Evidence.none(), Evidence.none()
    wanted = times_of(lines, reading, by_reference)
    given = natively(lines, reading, by_kernel)
    for line, was, now in zip(lines, wanted, given, strict=True):
        assert now == was, f"{line!r} with LOGFERRY_SEED={SEED}"
    assert (by_reference.counts == by_kernel.counts).all()


def test_random_lines() -> None:
    """Of every format and of what nearly is one, damaged; many files, so that orders differ."""
    rng = random.Random(SEED)
    for count in range(0, LINES, 20):
        agree([line_of(rng) for _ in range(20)], READINGS[count // 20 % len(READINGS)])


def test_every_line_cut_anywhere() -> None:
    agree([text.encode()[:length] for text in EXAMPLES + NEARLY for length in range(len(text) + 1)])


def test_every_byte_before_within_and_behind_a_timestamp() -> None:
    for text in (b"2026-11-26 07:15:00.5", b"Nov 26 07:15:00", b"1795677300"):
        lines = [bytes([byte]) + text for byte in range(256)]
        lines += [b" " + bytes([byte]) + text for byte in range(256)]
        lines += [text + bytes([byte]) for byte in range(256)]
        lines += [text[:at] + bytes([byte]) + text[at + 1 :] for at in range(0, len(text), 3) for byte in range(256)]
        agree(lines)


def test_every_date_of_leap_years_and_others() -> None:
    days = [(year, month, day) for year in (1990, 2000, 2023, 2024, 2026) for month in range(14) for day in range(33)]
    agree([b"%04d-%02d-%02d 07:15:00" % day for day in days])
    agree([b"%02d-%02d 07:15:00" % (month, day) for year, month, day in days if year == 2026])


def test_every_time_of_day_near_its_bounds() -> None:
    numbers = (0, 1, 11, 12, 13, 23, 24, 59, 60, 61)
    times = [(h, m, s, half) for h in numbers for m in numbers for s in numbers for half in (b"", b" AM", b"pm")]
    agree([b"2026-11-26 %02d:%02d:%02d%s" % time for time in times])


@pytest.mark.parametrize("reading", READINGS[1:], ids=["Berlin", "New York", "Lord Howe"])
def test_every_quarter_of_an_hour_around_changes_of_the_clock(reading: Reading) -> None:
    lines = []
    for month, days in ((3, (7, 8, 29)), (4, (4, 5, 7)), (10, (1, 3, 25)), (11, (1, 2))):
        lines += [
            b"2023-%02d-%02d %02d:%02d:00" % (month, day + shift, hour, minute)
            for day in days
            for shift in (-1, 0, 1)
            if day + shift
            for hour in range(5)
            for minute in (0, 15, 30, 45)
        ]
    agree(lines, reading)


def test_what_earlier_lines_told_stays_known() -> None:
    """Line by line or all at once: an order, once it is clear, holds."""
    evidence = Evidence.none()
    natively([b"13/06/2026 07:15:00"], NOON, evidence)
    assert natively([b"05/06/2026 07:15:00"], NOON, evidence)[0][0] == ns("2026-06-05T07:15:00Z")


def test_lines_outside_their_data_are_refused() -> None:
    """The kernel does not check."""
    for starts, ends in (([0], [4]), ([-1], [3]), ([2], [1]), ([0, 1], [1])):
        with pytest.raises(ValueError, match="line"):
            LineTimes(NOON)(b"abc", starts, ends)


def test_a_writable_array_is_read_as_well_and_left_writable() -> None:
    data = np.frombuffer(bytearray(b"2026-11-26 07:15:00"), np.uint8)
    assert LineTimes(NOON)(data, [0], [19]).times[0] == ns("2026-11-26T07:15:00Z")
    assert data.flags.writeable


def test_nothing_is_compiled_at_import() -> None:
    code = (
        "import logferry.archive.timestamps.kernel as kernel\n"
        "found = [one for one in vars(kernel).values() if hasattr(one, 'signatures')]\n"
        "assert len(found) > 20 and not any(one.signatures for one in found)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
