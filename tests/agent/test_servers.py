"""Several servers: which one is used, and that nothing is lost or doubled when it changes."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logferry.agent.elsewhere import Elsewhere
from logferry.agent.registry import Registry
from logferry.agent.rows import Row, State
from logferry.agent.servers import Servers
from logferry.agent.status import read_status
from logferry.ftp import FtpClient
from logferry.ftp.sending import SendSource
from logferry.limits import SERVER_TRIES
from logferry.testing.ledger import Ledger
from logferry.testing.logtree import LogFile, LogTree, Rotation
from tests.agent.conftest import Node, RunningAgent, eventually, lines
from tests.agent.shelves import AGENT, PASSWORD, ArchiveShelf, LocalShelf
from tests.agent.truth import differences

FILES = (
    LogFile(b"app/service.json", "json", Rotation.RENAME, 4),
    LogFile(b"api.log", "apache", Rotation.COPYTRUNCATE, 1),
)


def test_it_keeps_to_a_server_that_lives_and_begins_with_the_preferred_one() -> None:
    """A few failures in a row are a restart; then each of the others has one try, and the round goes on."""
    servers = Servers(["a", "b", "c"])
    for _ in range(SERVER_TRIES - 1):
        assert not servers.failed()
    servers.worked()
    tried = [servers.address for _ in range(SERVER_TRIES + 4) if servers.failed()]
    assert tried == ["b", "c", "a", "b", "c"]
    servers.worked()
    assert servers.address == "c"
    assert [servers.failed() for _ in range(SERVER_TRIES)] == [False] * (SERVER_TRIES - 1) + [True]
    assert servers.address == "a"


def test_a_single_server_is_never_left() -> None:
    """However often it fails."""
    servers = Servers(["a"])
    assert not any(servers.failed() for _ in range(100))


def row(registry: Registry, remote: str, state: State = State.LIVE) -> Row:
    """A row in the registry."""
    made = Row(registry.new_id(), b"/" + remote.encode(), remote, remote, state, 1, 0)
    registry.apply([made], now_ns=0)
    return made


def test_all_rows_are_elsewhere_once_another_server_is_met_until_each_was_compared(tmp_path: Path) -> None:
    """Also over a restart; what the old server still confirms then counts for the old one."""
    registry = Registry(tmp_path / "registry.db", 0)
    rows = [row(registry, name) for name in ("a", "b", "c")]
    elsewhere = Elsewhere(registry)
    assert not elsewhere.met("one:21")
    assert not elsewhere.any
    assert elsewhere.met("two:21")
    assert [elsewhere.holds(r.id) for r in rows] == [True] * 3
    late = row(registry, "late")
    elsewhere.confirmed([late.id], "one:21")
    elsewhere.confirmed([rows[0].id], "two:21")
    elsewhere = Elsewhere(registry)
    assert [elsewhere.holds(r.id) for r in (*rows, late)] == [False, True, True, True]
    assert elsewhere.some(10) == [rows[1].id, rows[2].id, late.id]
    assert elsewhere.some(1, after=rows[1].id) == [rows[2].id], "those that cannot be compared hold up no other"
    assert not elsewhere.met("two:21")
    registry.apply(remove=[rows[1].id], now_ns=0)
    assert Elsewhere(registry).some(10) == [rows[2].id, late.id]
    registry.close()


def test_a_registry_that_cannot_be_written_means_that_more_is_compared(tmp_path: Path) -> None:
    """Nothing is taken for proved that is not."""
    registry = Registry(tmp_path / "registry.db", 0)
    one, two = row(registry, "a"), row(registry, "b")
    elsewhere = Elsewhere(registry)
    elsewhere.met("one:21")
    with registry.using() as db:
        db.execute("PRAGMA query_only = 1")
    assert elsewhere.met("two:21")
    assert elsewhere.holds(one.id)
    elsewhere.confirmed([one.id], "two:21")
    assert not elsewhere.holds(one.id)
    assert elsewhere.holds(two.id)
    assert Elsewhere(registry).holds(one.id)
    with registry.using() as db:
        db.execute("PRAGMA query_only = 0")
    registry.close()


def twin(shelf: LocalShelf) -> LocalShelf:
    """Another host of the same archive: the same files at another address."""
    made: LocalShelf = object.__new__(type(shelf))
    made.__dict__.update(shelf.__dict__)
    made.address = ("127.0.0.1", 0)
    made.start()
    return made


def named(*shelves: LocalShelf) -> str:
    """Settings for the servers behind the first."""
    return "fallback = [" + ", ".join(f'"{host}:{port}"' for host, port in (s.address for s in shelves)) + "]\n"


@pytest.fixture(params=[LocalShelf, ArchiveShelf], ids=["folder", "archive"])
def kind(request: pytest.FixtureRequest) -> type[LocalShelf]:
    """Servers that compare nothing, and servers that keep everything."""
    chosen: type[LocalShelf] = request.param
    return chosen


@pytest.fixture
def shelves(tmp_path: Path, kind: type[LocalShelf]) -> Iterator[Callable[[str], LocalShelf]]:
    """Makes independent servers."""
    made: list[LocalShelf] = []

    def make(name: str) -> LocalShelf:
        (tmp_path / name).mkdir()
        made.append(kind(tmp_path / name))
        return made[-1]

    yield make
    for shelf in made:
        shelf.stop()
        if isinstance(shelf, ArchiveShelf):
            shelf.catalog.close()


def hurried(running: RunningAgent, check: Callable[[], bool]) -> Callable[[], bool]:
    """``check``, with the agent's pauses cut short."""

    def asked() -> bool:
        running.agent.hurry()
        return check()

    return asked


