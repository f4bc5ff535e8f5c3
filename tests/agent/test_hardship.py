"""Servers away, full or hostile, files that cannot be read: said clearly, and everything else goes on."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.agent import check as checking
from logferry.agent.config import load_config
from logferry.agent.identity import Fingerprint
from logferry.agent.registry import Registry
from logferry.agent.runner import Agent
from logferry.agent.status import is_running, read_status
from logferry.cli.agent_status import lines as told
from logferry.errors import Conflict, Damaged, Full, NotFound
from logferry.ftp import Filesystem, MemoryUsers, TlsIdentity, User
from logferry.ftp.local import LocalFilesystem
from logferry.ftp.local_upload import LocalUpload
from logferry.ftp.server import FtpServer
from tests.agent.conftest import Node, RunningAgent, eventually, lines
from tests.agent.shelves import AGENT, PASSWORD, LocalShelf


def events(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """What the agent logged so far."""
    return [json.loads(r.message) for r in caplog.records if r.name == "logferry.agent" and r.message.startswith("{")]


def states(caplog: pytest.LogCaptureFixture, thing: str) -> list[object]:
    """The states of one thing, in order."""
    return [e["state"] for e in events(caplog) if e["event"] == "state" and str(e["thing"]).startswith(thing)]


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "logferry.agent")


def test_a_server_that_is_away_is_waited_for(plain_node: Node, caplog: pytest.LogCaptureFixture) -> None:
    """One line when it is lost, one when it is back, and everything arrives."""
    plain_node.server.stop()
    plain_node.write("app.log", lines(0, 10))
    with RunningAgent(plain_node) as running:
        eventually(lambda: states(caplog, "server") == ["away"])
        plain_node.server.start()
        running.agent.hurry()
        eventually(lambda: plain_node.current() == {"app.log": lines(0, 10)})
        eventually(lambda: states(caplog, "server") == ["away", "ok"], lambda: states(caplog, "server"))


def test_an_agent_may_be_hurried_before_it_has_begun(plain_node: Node) -> None:
    """Whoever started it on another thread cannot know how far it is."""
    plain_node.write("app.log", lines(0, 10))
    agent = Agent(plain_node.config())
    agent.hurry()
    assert agent.once().complete


def test_a_wrong_password_is_said_once_and_not_tried_again_soon(
    plain_node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    """No hammering: one attempt, then a pause of a minute or more."""
    plain_node.write("app.log", b"x")
    plain_node.config()
    (plain_node.base / "agent.secret").write_text("wrong")
    with RunningAgent(plain_node) as running:
        eventually(lambda: states(caplog, "server") == ["refused"])
        assert running.agent._link.wait_s() > 30
    summary = plain_node.once()
    assert not summary.complete
    assert "web-01" in summary.problems[0]


class Filling(LocalFilesystem):
    """A disk that gets full and has room again."""

    full = False

    def open_upload(self, path: str, *, offset: int, append: bool) -> LocalUpload:
        if Filling.full:
            raise Full("no room left on the server")
        return super().open_upload(path, offset=offset, append=append)


class FillingShelf(LocalShelf):
    """A server on such a disk."""

    def _filesystem(self, user: User) -> Filesystem:
        return Filling(str(self.home))


@pytest.fixture
def filling_node(tmp_path: Path) -> Iterator[Node]:
    """A node whose server's disk is full."""
    (tmp_path / "server").mkdir()
    Filling.full = True
    shelf = FillingShelf(tmp_path / "server")
    yield Node(tmp_path / "node", shelf)
    shelf.stop()


