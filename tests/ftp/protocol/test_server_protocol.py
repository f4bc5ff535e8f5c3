"""The server's protocol core as tables: what a client sends, what the shell is asked to do, what is replied."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry.ftp.permissions import Permissions
from logferry.ftp.protocol.actions import (
    Action,
    CheckPassword,
    FileTask,
    HangUp,
    Listen,
    Pause,
    StartTls,
    Transfer,
)
from logferry.ftp.protocol.list_options import ListOptions
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.server import ServerProtocol
from logferry.ftp.protocol.state import Terms
from logferry.limits import FTP_PIPELINE_BYTES_MAX
from tests.ftp.protocol.shell import Shell, codes

Script = list[tuple[str, list[Action], str]]
"""(what the client sends, the actions it leads to, the codes of the replies)."""


LONG = ListOptions(long=True)
LOGIN: tuple[str, list[Action], str] = ("USER ann\r\nPASS x\r\n", [CheckPassword("ann", "x")], "331 230")

SCRIPTS: dict[str, Script] = {
    "login": [LOGIN, ("PWD\r\nSYST\r\nNOOP\r\n", [], "257 215 200")],
    "login refused": [("USER a\r\nPASS wrong\r\n", [CheckPassword("a", "wrong"), Pause(0.5)], "331 530")],
    "password first": [("PASS x\r\n", [], "503")],
    "password twice": [LOGIN, ("PASS x\r\n", [], "503")],
    "before login": [
        ("CWD /\r\nSTOR x\r\nEPSV\r\nPWD\r\nSTAT /x\r\n", [], "530 530 530 530 530"),
        ("NOOP\r\nHELP\r\nSYST\r\nFEAT\r\nSTAT\r\nOPTS UTF8 ON\r\nQUIT\r\n", [HangUp()], "200 214 215 211 211 200 221"),
    ],
    "third failure ends it": [
        ("USER a\r\nPASS wrong\r\n" * 2, [CheckPassword("a", "wrong"), Pause(0.5)] * 2, "331 530 331 530"),
        ("USER a\r\nPASS wrong\r\nNOOP\r\n", [CheckPassword("a", "wrong"), Pause(0.5)], "331 530"),
    ],
    "tls": [
        ("PBSZ 0\r\nPROT P\r\n", [], "503 503"),
        ("AUTH TLS\r\n", [StartTls()], "234"),
        ("AUTH TLS\r\nPROT P\r\nPBSZ 0\r\nPROT P\r\nPROT C\r\nPROT S\r\nPROT X\r\n", [], "503 503 200 200 200 536 504"),
        ("CCC\r\n", [], "534"),
        LOGIN,
    ],
    "auth of other kinds": [("AUTH GSSAPI\r\nAUTH\r\n", [], "504 501")],
    "auth logs out": [LOGIN, ("AUTH TLS\r\n", [StartTls()], "234"), ("PWD\r\n", [], "530")],
    "user logs out": [LOGIN, ("USER bob\r\nPWD\r\n", [], "331 530")],
    "parameters": [
        LOGIN,
        ("TYPE I\r\nTYPE A\r\nTYPE A N\r\nTYPE L 8\r\ntype i\r\nTYPE E\r\nTYPE\r\n", [], "200 200 200 200 200 504 501"),
        ("MODE S\r\nMODE B\r\nSTRU F\r\nSTRU R\r\nALLO 10\r\n", [], "200 504 200 504 202"),
    ],
    "folders": [
        LOGIN,
        ("CWD a/../b\r\n", [FileTask("CWD", "/b")], "250"),
        ("CWD c\r\nPWD\r\n", [FileTask("CWD", "/b/c")], "250 257"),
        (
            "CDUP\r\nXCUP\r\nCDUP\r\n",
            [FileTask("CWD", "/b"), FileTask("CWD", "/"), FileTask("CWD", "/")],
            "250 250 250",
        ),
        ("XMKD x\r\nRMD x\r\nRMD /\r\n", [FileTask("MKD", "/x"), FileTask("RMD", "/x")], "257 250 550"),
    ],
    "files": [
        LOGIN,
        ("SIZE f\r\nMDTM f\r\nDELE f\r\n", [FileTask(v, "/f") for v in ("SIZE", "MDTM", "DELE")], "213 213 250"),
        (
            "MLST\r\nMLST f g\r\nSTAT f\r\n",
            [FileTask("MLST", "/"), FileTask("MLST", "/f g"), FileTask("STAT", "/f")],
            "250 250 213",
        ),
        (
            "MFMT 19700101000001 f g\r\nMFMT x f\r\nMFMT 19700101000001\r\n",
            [FileTask("MFMT", "/f g", number=10**9)],
            "213 501 501",
        ),
        (
            "SITE CHMOD 640 f\r\nSITE CHMOD 9 f\r\nSITE HELP\r\nSITE X\r\n",
            [FileTask("CHMOD", "/f", number=0o640)],
            "200 501 214 504",
        ),
        ("DELE\r\nDELE /\r\nDELE " + "x" * 300 + "\r\n", [], "501 550 553"),
    ],
    "rename": [
        LOGIN,
        ("RNTO b\r\n", [], "503"),
        ("RNFR a\r\nRNTO b\r\n", [FileTask("RNFR", "/a"), FileTask("RNTO", "/a", target="/b")], "350 250"),
        ("RNTO b\r\nRNFR a\r\nNOOP\r\nRNTO b\r\n", [FileTask("RNFR", "/a")], "503 350 200 503"),
        ("RNFR a\r\nRNTO /\r\nRNFR /\r\n", [FileTask("RNFR", "/a")], "350 553 550"),
    ],
    "passive": [
        LOGIN,
        ("EPSV\r\nEPSV 1\r\nEPSV 2\r\nEPSV 9\r\n", [Listen(True), Listen(True)], "229 229 522 501"),
        ("PASV\r\nEPSV ALL\r\nPASV\r\nEPSV\r\n", [Listen(False), Listen(True)], "227 200 503 229"),
        ("PORT 127,0,0,1,1,2\r\nEPRT |1|127.0.0.1|9|\r\n", [], "502 502"),
    ],
    "transfers": [
        LOGIN,
        ("STOR f\r\n", [], "425"),
        ("EPSV\r\nSTOR f\r\nSTOR f\r\n", [Listen(True), Transfer("STOR", "/f")], "229 150 226 425"),
        (
            "REST 10\r\nEPSV\r\nSTOR f\r\nEPSV\r\nSTOR f\r\n",
            [Listen(True), Transfer("STOR", "/f", offset=10), Listen(True), Transfer("STOR", "/f")],
            "350 229 150 226 229 150 226",
        ),
        (
            "REST -1\r\nREST x\r\nREST 5\r\nEPSV\r\nRETR f\r\n",
            [Listen(True), Transfer("RETR", "/f", offset=5)],
            "501 501 350 229 150 226",
        ),
        ("REST 5\r\nEPSV\r\nAPPE f\r\nAPPE f\r\n", [Listen(True), Transfer("APPE", "/f")], "350 229 501 150 226"),
        ("EPSV\r\nSTOU\r\n", [Listen(True), Transfer("STOU", "/upload")], "229 150 226"),
        ("EPSV\r\nLIST -la\r\n", [Listen(True), Transfer("LIST", "/", options=LONG)], "229 150 226"),
        (
            "EPSV\r\nLIST -a -l d/e\r\n",
            [Listen(True), Transfer("LIST", "/d/e", prefix="d/e", options=LONG)],
            "229 150 226",
        ),
        ("EPSV\r\nMLSD -x\r\n", [Listen(True), Transfer("MLSD", "/-x", prefix="-x")], "229 150 226"),
        ("EPSV\r\nSTOR /\r\nABOR\r\n", [Listen(True)], "229 550 226"),
    ],
    "nonsense": [
        LOGIN,
        ("FOO\r\n\r\nSTOR a\x00b\r\nHELP FOO\r\nHELP STOR\r\nOPTS FOO\r\n", [], "500 500 500 501 214 501"),
    ],
    "facts": [LOGIN, ("OPTS MLST size;Modify;bogus;\r\nFEAT\r\n", [], "200 211")],
}


@pytest.fixture(params=[False, True], ids=["whole", "bytes"])
def single(request: pytest.FixtureRequest) -> bool:
    """Whether the client's bytes come one at a time."""
    return bool(request.param)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_client_gets_its_replies_in_order(name: str, single: bool) -> None:
    """Each script, whole and byte by byte: the same actions, the same replies."""
    shell = Shell()
    for sent, actions, replies in SCRIPTS[name]:
        shell.actions.clear()
        assert codes(shell.feed(sent.encode(), single=single)) == replies, sent
        assert shell.actions == actions, sent


