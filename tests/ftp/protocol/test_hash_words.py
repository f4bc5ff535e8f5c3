"""What XCRC and its like ask for, HASH with RANG, OPTS HASH."""

from __future__ import annotations

import pytest

from logferry.ftp.protocol.actions import HashFile, HashRange, Transfer
from logferry.ftp.protocol.hash_words import x_ranges
from tests.ftp.protocol.shell import Shell, codes

CASES: dict[str, list[tuple[str, int, int | None]]] = {
    "a": [("/a", 0, None)],
    "a b": [("/a b", 0, None)],
    '"a b"': [("/a b", 0, None)],
    '"a b" 10': [("/a b", 10, None)],
    '"a b" 10 20': [("/a b", 10, 20)],
    '"a b", 10, 20': [("/a b", 10, 20)],
    '"a ""b""" 1 2': [('/a "b"', 1, 2)],
    "a 10": [("/a 10", 0, None), ("/a", 10, None)],
    "a 10 20": [("/a 10 20", 0, None), ("/a 10", 20, None), ("/a", 10, 20)],
    "log 2026 5": [("/log 2026 5", 0, None), ("/log 2026", 5, None), ("/log", 2026, 5)],
    "a;0;9": [("/a;0;9", 0, None), ("/a;0", 9, None), ("/a", 0, 9)],
}


@pytest.mark.parametrize("argument", CASES)
def test_names_and_numbers_are_told_apart(argument: str) -> None:
    """As real clients send them: quoted with numbers, bare with spaces, and names that end with numbers."""
    assert [(one.path, one.start, one.stop) for one in x_ranges("/", argument)] == CASES[argument]


def _in(**settings: bool) -> Shell:
    shell = Shell(**settings)  # type: ignore[arg-type]
    shell.feed(b"USER a\r\nPASS x\r\n")
    shell.actions.clear()
    return shell


def test_quoted_names_take_nothing_but_numbers_behind_them() -> None:
    """501, nothing is hashed."""
    shell = _in()
    assert codes(shell.feed(b'XCRC "a" b\r\nXMD5 "a" 1 2 3\r\n')) == "501 501"
    assert shell.actions == []


@pytest.mark.parametrize("single", [False, True])
def test_rang_holds_for_one_hash(single: bool) -> None:
    """RANG's last byte is included; the next HASH is of the whole file again."""
    shell = _in()
    shell.feed(b"RANG 5 9\r\nHASH f g\r\nHASH f\r\n", single=single)
    assert shell.actions == [
        HashFile("HASH", "SHA-256", (HashRange("/f g", "f g", 5, 10),)),
        HashFile("HASH", "SHA-256", (HashRange("/f", "f"),)),
    ]


def test_rang_and_rest_end_each_other() -> None:
    """The last of them counts; RANG 1 0 forgets; an upload after RANG is refused, and the range is gone then."""
    shell = _in()
    assert codes(shell.feed(b"REST 5\r\nRANG 1 2\r\nEPSV\r\nRETR f\r\n")) == "350 350 229 150 226"
    assert shell.actions[-1] == Transfer("RETR", "/f", offset=1, stop=3)
    assert codes(shell.feed(b"RANG 1 2\r\nREST 5\r\nEPSV\r\nRETR f\r\n")) == "350 350 229 150 226"
    assert shell.actions[-1] == Transfer("RETR", "/f", offset=5)
    assert codes(shell.feed(b"RANG 1 2\r\nRANG 1 0\r\nEPSV\r\nRETR f\r\n")) == "350 350 229 150 226"
    assert shell.actions[-1] == Transfer("RETR", "/f")
    assert codes(shell.feed(b"EPSV\r\nRANG 1 2\r\nSTOR f\r\nSTOR f\r\n")) == "229 350 501 150 226"
    assert codes(shell.feed(b"RANG 2 1\r\nRANG 1\r\nRANG a b\r\nRANG -1 2\r\n")) == "501 501 501 501"


def test_opts_hash_selects_and_feat_marks_it() -> None:
    """Without a name it tells the one in force; login starts anew."""
    shell = _in()
    assert " HASH SHA-256*;SHA-1;MD5;CRC32\r\n" in shell.feed(b"FEAT\r\n")
    assert shell.feed(b"OPTS HASH\r\nOPTS HASH md5\r\nOPTS HASH\r\n") == "200 SHA-256\r\n200 MD5\r\n200 MD5\r\n"
    assert " HASH SHA-256;SHA-1;MD5*;CRC32\r\n" in shell.feed(b"FEAT\r\n")
    assert codes(shell.feed(b"OPTS HASH SHA-512\r\n")) == "501"
    shell.feed(b"HASH f\r\nXSHA256 f\r\n")
    assert [action.algorithm for action in shell.actions if isinstance(action, HashFile)] == ["MD5", "SHA-256"]
    shell.feed(b"USER a\r\nPASS x\r\n")
    assert shell.feed(b"OPTS HASH\r\n") == "200 SHA-256\r\n"


def test_an_abort_behind_hash_is_seen_at_once() -> None:
    """Whether it came before the hashing began or later."""
    for before, after in ((b"ABOR\r\n", b""), (b"", b"ABOR\r\n")):
        shell = _in()
        shell.protocol.receive(b"HASH f\r\n" + before)
        assert isinstance(shell.protocol.step(), HashFile)
        shell.protocol.receive(after)
        assert shell.protocol.abort_requested
