"""New settings while the agent runs: checked whole, taken or refused, and no byte lost or sent twice by it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from logferry.agent.config import load_config
from logferry.agent.reload import reload
from logferry.agent.runner import Agent
from logferry.agent.status import Status
from logferry.agent.watch import NoWatcher
from logferry.errors import NotFound
from tests.agent.conftest import Node, eventually, lines
from tests.agent.shelves import ArchiveShelf, LocalShelf


def written(
    node: Node, *, sources: str = "", server: str = "", limits: str = "connections = 2", agent: str = ""
) -> None:
    """Put other settings into ``agent.toml``, by a rename as editors do."""
    host, port = node.address
    default = f'[[sources]]\npath = "{node.logs}"\nto = "/logs"\n'
    address = "" if "address" in server else f'address = "{host}:{port}"\n'
    fresh = node.base / "agent.toml.fresh"
    fresh.write_text(
        f'[agent]\nid = "web-01"\nscan_interval = "50ms"\n{agent}\n[server]\n{address}tls = "off"\n{server}\n'
        f"[limits]\n{limits}\n{sources or default}"
    )
    os.replace(fresh, node.config_path)


@contextmanager
def following(node: Node, *, watches: bool = False) -> Iterator[Agent]:
    """An agent on a thread, with the settings that are written; ``watches``: it looks at the file by itself."""
    agent = Agent(load_config(node.config_path), watcher=lambda _: NoWatcher(), config_path=str(node.config_path))
    assert agent._file is not None
    if not watches:
        agent._file.changed = lambda: False  # type: ignore[method-assign]  # only ``reload`` counts
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        eventually(lambda: agent.status() is not None, timeout_s=60)
        yield agent
    finally:
        agent.stop()
        thread.join(60)
        assert not thread.is_alive()


def reloaded(agent: Agent) -> Status:
    """Ask for it and wait for the answer."""
    before = newest(agent).config_tries
    agent.reload()
    eventually(lambda: newest(agent).config_tries > before, timeout_s=60)
    return newest(agent)


def newest(agent: Agent) -> Status:
    status = agent.status()
    assert status is not None
    return status


def sent(agent: Agent) -> int:
    """Bytes confirmed so far, not as of the last status."""
    return agent._parts.settler.sent_bytes


def idle(agent: Agent) -> bool:
    return not agent._roster.works and not agent._roster.misplaced


def holds(node: Node, name: str, data: bytes) -> bool:
    return node.current().get(name) == data


def test_a_new_source_is_followed_and_one_taken_out_is_left_alone(plain_node: Node, tmp_path: Path) -> None:
    """What the old one had stays in the archive; what is written to it later stays on the node, until it is back."""
    node = plain_node
    more = tmp_path / "more"
    more.mkdir()
    (more / "new.log").write_bytes(b"new\n")
    node.write("a.log", b"one\n")
    written(node)
    other = f'[[sources]]\npath = "{more}"\nto = "/logs/more"\n'
    both = f'[[sources]]\npath = "{node.logs}"\nto = "/logs"\n{other}'
    with following(node) as agent:
        eventually(lambda: holds(node, "a.log", b"one\n"), timeout_s=60)
        written(node, sources=both)
        assert not reloaded(agent).config_error
        eventually(lambda: holds(node, "more/new.log", b"new\n"), timeout_s=60)
        written(node, sources=other)
        assert not reloaded(agent).config_error
        node.write("a.log", b"two\n")
        with (more / "new.log").open("ab") as log:
            log.write(b"newer\n")
        eventually(lambda: holds(node, "more/new.log", b"new\nnewer\n"), timeout_s=60)
        assert holds(node, "a.log", b"one\n")
        assert agent._lookout.scanner.files() == 1
        written(node, sources=both)
        assert not reloaded(agent).config_error
        eventually(lambda: holds(node, "a.log", b"one\ntwo\n"), timeout_s=60)
        eventually(lambda: idle(agent), timeout_s=60)
        assert sent(agent) == len(b"one\ntwo\nnew\nnewer\n"), "every byte once"
        assert agent._lookout.generations == 0


def test_other_patterns_leave_out_what_they_exclude_but_not_what_was_renamed(plain_node: Node) -> None:
    """A rotated log whose name no pattern wants goes on being sent; an excluded one stops, also after a restart."""
    node = plain_node
    wanted = f'[[sources]]\npath = "{node.logs}"\nto = "/logs"\ninclude = ["*.log"]\n'
    node.write("app.log", b"app\n")
    node.write("debug.log", b"debug\n")
    written(node, sources=wanted)
    excluding = wanted + 'exclude = ["debug*"]\n'
    with following(node) as agent:
        eventually(lambda: holds(node, "app.log", b"app\n") and holds(node, "debug.log", b"debug\n"), timeout_s=60)
        os.rename(node.path("app.log"), node.path("app.log.1"))
        eventually(lambda: holds(node, "app.log.1", b"app\n"), timeout_s=60)
        written(node, sources=excluding)
        assert not reloaded(agent).config_error
        node.write("debug.log", b"more\n")
        node.write("app.log.1", b"late\n")
        eventually(lambda: holds(node, "app.log.1", b"app\nlate\n"), timeout_s=60)
        assert holds(node, "debug.log", b"debug\n")
    with following(node):
        node.write("app.log.1", b"later\n")
        eventually(lambda: holds(node, "app.log.1", b"app\nlate\nlater\n"), timeout_s=60)
        assert holds(node, "debug.log", b"debug\n")


def test_patterns_that_changed_while_no_agent_ran_count_at_the_start(plain_node: Node) -> None:
    """The sources of the last run are remembered, so that leaving out works without a reload, too."""
    node = plain_node
    node.write("a.log", b"a\n")
    node.write("b.log", b"b\n")
    written(node)
    with following(node):
        eventually(lambda: len(node.current()) == 2, timeout_s=60)
    written(node, sources=f'[[sources]]\npath = "{node.logs}"\nto = "/logs"\nexclude = ["b*"]\n')
    node.write("a.log", b"more\n")
    node.write("b.log", b"more\n")
    with following(node):
        eventually(lambda: holds(node, "a.log", b"a\nmore\n"), timeout_s=60)
        assert holds(node, "b.log", b"b\n")


@pytest.mark.parametrize("kind", [LocalShelf, ArchiveShelf])
def test_another_place_in_the_archive_is_reached_by_renames(kind: type[LocalShelf], tmp_path: Path) -> None:
    """``to`` changes: what was archived follows, without a byte sent again; what grows goes on there."""
    base = tmp_path / "server"
    base.mkdir()
    shelf = kind(base)
    try:
        node = Node(tmp_path / "node", shelf)
        data = lines(0, 5000)
        node.write("deep/a.log", data)
        node.write("b.log", b"b\n")
        written(node)
        with following(node) as agent:
            eventually(lambda: holds(node, "deep/a.log", data) and holds(node, "b.log", b"b\n"), timeout_s=60)
            written(node, sources=f'[[sources]]\npath = "{node.logs}"\nto = "/logs/new/home"\n')
            assert not reloaded(agent).config_error
            node.write("b.log", b"more\n")
            right = {"new/home/deep/a.log": data, "new/home/b.log": b"b\nmore\n"}
            eventually(lambda: node.current() == right, lambda: sorted(node.current()), timeout_s=60)
            eventually(lambda: idle(agent), timeout_s=60)
            assert sent(agent) == len(data) + len(b"b\nmore\n"), "nothing was sent again"
    finally:
        shelf.stop()
        if isinstance(shelf, ArchiveShelf):
            shelf.catalog.close()


def test_places_that_follow_one_another_are_reached_in_turn(tmp_path: Path) -> None:
    """One source takes the place that another one leaves at the same moment."""
    base = tmp_path / "server"
    base.mkdir()
    shelf = LocalShelf(base)
    try:
        node = Node(tmp_path / "node", shelf)
        for folder in ("a", "b"):
            node.write(f"{folder}/x.log", folder.encode() * 100)

        def sources(a: str, b: str) -> str:
            named = [("a", a), ("b", b)]
            return "".join(f'[[sources]]\npath = "{node.logs}/{name}"\nto = "/logs/{to}"\n' for name, to in named)

        written(node, sources=sources("1", "2"))
        with following(node) as agent:
            eventually(lambda: node.current() == {"1/x.log": b"a" * 100, "2/x.log": b"b" * 100}, timeout_s=60)
            written(node, sources=sources("2", "3"))
            assert not reloaded(agent).config_error
            eventually(lambda: node.current() == {"2/x.log": b"a" * 100, "3/x.log": b"b" * 100}, timeout_s=60)
            node.write("a/x.log", b"more")
            eventually(lambda: node.current().get("2/x.log") == b"a" * 100 + b"more", timeout_s=60)
    finally:
        shelf.stop()


def test_settings_change_again_and_again_under_load_and_every_byte_arrives_once(tmp_path: Path) -> None:
    """Limits, number of connections and places change while files grow; the archive would refuse a byte sent twice."""
    base = tmp_path / "server"
    base.mkdir()
    shelf = ArchiveShelf(base)
    try:
        node = Node(tmp_path / "node", shelf)
        written(node)
        whole = {f"{n}.log": bytearray() for n in range(6)}
        with following(node) as agent:
            for turn in range(12):
                for number, (name, data) in enumerate(whole.items()):
                    piece = lines(turn * 1000 + number * 100_000, 2000)
                    node.write(name, piece)
                    data += piece
                rate = f'upload_rate = "{1 + turn % 3} MiB/s"\n' if turn % 2 else ""
                written(node, limits=f"connections = {1 + turn % 4}\n{rate}")
                assert not reloaded(agent).config_error
            written(node)
            assert not reloaded(agent).config_error
            right = {name: bytes(data) for name, data in whole.items()}
            eventually(lambda: node.current() == right, timeout_s=120)
            eventually(lambda: idle(agent), timeout_s=60)
            assert agent._lookout.generations == 0
            assert sent(agent) == sum(map(len, right.values())), "every byte once"
            assert all(node.generations(name) == [] for name in whole)
    finally:
        shelf.stop()
        shelf.catalog.close()


def test_a_server_elsewhere_is_used_from_the_next_slice_on(plain_node: Node, tmp_path: Path) -> None:
    """The file goes on at the new address where the old one left it: it is the same archive under another name."""
    node = plain_node
    node.write("a.log", b"one\n")
    written(node)
    with following(node) as agent:
        eventually(lambda: holds(node, "a.log", b"one\n"), timeout_s=60)
        assert isinstance(node.server, LocalShelf)
        node.server.stop()
        node.server.address = ("127.0.0.1", 0)
        node.server.start()
        node.write("a.log", b"two\n")
        host, port = node.server.address
        written(node, server=f'address = "{host}:{port}"\n')
        assert not reloaded(agent).config_error
        eventually(lambda: holds(node, "a.log", b"one\ntwo\n"), timeout_s=60)
        eventually(lambda: newest(agent).server == f"{host}:{port}", timeout_s=60)


def test_a_new_password_is_tried_at_once(plain_node: Node) -> None:
    """After a refusal the agent waits for minutes; a corrected password file ends that."""
    node = plain_node
    node.write("a.log", b"one\n")
    written(node)
    right = (node.base / "agent.secret").read_text()
    (node.base / "agent.secret").write_text("wrong\n")
    with following(node, watches=True) as agent:
        eventually(lambda: agent._link.status.word == "refused", timeout_s=60)
        (node.base / "agent.secret").write_text(right)
        eventually(lambda: holds(node, "a.log", b"one\n"), timeout_s=60)


def test_a_changed_file_is_noticed_without_a_signal(plain_node: Node, tmp_path: Path) -> None:
    """Once two looks agree on it."""
    node = plain_node
    more = tmp_path / "more"
    more.mkdir()
    (more / "new.log").write_bytes(b"new\n")
    written(node)
    with following(node, watches=True):
        written(node, sources=f'[[sources]]\npath = "{more}"\nto = "/logs"\n')
        eventually(lambda: holds(node, "new.log", b"new\n"), timeout_s=60)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"limits": "connections = 0"}, "connections must be between"),
        ({"sources": '[[sources]]\npath = "x"\ninclud = ["*"]\n'}, "did you mean 'include'?"),
        ({"server": 'password_file = "none"\n'}, "password file"),
        ({"agent": 'state_dir = "elsewhere"\n'}, "cannot change while the agent runs"),
        ({"limits": "[["}, "agent.toml"),
    ],
)
def test_wrong_settings_change_nothing_and_are_said_once(
    plain_node: Node, change: dict[str, str], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The agent goes on as it was, also when asked again; the right file ends the trouble."""
    node = plain_node
    written(node)
    with following(node) as agent:
        written(node, **change)
        for _ in range(2):
            assert says in reloaded(agent).config_error
        told = [record for record in caplog.records if "not taken" in record.getMessage()]
        assert len(told) == 1
        node.write("a.log", b"one\n")
        eventually(lambda: holds(node, "a.log", b"one\n"), timeout_s=60)
        written(node)
        assert reloaded(agent).config_error == ""


def test_asking_an_agent_that_does_not_run_says_so(tmp_path: Path) -> None:
    """With how to start one."""
    with pytest.raises(NotFound, match="agent run"):
        reload(tmp_path)


def test_the_sources_of_the_last_run_may_be_nonsense(plain_node: Node) -> None:
    """Then files go on as they are."""
    node = plain_node
    node.write("a.log", b"one\n")
    written(node)
    (node.base / "agent-state").mkdir()
    (node.base / "agent-state" / "sources.json").write_text(json.dumps([{"path": 7}, 3]))
    with following(node):
        eventually(lambda: holds(node, "a.log", b"one\n"), timeout_s=60)
