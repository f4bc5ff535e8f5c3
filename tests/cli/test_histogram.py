"""Drawing a histogram: bars in proportion, gaps said in words, any width, any terminal."""

from __future__ import annotations

from typing import Any

import pytest

from logferry.cli.grep import lines_of
from logferry.cli.histogram import drawn, width_words


def histogram(step_s: int, *counts: tuple[str, int]) -> dict[str, Any]:
    """As the API tells it."""
    return {"step_s": step_s, "buckets": [{"at": at, "count": count} for at, count in counts]}


def test_bars_stand_in_proportion() -> None:
    """The longest fills the line; the smallest is seen."""
    found = histogram(
        3600,
        ("2026-11-23T08:00:00.000Z", 1000),
        ("2026-11-23T09:00:00.000Z", 500),
        ("2026-11-23T10:00:00.000Z", 1),
    )
    assert list(drawn(found, 41)) == [
        "2026-11-23 08:00  1,000  ████████████████",
        "2026-11-23 09:00    500  ████████",
        "2026-11-23 10:00      1  ▏",
    ]


def test_a_terminal_without_blocks_gets_signs() -> None:
    """ASCII only."""
    (line,) = drawn(histogram(60, ("2026-11-23T08:00:00.000Z", 3)), 30, blocks=False)
    assert line == "2026-11-23 08:00  3  #########"


def test_short_gaps_are_drawn_and_long_ones_told() -> None:
    """Three empty bars are three lines; three hundred are one."""
    found = histogram(
        86400,
        ("2026-01-01T00:00:00.000Z", 2),
        ("2026-01-03T00:00:00.000Z", 1),
        ("2026-10-30T00:00:00.000Z", 1),
    )
    assert list(drawn(found, 20)) == [
        "2026-01-01  2  █████",
        "2026-01-02  0",
        "2026-01-03  1  ██▌",
        "⋮ 299 bars without a hit",
        "2026-10-30  1  ██▌",
    ]


@pytest.mark.parametrize("width", [1, 10, 24, 80, 500])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """As far as what has to be told has room."""
    found = histogram(1, ("2026-11-23T08:00:00.000Z", 123_456), ("2026-11-23T08:00:01.000Z", 7))
    least = len("2026-11-23 08:00:00  123,456  █")
    assert max(len(line) for line in drawn(found, width)) <= max(width, least)


@pytest.mark.parametrize(
    ("content", "spans", "lines"),
    [
        ("one", [(0, 1)], [("one", [(0, 1)])]),
        ("ab\ncd", [(1, 4)], [("ab", [(1, 2)]), ("cd", [(0, 1)])]),
        ("ab\r\ncd\n", [(4, 6)], [("ab", []), ("cd", [(0, 2)]), ("", [])]),
    ],
)
def test_an_entry_is_printed_line_by_line(
    content: str, spans: list[tuple[int, int]], lines: list[tuple[str, list[tuple[int, int]]]]
) -> None:
    """Matches are painted in each line they touch."""
    assert list(lines_of(content, spans)) == lines


def test_nothing_is_drawn_of_nothing() -> None:
    """No line, no division by zero."""
    assert list(drawn(histogram(3600), 80)) == []


@pytest.mark.parametrize(
    ("step_s", "words"),
    [(1, "a second"), (15, "15 seconds"), (60, "a minute"), (900, "15 minutes"), (3600, "an hour"),
     (10_800, "3 hours"), (86_400, "a day"), (604_800, "7 days")],
)  # fmt: skip
def test_widths_have_words(step_s: int, words: str) -> None:
    """As a person says them."""
    assert width_words(step_s) == words
