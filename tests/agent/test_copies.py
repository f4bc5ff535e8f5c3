"""Compressed copies that are not sent (``compressed = "skip-copies"``): only what is proved to be in the archive."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.agent.config import load_config
from logferry.agent.identity import UNSEEN, Stat
from logferry.agent.plan import Move, New, Same, Ship, Sight, changes, decide
from logferry.agent.registry import Registry
from logferry.agent.rows import Row, State
from logferry.agent.sources import Source
from logferry.agent.status import read_status
from logferry.cli.agent_status import lines as status_lines
from logferry.errors import BadConfig
from logferry.ftp.client import FtpClient
from logferry.ftp.client_digest import Digest
from logferry.limits import MIB
from tests.agent.conftest import Node, RunningAgent, eventually, lines
from tests.agent.shelves import ArchiveShelf, ForeignShelf

LOG = lines(0, 3000)


@pytest.fixture
def archive_node(tmp_path: Path) -> Iterator[Node]:
    """A node that delivers to an archive and skips copies."""
    base = tmp_path / "server"
    base.mkdir()
    running = ArchiveShelf(base)
    try:
        yield skipping(Node(tmp_path / "node", running))
    finally:
        running.close()


def skipping(node: Node) -> Node:
    """The node with the policy."""
    node.extra = 'compressed = "skip-copies"\n'
    return node


def compress(node: Node, name: str, *, keep: bool = False) -> None:
    """``gzip`` as logrotate runs it."""
    subprocess.run(["gzip", "-n", *(["-k"] if keep else []), node.path(name)], check=True)


def row_of(node: Node, name: str) -> tuple[Row, str]:
    """The registry's row of a file, and what it is said to be a copy of."""
    registry = Registry(node.base / "agent-state" / "registry.db", 0)
    try:
        row = registry.by_path(node.path(name))
        assert row is not None
        return row, registry.copy_of(row.id)
    finally:
        registry.close()


def test_a_compressed_copy_is_sent_unless_told_otherwise(archive_node: Node) -> None:
    """The default keeps the tree as it is on the node."""
    node = archive_node
    node.extra = ""
    node.write("app.log.1", LOG)
    assert node.once().complete
    compress(node, "app.log.1")
    assert node.once().complete
    assert node.current() == {"app.log.1": LOG, "app.log.1.gz": node.read("app.log.1.gz")}


def test_a_compressed_copy_of_what_the_server_holds_is_not_sent(archive_node: Node) -> None:
    """Rename, compress later; the agent was away. The registry tells what it is a copy of."""
    node = archive_node
    node.write("app.log", LOG)
    assert node.once().complete
    os.rename(node.path("app.log"), node.path("app.log.1"))
    assert node.once().complete
    compress(node, "app.log.1")
    summary = node.once()
    assert summary.complete
    assert node.current() == {"app.log.1": LOG}
    row, original = row_of(node, "app.log.1.gz")
    assert (row.state, row.offset, original) == (State.SKIPPED, 0, "logs/app.log.1")
    status = read_status(node.base / "agent-state")
    told = status_lines(status, running=False, now_ns=status.written_ns)
    assert "1 compressed copy of what the server holds not sent" in told


def test_a_copy_that_was_not_sent_stays_so_through_rotation_and_restarts(archive_node: Node) -> None:
    """logrotate's chain: each day every .gz gets another name. Nothing is unpacked again, nothing is sent."""
    node = archive_node
    contents = [lines(day * 10_000, 2000) for day in range(4)]
    for day, content in enumerate(contents):
        node.write("app.log", content)
        assert node.once().complete
        for number in range(day, 1, -1):
            os.rename(node.path(f"app.log.{number}.gz"), node.path(f"app.log.{number + 1}.gz"))
        if day:
            compress(node, "app.log.1")
            os.rename(node.path("app.log.1.gz"), node.path("app.log.2.gz"))
        os.rename(node.path("app.log"), node.path("app.log.1"))
        assert node.once().complete
        assert node.once().complete
    assert sorted(os.listdir(node.logs)) == ["app.log.1", "app.log.2.gz", "app.log.3.gz", "app.log.4.gz"]
    assert [name for name in node.current() if name.endswith(".gz")] == []
    held = {name: [*node.generations(name)] for name in ("app.log", "app.log.1")}
    held["app.log.1"].append(node.current()["app.log.1"])
    assert sorted(content for kept in held.values() for content in kept) == sorted(contents)
    for number in (2, 3, 4):
        assert row_of(node, f"app.log.{number}.gz")[0].state is State.SKIPPED