def test_two_hosts_of_one_archive_are_as_good_as_one(tmp_path: Path, shelves: Callable[[str], LocalShelf]) -> None:
    """Each in turn is away, while files grow and rotate: all of it is there once, whichever host took it."""
    first = shelves("first")
    hosts = [first, twin(first)]
    node = Node(tmp_path / "node", first)
    node.server_settings = named(hosts[1])
    rng = random.Random(5)
    tree = LogTree(node.logs, FILES, seed=5, ledger=Ledger(tmp_path / "ledger"), keep=50)
    assert tree.ledger is not None
    try:
        with RunningAgent(node) as running:
            tree.grow(200)
            eventually(lambda: differences(tree.ledger, first) == [])  # type: ignore[arg-type]
            for turn in range(3):
                hosts[turn % 2].stop()
                tree.grow(rng.randrange(1, 200))
                tree.rotate(b"app/service.json")
                tree.grow(50)
                there = f"{hosts[(turn + 1) % 2].address[0]}:{hosts[(turn + 1) % 2].address[1]}"
                eventually(
                    hurried(running, lambda: differences(tree.ledger, first) == []),  # type: ignore[arg-type]
                    timeout_s=60,
                )
                assert running.agent._link.address == there
                hosts[turn % 2].start()
        assert read_status(node.base / "agent-state").server == there
    finally:
        hosts[1].stop()


def test_an_independent_server_gets_everything_and_what_is_there_is_kept(
    tmp_path: Path, shelves: Callable[[str], LocalShelf]
) -> None:
    """Files with nothing new too; and when the first comes back, it is brought up to date without mixing contents."""
    first, second = shelves("first"), shelves("second")
    node = Node(tmp_path / "node", first)
    node.server_settings = named(second)
    node.write("quiet.log", lines(0, 50))
    node.write("app.log", lines(0, 300))
    node.write("grown.log", lines(0, 10))
    with RunningAgent(node) as running:
        eventually(lambda: len(first.current()) == 3)
        first.stop()
        os.rename(node.path("app.log"), node.path("app.log.1"))
        node.write("app.log", lines(5000, 400))
        node.write("grown.log", lines(10, 10))
        expected = {
            "quiet.log": lines(0, 50),
            "app.log": lines(5000, 400),
            "app.log.1": lines(0, 300),
            "grown.log": lines(0, 20),
        }
        eventually(hurried(running, lambda: second.current() == expected), second.current, timeout_s=60)
        second.stop()
        first.start()
        node.write("grown.log", lines(20, 10))
        expected["grown.log"] = lines(0, 30)
        eventually(hurried(running, lambda: first.current() == expected), first.current, timeout_s=60)
    assert lines(0, 300) in [*first.generations("app.log"), first.current()["app.log.1"]]
    again = node.once()
    assert (again.complete, again.sent_bytes) == (True, 0)
    second.start()
    assert second.generations("app.log") == []


