"""The algebra of virtual paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.errors import BadName
from logferry.ftp.protocol import paths

CASES = [
    ("/", "", "/"),
    ("/a", "", "/a"),
    ("/", "x", "/x"),
    ("/a/b", "c", "/a/b/c"),
    ("/a/b", "/c", "/c"),
    ("/a/b", "..", "/a"),
    ("/a/b", "../..", "/"),
    ("/a/b", "../../../../etc/passwd", "/etc/passwd"),
    ("/a", "./x/.//y/", "/a/x/y"),
    ("/a", "x/../../y", "/y"),
    ("/", "...", "/..."),
    ("/", "..x", "/..x"),
    ("/", "a\\..\\b", "/a\\..\\b"),
    ("/", "~root", "/~root"),
    ("/", " ", "/ "),
]


@pytest.mark.parametrize(("folder", "argument", "expected"), CASES)
def test_an_argument_resolves_against_the_working_folder(folder: str, argument: str, expected: str) -> None:
    """Relative, absolute, with dots; never above the home."""
    assert paths.resolve(folder, argument) == expected


PARTS = st.lists(st.sampled_from(["a", "b", "..", ".", "", "ä", "\udcff", "..."]), max_size=12)


@given(PARTS, PARTS)
def test_a_resolved_path_is_normal_and_stays_so(folder: list[str], argument: list[str]) -> None:
    """Absolute, no empty, dot or dot-dot component, and resolving again changes nothing."""
    working = paths.resolve("/", "/".join(folder))
    path = paths.resolve(working, "/".join(argument))
    assert path.startswith("/")
    assert not {"", ".", ".."} & set(path[1:].split("/")) or path == "/"
    assert paths.resolve("/anything", path) == path
    assert paths.join(*paths.split(path)) == path


@given(st.text(max_size=60))
def test_any_text_resolves_or_is_a_bad_name(argument: str) -> None:
    """Nothing else can come out."""
    try:
        path = paths.resolve("/a", argument)
    except BadName:
        return
    assert ".." not in path.split("/")


@pytest.mark.parametrize("argument", ["a\x00b", "a\nb", "a\rb", "x" * 256, "x/" * 200, "ä" * 128, "long/" * 1000])
def test_what_no_file_system_should_see_is_refused(argument: str) -> None:
    """NUL, line ends, over-long names and paths."""
    with pytest.raises(BadName):
        paths.resolve("/", argument)


def test_names_up_to_255_bytes_pass() -> None:
    """The limit of the file systems themselves."""
    assert paths.resolve("/", "x" * 255) == "/" + "x" * 255


def test_quotes_are_doubled() -> None:
    """RFC 959 appendix II."""
    assert paths.quoted('/a"b') == '"/a""b"'
