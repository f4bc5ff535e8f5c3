"""How the command line writes sizes, times, tables and whatever a server sent."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.cli import text

NOW = datetime(2026, 11, 23, 8, 31, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (48_000, "48 KB"),
        (999_499, "999 KB"),
        (999_600, "1.0 MB"),
        (1_200_000, "1.2 MB"),
        (812_000_000, "812 MB"),
        (6_100_000_000, "6.1 GB"),
        (182_000_000_000, "182.0 GB"),
        (2_900_000_000_000, "2.9 TB"),
    ],
)
def test_sizes_are_short_and_decimal(count: int, words: str) -> None:
    """As people write them: few digits, a unit they know."""
    assert text.size(count) == words


@given(st.integers(0, 10**17))
def test_any_size_fits_a_column(count: int) -> None:
    """Never four digits before a unit, so columns stay narrow."""
    assert len(text.size(count)) <= 8


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0.2, "0s"),
        (59, "59s"),
        (61, "1m"),
        (5 * 3600 + 19 * 60, "5h 19m"),
        (3 * 86400 + 4 * 3600, "3d 4h"),
        (-5, "0s"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float | None, words: str) -> None:
    """A clock that is ahead never gives a negative age."""
    assert text.duration(seconds) == words


def test_ages_are_counted_from_now() -> None:
    """An agent that was never heard says so; a text that is no time does too."""
    assert text.ago("2026-11-23T08:30:48.000Z", NOW) == "12s ago"
    assert text.ago(None, NOW) == "never"
    assert text.ago("soon", NOW) == "never"
    assert text.minute("2026-11-23T08:30:48.000Z") == "2026-11-23 08:30"
    assert text.minute(None) == "-"


def test_a_table_aligns_what_it_is_told_to() -> None:
    """Two spaces between columns, numbers to the right, no blanks at line ends."""
    made = text.table(("NAME", "SIZE"), [("a", "1 B"), ("longer", "812 MB")], right="SIZE")
    assert made.splitlines() == ["NAME      SIZE", "a          1 B", "longer  812 MB"]


def test_a_table_draws_control_characters_as_marks() -> None:
    """A file name cannot move the cursor or forge a row."""
    assert "\x1b" not in text.table(("NAME",), [("\x1b[2Jx\ny",)])
    assert len(text.table(("NAME",), [("a\nb",)]).splitlines()) == 2


def test_log_lines_keep_tabs_and_lose_escapes() -> None:
    """Tabs are harmless on a terminal; everything else of the kind is not."""
    assert text.line("a\tb\x1b[31m") == "a\tb\u241b[31m"


def test_there_is_no_colour_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """What other programs read has no escape sequences."""
    text.out(text.paint("red", fg="red"))
    assert capsys.readouterr().out == "red\n"


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    """Even on a terminal a JSON row steers nothing, and half a character passes too."""
    text.out_json({"name": "\x1b\u202e\udcff"})
    assert capsys.readouterr().out == '{"name":"\\u001b\\u202e\\udcff"}\n'