def test_tls_required_means_no_user_name_in_clear(single: bool) -> None:
    """USER before AUTH is refused with the way out; after it data connections must be protected."""
    shell = Shell("required")
    assert "AUTH TLS" in shell.feed(b"USER ann\r\n", single=single)
    assert codes(shell.feed(b"PASS x\r\n")) == "503"
    shell.feed(b"AUTH TLS\r\n")
    assert codes(shell.feed(b"USER ann\r\nPASS x\r\nEPSV\r\nSTOR f\r\n", single=single)) == "331 230 229 521"
    assert codes(shell.feed(b"PBSZ 0\r\nPROT C\r\nPROT P\r\nEPSV\r\nSTOR f\r\n")) == "200 534 200 229 150 226"


def test_tls_off_offers_none() -> None:
    """Neither AUTH nor in FEAT."""
    shell = Shell("off")
    assert codes(shell.feed(b"AUTH TLS\r\n")) == "502"
    assert "AUTH" not in shell.feed(b"FEAT\r\n")
    assert "AUTH TLS" in Shell().feed(b"FEAT\r\n")


def test_commands_behind_auth_are_dropped() -> None:
    """CVE-2011-1575: what somebody puts into the clear stream must not run once TLS protects it."""
    shell = Shell()
    protocol = shell.protocol
    protocol.receive(b"AUTH TLS\r\nUSER ann\r\nDELE imp")
    assert isinstance(protocol.step(), StartTls)
    assert not protocol.has_command
    protocol.tls_started()
    assert not protocol.has_command
    assert not protocol.partial
    assert codes(protocol.take_output().decode()) == "234"