def test_compressed_at_once_while_the_agent_is_busy(archive_node: Node) -> None:
    """The copy is there before its original is whole on the server: it waits for it, live, and is not sent."""
    node = archive_node
    content = lines(0, 200_000)
    with RunningAgent(node, watcher=True):
        node.write("app.log", content[: MIB // 2])
        eventually(lambda: "app.log" in node.current())
        node.write("app.log", content[MIB // 2 :])
        os.rename(node.path("app.log"), node.path("app.log.1"))
        compress(node, "app.log.1")
        node.write("app.log", b"new\n")
        eventually(lambda: node.current().get("app.log.1") == content, lambda: sorted(node.current()), 60)
        eventually(lambda: _state(node, "app.log.1.gz") in (State.SKIPPED, State.LIVE), "decided", 60)
        eventually(lambda: node.current().get("app.log") == b"new\n")
    assert row_of(node, "app.log.1.gz")[0].state is State.SKIPPED
    assert set(node.current()) == {"app.log", "app.log.1"}


def _state(node: Node, name: str) -> State | None:
    registry = Registry(node.base / "agent-state" / "registry.db", 0)
    try:
        row = registry.by_path(node.path(name))
        return row.state if row is not None else None
    finally:
        registry.close()


def test_copytruncate_and_gzip(archive_node: Node) -> None:
    """The copy's original is a file of its own for a while, and the generation that was cut stays."""
    node = archive_node
    node.write("app.log", LOG)
    assert node.once().complete
    shutil.copyfile(node.path("app.log"), node.path("app.log.1"))
    os.truncate(node.path("app.log"), 0)
    node.write("app.log", b"after\n")
    assert node.once().complete
    compress(node, "app.log.1")
    assert node.once().complete
    assert node.current() == {"app.log": b"after\n", "app.log.1": LOG}
    assert node.generations("app.log") == [LOG]
    assert row_of(node, "app.log.1.gz")[0].state is State.SKIPPED


def test_never_skipped_on_doubt(archive_node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of something else, of a beginning, cut off, with something behind, empty, of another form: all are sent."""
    node = archive_node
    monkeypatch.setattr("logferry.agent.copies.COPY_TRIES_MAX", 1)
    packed = gzip.compress(LOG)
    node.write("app.log", LOG)
    assert node.once().complete
    others = {
        "other.gz": gzip.compress(lines(50_000, 3000)),
        "part.gz": gzip.compress(LOG[:-100]),
        "more.gz": gzip.compress(LOG + b"more\n"),
        "app.log.gz": packed[:-1],
        "behind.gz": packed + b"something",
        "empty.gz": gzip.compress(b""),
        "no.gz": LOG,
        "wrong.gz": lzma.compress(LOG),
        "bomb.xz": lzma.compress(bytes(8 * MIB)),
        "nothing.gz": b"",
    }
    for name, data in others.items():
        node.write(name, data)
    assert node.once().complete
    assert node.current() == others | {"app.log": LOG}


def test_same_ends_and_length_are_no_proof(archive_node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Length, head and tail agree, the middle does not: the server's digest decides."""
    monkeypatch.setattr("logferry.agent.copies.COPY_TRIES_MAX", 1)
    node = archive_node
    middle = len(LOG) // 2
    other = LOG[:middle] + b"#" + LOG[middle + 1 :]
    node.write("app.log", LOG)
    assert node.once().complete
    node.write("app.log.gz", gzip.compress(other))
    assert node.once().complete
    assert set(node.current()) == {"app.log", "app.log.gz"}


def test_a_server_without_digests_gets_everything(tmp_path: Path) -> None:
    """Another FTP server: nothing proves a copy there."""
    base = tmp_path / "server"
    base.mkdir()
    server = ForeignShelf(base)
    try:
        node = skipping(Node(tmp_path / "node", server))
        node.write("app.log", LOG)
        assert node.once().complete
        node.write("app.log.gz", gzip.compress(LOG))
        assert node.once().complete
        assert set(node.current()) == {"app.log", "app.log.gz"}
    finally:
        server.stop()


def test_what_the_server_lost_is_sent(archive_node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry alone is no proof: here the server's bytes are others than the registry believes."""
    monkeypatch.setattr("logferry.agent.copies.COPY_TRIES_MAX", 1)
    node = archive_node
    node.write("app.log.1", LOG)
    assert node.once().complete

    def other(*_: object, **__: object) -> Digest:
        return Digest("SHA-256", "0" * 64)

    monkeypatch.setattr(FtpClient, "digest", other)
    compress(node, "app.log.1", keep=True)
    assert node.once().complete
    assert set(node.current()) == {"app.log.1", "app.log.1.gz"}


def test_a_skipped_file_that_changes_is_judged_anew(archive_node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another content under the same name is sent."""
    monkeypatch.setattr("logferry.agent.copies.COPY_TRIES_MAX", 1)
    node = archive_node
    node.write("app.log.1", LOG)
    assert node.once().complete
    compress(node, "app.log.1", keep=True)
    assert node.once().complete
    assert row_of(node, "app.log.1.gz")[0].state is State.SKIPPED
    node.write("app.log.1.gz", gzip.compress(b"another member\n"))
    assert node.once().complete
    assert node.current()["app.log.1.gz"] == node.read("app.log.1.gz")


def test_the_policy_can_be_given_up(archive_node: Node) -> None:
    """What was skipped is sent when the settings say so."""
    node = archive_node
    node.write("app.log.1", LOG)
    assert node.once().complete
    compress(node, "app.log.1")
    assert node.once().complete
    assert set(node.current()) == {"app.log.1"}
    node.extra = ""
    assert node.once().complete
    assert node.current()["app.log.1.gz"] == node.read("app.log.1.gz")
    assert row_of(node, "app.log.1.gz")[0].state is State.LIVE


def test_a_lost_registry_sends_what_it_cannot_prove(archive_node: Node) -> None:
    """Nothing is known of the original any more: the copy is sent."""
    node = archive_node
    node.write("app.log.1", LOG)
    assert node.once().complete
    compress(node, "app.log.1")
    shutil.rmtree(node.base / "agent-state")
    assert node.once().complete
    assert node.current() == {"app.log.1": LOG, "app.log.1.gz": node.read("app.log.1.gz")}


def test_once_ends_when_the_server_goes_away_while_it_waits(archive_node: Node) -> None:
    """A copy that cannot be told yet keeps nobody: it is sent, or judged, the next time."""
    node = archive_node
    node.write("app.log.1", LOG)
    assert node.once().complete
    compress(node, "app.log.1", keep=True)
    node.server.stop()
    summary = node.once()
    assert not summary.complete
    assert summary.left == 1
    node.server.start()
    assert node.once().complete
    assert row_of(node, "app.log.1.gz")[0].state is State.SKIPPED


def test_the_setting_is_checked_and_asks_only_for_compressed_names(tmp_path: Path) -> None:
    """A wrong word is refused with the right ones."""
    node_config = tmp_path / "agent.toml"
    (tmp_path / "agent.secret").write_text("x\n")
    base = '[agent]\nid = "a"\n[server]\naddress = "h"\n[[sources]]\npath = "/logs"\n'
    node_config.write_text(base + 'compressed = "skip-copies"\n')
    source = Source.of(load_config(node_config).sources[0])
    assert [source.may_skip(b"/logs/" + name) for name in (b"a.gz", b"a.log", b"\xff.ZST", b".gz")] == [
        True, False, True, False,
    ]  # fmt: skip
    node_config.write_text(base)
    assert not Source.of(load_config(node_config).sources[0]).may_skip(b"/logs/a.gz")
    node_config.write_text(base + 'compressed = "skip"\n')
    with pytest.raises(BadConfig, match="skip-copies"):
        load_config(node_config)


STAT = Stat(7, 100, 5, 5)
SKIPPED = Row(1, b"/l/a.gz", "l/a.gz", "", State.SKIPPED, 7, 0, STAT)


@pytest.mark.parametrize(
    ("path", "stat", "kind"),
    [
        (b"/l/a.gz", STAT, Same),
        (b"/l/a.gz", Stat(7, 101, 6, 6), Ship),
        (b"/l/a.gz", Stat(8, 100, 5, 5), Ship),
        (b"/l/b.gz", Stat(7, 100, 5, 9), Move),
        (b"/l/b.gz", Stat(7, 100, 6, 9), New),
        (b"/l/b.gz", Stat(7, 99, 5, 9), New),
    ],
)
def test_what_becomes_of_a_skipped_file(path: bytes, stat: Stat, kind: type) -> None:
    """Unchanged: the same. Renamed: it stays skipped under the new name. Changed: judged anew."""
    own = SKIPPED if path == SKIPPED.path else None
    decision = decide(Sight(path, "l/x.gz", stat), own, [] if own else [SKIPPED], lambda sight, row: False)
    assert isinstance(decision, kind)
    made = changes([decision], {}, lambda: "stamp")
    if kind is Move:
        (row,) = made.update
        assert (row.state, row.path, row.want, row.seen, row.misplaced) == (State.SKIPPED, path, "l/x.gz", stat, False)
    if kind is Ship:
        assert made.update[0].state is State.NEW
    assert UNSEEN not in (SKIPPED.seen, stat)
