"""Listings: facts, Unix, DOS, whole and byte by byte."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.errors import Unreachable
from logferry.ftp.protocol.listing_reader import (
    Listed,
    ListingReader,
    read_facts,
    read_list_line,
    time_value,
    time_value_ns,
)
from logferry.limits import FTP_LISTING_LINE_BYTES_MAX


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    """Nanoseconds of a moment in UTC."""
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()) * 10**9


NOW = at(2026, 3, 10, 12)

FACTS: list[tuple[str, Listed]] = [
    ("type=file;size=5;modify=20260101000000; a.log", Listed("a.log", "file", 5, at(2026, 1, 1))),
    ("Type=dir;Size=4096;Modify=20260101000000.5; d", Listed("d", "folder", None, at(2026, 1, 1) + 500_000_000)),
    ("size=1;type=file;unique=2g5;  two  spaces ", Listed(" two  spaces ", "file", 1, unique="2g5")),
    ("type=OS.unix=slink:/t;; l", Listed("l", "link", target="/t")),
    ("type=OS.unix=chr-1/2; dev", Listed("dev", "other")),
    (" no facts", Listed("no facts", "file")),
    ("size=x;modify=never; odd", Listed("odd", "file")),
    ("type=file; a=b; c", Listed("a=b; c", "file")),
]


@pytest.mark.parametrize(("line", "entry"), FACTS)
def test_facts_are_read(line: str, entry: Listed) -> None:
    """Any order, any case, names as they are."""
    assert read_facts(line) == entry


@pytest.mark.parametrize("line", ["", "nothing", "type=file;", "type=file;size=5 name", "total 5"])
def test_a_line_without_facts_is_none(line: str) -> None:
    """Facts end with a semicolon, then one space, then a name."""
    assert read_facts(line) is None


LINES: list[tuple[str, Listed | None]] = [
    ("-rw-r--r--   1 owner group     1234 Jan 01 00:30 a.log", Listed("a.log", "file", 1234, at(2026, 1, 1, 0, 30))),
    ("-rw-r--r--   1 owner group     1234 Dec 31 23:30 a.log", Listed("a.log", "file", 1234, at(2025, 12, 31, 23, 30))),
    ("-rw-r--r--   1 owner group     1234 Mar 11 11:00 a.log", Listed("a.log", "file", 1234, at(2026, 3, 11, 11))),
    ("-rw-r--r--   1 owner group     1234 Feb 29  2024 a.log", Listed("a.log", "file", 1234, at(2024, 2, 29))),
    (
        "-rw-------   1 u g  5 Jan  1  2020  leading and  inner",
        Listed(" leading and  inner", "file", 5, at(2020, 1, 1)),
    ),
    ("-rw-r--r--+  1 u g  5 Jan  1  2020 acl", Listed("acl", "file", 5, at(2020, 1, 1))),
    ("-rw-r--r--   1 u  5 Jan  1  2020 no group", Listed("no group", "file", 5, at(2020, 1, 1))),
    ("-rw-r--r--   5 Jan  1  2020 no owner", Listed("no owner", "file", 5, at(2020, 1, 1))),
    ("drwxr-xr-x   2 u g  4096 Jan  1  2020 d", Listed("d", "folder", None, at(2020, 1, 1))),
    ("lrwxrwxrwx   1 u g  4 Jan  1  2020 l -> /t a", Listed("l", "link", 4, at(2020, 1, 1), target="/t a")),
    ("crw-rw-rw-   1 root root 1,   3 Jan  1  2020 null", Listed("null", "other", None, at(2020, 1, 1))),
    ("-rw-r--r-- 1 u g 9 2020-05-06 07:08 iso", Listed("iso", "file", 9, at(2020, 5, 6, 7, 8))),
    ("-rw-r--r--   1 1000 1000  5 Jan  1  2020 10 Jan 2020 x", Listed("10 Jan 2020 x", "file", 5, at(2020, 1, 1))),
    ("-rw-r--r--   1 u g  99999999999 Jan  1  2020 big", Listed("big", "file", 99_999_999_999, at(2020, 1, 1))),
    ("-rw-r--r--   1 u g  5 Xyz  1  2020 month", Listed("month", "file", 5)),
    ("02-10-20  03:04PM       1234 a b.log", Listed("a b.log", "file", 1234, at(2020, 2, 10, 15, 4))),
    ("02-10-1999  12:04AM       1234 c", Listed("c", "file", 1234, at(1999, 2, 10, 0, 4))),
    ("02-10-71  12:04PM      <DIR>   d", Listed("d", "folder", None, at(1971, 2, 10, 12, 4))),
    ("02-10-20  15:04       7 e", Listed("e", "file", 7, at(2020, 2, 10, 15, 4))),
    ("total 12", None),
    ("", None),
    ("nonsense", None),
]


@pytest.mark.parametrize(("line", "entry"), LINES)
def test_list_lines_are_read(line: str, entry: Listed | None) -> None:
    """Unix with all its variations, and DOS."""
    assert read_list_line(line, now_ns=NOW) == entry


def test_the_day_that_this_year_does_not_have_was_in_another() -> None:
    """29 February without a year, seen in March 2025, is from 2024."""
    entry = read_list_line("-rw-r--r-- 1 u g 5 Feb 29 10:00 leap", now_ns=at(2025, 3, 1) - 1)
    assert entry is not None
    assert entry.modified_ns == at(2024, 2, 29, 10)


@pytest.mark.parametrize("step", [1, 3, 10_000])
def test_a_listing_in_pieces_is_the_same_listing(step: int) -> None:
    """Without the folder itself and its parent; a last line without an end counts."""
    wire = b"type=cdir; .\r\ntype=pdir; ..\r\ntype=file;size=1; \xc3\xbc\r\n\r\ntype=dir; d\ntype=file; \xff"
    reader = ListingReader(facts=True)
    for n in range(0, len(wire), step):
        reader.feed(wire[n : n + step])
    assert [entry.name for entry in reader.finish()] == ["ü", "d", "\udcff"]


@pytest.mark.parametrize("step", [1, 10_000])
def test_a_list_in_pieces_is_the_same_list(step: int) -> None:
    """The same for LIST, without its total and dots."""
    text = "total 8\r\ndrwxr-xr-x 2 u g 1 Jan  1  2020 .\r\n-rw-r--r-- 1 u g 5 Jan  1  2020 a\r\n"
    reader = ListingReader(facts=False, now_ns=NOW)
    for n in range(0, len(text), step):
        reader.feed(text[n : n + step].encode())
    assert reader.finish() == [Listed("a", "file", 5, at(2020, 1, 1))]


def test_an_endless_line_is_refused() -> None:
    """Not collected until memory ends."""
    with pytest.raises(Unreachable):
        ListingReader(facts=True).feed(b"x" * (FTP_LISTING_LINE_BYTES_MAX + 1))


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_make_a_listing(data: bytes, facts: bool) -> None:
    """Whatever a server sends, reading it ends well."""
    reader = ListingReader(facts=facts, now_ns=NOW)
    reader.feed(data)
    assert all(entry.name for entry in reader.finish())


@given(st.integers(0, 253_402_300_799), st.integers(0, 999_999_999))
def test_a_time_written_is_the_time_read(seconds: int, part: int) -> None:
    """With nine digits of a fraction, to the nanosecond; without, to the second."""
    ns = seconds * 10**9 + part
    assert time_value_ns(time_value(ns, digits=9)) == ns
    assert time_value_ns(time_value(ns)) == seconds * 10**9


@pytest.mark.parametrize("text", ["", "2026", "20261301000000", "20260101000000.", "20260101000061", "x20260101000000"])
def test_what_is_no_time_is_none(text: str) -> None:
    """Months, seconds and digits are checked."""
    assert time_value_ns(text) is None


def test_a_leap_second_is_the_next_second() -> None:
    """RFC 3659 allows the value 60."""
    assert time_value_ns("20161231235960") == at(2017, 1, 1)
