"""Sizes, counts, times and links as text."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from logferry.amounts import count_in_short
from logferry.errors import BadQuery
from logferry.web.pages import words
from logferry.web.pages.wrong import wrong

NOW = int(datetime(2026, 11, 23, 8, 31, 7, tzinfo=UTC).timestamp()) * 10**9
HOUR = 3600 * 10**9


@pytest.mark.parametrize(
    ("before", "text"),
    [(0, "08:31:07"), (HOUR, "07:31:07"), (24 * HOUR, "Nov 22 08:31"), (400 * 24 * HOUR, "2025-10-19")],
)
def test_times_are_as_short_as_is_clear(before: int, text: str) -> None:
    """Today's are clock times, this year's have the day, others are dates."""
    assert words.day_time(NOW - before, NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "just now"), (0, "just now"), (12, "12 s ago"), (19_140, "5 h 19 m ago")]
)
def test_ago(seconds: int, text: str) -> None:
    """A clock that ran backwards is no reason for minus signs."""
    assert words.ago(NOW - seconds * 10**9, NOW) == text


@pytest.mark.parametrize(
    ("root", "path", "query", "link"),
    [
        ("", "/view/a/50%25 #1?.log", {}, "/view/a/50%2525%20%231%3F.log"),
        ("/logs", "/", {"q": "a b&c", "gen": None, "x": ""}, "/logs/?q=a+b%26c"),
        ("", "/browse/a/ü/<b>", {"gen": 0}, "/browse/a/%C3%BC/%3Cb%3E?gen=0"),
    ],
)
def test_links_are_made_from_clear_text(root: str, path: str, query: dict[str, object], link: str) -> None:
    """Whatever a name holds, the link leads to it."""
    assert words.address(root, path, **query) == link


def test_counts_agree_with_their_noun() -> None:
    """1 file, 1,204 files, 2 entries."""
    assert words.counted(1, "file") == "1 file"
    assert words.counted(1204, "file") == "1,204 files"
    assert words.counted(2, "entry", "entries") == "2 entries"
    assert words.counted(1204) == "1,204"


def test_fragments_become_sentences() -> None:
    """Errors are written as fragments; pages show sentences."""
    assert words.sentence("there is no agent x") == "There is no agent x."
    assert words.sentence("Done!") == "Done!"
    assert words.sentence("") == ""


@pytest.mark.parametrize("column", [1, 5, 8, 99])
def test_the_caret_stands_under_the_column(column: int) -> None:
    """Also at the end, where there is no character any more; the three parts are the query."""
    found = wrong("error (x", BadQuery("no", column=column))
    assert len(found.before) == min(column - 1, 8)
    assert (found.before + found.at + found.after).rstrip() == "error (x"


def test_long_queries_are_shortened_around_the_caret() -> None:
    """Some of both sides is enough to see the place."""
    found = wrong("a" * 500 + "(" + "b" * 500, BadQuery("no", column=501))
    assert found.at == "("
    assert found.before.startswith("…a")
    assert found.after.endswith("b…")
    assert len(found.before) < 70


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("no command", "no command"),
        ("`logferry doctor` <says> more", "<code>logferry doctor</code> &lt;says&gt; more"),
        ("one ` alone & `<b>`", "one ` alone &amp; `&lt;b&gt;`"),
    ],
)
def test_what_stands_between_backticks_is_code_and_nothing_is_markup(text: str, html: str) -> None:
    """Where they do not pair up they are characters like others."""
    assert str(words.coded(text)) == html


@pytest.mark.parametrize(
    ("least", "most", "text"),
    [(17 * 10**9, 21 * 10**9, "17.0–21.0 GB"), (812 * 10**6, 12 * 10**8, "812 MB – 1.2 GB"), (0, 0, "0 B"),
     (0, 5, "0–5 B"), (10**9, 10**9 + 1, "1.0 GB")],
)  # fmt: skip
def test_a_range_names_its_unit_once(least: int, most: int, text: str) -> None:
    """Where both ends have the same."""
    assert words.size_range(least, most) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (10_431, "10,431"), (99_999, "99,999"), (100_000, "100K"), (999_499, "999K"), (999_500, "1.0M"),
        (7_900_000, "7.9M"), (58_230_000, "58.2M"), (1_200_000_000, "1.2B"), (10**15, "1,000,000B"),
    ],
)  # fmt: skip
def test_large_counts_are_told_in_short(number: int, text: str) -> None:
    """Small ones whole; on the command line it is the same."""
    assert count_in_short(number) == text


def test_a_range_of_times_names_each_day_once() -> None:
    """None where it is today, the year only where it is another."""
    zone = ZoneInfo("Europe/Berlin")

    def ns(text: str) -> int:
        return int(datetime.fromisoformat(text).timestamp()) * 10**9

    now_ns = ns("2026-11-23T12:00:00Z")
    for first, last, text in (
        ("2026-11-23T08:13:01Z", "2026-11-23T08:41:59Z", "09:13–09:41"),
        ("2026-11-23T08:13:01Z", "2026-11-23T08:13:59Z", "09:13"),
        ("2026-11-21T08:13:01Z", "2026-11-21T08:41:59Z", "Nov 21 09:13–09:41"),
        ("2026-11-21T22:13:01Z", "2026-11-21T23:41:59Z", "Nov 21 23:13 – Nov 22 00:41"),
        ("2025-12-31T22:13:01Z", "2025-12-31T23:41:59Z", "2025-12-31 23:13 – Jan 1 00:41"),
        ("2024-07-23T09:13:00Z", "2024-07-23T11:41:00Z", "2024-07-23 11:13–13:41"),
    ):
        assert words.time_range(ns(first), ns(last), now_ns, zone) == text
