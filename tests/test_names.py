"""Names: raw bytes to archive paths and back, and the names with a meaning on the wire."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logferry import names
from logferry.errors import BadName
from logferry.limits import NAME_BYTES_MAX, PATH_DEPTH_MAX

raw_names = st.binary(min_size=1, max_size=60).filter(
    lambda raw: b"/" not in raw and b"\x00" not in raw and raw not in (b".", b"..")
)
STAMP = "20261123T081400Z-1a2b3c4d"


@given(raw_names)
def test_every_raw_name_comes_back_from_its_archive_name(raw: bytes) -> None:
    """escape loses nothing, whatever bytes a node's file name holds."""
    assert names.unescape(names.escape(raw)) == raw


@given(raw_names)
def test_an_archive_name_is_one_valid_component(raw: bytes) -> None:
    """What escape makes passes its own check, is UTF-8 and holds no control character."""
    name = names.escape(raw)
    assert names.checked_component(name) == name
    name.encode("utf-8")
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u2028\u2029/" for c in name)


@given(raw_names, raw_names)
def test_two_raw_names_never_share_an_archive_name(one: bytes, other: bytes) -> None:
    """escape is injective, so no file can take the place of another."""
    assert (names.escape(one) == names.escape(other)) == (one == other)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"app.log", "app.log"),
        (b"100%.log", "100%.log"),
        (b"%41.log", "%2541.log"),
        (b"%4z", "%4z"),
        (b"line\nbreak", "line%0Abreak"),
        (b"cr\rlf", "cr%0Dlf"),
        (b"\xff\xfe", "%FF%FE"),
        ("tür".encode(), "tür"),
        ("nel\u0085".encode(), "nel%C2%85"),
        ("par\u2029".encode(), "par%E2%80%A9"),
        (b"a b", "a b"),
        (b" ", " "),
        (b"...", "..."),
    ],
)
def test_names_are_escaped_only_where_they_must_be(raw: bytes, name: str) -> None:
    """Ordinary names stay readable; only what a line of protocol cannot carry becomes a code."""
    assert names.escape(raw) == name
    assert names.unescape(name) == raw


@pytest.mark.parametrize("raw", [b"", b".", b"..", b"a/b", b"nul\x00", b"x" * 256, b"\n" * 86])
def test_what_is_no_file_name_is_refused(raw: bytes) -> None:
    """No component that could leave its folder, and none longer than file systems allow."""
    with pytest.raises(BadName):
        names.escape(raw)


def test_a_path_is_escaped_component_by_component() -> None:
    """Slashes separate, doubled ones count once."""
    assert names.escape_path(b"var//log/a\nb") == "var/log/a%0Ab"


@pytest.mark.parametrize(
    "path", ["/a", "a/", "a//b", "a/../b", ".", "..", "a\nb", "a/" * PATH_DEPTH_MAX + "b", "x/" * 9 + "\udc80"]
)
def test_what_is_no_archive_path_is_refused(path: str) -> None:
    """A path from outside never climbs, never doubles a slash, never holds a control character."""
    with pytest.raises(BadName):
        names.checked_path(path)


def test_the_root_and_ordinary_paths_are_archive_paths() -> None:
    """The empty path is the root."""
    assert names.checked_path("") == ""
    assert names.checked_path("var/log/app.log") == "var/log/app.log"
    assert names.split("var/log/app.log") == ("var/log", "app.log")
    assert names.split("app.log") == ("", "app.log")


def test_a_wire_name_keeps_the_codes_its_client_wrote() -> None:
    """An agent has escaped already; a second escaping would break the way back."""
    assert names.from_wire("a%0Ab") == "a%0Ab"
    assert names.from_wire("bad\udcff") == "bad%FF"
    with pytest.raises(BadName):
        names.from_wire("..")


