"""Commands as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.errors import BadName
from logferry.ftp.protocol.command_writer import command_line
from logferry.limits import FTP_LINE_BYTES_MAX


@pytest.mark.parametrize(
    ("verb", "argument", "wire"),
    [
        ("NOOP", "", b"NOOP\r\n"),
        ("STOR", "/a b.log", b"STOR /a b.log\r\n"),
        ("STOR", "/ü", b"STOR /\xc3\xbc\r\n"),
        ("STOR", "/%41\"'", b"STOR /%41\"'\r\n"),
        ("STOR", "/\udcff\udcfe", b"STOR /\xff\xff\xfe\r\n"),
        ("STOR", " leading", b"STOR  leading\r\n"),
    ],
)
def test_a_command_is_verb_argument_and_line_end(verb: str, argument: str, wire: bytes) -> None:
    """UTF-8 with bytes that are none kept, 255 doubled for Telnet."""
    assert command_line(verb, argument) == wire


@pytest.mark.parametrize("argument", ["a\rb", "a\nb", "a\x00b", "\r\nDELE /x", "x\n", "\ud800"])
def test_a_line_end_cannot_be_smuggled_in(argument: str) -> None:
    """A name with CR, LF or NUL would become another command; a lone surrogate has no bytes at all."""
    with pytest.raises(BadName):
        command_line("STOR", argument)


@pytest.mark.parametrize("verb", ["", "NO OP", "NOOP\r\n", "N", "TOOLONGVERB", "ST0R", "ÜBER"])
def test_a_verb_is_a_word_of_letters(verb: str) -> None:
    """Everything else is refused."""
    with pytest.raises(BadName):
        command_line(verb)


def test_a_line_beyond_the_limit_is_refused() -> None:
    """What the server would skip is not sent."""
    fits = "x" * (FTP_LINE_BYTES_MAX - len("STOR \r\n"))
    assert len(command_line("STOR", fits)) == FTP_LINE_BYTES_MAX
    with pytest.raises(BadName):
        command_line("STOR", fits + "x")


@given(st.binary(max_size=100))
def test_exactly_one_line_comes_out_of_any_name(name: bytes) -> None:
    """Whatever the bytes of a name, the wire holds one line, or nothing."""
    try:
        wire = command_line("STOR", name.decode("utf-8", "surrogateescape"))
    except BadName:
        assert any(byte in name for byte in b"\r\n\x00")
        return
    assert wire.count(b"\n") == 1
    assert wire.endswith(b"\r\n")
    assert wire[5:-2].replace(b"\xff\xff", b"\xff") == name
