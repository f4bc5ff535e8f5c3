"""Command lines: bytes to verbs, whole and byte by byte."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.ftp.protocol.commands import ALIASES, RULES, Command, CommandReader
from logferry.limits import FTP_LINE_BYTES_MAX, FTP_LINE_DISCARD_BYTES_MAX

LINES: list[tuple[bytes, list[Command]]] = [
    (b"NOOP\r\n", [Command("NOOP")]),
    (b"noop\n", [Command("NOOP")]),
    (b"STOR a b.log \r\n", [Command("STOR", "a b.log ")]),
    (b"STOR  x\r\n", [Command("STOR", " x")]),
    (b"USER a\r\nPASS b c\r\n", [Command("USER", "a"), Command("PASS", "b c")]),
    (b"RETR \xc3\xa4\r\n", [Command("RETR", "ä")]),
    (b"RETR \xe4\r\n", [Command("RETR", "\udce4")]),
    (b"\xff\xf4\xff\xf2ABOR\r\n", [Command("ABOR")]),
    (b"\xff\xf2ABOR\r\n", [Command("ABOR")]),
    (b"RETR a\xff\xffb\r\n", [Command("RETR", "a\udcffb")]),
    (b"XSHA256 a\r\n", [Command("XSHA256", "a")]),
    (b"\r\n", [Command("", fault="not a command")]),
    (b" NOOP\r\n", [Command("", fault="not a command")]),
    (b"GET / HTTP/1.1\r\n", [Command("GET", "/ HTTP/1.1")]),
    (b"\x16\x03\x01\x02\n", [Command("", fault="not a command")]),
    (b"STOR a\x00b\r\n", [Command("", fault="NUL or CR in a command")]),
    (b"STOR a\rSTOR b\r\n", [Command("", fault="NUL or CR in a command")]),
    (b"QUIT", []),
    (
        b"STOR " + b"x" * FTP_LINE_BYTES_MAX + b"\r\nNOOP\r\n",
        [Command("", fault=f"line longer than {FTP_LINE_BYTES_MAX} bytes"), Command("NOOP")],
    ),
]


def _read(pieces: list[bytes]) -> list[Command]:
    reader = CommandReader()
    return [command for piece in pieces for command in reader.feed(piece)]


@pytest.mark.parametrize(("sent", "expected"), LINES)
def test_a_line_becomes_a_command(sent: bytes, expected: list[Command]) -> None:
    """What a client sends, and what it means."""
    assert _read([sent]) == expected


@pytest.mark.parametrize(("sent", "expected"), LINES)
def test_byte_by_byte_it_becomes_the_same(sent: bytes, expected: list[Command]) -> None:
    """Packets cut lines anywhere."""
    assert _read([sent[i : i + 1] for i in range(len(sent))]) == expected


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_any_bytes_read_the_same_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    """No byte string makes the reader raise, and pieces never change the outcome."""
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    commands = _read(pieces)
    assert commands == _read([data])
    assert all(bool(command.verb) != bool(command.fault) for command in commands)
    assert not any("\r" in c.argument or "\n" in c.argument or "\x00" in c.argument for c in commands)


def test_a_line_without_end_is_told_once_and_then_flooded() -> None:
    """The reader keeps no more of it than a line may have."""
    reader = CommandReader()
    piece = b"x" * 1024
    commands = [c for _ in range(FTP_LINE_DISCARD_BYTES_MAX // 1024 + 8) for c in reader.feed(piece)]
    assert len(commands) == 1
    assert reader.partial
    assert reader.flooded


def test_clear_forgets_half_a_line() -> None:
    """What came before TLS may not complete what comes after."""
    reader = CommandReader()
    reader.feed(b"DELE ")
    reader.clear()
    assert not reader.partial
    assert reader.feed(b"NOOP\r\n") == [Command("NOOP")]


def test_every_verb_has_a_usage_that_names_it() -> None:
    """HELP and 501 are made from it."""
    assert all(rule.usage.startswith(verb) for verb, rule in RULES.items())
    assert set(ALIASES.values()) <= RULES.keys()
