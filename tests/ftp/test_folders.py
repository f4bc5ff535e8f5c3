"""Folder rules: which letters hold where."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.errors import BadConfig
from logferry.ftp import FolderRules, Permissions, User

OWN = Permissions("elr")

TABLE: list[tuple[dict[str, str], dict[str, str]]] = [
    # A path and everything beneath; a name that only begins alike is another one.
    ({"/in": "ew"}, {"/": "elr", "/in": "ew", "/in/a": "ew", "/in/a/b": "ew", "/inner": "elr", "/x/in": "elr"}),
    ({"/in/": "w"}, {"/in": "w", "/in/a": "w"}),
    # The home itself.
    ({"/": "e"}, {"/": "e", "/a/b": "e"}),
    # Beneath, not itself; and both together.
    ({"/in/**": "w"}, {"/in": "elr", "/in/a": "w", "/in/a/b": "w"}),
    ({"/in": "e", "/in/**": "w"}, {"/in": "e", "/in/a": "w", "/in/a/b": "w"}),
    ({"/in/**": "w", "/in": "e"}, {"/in": "e", "/in/a": "w"}),
    # The longest wins, whatever the order.
    ({"/a": "e", "/a/b": "r", "/a/b/c": ""}, {"/a/x": "e", "/a/b/x": "r", "/a/b/c": "", "/a/b/c/d": ""}),
    ({"/a/b/c": "", "/a": "e", "/a/b": "r"}, {"/a/x": "e", "/a/b/x": "r", "/a/b/c/d": ""}),
    ({"/in/**": "w", "/in/secret": ""}, {"/in/secret": "", "/in/secret/a": "", "/in/b": "w"}),
    # Stars stay within one component; more literal characters win among equals.
    ({"/*/private": ""}, {"/ann/private": "", "/ann/private/a": "", "/ann": "elr", "/a/b/private": "elr"}),
    ({"/*/private": "", "/ann": "w"}, {"/ann/x": "w", "/ann/private": ""}),
    ({"/log-*": "a", "/log-old*": "r"}, {"/log-1": "a", "/log-old1": "r"}),
    ({"/log-?": "a"}, {"/log-1": "a", "/log-12": "elr"}),
    ({"/[ab]": "w", "/[*]": "r"}, {"/a": "w", "/c": "elr", "/*": "r"}),
    # Any number of components.
    ({"/**/keys": ""}, {"/keys": "", "/a/keys": "", "/a/b/keys/c": "", "/a": "elr"}),
    ({"/a/**/z": "w"}, {"/a/z": "w", "/a/b/c/z": "w", "/a/b": "elr", "/z": "elr"}),
    ({"/**": "w"}, {"/": "elr", "/a": "w", "/a/b": "w"}),
    ({"/**/*.log": "r", "/incoming": "w"}, {"/x/a.log": "r", "/incoming/a.log": "w", "/x/a.log/b": "r"}),
    # Of equals the last written holds.
    ({"/a*": "w", "/*a": "r"}, {"/a": "r", "/ab": "w", "/ba": "r"}),
    ({"/*a": "r", "/a*": "w"}, {"/a": "w"}),
    # Names are bytes that came as text.
    ({"/ü\udcff": "w"}, {"/ü\udcff/a": "w", "/u": "elr"}),
]


@pytest.mark.parametrize(("rules", "expected"), TABLE, ids=[str(list(rules)) for rules, _ in TABLE])
def test_the_longest_match_holds(rules: dict[str, str], expected: dict[str, str]) -> None:
    """And where nothing matches the user's own letters."""
    made = FolderRules(rules)
    assert {path: str(made.letters(path, OWN)) for path in expected} == expected


@pytest.mark.parametrize(
    ("pattern", "letters", "said"),
    [
        ("in", "e", "not absolute"),
        ("", "e", "not absolute"),
        ("/a//b", "e", "''"),
        ("/a/../b", "e", r"'\.\.'"),
        ("/a/.", "e", r"'\.'"),
        ("/a**", "e", "stands alone"),
        ("/a", "ex", "'x'"),
        ("/" + "a" * 5000, "e", "5001 characters"),
    ],
)
def test_a_rule_that_means_nothing_is_named(pattern: str, letters: str, said: str) -> None:
    """When it is made, not when somebody is let in."""
    with pytest.raises(BadConfig, match=said):
        User("ann", "/srv", folders={pattern: letters})


