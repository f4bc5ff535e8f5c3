"""Folder rules in the protocol: every verb that names a path, every letter."""

from __future__ import annotations

import pytest

from logferry.ftp import FolderRules
from logferry.ftp.permissions import LETTERS, Permissions
from logferry.ftp.protocol.actions import FileTask, Transfer
from logferry.ftp.protocol.commands import RULES
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.protocol.server import ServerProtocol
from logferry.ftp.protocol.state import Terms

# Verb, its letter, the line for a path.
VERBS: list[tuple[str, str, str]] = [
    ("APPE", "a", "APPE {}"),
    ("AVBL", "l", "AVBL {}"),
    ("CWD", "e", "CWD {}"),
    ("DELE", "d", "DELE {}"),
    ("LIST", "l", "LIST {}"),
    ("LIST", "l", "LIST -la {}"),
    ("MDTM", "l", "MDTM {}"),
    ("MFMT", "T", "MFMT 20260101000000 {}"),
    ("MKD", "m", "MKD {}"),
    ("MLSD", "l", "MLSD {}"),
    ("MLST", "l", "MLST {}"),
    ("NLST", "l", "NLST {}"),
    ("RETR", "r", "RETR {}"),
    ("RMD", "d", "RMD {}"),
    ("RNFR", "f", "RNFR {}"),
    ("SITE", "M", "SITE CHMOD 600 {}"),
    ("SITE", "T", "SITE UTIME 202601010000 {}"),
    ("SIZE", "l", "SIZE {}"),
    ("STAT", "l", "STAT {}"),
    ("STOR", "w", "STOR {}"),
    ("STOU", "w", "STOU {}"),
]

NO_PATH = {
    *("ABOR", "ACCT", "ALLO", "AUTH", "CCC", "CLNT", "EPRT", "EPSV", "FEAT", "HELP", "HOST", "MODE", "NOOP", "OPTS"),
    *("PASS", "PASV", "PBSZ", "PORT", "PROT", "PWD", "QUIT", "RANG", "REST", "STRU", "SYST", "TYPE", "USER"),
}
"""Verbs that touch no file by a name."""

JUDGED_LATER = {"HASH", "XCRC", "XMD5", "XSHA1", "XSHA256"}
"""Which name is meant shows when the file is found; ``test_hashing.py`` has the rules for them."""


def session(own: str, rules: dict[str, str], *, folder: str = "/") -> ServerProtocol:
    """A logged-in session with a data port open."""
    protocol = ServerProtocol(Terms(tls="off"))
    protocol.receive(b"USER ann\r\nPASS x\r\nEPSV\r\n")
    protocol.step()
    protocol.step()
    protocol.password_accepted(Permissions(own), tls_required=False, atomic=True, folders=FolderRules(rules))
    protocol.step()
    protocol.listening("127.0.0.1", 40_000)
    protocol.state.folder = folder
    protocol.take_output()
    return protocol


def outcome(protocol: ServerProtocol, line: str) -> str:
    """What becomes of ``line``: the code of its reply, or the verb of the action it leads to."""
    protocol.receive(f"{line}\r\n".encode())
    action = protocol.step()
    if action is None:
        return protocol.take_output()[:3].decode()
    assert isinstance(action, (FileTask, Transfer))
    return action.verb


def test_every_verb_is_in_the_table_or_names_no_path() -> None:
    """A new command cannot be forgotten here: give it a line above, and a letter in ``commands`` or ``admission``."""
    assert {verb for verb, _, _ in VERBS} | {"CDUP", "RNTO"} | NO_PATH | JUDGED_LATER == set(RULES)


