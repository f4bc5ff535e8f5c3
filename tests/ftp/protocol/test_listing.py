"""Listing lines and time values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.errors import Refused
from logferry.ftp.filesystem import Entry
from logferry.ftp.permissions import Permissions
from logferry.ftp.protocol.listing import FACTS, facts, list_line, parse_time_value, printable, time_value
from logferry.ftp.protocol.listing_reader import read_facts, read_list_line

NOW = 1_795_421_640_000_000_000  # 2026-11-23 08:14:00
FILE = Entry("app log.txt", False, 1234, NOW - 60_000_000_000, 0o640, "1g2")
FOLDER = Entry("sub", True, 4096, NOW - 400 * 86_400_000_000_000, 0o755, "1g3")


def test_recent_files_show_the_time_and_old_ones_the_year() -> None:
    """As ls does."""
    assert list_line(FILE, NOW) == "-rw-r-----   1 ftp      ftp              1234 Nov 23 08:13 app log.txt"
    assert list_line(FOLDER, NOW) == "drwxr-xr-x   1 ftp      ftp              4096 Oct 19  2025 sub"


def test_facts_are_those_asked_for() -> None:
    """RFC 3659 7.5; a folder has no size."""
    everything = Permissions("elradfmwMT")
    assert facts(FILE, FACTS, everything) == (
        "type=file;size=1234;modify=20261123081300;perm=adfrw;unique=1g2;unix.mode=0640; app log.txt"
    )
    assert facts(FOLDER, ("type", "size", "perm"), Permissions("elr")) == "type=dir;perm=el; sub"
    assert facts(FILE, (), everything) == " app log.txt"
    assert facts(FOLDER, ("type",), everything, kind="cdir") == "type=cdir; sub"


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("19700101000000", 0),
        ("20261123081400", NOW),
        ("20261123081400.5", NOW + 500_000_000),
        ("20380119031408", 2_147_483_648_000_000_000),
        ("19691231235959", -1_000_000_000),
    ],
)
def test_time_values_are_read(text: str, ns: int) -> None:
    """In UTC, with a fraction or without, before 1970 and after 2038."""
    assert parse_time_value(text) == ns


@pytest.mark.parametrize("text", ["", "2026", "20261323081400", "20260231000000", "2026112308140x", "-1", "²026" * 4])
def test_what_is_no_time_is_refused(text: str) -> None:
    """With the form that is wanted."""
    with pytest.raises(Refused, match="is not a time"):
        parse_time_value(text)


@given(st.integers(0, 253_402_300_799))
def test_a_time_survives_the_round_trip(seconds: int) -> None:
    """Whole seconds are what the format holds."""
    assert parse_time_value(time_value(seconds * 1_000_000_000)) == seconds * 1_000_000_000


@given(st.integers(-(2**70), 2**70))
def test_any_time_formats(ns: int) -> None:
    """Files may claim anything."""
    assert len(time_value(ns)) == 14


NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/\x85\u2028\u2029"), min_size=1)


@given(NAMES.filter(lambda name: name == name.strip() and " -> " not in name), st.integers(0, 2**50), st.booleans())
def test_our_client_reads_what_our_server_writes(name: str, size: int, is_folder: bool) -> None:
    """LIST and MLSD lines, with the names people use."""
    entry = Entry(name, is_folder, size, NOW, 0o644, "1g2")
    listed = read_facts(facts(entry, FACTS, Permissions("elr")))
    assert listed is not None
    assert (listed.name, listed.kind) == (name, "folder" if is_folder else "file")
    plain = read_list_line(list_line(entry, NOW), now_ns=NOW)
    assert plain is not None
    assert plain.name == name


def test_a_name_with_a_line_end_is_not_listed() -> None:
    """It would forge another entry."""
    assert [entry.name for entry in printable([FILE, Entry("a\r\n-rw fake", False, 1, 0)])] == [FILE.name]