def test_the_number_of_rules_is_bounded_and_no_rule_stands_twice() -> None:
    """Each is tried on each command; of two for one pattern nobody knows which holds."""
    with pytest.raises(BadConfig, match="at most"):
        FolderRules({f"/{number}": "e" for number in range(1001)})
    with pytest.raises(BadConfig, match="two folder rules"):
        FolderRules({"/a": "e", "/a/": "w"})


def test_rules_are_values() -> None:
    """Equal when written alike in the same order; a user that has them can be compared and hashed."""
    one, same = FolderRules({"/a": "re", "/b": ""}), FolderRules({"/a/": "er", "/b": ""})
    assert one == same
    assert hash(one) == hash(same)
    assert one != FolderRules({"/b": "", "/a": "er"})
    assert dict(one) == {"/a": "er", "/b": ""}
    assert len(one) == 2
    assert "'/a': 'er'" in repr(one)
    assert len({User("a", "/", folders=one), User("a", "/", folders=dict(same))}) == 1
    assert User("a", "/", folders={}).folder_rules is None
    assert User("a", "/", folders={"/a": "er", "/b": ""}).folder_rules == one


@pytest.mark.parametrize(
    ("rules", "divided", "whole"),
    [
        (["/a/b"], ["/", "/a"], ["/a/b", "/a/b/c", "/c", "/a/c"]),
        (["/a/**"], ["/", "/a"], ["/a/b", "/b"]),
        (["/*/b"], ["/", "/x"], ["/x/b", "/x/y"]),
        (["/**/k"], ["/", "/x", "/x/y"], ["/k", "/x/k", "/x/k/z"]),
        (["/"], [], ["/", "/a"]),
    ],
)
def test_a_rule_divides_the_folders_above_it(rules: list[str], divided: list[str], whole: list[str]) -> None:
    """Those are not moved as a whole."""
    made = FolderRules(dict.fromkeys(rules, "e"))
    assert [path for path in divided + whole if made.divide(path)] == divided


# An oracle that shares nothing with the code: each pattern as one regular expression over a path and its folders.

NAMES = st.sampled_from(["a", "b", "ab", "log.1"])
PARTS = st.one_of(NAMES, st.sampled_from(["*", "**", "a*", "?", "[ab]"]))
PATTERNS = st.lists(PARTS, max_size=4).map(lambda parts: "/" + "/".join(parts))
PATHS = st.lists(NAMES, max_size=6).map(lambda parts: "/" + "/".join(parts))


def expression(pattern: str) -> str:
    """``pattern`` as a regular expression for ``/a/b`` (the home is the empty text)."""
    made = ""
    parts = [part for part in pattern.split("/") if part]
    for number, part in enumerate(parts):
        if part == "**":
            made += "(?:/[^/]+)+" if number == len(parts) - 1 else "(?:/[^/]+)*"
        else:
            escaped = re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
            made += "/" + escaped.replace(r"\[ab\]", "[ab]")
    return made


def fits(pattern: str, path: str) -> bool:
    """Whether ``pattern`` fits ``path`` or a folder above."""
    parts = [part for part in path.split("/") if part]
    above = ["".join(f"/{part}" for part in parts[:count]) for count in range(len(parts) + 1)]
    return any(re.fullmatch(expression(pattern), one) for one in above)


@given(patterns=st.lists(PATTERNS, max_size=4, unique=True), path=PATHS)
def test_rules_match_as_they_are_described(patterns: list[str], path: str) -> None:
    """Against one expression per pattern, and a plain search for the heaviest."""
    rules = {pattern: "elradfmwMT"[number] for number, pattern in enumerate(patterns)}
    found = ""
    heaviest = (-1, -1)
    for pattern in patterns:
        weight = (
            sum(part not in ("", "**") for part in pattern.split("/")),
            len(re.sub(r"[*?\[]", "", pattern)),
        )
        if fits(pattern, path) and weight >= heaviest:
            found, heaviest = rules[pattern], weight
    assert str(FolderRules(rules).letters(path, Permissions(""))) == found


@given(patterns=st.lists(PATTERNS, min_size=1, max_size=3, unique=True), path=PATHS, below=PATHS)
def test_a_folder_no_rule_divides_has_the_same_letters_throughout(patterns: list[str], path: str, below: str) -> None:
    """So moving it as a whole takes nothing past a rule."""
    rules = FolderRules({pattern: "elradfmwMT"[number] for number, pattern in enumerate(patterns)})
    if not rules.divide(path):
        deeper = (path + below).replace("//", "/")
        assert rules.letters(path, OWN) == rules.letters(deeper.rstrip("/") or "/", OWN)
