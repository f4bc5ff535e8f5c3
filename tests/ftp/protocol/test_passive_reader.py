"""Ports out of the replies to EPSV and PASV."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.errors import Refused
from logferry.ftp.protocol.passive_reader import extended_passive_port, passive_port
from logferry.ftp.protocol.replies import Reply


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("Entering Extended Passive Mode (|||6446|)", 6446),
        ("Extended Passive Mode OK (!!!65535!)", 65535),
        ("(|||1|).", 1),
    ],
)
def test_the_port_of_epsv_is_found(text: str, port: int) -> None:
    """Any delimiter, any words around it."""
    assert extended_passive_port(Reply(229, (text,))) == port


@pytest.mark.parametrize(
    "text", ["", "|||6446|", "(|||0|)", "(|||65536|)", "(||6446|)", "(|1|127.0.0.1|5|)", "(|!|5|)"]
)
def test_a_reply_to_epsv_without_a_port_is_refused(text: str) -> None:
    """Neither 0 nor 65536 is a port."""
    with pytest.raises(Refused):
        extended_passive_port(Reply(229, (text,)))


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("Entering Passive Mode (127,0,0,1,25,46).", 25 * 256 + 46),
        ("Entering Passive Mode 10,0,0,1,0,21", 21),
        ("=127,0,0,1,255,255", 65535),
        ("mode 2 (192,168,1,1,4,5)", 1029),
    ],
)
def test_the_port_of_pasv_is_found(text: str, port: int) -> None:
    """With or without parentheses (RFC 1123 4.1.2.6)."""
    assert passive_port(Reply(227, (text,))) == port


@pytest.mark.parametrize("text", ["", "(127,0,0,1,25)", "(127,0,0,1,256,1)", "(127,0,0,1,0,0)", "(1270,0,0,1,2,3)"])
def test_a_reply_to_pasv_without_a_port_is_refused(text: str) -> None:
    """Six numbers below 256, and a port that is not 0."""
    with pytest.raises(Refused):
        passive_port(Reply(227, (text,)))


def test_another_code_is_refused() -> None:
    """The text alone is not enough."""
    with pytest.raises(Refused):
        passive_port(Reply(229, ("(127,0,0,1,25,46)",)))
    with pytest.raises(Refused):
        extended_passive_port(Reply(227, ("(|||6446|)",)))


@given(st.text(max_size=80).filter(lambda text: "\r" not in text and "\n" not in text))
def test_any_text_gives_a_port_or_a_refusal(text: str) -> None:
    """No other error, no impossible port."""
    for read, code in ((extended_passive_port, 229), (passive_port, 227)):
        try:
            assert 1 <= read(Reply(code, (text,))) <= 65535
        except Refused:
            continue