@pytest.mark.parametrize("done", [False, True], ids=["not done", "done"])
def test_a_rename_in_doubt_on_one_host_is_cleared_up_on_another(
    tmp_path: Path, shelves: Callable[[str], LocalShelf], done: bool
) -> None:
    """The agent died between asking for it and hearing of it; the bytes are found under either name, and sent once."""
    first = shelves("first")
    node = Node(tmp_path / "node", first)
    for name, start in (("app.log", 0), ("app.log.1", 1000), ("app.log.2", 2000)):
        node.write(name, lines(start, 300))
    assert node.once().complete
    for number in (2, 1):
        os.rename(node.path(f"app.log.{number}"), node.path(f"app.log.{number + 1}"))
    os.rename(node.path("app.log"), node.path("app.log.1"))
    node.write("app.log", lines(5000, 10))
    with sqlite3.connect(node.base / "agent-state" / "registry.db") as db:
        assert db.execute("UPDATE files SET going = ? WHERE want = ?", ("logs/app.log.3", "logs/app.log.2")).rowcount
    db.close()
    if done:
        client = FtpClient(*first.address, user=AGENT, password=PASSWORD, tls="off")
        with client:
            client.rename("/logs/app.log.2", "/logs/app.log.3")
    node.address = ("localhost", first.address[1])
    summary = node.once()
    assert summary.complete, summary
    assert (first.current(), summary.sent_bytes) == (
        {
            "app.log": lines(5000, 10),
            "app.log.1": lines(0, 300),
            "app.log.2": lines(1000, 300),
            "app.log.3": lines(2000, 300),
        },
        len(lines(5000, 10)),
    )
    assert [first.generations(f"app.log{end}") for end in ("", ".1", ".2", ".3")] == [[], [], [], []]


def test_bytes_whose_reply_was_lost_follow_a_rename_on_another_host_and_are_there_once(
    tmp_path: Path, shelves: Callable[[str], LocalShelf]
) -> None:
    """The server has more than was recorded. The first job there is the rename, before anything was compared: by its
    size alone, what lies under the old name would be somebody else's."""
    first = shelves("first")
    node = Node(tmp_path / "node", first)
    node.write("app.log", lines(0, 300))
    assert node.once().complete
    node.write("app.log", lines(300, 100))
    client = FtpClient(*first.address, user=AGENT, password=PASSWORD, tls="off")
    with client:
        client.store("/logs/app.log", SendSource.of(lines(300, 100)), rest=len(lines(0, 300)))
    os.rename(node.path("app.log"), node.path("app.log.1"))
    node.write("app.log", lines(5000, 200))
    node.address = ("localhost", first.address[1])
    summary = node.once()
    assert summary.complete, summary
    assert first.current() == {"app.log": lines(5000, 200), "app.log.1": lines(0, 400)}
    assert [first.generations(name) for name in ("app.log", "app.log.1")] == [[], []]
    assert summary.sent_bytes == len(lines(5000, 200) + lines(300, 100)), "only what no reply came to is sent once more"


def test_a_file_that_went_with_its_rename_unfinished_keeps_no_name_from_another_on_another_host(
    tmp_path: Path, shelves: Callable[[str], LocalShelf]
) -> None:
    """Nothing is left of it on the node to be compared; its copy moves out of the way all the same."""
    first = shelves("first")
    node = Node(tmp_path / "node", first)
    node.write("app.log", lines(0, 300))
    assert node.once().complete
    first.stop()
    os.rename(node.path("app.log"), node.path("app.log.1"))
    node.write("app.log", lines(5000, 200))
    assert not node.once().complete
    os.unlink(node.path("app.log.1"))
    assert not node.once().complete
    first.start()
    node.address = ("localhost", first.address[1])
    summary = node.once()
    assert summary.complete, summary
    assert first.current() == {"app.log": lines(5000, 200), "app.log.1": lines(0, 300)}