VERBS = [
    ("e", "CWD x", "250"),
    ("e", "CDUP", "250"),
    ("l", "LIST", "425"),
    ("l", "NLST", "425"),
    ("l", "MLSD", "425"),
    ("l", "MLST", "250"),
    ("l", "SIZE x", "213"),
    ("l", "STAT x", "213"),
    ("l", "MDTM x", "213"),
    ("r", "RETR x", "425"),
    ("a", "APPE x", "425"),
    ("d", "DELE x", "250"),
    ("d", "RMD x", "250"),
    ("f", "RNFR x", "350"),
    ("m", "MKD x", "257"),
    ("w", "STOR x", "425"),
    ("w", "STOU", "425"),
    ("M", "SITE CHMOD 644 x", "200"),
    ("T", "MFMT 19700101000000 x", "213"),
    ("T", "SITE UTIME 197001010000 x", "213"),
    ("l", "AVBL", "213"),
    ("r", "HASH x", "213"),
    ("r", "XCRC x", "250"),
    ("r", "XMD5 x", "250"),
    ("r", "XSHA1 x", "250"),
    ("r", "XSHA256 x", "250"),
]


@pytest.mark.parametrize(("letter", "command", "code"), VERBS)
def test_each_letter_grants_its_verbs_and_no_other_does(letter: str, command: str, code: str) -> None:
    """``elradfmwMT``, one at a time and all but one."""
    only, without = Shell(permissions=letter), Shell(permissions="elradfmwMT".replace(letter, ""))
    for shell in (only, without):
        shell.feed(b"USER a\r\nPASS x\r\n")
    assert codes(only.feed(command.encode() + b"\r\n")) == code
    assert codes(without.feed(command.encode() + b"\r\n")) == "550"


def test_rnto_needs_its_letter_too() -> None:
    """Even where RNFR has been granted a moment before."""
    shell = Shell()
    shell.feed(b"USER a\r\nPASS x\r\nRNFR x\r\n")
    shell.protocol.user_changed(Permissions("elr"), home=False)
    assert codes(shell.feed(b"RNTO y\r\n")) == "550"


def test_a_failed_rnfr_leads_nowhere() -> None:
    """RNTO after it is out of order."""
    shell = Shell(fail="RNFR")
    shell.feed(b"USER a\r\nPASS x\r\n")
    assert codes(shell.feed(b"RNFR a\r\nRNTO b\r\n")) == "550 503"


def test_a_failed_cwd_leaves_the_folder() -> None:
    """PWD shows where one was."""
    shell = Shell(fail="CWD")
    shell.feed(b"USER a\r\nPASS x\r\nCWD sub\r\n")
    assert '"/"' in shell.feed(b"PWD\r\n")


def test_a_new_home_starts_at_its_root() -> None:
    """The old working folder may not exist there."""
    shell = Shell()
    shell.feed(b"USER a\r\nPASS x\r\nCWD sub\r\n")
    shell.protocol.user_changed(Permissions("elr"), home=True)
    assert '"/"' in shell.feed(b"PWD\r\n")


