"""Real FTP servers of others as the agent's target: everything arrives, old contents are kept, nothing is doubled."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.names import escape_path, unescape
from logferry.testing.ledger import Ledger
from logferry.testing.logtree import LogFile, LogTree, Rotation
from tests.agent.conftest import Node, RunningAgent, eventually, lines
from tests.agent.shelves import PeerShelf
from tests.agent.test_crash import AgentProcess
from tests.agent.truth import differences
from tests.ftp.peers import Peer, running

pytestmark = pytest.mark.peers
KINDS = ("vsftpd", "proftpd", "pure-ftpd", "pyftpdlib", "proftpd-tls", "vsftpd-tls")


@pytest.fixture(scope="module", params=KINDS)
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """One server of each kind for all tests of this file."""
    with running(request.param, tmp_path_factory.mktemp(request.param)) as started:
        yield started


@pytest.fixture
def node(peer: Peer, tmp_path: Path, request: pytest.FixtureRequest) -> Node:
    """A node that delivers to a folder of its own there."""
    return PeerShelf(peer, f"{abs(hash(request.node.name)):x}").node(tmp_path / "node")


def test_files_arrive_grow_and_are_followed_through_renames(node: Node) -> None:
    """New files of all sizes, appended bytes only, a rotation while away, a new generation that keeps the old one."""
    node.write("app.log", lines(0, 500))
    node.write("deep/er/empty.log", b"")
    node.write("big.bin", os.urandom(17 * 1024 * 1024 + 5))
    assert node.once().complete
    assert node.current() == {p: node.read(p) for p in ("app.log", "deep/er/empty.log", "big.bin")}
    node.write("app.log", lines(500, 20))
    summary = node.once()
    assert (summary.complete, summary.sent_bytes) == (True, len(lines(500, 20)))
    os.rename(node.path("app.log"), node.path("app.log.1"))
    node.write("app.log", lines(1000, 30))
    summary = node.once()
    assert (summary.complete, summary.renames) == (True, 1)
    assert node.current()["app.log"] == lines(1000, 30)
    assert node.current()["app.log.1"] == lines(0, 520)
    os.truncate(node.path("app.log"), 0)
    node.write("app.log", lines(7000, 60))
    assert node.once().complete
    assert node.current()["app.log"] == lines(7000, 60)
    assert node.generations("app.log") == [lines(1000, 30)]
    again = node.once()
    assert (again.complete, again.sent_slices) == (True, 0)


def test_names_that_ftp_cannot_carry_arrive_reversibly(node: Node) -> None:
    """Newlines, invalid UTF-8, percent signs, blanks, quotes, wildcards."""
    names = [
        b"line\nbreak.log",
        b"not-utf8-\xff\xfe.log",
        b"%41 percent.log",
        b" leading",
        b"-dash",
        b"'quoted' \"name\" $HOME;[x]*?\\",
        "grüße-日本.log".encode(),
        b"y" * 200,
    ]
    for number, name in enumerate(names):
        node.write(name, b"%d\n" % number)
    expected = {name: b"%d\n" % number for number, name in enumerate(names)}
    with RunningAgent(node):
        eventually(lambda: {unescape(n): data for n, data in node.current().items()} == expected, node.current)
    assert node.once().sent_slices == 0
    ordinary = [escape_path(name) for name in names if name.startswith((b"line", b"not", b"%41", b"y"))]
    assert set(ordinary) <= node.current().keys()


def test_a_lost_registry_sends_nothing_again(node: Node) -> None:
    """What is there is compared, and only growth is sent."""
    node.write("app.log", lines(0, 500))
    node.write("other.log", lines(0, 5))
    assert node.once().complete
    shutil.rmtree(node.config().state_dir)
    node.write("app.log", lines(500, 10))
    summary = node.once()
    assert (summary.complete, summary.sent_bytes) == (True, len(lines(500, 10)))
    assert node.current() == {"app.log": lines(0, 510), "other.log": lines(0, 5)}
    assert node.generations("app.log") == []


def test_live_growth_and_rotation_with_kills_in_between_double_nothing(node: Node, tmp_path: Path) -> None:
    """Agents that die by SIGKILL, one after the other, while logs are written and rotated."""
    tree = LogTree(
        node.logs,
        (
            LogFile(b"app/service.json", "json", Rotation.RENAME, 4),
            LogFile(b"api.log", "apache", Rotation.COPYTRUNCATE, 1),
        ),
        seed=3,
        ledger=Ledger(tmp_path / "ledger"),
        keep=50,
    )
    assert tree.ledger is not None
    node.config()
    rng = random.Random(3)
    for _ in range(int(os.environ.get("LOGFERRY_TEST_FOREIGN_KILLS", "2"))):
        agent = AgentProcess(node, tmp_path / "agent.log")
        tree.grow(rng.randrange(50, 400))
        tree.rotate(b"app/service.json")
        tree.grow(rng.randrange(10, 100))
        agent.kill()
    with RunningAgent(node):
        tree.grow(20)
        eventually(lambda: differences(tree.ledger, node.server) == [], timeout_s=60)  # type: ignore[arg-type]