@pytest.mark.parametrize(("verb", "letter", "line"), VERBS, ids=[line for _, _, line in VERBS])
def test_a_verb_wants_its_letter_where_it_points(verb: str, letter: str, line: str) -> None:
    """All other letters do not help, nor the same one elsewhere; a rule gives and takes."""
    others = LETTERS.replace(letter, "")
    for own, rules, path, allowed in [
        (LETTERS, {"/in": others}, "/in/x", False),
        (LETTERS, {"/in": others}, "/in", False),
        (LETTERS, {"/in": others}, "in/../in/x", False),
        (LETTERS, {"/in": others}, "/x", True),
        (others, {"/in": letter}, "/in/x", True),
        (others, {"/in": letter}, "/x", False),
        ("", {"/in": letter}, "/in/x", True),
        (LETTERS, {"/in": ""}, "/in/x", False),
    ]:
        found = outcome(session(own, rules), line.format(path))
        assert (found != "550") is allowed, (own, rules, path, found)
    # Relative to the working folder.
    assert outcome(session(LETTERS, {"/in": others}, folder="/in"), line.format("x")) == "550"
    assert outcome(session(others, {"/in": letter}, folder="/in"), line.format("x")) != "550"


def test_cdup_wants_e_at_the_folder_above() -> None:
    """It is a CWD."""
    assert outcome(session("e", {"/a": ""}, folder="/a/b"), "CDUP") == "550"
    assert outcome(session("", {"/a": "e"}, folder="/a/b"), "CDUP") == "CWD"


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"/a": "f", "/b": "f"}, "RNTO"),
        ({"/a": "f", "/b": "elradmwMT"}, "550"),
        ({"/b": "f"}, "550"),
        ({"/a": "f"}, "550"),
    ],
)
def test_a_rename_wants_f_at_both_names(rules: dict[str, str], code: str) -> None:
    """Nothing is moved out of where it belongs, nor in."""
    protocol = session("", rules)
    if outcome(protocol, "RNFR /a/x") == "RNFR":
        protocol.answer(Reply(350, ("Now RNTO.",)))
        protocol.take_output()
        assert outcome(protocol, "RNTO /b/x") == code
    else:
        assert code == "550"


def test_a_right_taken_between_rnfr_and_rnto_counts() -> None:
    """RNTO looks at the source again."""
    protocol = session("f", {"/a": "f"})
    assert outcome(protocol, "RNFR /a/x") == "RNFR"
    protocol.answer(Reply(350, ("Now RNTO.",)))
    protocol.user_changed(Permissions("f"), home=False, folders=FolderRules({"/a": "r"}))
    protocol.take_output()
    assert outcome(protocol, "RNTO /b") == "550"


@pytest.mark.parametrize("verb", ["LIST", "NLST", "STAT"])
def test_a_pattern_is_a_look_into_its_folder(verb: str) -> None:
    """Allowed beneath is not allowed itself."""
    rules = {"/in": "", "/in/**": "l"}
    assert outcome(session("l", rules), f"{verb} /in/*") == "550"
    assert outcome(session("l", rules), f"{verb} /in/x") == verb
    assert outcome(session("l", rules), f"{verb} /other/*") == verb


def test_without_a_path_the_working_folder_counts() -> None:
    """LIST alone; STAT alone is about the session and always answered."""
    assert outcome(session("l", {"/a": ""}, folder="/a"), "LIST") == "550"
    assert outcome(session("l", {"/a": ""}, folder="/a"), "STAT") == "211"


def test_what_names_no_path_needs_no_letter() -> None:
    """Even for a user who may do nothing anywhere."""
    for line, code in [("NOOP", "200"), ("PWD", "257"), ("SYST", "215"), ("SITE HELP", "214"), ("REST 5", "350")]:
        assert outcome(session("", {"/": ""}), line) == code


def test_a_user_without_rules_is_judged_by_letters_alone() -> None:
    """Logging in as one forgets the rules of another."""
    protocol = session("elr", {"/in": "w"})
    protocol.receive(b"USER bob\r\nPASS x\r\n")
    protocol.step()
    protocol.step()
    protocol.password_accepted(Permissions("elr"), tls_required=False, atomic=True)
    protocol.take_output()
    assert protocol.state.folders is None
    assert outcome(protocol, "STOR /in/x") == "550"
