"""Whatever a file is called on the node: it arrives, under a name that leads back to its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logferry.agent.registry import Registry
from logferry.agent.sources import archive_component, is_cut
from logferry.limits import NAME_BYTES_MAX
from logferry.names import (
    checked_component,
    escape,
    from_wire,
    is_temporary,
    parse_aside,
    temporary_name,
    unescape,
)
from tests.agent.conftest import Node, RunningAgent, eventually

OWN = [
    b".~lf-0123456789abcdef",
    b".~up-0123456789abcdef",
    b".~up-0123456789abcdef-01234567",
    b"app.log.~gen-20261123T081400Z-1a2b3c4d~",
    b"app.log.~late-20261123T081400Z-1a2b3c4d",
    b"app.~long-0123456789abcdef",
    b".bundles",
    b".~lf-.~gen-20261123T081400Z-1a2b3c4d~",
]
DEVICES = [b"CON", b"nul", b"AUX.log", b"com1", b"LPT9.txt", b"PRN.", b"CONIN$", b"COM\xc2\xb9"]
ODD = [
    b" ",
    b". ",
    b"...",
    b" leading and trailing ",
    b"trailing.dot.",
    b"-rf",
    b"--help",
    b"~",
    b'<>:"|?*\\',
    b"a\\b",
    b"C:\\windows",
    b"C:",
    b"%",
    b"%%",
    b"%4",
    b"%41",
    b"%4a",
    b"%0A",
    b"%2541",
    b"%%41",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\xf4\x90\x80\x80",
    "\u202egnp.log".encode(),
    "\u2028\u2029\x85".encode(),
    "e\u0301 \u00e9".encode(),
    b"LIST; rm -rf *",
    b"a\r\nDELE app.log",
    b"\x1b]0;title\x07",
    b"\xff\xf4\xff\xf2",
    b"y" * 255,
    b"\n" * 85,
    b"\n" * 86,
    b"\xff" * 255,
    b"%41" * 85,
    b"a" * 254 + b"\n",
    "ü".encode() * 127,
    *OWN,
    *DEVICES,
]
BYTES = (
    range(1, 256) if os.environ.get("LOGFERRY_NAMES") == "all" else [*range(1, 0x23), *range(0x7F, 0x86), 0xC3, 0xFF]
)
ALL = [b"byte-%03d-" % byte + bytes([byte]) + b"-" for byte in BYTES if byte != 0x2F]
RAW = st.binary(min_size=1, max_size=255).filter(lambda n: n not in (b".", b"..") and not {0, 0x2F} & set(n))
PIECES = st.lists(
    st.sampled_from([b"%", b"4", b"A", b"f", b"\n", b"\r", b"\xff", b".", b"~", b"lf-", b"gen-", b" ", "ü".encode()]),
    min_size=1,
    max_size=60,
).map(b"".join)


@given(st.one_of(RAW, PIECES.filter(lambda n: n not in (b".", b"..") and len(n) <= 255)))
@example(b"%41")
@example(b".~lf-0123456789abcdef")
def test_every_name_gets_an_archive_name_that_leads_back(raw: bytes) -> None:
    """One that travels over FTP as it is, that nobody takes for one of our own, and that is no longer than a name."""
    name = archive_component(raw)
    assert checked_component(name) == from_wire(name) == name
    assert len(name.encode()) <= NAME_BYTES_MAX
    assert not is_temporary(name)
    assert parse_aside(name) is None
    assert name != ".bundles"
    if is_cut(name):
        assert sum(1 if 0x20 <= byte < 0x7F and byte not in b"%.~" else 3 for byte in raw) > NAME_BYTES_MAX
        assert raw.startswith(unescape(name.rpartition(".~long-")[0]))
    else:
        assert unescape(name) == raw


@given(RAW, RAW)
def test_two_names_never_meet(one: bytes, other: bytes) -> None:
    """Nor their temporary names."""
    assert (archive_component(one) == archive_component(other)) == (one == other)
    if one != other:
        assert temporary_name(archive_component(one)) != temporary_name(archive_component(other))


def test_an_ordinary_name_stays_what_it_is() -> None:
    """The tree in the archive is the tree on the node."""
    for raw in (b"app.log", b"app.log.1.gz", b"a b", "журнал.log".encode(), b"100%.log", b"x~", b".hidden", *DEVICES):
        assert archive_component(raw) == escape(raw) == raw.decode()


@pytest.fixture
def names(tmp_path: Path) -> list[bytes]:
    """Those that the file system under the tests allows; it must be nearly all of them."""
    allowed = []
    for name in [*ODD, *ALL]:
        try:
            os.close(os.open(os.fsencode(tmp_path) + b"/" + name, os.O_CREAT | os.O_WRONLY))
        except OSError:
            continue
        os.unlink(os.fsencode(tmp_path) + b"/" + name)
        allowed.append(name)
    assert len(allowed) > 90
    return allowed


def test_files_of_all_names_arrive_and_lead_back(node: Node, names: list[bytes]) -> None:
    """As files and as folders; growth and renames too; nothing is taken for a generation of something else."""
    for number, name in enumerate(names):
        node.write(name, b"file %d\n" % number)
        if number % 5 == 0 and len(name) < 200:
            node.write(b"folders/" + name + b"/" + name, b"below %d\n" % number)
    summary = node.once()
    assert summary.complete, summary
    assert _arrived(node, names, b"") == []
    for name in names[::3]:
        node.write(name, b"more\n")
    os.rename(node.path(names[0]), node.path(b"renamed \xff\n" + names[0]))
    summary = node.once()
    assert summary.complete, summary
    assert summary.renames == 1
    assert _arrived(node, [b"renamed \xff\n" + names[0], *names[1:]], b"more\n") == []
    assert node.once().sent_slices == 0


def _arrived(node: Node, names: list[bytes], _more: bytes) -> list[str]:
    """What is not right: each file under the name that leads back to its own, with its bytes."""
    current = node.current()
    wrong = []
    for name in names:
        there = archive_component(name)
        if current.get(there) != node.read(name):
            wrong.append(f"{name!r} as {there!r}: {current.get(there)!r}")
        elif not is_cut(there) and unescape(there) != name:
            wrong.append(f"{there!r} does not lead back to {name!r}")
        below = b"folders/" + name + b"/" + name
        if os.path.exists(node.path(below)) and current.get(f"folders/{there}/{there}") != node.read(below):
            wrong.append(f"below {name!r}")
    files = [there for there in current if not there.startswith("folders/")]
    return wrong + [f"too much: {there!r}" for there in files if there not in {archive_component(n) for n in names}]


def test_the_raw_name_of_a_file_whose_name_was_cut_is_in_the_registry(plain_node: Node) -> None:
    """And two that begin alike stay apart."""
    names = [b"\xff" * 254 + bytes([last]) for last in (1, 2, 0xFE)]
    for name in names:
        plain_node.write(name, name)
    assert plain_node.once().complete
    registry = Registry(plain_node.base / "agent-state/registry.db", 0)
    try:
        for name in names:
            row = registry.by_path(plain_node.path(name))
            assert row is not None
            assert is_cut(row.want)
            assert plain_node.current()[row.want.partition("/")[2]] == name
    finally:
        registry.close()


def test_odd_names_are_followed_live(plain_node: Node, names: list[bytes]) -> None:
    """Through the watcher, too."""
    plain_node.scan_interval = "1h"
    with RunningAgent(plain_node, watcher=True):
        eventually((plain_node.base / "agent-state/status.json").exists, timeout_s=60)
        for name in names:
            plain_node.write(name, b"x\n")
        eventually(lambda: len(plain_node.current()) == len(names), lambda: len(plain_node.current()), timeout_s=60)
        for name in names:
            plain_node.write(name, b"y\n")
        eventually(lambda: set(plain_node.current().values()) == {b"x\ny\n"}, timeout_s=60)
    assert _arrived(plain_node, names, b"") == []


def test_a_path_that_no_archive_can_hold_is_said_and_the_others_go_on(plain_node: Node) -> None:
    """Too deep, or too long by escaping."""
    deep = b"d/" * 110 + b"deep.log"
    plain_node.write(deep, b"deep")
    plain_node.write("app.log", b"x")
    summary = plain_node.once()
    if "d/" * 110 + "deep.log" not in plain_node.current():
        assert not summary.complete
        assert any("too deep" in problem for problem in summary.problems)
    assert plain_node.current()["app.log"] == b"x"