def test_a_full_server_is_said_and_tried_again_until_there_is_room(
    filling_node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    """452: nothing is believed, nothing is lost."""
    filling_node.write("app.log", lines(0, 10))
    with RunningAgent(filling_node) as running:
        eventually(lambda: states(caplog, "server") == ["full"])
        assert filling_node.current() == {}
        Filling.full = False
        running.agent.hurry()
        eventually(lambda: filling_node.current() == {"app.log": lines(0, 10)})


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named_and_the_others_go_on(plain_node: Node) -> None:
    """And it is sent when it becomes readable."""
    plain_node.write("secret.log", b"secret")
    plain_node.write("app.log", b"x")
    os.chmod(plain_node.path("secret.log"), 0)
    summary = plain_node.once()
    assert plain_node.current() == {"app.log": b"x"}
    assert "not readable" in summary.problems[0]
    os.chmod(plain_node.path("secret.log"), 0o600)
    assert plain_node.once().complete


def test_a_missing_source_is_named_and_the_others_go_on(plain_node: Node) -> None:
    """It appears in the problems with what to do."""
    plain_node.write("app.log", b"x")
    plain_node.extra = f'[[sources]]\npath = "{plain_node.base}/nothing"\nto = "/nothing"\n'
    summary = plain_node.once()
    assert plain_node.current() == {"app.log": b"x"}
    assert "nothing: source folder does not exist (create it" in summary.problems[0]


def test_a_registry_that_was_damaged_is_rebuilt_without_sending_anything_twice(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    """What the server has is recognised; growth, rename and replacement meanwhile are told apart."""
    node.write("grown.log", lines(0, 3000))
    node.write("same.log", lines(0, 50))
    node.write("other.log", lines(0, 60))
    assert node.once().complete
    with open(node.base / "agent-state/registry.db", "r+b") as file:
        file.write(b"not a database at all")
    node.write("grown.log", lines(3000, 10))
    os.unlink(node.path("other.log"))
    node.write("other.log", lines(7000, 90))
    summary = node.once()
    assert summary.complete, summary
    assert node.current() == {
        "grown.log": lines(0, 3010),
        "same.log": lines(0, 50),
        "other.log": lines(7000, 90),
    }
    assert node.generations("grown.log") == node.generations("same.log") == []
    assert node.generations("other.log") == [lines(0, 60)]
    assert [e for e in events(caplog) if e["event"] == "registry was damaged"]


def test_a_full_disk_under_the_registry_does_not_stop_shipping(
    plain_node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    """Growth and new files go on; what was sent meanwhile is recognised after a restart."""
    plain_node.write("app.log", lines(0, 10))
    with RunningAgent(plain_node) as running:
        eventually(lambda: plain_node.current() == {"app.log": lines(0, 10)})
        running.agent._registry._db.execute("PRAGMA max_page_count=1")
        for number in range(80):
            plain_node.write(f"{'long' * 40}{number}.log", lines(number, 3))
        plain_node.write("app.log", lines(10, 10))
        eventually(lambda: len(plain_node.current()) == 81 and plain_node.current()["app.log"] == lines(0, 20))
        assert states(caplog, "registry") == ["behind"]
        assert isinstance(running.agent._registry.behind, Full)
    again = plain_node.once()
    assert again.complete
    assert len(plain_node.current()) == 81
    assert plain_node.current()["app.log"] == lines(0, 20)


def test_a_server_that_lost_confirmed_bytes_gets_them_again(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    """The registry is rolled back to what SIZE says, or to nothing."""
    if not isinstance(node.server, LocalShelf) or type(node.server) is not LocalShelf:
        pytest.skip("only a plain folder can be shortened behind the server's back")
    node.write("short.log", lines(0, 500))
    node.write("lost.log", lines(0, 500))
    assert node.once().complete
    os.truncate(node.server.home / "logs/short.log", 5000)
    os.unlink(node.server.home / "logs/lost.log")
    for name in ("short.log", "lost.log"):
        node.write(name, lines(500, 1))
    assert node.once().complete
    assert node.current() == {"short.log": lines(0, 501), "lost.log": lines(0, 501)}
    assert {"rolled back", "missing on the server"} <= {str(e["event"]) for e in events(caplog)}


def test_a_file_in_mode_complete_is_sent_when_it_has_settled(plain_node: Node) -> None:
    """Not while it is being written."""
    plain_node.extra = 'mode = "complete"\nsettle = "400ms"\n'
    plain_node.write("report.csv", lines(0, 10))
    with RunningAgent(plain_node):
        for number in range(5):
            plain_node.write("report.csv", lines(10 + number, 1))
            time.sleep(0.1)
            assert plain_node.current() == {}
        eventually(lambda: plain_node.current() == {"report.csv": lines(0, 15)})


def test_only_one_agent_runs_with_a_state_folder(plain_node: Node) -> None:
    """The second one is told so."""
    with RunningAgent(plain_node):
        eventually((plain_node.base / "agent-state/status.json").exists)
        with pytest.raises(Conflict, match="another agent is running"):
            Agent(plain_node.config()).run()


def test_the_status_tells_what_the_agent_does(plain_node: Node) -> None:
    """Written while it runs and when it stops; read by others."""
    state_dir = plain_node.base / "agent-state"
    with pytest.raises(NotFound, match="agent run"):
        read_status(state_dir)
    plain_node.write("app.log", lines(0, 10))
    with RunningAgent(plain_node):
        eventually(lambda: (state_dir / "status.json").exists() and read_status(state_dir).sent_files == 1)
        status = read_status(state_dir)
        assert (status.agent, status.link, status.files, status.waiting) == ("web-01", "connected", 1, 0)
        assert is_running(status)
        assert any("connected" in line for line in told(status, running=True, now_ns=status.written_ns))
    assert not is_running(read_status(state_dir))
    (state_dir / "status.json").write_text("{")
    with pytest.raises(Damaged):
        read_status(state_dir)


def test_a_signal_stops_the_agent_cleanly(plain_node: Node) -> None:
    """SIGTERM: exit code 0 within five seconds, nothing half recorded."""
    plain_node.write("big.bin", os.urandom(5_000_000))
    plain_node.config()
    process = subprocess.Popen(
        [sys.executable, "-m", "logferry.agent", str(plain_node.config_path)], stderr=subprocess.DEVNULL
    )
    eventually(lambda: "big.bin" in plain_node.current())
    before = time.monotonic()
    process.terminate()
    assert process.wait(10) == 0
    assert time.monotonic() - before < 5
    assert read_status(plain_node.base / "agent-state").stopped


def test_importing_the_agent_loads_nothing_of_the_server() -> None:
    """Base install only."""
    code = "import sys, logferry.agent.runner, logferry.agent.check; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "fastapi",
        "starlette",
        "sqlalchemy",
        "alembic",
        "numpy",
        "uvicorn",
        "jinja2",
        "structlog",
        "re2",
        "argon2",
    }
    ours = {"logferry.server", "logferry.archive", "logferry.search", "logferry.web"}
    assert (heavy | ours | {"argon2", "cryptography", "click"}).isdisjoint(loaded)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_idle_agent_is_small(plain_node: Node) -> None:
    """At most 40 MB resident after shipping a thousand files."""
    for number in range(1000):
        plain_node.write(f"d{number % 10}/f{number}.log", lines(number, 20))
    plain_node.config()
    process = subprocess.Popen(
        [sys.executable, "-m", "logferry.agent", str(plain_node.config_path)], stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: len(plain_node.current()) == 1000, timeout_s=60)
        resident = Path(f"/proc/{process.pid}/status").read_text().partition("VmRSS:")[2].split()[0]
        assert int(resident) < 40 * 1024
    finally:
        process.terminate()
        process.wait(10)


def levels(node: Node) -> dict[str, str]:
    """What ``check`` finds: text -> level."""
    return {finding.text: finding.level for finding in checking.check(node.config())}


def test_a_check_tries_everything_and_says_the_next_step(plain_node: Node) -> None:
    """Sources, state folder, password, server, login, clock."""
    plain_node.write("app.log", lines(0, 10))
    found = levels(plain_node)
    assert {level for text_, level in found.items() if "encrypted" not in text_} == {"ok"}, found
    assert any("1 file, " in text_ for text_ in found)
    assert any("clock" in text_ and "off the server's" in text_ for text_ in found), found
    (plain_node.base / "agent.secret").write_text("wrong")
    assert "fail" in levels(plain_node).values()
    plain_node.server.stop()
    os.chmod(plain_node.base / "agent.secret", 0o644)
    plain_node.extra = f'[[sources]]\npath = "{plain_node.base}/nothing"\nto = "/nothing"\n'
    found = levels(plain_node)
    assert [level for text_, level in found.items() if "nothing" in text_] == ["fail"]
    assert [level for text_, level in found.items() if "readable by others" in text_] == ["warn"]
    assert list(found.values())[-1] == "fail"


def test_the_registry_is_opened_by_other_tools_while_the_agent_runs(plain_node: Node) -> None:
    """It is an ordinary database; reading it does not disturb."""
    plain_node.write("app.log", lines(0, 10))
    assert plain_node.once().complete
    registry = Registry(plain_node.base / "agent-state/registry.db", 0)
    row = registry.by_path(plain_node.path("app.log"))
    assert row is not None
    assert row.settled
    assert isinstance(row.print, Fingerprint)
    registry.close()


def test_a_registry_that_breaks_while_the_agent_runs_is_begun_anew(
    plain_node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    """It is set aside, nothing is sent twice, and following goes on."""
    plain_node.write("app.log", lines(0, 500))
    with RunningAgent(plain_node) as running:
        eventually(lambda: plain_node.current() == {"app.log": lines(0, 500)})
        with running.agent._registry.using() as db:  # not within the agent's own transaction, which would undo it
            db.execute("DROP TABLE files")
        plain_node.write("app.log", lines(500, 10))
        eventually(lambda: plain_node.current() == {"app.log": lines(0, 510)})
    found = [str(e["event"]) for e in events(caplog)]
    assert found.index("starting over") < found.index("registry was damaged") < found.index("found on the server")


def test_delivery_is_encrypted_and_pinned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Over TLS with the right pin everything arrives; with another nothing is sent, not even the password."""
    identity = TlsIdentity.ensure(str(tmp_path / "identity"), names=["localhost"])
    home = tmp_path / "home"
    home.mkdir()
    users = MemoryUsers(User.with_password(AGENT, PASSWORD, home=str(home)))
    with FtpServer(("127.0.0.1", 0), users=users, tls="required", identity=identity) as server:
        shelf = LocalShelf.__new__(LocalShelf)
        shelf.home, shelf.address = home, server.address
        node = Node(tmp_path / "node", shelf)
        node.write("app.log", lines(0, 100))
        node.write("big.bin", os.urandom(3_000_000))
        for pin, complete in (("0" * 64, False), (identity.pin.removeprefix("sha256/"), True)):
            node.config()
            settings = node.config_path.read_text().replace('tls = "off"', f'tls = "required"\npin = ["sha256/{pin}"]')
            node.config_path.write_text(settings)
            summary = Agent(load_config(node.config_path)).once()
            assert summary.complete == complete, summary
            assert bool(node.current()) == complete
            assert complete or "pin" in summary.problems[0]
        assert node.current() == {"app.log": lines(0, 100), "big.bin": node.read("big.bin")}