@pytest.fixture
def busy() -> Callable[[bytes], ServerProtocol]:
    """A core in the middle of an upload, after more bytes have come."""

    def prepare(more: bytes) -> ServerProtocol:
        shell = Shell()
        shell.feed(b"USER a\r\nPASS x\r\nEPSV\r\n")
        shell.protocol.receive(b"STOR f\r\n" + more)
        assert isinstance(shell.protocol.step(), Transfer)
        return shell.protocol

    return prepare


def test_commands_wait_for_the_transfer(busy: Callable[[bytes], ServerProtocol]) -> None:
    """Pipelined: nothing is answered before 226, then all in order."""
    protocol = busy(b"SIZE f\r\nEPSV\r\n")
    assert not protocol.has_command
    protocol.receive(b"NOOP\r\n")
    assert protocol.take_output() == b""
    protocol.answer(Reply(226, ("done",)))
    assert protocol.step() == FileTask("SIZE", "/f")
    protocol.answer(Reply(213, ("1",)))
    assert protocol.step() == Listen(True)
    protocol.listening("", 40_000)
    assert protocol.step() is None
    assert codes(protocol.take_output().decode()) == "226 213 229 200"


@pytest.mark.parametrize("before", [b"", b"NOOP\r\n"])
@pytest.mark.parametrize("late", [True, False])
def test_abor_asks_at_once_and_is_answered_in_its_turn(
    busy: Callable[[bytes], ServerProtocol], before: bytes, late: bool
) -> None:
    """Whether it came with the STOR, later, or behind other commands."""
    protocol = busy(b"" if late else before + b"ABOR\r\n")
    if late:
        protocol.receive(before + b"\xff\xf4\xff\xf2ABOR\r\n")
    assert protocol.abort_requested
    protocol.answer(Reply(426, ("aborted",)))
    while protocol.has_command:
        assert protocol.step() is None
    assert codes(protocol.take_output().decode()) == ("426 200 226" if before else "426 226")


def test_a_stat_that_is_next_looks_at_the_transfer(busy: Callable[[bytes], ServerProtocol]) -> None:
    """One behind another command waits, and one with a path is a listing."""
    assert busy(b"STAT\r\n").wants_status()
    assert not busy(b"NOOP\r\nSTAT\r\n").wants_status()
    assert not busy(b"STAT x\r\n").wants_status()
    assert not busy(b"").wants_status()


def test_a_quit_that_waits_is_known(busy: Callable[[bytes], ServerProtocol]) -> None:
    """Such a client may close its half early."""
    assert busy(b"NOOP\r\nQUIT\r\n").quitting
    assert not busy(b"NOOP\r\n").quitting


def test_too_much_ahead_stops_the_reading(busy: Callable[[bytes], ServerProtocol]) -> None:
    """TCP then holds the client back; many short commands count too."""
    protocol = busy(b"NOOP\r\n" * (FTP_PIPELINE_BYTES_MAX // 64 + 1))
    assert not protocol.wants_input
    protocol.answer(Reply(226, ("done",)))
    while protocol.has_command:
        protocol.step()
    assert protocol.wants_input


def test_hanging_up_forgets_what_waits(busy: Callable[[bytes], ServerProtocol]) -> None:
    """One last reply, whatever was under way."""
    protocol = busy(b"NOOP\r\n")
    protocol.hang_up(421, "Too late.")
    assert protocol.ended
    assert not protocol.has_command
    assert codes(protocol.take_output().decode()) == "421"


def test_the_greeting_may_have_lines() -> None:
    """Operators like banners."""
    assert ServerProtocol(Terms(banner="One\nTwo")).take_output() == b"220-One\r\n220 Two\r\n"


VERB_WORDS = [f"{verb} " for verb in ("USER", "PASS", "STOR", "EPSV", "LIST", "SITE", "OPTS", "HELP", "MFMT")]
OTHER_WORDS = ["CHMOD ", "a", "../", "/", "\xff", "é", "0", "\r\n", "\n", "\x00", "-la ", "REST 9", "ABOR"]
WORDS = st.sampled_from(VERB_WORDS + OTHER_WORDS)


@given(st.lists(WORDS, max_size=40).map("".join) | st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_whatever_is_sent_only_replies_come_back(text: str) -> None:
    """No input raises, and every line out is a reply line."""
    shell = Shell()
    shell.feed(b"USER a\r\nPASS x\r\n")
    out = shell.feed(text.encode())
    lines = out.split("\r\n")
    assert lines.pop() == ""
    assert all((line[:3].isdigit() and line[3] in " -") or line.startswith(" ") for line in lines)