@pytest.mark.parametrize("agent_id", ["web-01", "a", "PLC_7.line", "x" * 63])
def test_agent_ids_are_short_ascii_words(agent_id: str) -> None:
    """What stands in a path, a URL and a user name without any escaping."""
    assert names.checked_agent_id(agent_id) == agent_id


@pytest.mark.parametrize("agent_id", ["", ".", "..", "a b", "a/b", "ü", "x" * 64, "a\n", "-" * 64])
def test_other_agent_ids_are_refused(agent_id: str) -> None:
    """An id that could leave its home, or not be typed, is none."""
    with pytest.raises(BadName):
        names.checked_agent_id(agent_id)


def test_ids_that_differ_in_case_alone_count_as_the_same() -> None:
    """Two agents must not share a folder on a file system that folds case."""
    assert names.folded("Web-01") == names.folded("wEB-01")


@given(st.text(max_size=300))
def test_temporary_names_are_short_and_known_again(path: str) -> None:
    """The same path gets the same temporary name, and no ordinary name looks like one."""
    path = path.encode("utf-8", "ignore").decode()
    name = names.temporary_name(path)
    assert name == names.temporary_name(path)
    assert names.is_temporary(name)
    assert not names.is_temporary(name + "x")
    assert len(name) < 32


@given(raw_names)
def test_an_aside_name_tells_what_it_was(raw: bytes) -> None:
    """An old generation moved aside is recognised as one of its path."""
    name = names.escape(raw)
    aside = names.aside_name(name, STAMP)
    assert names.parse_aside(aside) == (name, STAMP)
    assert names.is_aside_of(aside, name)
    assert not names.is_aside_of(aside, name + "x")


def test_an_aside_name_of_the_longest_name_still_fits() -> None:
    """Where the suffix does not fit, the name's hash stands for it."""
    name = "x" * NAME_BYTES_MAX
    aside = names.aside_name(name, STAMP)
    assert len(aside.encode()) <= NAME_BYTES_MAX
    assert names.is_aside_of(aside, name)


def test_an_aside_name_takes_only_a_real_stamp() -> None:
    """A stamp of another shape would not be known again."""
    with pytest.raises(BadName):
        names.aside_name("app.log", "yesterday")
    assert names.parse_aside("app.log.~gen-yesterday~") is None


@given(st.text(alphabet=st.characters(exclude_categories=[])))
@example("\ud800\udfff")
def test_shown_text_cannot_steer_a_terminal(text: str) -> None:
    """No control, surrogate or bidi character survives; the length of harmless text stays."""
    drawn = names.shown(text)
    drawn.encode("utf-8")
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0x202A <= ord(c) <= 0x202E for c in drawn)


def test_shown_text_marks_what_it_replaces() -> None:
    """Each kind of dangerous character has its own visible mark."""
    assert names.shown("a\x1b[31m\n\x7f\x85\udcff\u202e") == "a\u241b[31m\u240a\u2421\\x85\\xFF<U+202E>"
    assert names.shown("a\U000e0041\U000e0100\ufff9") == "a<U+E0041><U+E0100><U+FFF9>"
    assert names.shown("tür 日本") == "tür 日本"


@given(
    st.binary(min_size=1, max_size=60).filter(
        lambda raw: b"/" not in raw and b"\0" not in raw and raw not in (b".", b"..")
    )
)
def test_a_plain_name_means_the_same_as_the_one_that_was_refused(raw: bytes) -> None:
    """Letters, digits and a few signs are left, and the way back leads to the same raw name."""
    plain = names.plain_name(names.escape(raw))
    assert names.unescape(plain) == raw
    assert names.plain_name(plain) == plain


def test_an_ordinary_name_is_plain_already() -> None:
    """Nothing of it is written otherwise; in a path each component counts by itself."""
    assert names.plain_name("app-1.2_x (old)+@=,!.log") == "app-1.2_x (old)+@=,!.log"
    assert names.plain_path("a/b: c/-d") == "a/b%3A c/%2Dd"
