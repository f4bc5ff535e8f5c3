"""Name patterns: what they match, and that no pattern is slow."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.ftp.protocol.globs import Pattern, is_pattern

CASES = [
    ("*", "", True),
    ("*", "abc", True),
    ("a*", "abc", True),
    ("*c", "abc", True),
    ("a*c", "ac", True),
    ("a*a", "a", False),
    ("*b*", "abc", True),
    ("*ab*bc", "abc", False),
    ("**", "x", True),
    ("?", "", False),
    ("?", "ä", True),
    ("a?c*", "abc", True),
    ("[ab]c", "bc", True),
    ("[!ab]c", "bc", False),
    ("[!ab]c", "cc", True),
    ("[a-c]*", "b.log", True),
    ("[z-a]", "b", False),
    ("[!z-a]", "b", True),
    ("[]]", "]", True),
    ("[", "[", True),
    ("[a", "[a", True),
    ("[a-]", "-", True),
    (r"[\]", "\\", True),
    ("*.log", "a.LOG", False),
    ("a.b", "axb", False),
    ("*", "line\nend", True),
]


@pytest.mark.parametrize(("pattern", "name", "fits"), CASES)
def test_patterns_fit_what_they_should(pattern: str, name: str, fits: bool) -> None:
    """The whole name, upper and lower case apart."""
    assert Pattern(pattern).fits(name) is fits


@given(pattern=st.text("ab*?[]!-", max_size=12), name=st.text("ab*?[]!-", max_size=12))
def test_patterns_mean_what_fnmatch_means(pattern: str, name: str) -> None:
    """Every pattern over few characters, against the standard library's."""
    assert Pattern(pattern).fits(name) == fnmatch.fnmatchcase(name, pattern)


@pytest.mark.parametrize("piece", ["*a", "*a?", "*?a", "*[a-b]", "*?", "*"])
def test_no_pattern_costs_time(piece: str) -> None:
    """A name of 255 characters and the longest pattern: matching that goes back would not end in years."""
    pattern = Pattern((piece * 255)[:254] + "b")
    assert not pattern.fits("a" * 255)
    assert not Pattern("*" + "a" * 120 + "*" + "a" * 120 + "b").fits("a" * 255)


def test_plain_names_are_no_patterns() -> None:
    """Only three characters make one."""
    assert not is_pattern("app.log]-!")
    assert all(is_pattern(text) for text in ("*", "a?", "[a"))
