"""Patterns that choose files of a tree."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.errors import BadConfig
from logferry.ftp.selection import Selection


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.log", ["a.log", "x/y/a.log", ".log"], ["a.log.1", "a.logs", "x.log/y"]),
        ("nginx/*.log", ["nginx/a.log"], ["a.log", "x/nginx/a.log", "nginx/b/a.log"]),
        ("nginx/**", ["nginx/a", "nginx/b/c"], ["nginx", "x/nginx/a"]),
        ("**/old", ["old", "a/old", "a/b/old"], ["old/a", "bold"]),
        ("/a", ["a"], ["b/a"]),
        ("a/", ["a", "b/a"], ["ab"]),
        ("?[0-9][!a]", ["x1b", "d/x1b"], ["x1a", "xxb", "x1b1"]),
        ("[x]^]", ["x^]"], ["^^]", "]"]),
        ("a.b", ["a.b"], ["axb"]),
        ("grüß*", ["grüße.log", "x/grüß"], ["gruss"]),
    ],
)
def test_patterns_match_what_people_expect(pattern: str, yes: list[str], no: list[str]) -> None:
    """With a slash the whole path, without one the last part; a star ends at a slash."""
    selection = Selection.of(exclude=[pattern])
    assert [path for path in yes if not selection.excluded(path)] == []
    assert [path for path in no if selection.excluded(path)] == []


def test_exclusion_wins_over_inclusion() -> None:
    """And without patterns everything is meant."""
    selection = Selection.of(["*.log"], ["secret*"])
    assert [path for path in ("a.log", "secret.log", "a.txt") if selection.takes(path)] == ["a.log"]
    assert Selection().takes("anything")


@pytest.mark.parametrize("pattern", ["", "/", "[a", "[z-a]"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    """With a hint."""
    with pytest.raises(BadConfig, match=r"is not a pattern|never closed|is wrong"):
        Selection.of([pattern])


@given(st.text("ab*?.", min_size=1, max_size=6), st.text("ab.", min_size=1, max_size=6))
def test_in_one_part_stars_and_question_marks_are_those_of_the_shell(pattern: str, name: str) -> None:
    """Compared with the standard library's fnmatch."""
    assert Selection.of([pattern]).takes(name) == fnmatch.fnmatchcase(name, pattern)
