"""Ranges, conditions and file names of HTTP: every edge, without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.web.ranges import ByteRange, Unsatisfiable, disposition, none_match, range_stands, requested_range


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 10),
        ("bytes=9-", 9, 10),
        ("bytes=2-4", 2, 5),
        ("bytes=2-4000", 2, 10),
        ("bytes=-3", 7, 10),
        ("bytes=-3000", 0, 10),
        (" Bytes = 1 - 2 ", 1, 3),
    ],
)
def test_a_range_names_bytes_from_either_end(header: str, start: int, end: int) -> None:
    """First and last byte, an open end, the last so many."""
    assert requested_range(header, 10) == ByteRange(start, end)


@pytest.mark.parametrize(
    "header", ["", "bytes=", "bytes=-", "bytes=4-2", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "bytes=1", "bytes=--1"]
)
def test_what_is_no_single_range_sends_everything(header: str) -> None:
    """A server may ignore what it does not understand, and several ranges."""
    assert requested_range(header, 10) is None


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=11-12", 10), ("bytes=-0", 10), ("bytes=0-", 0)]
)
def test_a_range_outside_cannot_be_satisfied(header: str, size: int) -> None:
    """There is no byte to send."""
    with pytest.raises(Unsatisfiable):
        requested_range(header, size)


@given(header=st.text(max_size=40), size=st.integers(0, 100))
def test_no_header_gives_bytes_that_are_not_there(header: str, size: int) -> None:
    """Whatever is sent: nothing, or bytes within the size."""
    try:
        found = requested_range("bytes=" + header, size)
    except Unsatisfiable:
        return
    assert found is None or 0 <= found.start < found.end <= size


def test_conditions_compare_tags() -> None:
    """If-None-Match weakly, If-Range strongly."""
    assert none_match("", '"a"')
    assert none_match('"b", "c"', '"a"')
    assert not none_match('"b", W/"a"', '"a"')
    assert not none_match("*", '"a"')
    assert range_stands("", '"a"')
    assert range_stands('"a"', '"a"')
    assert not range_stands('W/"a"', '"a"')
    assert not range_stands("Mon, 23 Nov 2026 08:00:00 GMT", '"a"')


@pytest.mark.parametrize("name", ["app.log", 'a"b\\c%;d', "größe 日本.log", "a\u202eb", "x" * 255])
def test_any_file_name_makes_a_header_without_surprises(name: str) -> None:
    """Only printable ASCII, quotes balanced, the whole name in the extended form."""
    header = disposition("attachment", name)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert "filename*=UTF-8''" in header
