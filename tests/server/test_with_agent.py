"""Agent and server together: joined, delivering, idle, stopped; and what the server says of it all the while."""

from __future__ import annotations

import ftplib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from logferry.agent import crew, runner
from logferry.agent.config import load_config
from logferry.archive.records import AgentRecord
from logferry.clock import SYSTEM
from logferry.server.config import join_address
from logferry.server.health import Heard, State, agent_state
from tests.server.helpers import eventually
from tests.server.site import PASSWORD, Process, Running, Site, fetched, store


class Node:
    """A node with a folder of logs that has joined the site."""

    def __init__(self, site: Site, base: Path, agent_id: str) -> None:
        self.site = site
        self.id = agent_id
        self.base = base
        self.logs = base / "logs"
        self.logs.mkdir(parents=True)
        self._password = site.join(agent_id).password
        (base / "secret").write_text(self._password)
        (base / "secret").chmod(0o600)

    def agent(self) -> runner.Agent:
        """Its agent, for the address the server has now."""
        path = self.base / "agent.toml"
        tls = self.site.config.ftp.tls
        path.write_text(
            f'[agent]\nid = "{self.id}"\nscan_interval = "50ms"\nstate_dir = "{self.base / "state"}"\n'
            f'[server]\naddress = "{join_address(*self.site.address)}"\ntls = "{tls}"\n'
            f'pin = ["{self.site.pin}"]\npassword_file = "{self.base / "secret"}"\n'
            f'[[sources]]\npath = "{self.logs}"\nto = "/logs"\n'
        )
        return runner.Agent(load_config(path))

    @contextmanager
    def running(self) -> Iterator[None]:
        """The agent at work until the block ends."""
        stop = threading.Event()
        agent = self.agent()
        thread = threading.Thread(target=agent.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            agent.stop()
            thread.join(20)
        assert not thread.is_alive()


def state_of(site: Site, agent_id: str) -> State:
    """What the server says of an agent now."""
    return agent_state(heard(record_of(site, agent_id)), SYSTEM.now_ns()).state


def record_of(site: Site, agent_id: str) -> AgentRecord:
    """The agent's row."""
    found = site.catalog.agents.get(agent_id)
    assert found is not None
    return found


def heard(row: AgentRecord) -> Heard:
    """The row as the rule wants it."""
    return Heard(
        joined_ns=row.created_ns,
        heard_ns=row.heard_ns,
        uploaded_ns=row.uploaded_ns,
        interval_s=row.interval_s,
        paused=row.paused,
        gone_ns=row.gone_ns,
        error=row.error,
        error_ns=row.error_ns,
    )


@pytest.fixture(params=["off", "required", "two processes"])
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A running FTP part, with and without TLS, and as two processes that share the work."""
    if request.param == "two processes":
        made = Site.make(tmp_path / "data", tls="required", processes=2)
        with Process(made) as process:
            yield process.site
    else:
        made = Site.make(tmp_path / "data", tls=request.param)
        with Running(made) as running:
            yield running
    made.catalog.close()


def test_an_agent_is_new_then_ok_while_it_idles_and_gone_when_it_stops(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its version and how often it will be heard are told over FTP alone."""
    monkeypatch.setattr(crew, "ALIVE_S_MIN", 0.2)
    node = Node(site, tmp_path / "node", "web-01")
    assert state_of(site, "web-01") == "new"
    with node.running():
        (node.logs / "a.log").write_bytes(b"one line\n")
        eventually(lambda: state_of(site, "web-01") == "ok")
        row = record_of(site, "web-01")
        assert row.last_path == "logs/a.log"
        eventually(lambda: record_of(site, "web-01").version)
        assert record_of(site, "web-01").interval_s == 1.0
        before = record_of(site, "web-01").heard_ns
        eventually(lambda: record_of(site, "web-01").heard_ns != before)  # nothing to send, and heard all the same
        assert state_of(site, "web-01") == "ok"
    eventually(lambda: state_of(site, "web-01") == "gone")


def test_what_is_on_the_node_is_in_the_archive_and_is_read_from_there(site: Site, tmp_path: Path) -> None:
    """Byte for byte: growth, rotation, an empty file, odd names; two nodes with the same names apart."""
    nodes = [Node(site, tmp_path / agent_id, agent_id) for agent_id in ("web-01", "web-02")]
    for number, node in enumerate(nodes):
        (node.logs / "deep" / "er").mkdir(parents=True)
        (node.logs / "app.log").write_bytes(b"%d first\n" % number)
        (node.logs / "empty.log").write_bytes(b"")
        (node.logs / "deep" / "er" / "odd\tname%0A.log").write_bytes(b"odd\n")
        assert node.agent().once().complete
        with open(node.logs / "app.log", "ab") as log:
            log.write(b"more\n")
        assert node.agent().once().complete
        (node.logs / "app.log").rename(node.logs / "app.log.1")
        (node.logs / "app.log").write_bytes(b"%d second\n" % number)
        assert node.agent().once().complete
    site.people.create("root", PASSWORD, role="admin")
    login = site.ftp if site.config.ftp.tls == "off" else site.ftps
    with login("root", PASSWORD) as reader:
        for number, node in enumerate(nodes):
            folder = f"/{node.id}/logs"
            assert fetched(reader, f"{folder}/app.log") == b"%d second\n" % number
            assert fetched(reader, f"{folder}/app.log.1") == b"%d first\nmore\n" % number
            assert fetched(reader, f"{folder}/empty.log") == b""
            assert fetched(reader, f"{folder}/deep/er/odd%09name%250A.log") == b"odd\n"
            assert fetched(reader, f"{folder}/app.log;gen=1") == b"%d first\nmore\n" % number


def test_a_killed_server_comes_back_and_nothing_is_missing(tmp_path: Path) -> None:
    """Kill -9 three times while files grow; the agent goes on by itself."""
    made = Site.make(tmp_path / "data")
    with Process(made) as process:
        host, port = made.address
        node = Node(made, tmp_path / "node", "web-01")
        live = made.live("web-01", "logs")
        with node.running():
            for turn in range(3):
                for number in range(30):
                    with open(node.logs / f"{number}.log", "ab") as log:
                        log.write(b"%d " % turn * 2000)
                eventually(lambda: len(list(live.glob("*"))) > 5)
                process.process.kill()
                process.process.wait()
                made = _on_port(made, host, port)
                process = Process(made).__enter__()
            eventually(lambda: _same(node.logs, live), within_s=60)
        process.__exit__()
    made.catalog.close()


def _on_port(site: Site, host: str, port: int) -> Site:
    """The same site, to be served where it was before."""
    ftp = site.config.ftp.__class__(listen=join_address(host, port), tls="off")
    site.config = site.config.__class__(archive=site.config.archive, ftp=ftp, web=site.config.web)
    return site


def _same(one: Path, other: Path) -> bool:
    return {p.name: p.read_bytes() for p in one.iterdir()} == {p.name: p.read_bytes() for p in other.iterdir()}


def test_an_agent_with_a_spent_quota_waits_and_goes_on_when_it_is_raised(tmp_path: Path) -> None:
    """552 with a text that says what to do; nothing half is seen; then all of it comes, once."""
    made = Site.make(tmp_path / "data")
    with Running(made) as site:
        node = Node(site, tmp_path / "node", "web-01")
        site.catalog.agents.change("web-01", quota_bytes=50_000)
        (node.logs / "small.log").write_bytes(b"small\n" * 1000)
        (node.logs / "large.log").write_bytes(b"large\n" * 10_000)
        with node.running():
            eventually(lambda: "quota of web-01 is used up" in record_of(site, "web-01").error, within_s=60)
            record = record_of(site, "web-01")
            assert record.held_bytes <= 50_000
            assert site.catalog.files.at("web-01", "logs/large.log") is None
            site.catalog.agents.change("web-01", quota_bytes=70_000)
            eventually(lambda: _same(node.logs, site.live("web-01", "logs")), within_s=60)
        assert record_of(site, "web-01").held_bytes == 66_000
        for name in ("small", "large"):
            file = site.catalog.files.at("web-01", f"logs/{name}.log")
            assert file is not None
            assert [one.number for one in site.catalog.files.generations(file.id)] == [1]
        with site.ftp("web-01", node._password) as client, pytest.raises(ftplib.error_perm, match=r"^552 .*quota"):
            store(client, "/logs/more.log", b"x" * 5_000)
    made.catalog.close()


def test_many_small_files_beyond_a_quota_wait_and_arrive_once(tmp_path: Path) -> None:
    """They travel in bundles, of which some members find room and others do not."""
    made = Site.make(tmp_path / "data")
    with Running(made) as site:
        node = Node(site, tmp_path / "node", "web-01")
        site.catalog.agents.change("web-01", quota_files=50)
        for number in range(150):
            (node.logs / f"{number}.log").write_bytes(b"%d\n" % number * 30)
        with node.running():
            eventually(lambda: "quota of web-01 is used up" in record_of(site, "web-01").error, within_s=60)
            assert record_of(site, "web-01").held_files <= 50
            site.catalog.agents.change("web-01", quota_files=None)
            eventually(lambda: _same(node.logs, site.live("web-01", "logs")), within_s=60)
        record = record_of(site, "web-01")
        assert (record.files, record.held_files) == (150, 150)
    made.catalog.close()
