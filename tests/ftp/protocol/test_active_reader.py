"""The arguments of PORT and EPRT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.ftp.protocol.active_reader import BadTarget, Target, eprt_target, port_target
from tests.ftp.protocol.shell import Shell, codes


def test_port_is_six_numbers() -> None:
    """The last two are the port, high byte first."""
    assert port_target("127,0,0,1,195,80") == Target("127.0.0.1", 50_000)
    assert port_target("010,000,000,001,4,0") == Target("10.0.0.1", 1024)


@pytest.mark.parametrize("argument", ["", "1,2,3,4,5", "1,2,3,4,5,6,7", "256,0,0,1,4,0", "1,0,0,1,0,0", "1,2,3,4,a,b"])
def test_a_bad_port_is_refused(argument: str) -> None:
    """Too few, too many, too large, port 0, no number."""
    with pytest.raises(BadTarget):
        port_target(argument)


def test_eprt_knows_both_families_and_any_delimiter() -> None:
    """Addresses come out in one form."""
    assert eprt_target("|1|127.0.0.1|50000|") == ("1", Target("127.0.0.1", 50_000))
    assert eprt_target("!2!0:0:0:0:0:0:0:1!50000!") == ("2", Target("::1", 50_000))
    assert eprt_target("|3|::1|50000|")[0] == "3"


@pytest.mark.parametrize(
    "argument",
    ["", "|", "|1|127.0.0.1|50000", "|1|::1|50000|", "|2|127.0.0.1|50000|", "|1|host|5000|", "|1|1.2.3|1|",
     "|1|127.0.0.1|65536|", "|1|127.0.0.1|0|", "|1!127.0.0.1|50000|"],
)  # fmt: skip
def test_a_bad_eprt_is_refused(argument: str) -> None:
    """Not closed, wrong family, no address, no port, two delimiters."""
    with pytest.raises(BadTarget):
        eprt_target(argument)


ELSEWHERE = ["10.0.0.1", "127.0.0.2", "0.0.0.0", "255.255.255.255", "169.254.169.254", "224.0.0.1", "8.8.8.8"]


@pytest.mark.parametrize("host", ELSEWHERE)
def test_nobody_else_is_ever_connected_to(host: str) -> None:
    """FTP bounce: the client comes from 127.0.0.1, whatever else it names is refused and leaves no target behind."""
    shell = Shell(active=True)
    shell.feed(b"USER ann\r\nPASS x\r\n")
    numbers = host.replace(".", ",")
    sent = f"PORT {numbers},195,80\r\nEPRT |1|{host}|50000|\r\nEPRT |2|::ffff:{host}|50000|\r\nSTOR f\r\n"
    assert codes(shell.feed(sent.encode())) == "504 504 522 425"
    assert shell.protocol.state.target is None


@pytest.mark.parametrize("port", [1, 21, 22, 25, 80, 443, 1023])
def test_services_of_the_system_are_never_connected_to(port: int) -> None:
    """Not even on the client itself."""
    shell = Shell(active=True)
    shell.feed(b"USER ann\r\nPASS x\r\n")
    sent = f"PORT 127,0,0,1,{port >> 8},{port & 255}\r\nEPRT |1|127.0.0.1|{port}|\r\nSTOR f\r\n"
    assert codes(shell.feed(sent.encode())) == "504 504 425"


def test_the_last_word_counts() -> None:
    """PORT after EPSV is active, EPSV after PORT passive, a refused PORT leaves nothing, and each serves once."""
    shell = Shell(active=True)
    shell.feed(b"USER ann\r\nPASS x\r\n")
    assert codes(shell.feed(b"EPSV\r\nPORT 127,0,0,1,195,80\r\nSTOR f\r\nSTOR f\r\n")) == "229 200 150 226 425"
    assert shell.actions[-1].target == Target("127.0.0.1", 50_000)  # type: ignore[union-attr]
    assert codes(shell.feed(b"PORT 127,0,0,1,195,80\r\nEPSV\r\nSTOR f\r\n")) == "200 229 150 226"
    assert shell.actions[-1].target is None  # type: ignore[union-attr]
    assert codes(shell.feed(b"PORT 127,0,0,1,195,80\r\nPORT 10,0,0,1,195,80\r\nSTOR f\r\n")) == "200 504 425"


def test_epsv_all_forbids_everything_else() -> None:
    """RFC 2428 4: a client behind NAT has promised it, so anything else is an attack or a mistake."""
    shell = Shell(active=True)
    shell.feed(b"USER ann\r\nPASS x\r\nEPSV ALL\r\n")
    sent = b"PORT 127,0,0,1,195,80\r\nEPRT |1|127.0.0.1|50000|\r\nPASV\r\nEPSV\r\n"
    assert codes(shell.feed(sent)) == "503 503 503 229"


@given(st.text(st.characters(max_codepoint=127, exclude_categories=["Cc"]), min_size=1, max_size=40))
def test_whatever_is_sent_is_answered(text: str) -> None:
    """Nothing raises, and no target but the client itself is ever taken."""
    shell = Shell(active=True)
    shell.feed(b"USER ann\r\nPASS x\r\n")
    assert codes(shell.feed(f"PORT {text}\r\nEPRT {text}\r\n".encode()))
    assert shell.protocol.state.target in (None, Target("127.0.0.1", getattr(shell.protocol.state.target, "port", 0)))
