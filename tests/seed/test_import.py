"""An older system is taken over, as its administrator sees it; then its agents, and a new one, deliver."""

from __future__ import annotations

import ftplib
import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.agent import runner
from logferry.agent.config import load_config as load_agent
from logferry.archive import Archive, Catalog
from logferry.archive.retention import Rule
from logferry.cli.main import run
from logferry.errors import NotFound
from logferry.server.accounts import CatalogUsers
from logferry.server.catalogs import open_catalog
from logferry.server.config import ServerConfig, load_config
from logferry.server.enrolment import Enrolment
from logferry.server.parts import FtpPart
from logferry.server.people import People
from tests.seed.older import LOGS, MODIFIED_S, PASSWORD, OlderAgent, OlderServer
from tests.server.helpers import eventually
from tests.server.site import fetched, store

ANSWERS = ("--admin", "boss", "--viewer", "template", "--skip", "short")


@pytest.fixture
def older(tmp_path: Path) -> OlderServer:
    """An older server that is stopped, its port free again."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    return OlderServer(tmp_path / "older", port).write()


def _import(older: OlderServer, *more: str) -> int:
    return run(["import-seed", str(older.folder), "--to", str(older.folder.parent / "new"), *more])


def _config(older: OlderServer) -> ServerConfig:
    return load_config(str(older.folder.parent / "new" / "server.toml"), {})


@pytest.fixture
def taken(older: OlderServer) -> OlderServer:
    """The same, taken over."""
    assert _import(older, "--apply", *ANSWERS) == 0
    return older


@pytest.fixture
def served(taken: OlderServer) -> Iterator[OlderServer]:
    """The same, served by the new server at the old address."""
    with FtpPart(_config(taken)):
        yield taken


def _archive(older: OlderServer) -> tuple[Catalog, Archive]:
    config = _config(older)
    catalog = open_catalog(config)
    return catalog, Archive(config.data_dir, catalog)


def _contents(older: OlderServer) -> dict[str, bytes]:
    """agent/path -> bytes of everything that the archive shows."""
    catalog, archive = _archive(older)
    found = {}
    with catalog, archive:
        for agent in catalog.agents.ids():
            folders = [""]
            while folders:
                folder = folders.pop()
                for node in archive.entries(agent, folder):
                    path = f"{folder}/{node.name}".lstrip("/")
                    if node.is_folder:
                        folders.append(path)
                        continue
                    record = catalog.files.at(agent, path)
                    assert record is not None
                    with archive.open(record.generation_id) as reader:
                        found[f"{agent}/{path}"] = reader.read_at(0, reader.size)
                    if found[f"{agent}/{path}"] == LOGS.get(agent, {}).get(path):
                        assert record.sha256 == hashlib.sha256(LOGS[agent][path]).hexdigest()
                        assert record.modified_ns == MODIFIED_S * 10**9
    return found


_EXPECTED = {f"{agent}/{path}": content for agent, files in LOGS.items() for path, content in files.items()}


def test_without_apply_everything_is_told_and_nothing_changed(
    older: OlderServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Speeds the other way round, the questions, the copies of passwords; no password anywhere."""
    before = older.everything()
    assert _import(older, "--json") == 0
    out = capsys.readouterr().out
    rows = [json.loads(line) for line in out.splitlines()]
    told = {(row["kind"], row["about"], row["text"]) for row in rows[:-1]}
    assert ("do", "server", "MAX_UPLOAD_SPEED held downloads back: ftp.limits.download_rate = 300 KiB/s") in told
    assert {row["about"] for row in rows if row["kind"] == "ask"} == {"user boss", "user template", "user short"}
    assert {row["about"] for row in rows if "with its password" in row.get("text", "")} == {
        "file plc-01/AgentConfig.txt", "file hmi-03/AgentConfig.txt",
    }  # fmt: skip
    assert rows[-1]["kind"] == "end"
    assert not any(user["passwd"] in out for user in older.users.values() if user["passwd"] != "***")
    assert older.everything() == before
    assert not (older.folder.parent / "new").exists()


def test_open_questions_refuse_the_whole_import(older: OlderServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal nobody can answer; then nothing is done by half."""
    assert _import(older, "--apply", "--admin", "boss") == 2
    assert "what is to become of template, short?" in capsys.readouterr().err
    assert not (older.folder.parent / "new").exists()
    assert _import(older, "--apply", *ANSWERS, "--viewer", "nobody") == 2
    assert "no user 'nobody'" in capsys.readouterr().err


def test_files_come_with_sha256_and_times_and_the_old_ones_stay(older: OlderServer) -> None:
    """Names of any bytes; settings with passwords are not among them."""
    before = older.everything()
    assert _import(older, "--apply", *ANSWERS) == 0
    assert _contents(older) == _EXPECTED
    assert older.everything() == before


def test_a_second_run_changes_nothing(taken: OlderServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither files nor users nor the audit; all is told as done."""

    def rows() -> tuple[object, ...]:
        catalog, archive = _archive(taken)
        with catalog, archive:
            files = [catalog.files.at(*name.split("/", 1)) for name in _EXPECTED]
            return catalog.people.users(), files, catalog.agents.list(), catalog.auditing.head()

    before = rows()
    capsys.readouterr()
    assert _import(taken, "--apply", "--json", "--skip", "short") == 0, "no other question is open any more"
    assert rows() == before
    kinds = [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()]
    assert "do" not in kinds
    assert "ask" not in kinds


def test_what_retention_took_does_not_come_back(taken: OlderServer) -> None:
    """But what came into the older tree since does."""
    catalog, archive = _archive(taken)
    with catalog, archive:
        gone = [due for step in archive.retention([Rule("plc-01/**", 0.0)]).run() for due in step]
    assert len(gone) == len(LOGS["plc-01"])
    (taken.tree / "plc-01" / "late.txt").write_bytes(b"late\n")
    assert _import(taken, "--apply", "--skip", "short") == 0
    assert {path for path in _contents(taken) if path.startswith("plc-01/")} == {"plc-01/late.txt"}


def test_a_file_that_cannot_be_taken_over_is_named_and_taken_next_time(
    older: OlderServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder is where a file would be: the rest comes, the exit status says that not all did."""
    assert _import(older, "--apply", *ANSWERS) == 0
    catalog, archive = _archive(older)
    with catalog, archive:
        archive.make_folder("hmi-04", "two.txt")
    (older.tree / "hmi-04" / "two.txt").write_bytes(b"two\n")
    (older.tree / "hmi-04" / "three.txt").write_bytes(b"three\n")
    assert _import(older, "--apply", "--skip", "short") == 4
    assert "file hmi-04/two.txt: not taken over" in capsys.readouterr().out
    assert _contents(older)["hmi-04/three.txt"] == b"three\n"
    catalog, archive = _archive(older)
    with catalog, archive:
        archive.remove_folder("hmi-04", "two.txt")
    assert _import(older, "--apply", "--skip", "short") == 0
    assert _contents(older)["hmi-04/two.txt"] == b"two\n"


def test_users_become_who_they_are_and_weak_passwords_let_nobody_in(taken: OlderServer) -> None:
    """The administrator signs in with the old password; placeholders, short ones and agents do not."""
    catalog, archive = _archive(taken)
    with catalog, archive:
        users = {row.name: row for row in catalog.people.users()}
        assert (users["boss"].role, users["template"].role) == ("admin", "viewer")
        assert "short" not in users
        assert users["template"].password_hash == ""
        assert (users["agent"].role, users["agent"].scope) == ("agent", ("hmi-03", "hmi-04", "plc-01"))
        store = CatalogUsers(catalog)
        boss = store.find("boss")
        assert boss is not None
        assert store.verify(boss, "a long password")


def test_older_agents_deliver_as_ever(served: OlderServer) -> None:
    """Plain FTP, CWD and MKD into /<AGENT_ID>/, STOR; the server hears who that was. Other ids get nothing."""
    before = _heard(served, "plc-01"), _heard(served, "hmi-04")
    agent = OlderAgent(served.folder, "plc-01", served.port)
    with agent.connected() as client:
        assert agent.deliver(client, "Logs/new/one.txt", b"one\n").startswith("226")
        assert agent.deliver(client, "Logs/new/two.txt", b"two\n").startswith("226")
        assert agent.deliver(client, "first.txt", LOGS["plc-01"]["first.txt"] + b"grown\n").startswith("226")
        assert client.nlst("/") == ["/hmi-03", "/hmi-04", "/plc-01"]
        for refused in ("MKD /unknown", "DELE /plc-01/first.txt", "RMD /plc-01/Logs", "CWD /plc-01/../unknown"):
            with pytest.raises(ftplib.error_perm):
                client.sendcmd(refused)
        with pytest.raises(ftplib.error_perm):
            store(client, "/stray.txt", b"stray")
        with pytest.raises(ftplib.error_perm):
            fetched(client, "/plc-01/first.txt")
    contents = _contents(served)
    assert contents["plc-01/Logs/new/two.txt"] == b"two\n"
    assert contents["plc-01/first.txt"] == LOGS["plc-01"]["first.txt"] + b"grown\n"
    assert _heard(served, "hmi-04") == before[1]
    assert _heard(served, "plc-01") > before[0]


def _heard(older: OlderServer, agent: str) -> int:
    """When the server heard of an agent; what it takes over counts too."""
    catalog, archive = _archive(older)
    with catalog, archive:
        found = catalog.agents.get(agent)
        assert found is not None
        assert found.heard_ns is not None
        return found.heard_ns


def test_settings_that_an_older_agent_uploads_are_never_listed_and_never_served(served: OlderServer) -> None:
    """It is told that all is well, else it would give up; they lie where only the machine's administrator looks."""
    agent = OlderAgent(served.folder, "hmi-04", served.port)
    secret = b"USER_PWD:" + PASSWORD.encode() + b"\n"
    with agent.connected() as client:
        assert agent.deliver(client, "AgentConfig.txt", secret).startswith("226")
        assert client.nlst("/hmi-04") == ["/hmi-04/one.txt"]
        for asked in ("SIZE", "MDTM", "MLST"):
            with pytest.raises(ftplib.error_perm):
                client.sendcmd(f"{asked} /hmi-04/AgentConfig.txt")
        with pytest.raises(ftplib.error_perm):
            fetched(client, "/hmi-04/AgentConfig.txt")
        with pytest.raises(ftplib.error_perm):
            agent.deliver(client, "AgentConfig.txt", b"x" * 100_000)
    assert "hmi-04/AgentConfig.txt" not in _contents(served)
    aside = Path(_config(served).data_dir) / "quarantine" / "hmi-04" / "agentconfig.txt"
    assert aside.read_bytes() == secret
    assert aside.stat().st_mode & 0o777 == 0o600
    assert aside.parent.stat().st_mode & 0o077 == 0


def test_a_new_agent_with_the_imported_settings_sends_what_is_missing_alone(
    served: OlderServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record is not believed: every file is compared, and only what the server does not hold is sent."""
    recorded = (*LOGS["plc-01"], "lost.txt")
    agent = OlderAgent(tmp_path / "node", "plc-01", served.port)
    agent.write(LOGS["plc-01"] | {"lost.txt": b"recorded, never stored\n"}, recorded=recorded)
    assert run(["import-seed", str(agent.folder), "--to", str(tmp_path / "node-new"), "--apply"]) == 0
    assert "4 files uploaded, unverified; 4 of them are here" in capsys.readouterr().out
    config = tmp_path / "node-new" / "agent.toml"
    text = config.read_text()
    assert runner.Agent(load_agent(config)).once() is not None
    assert _contents(served) == _EXPECTED | {"plc-01/lost.txt": b"recorded, never stored\n"}
    catalog, archive = _archive(served)
    with catalog, archive:
        assert all((found := catalog.files.at("plc-01", path)) and found.number == 1 for path in LOGS["plc-01"])
    assert run(["import-seed", str(agent.folder), "--to", str(tmp_path / "node-new"), "--apply"]) == 0
    assert config.read_text() == text


def test_in_place_moves_the_files_and_quarantine_the_passwords(older: OlderServer) -> None:
    """Not a byte is copied: the very files are in the live tree. What nobody takes over stays."""
    before = {path: (older.tree / path).stat().st_ino for path in ("plc-01/first.txt", "hmi-04/one.txt")}
    (older.tree / "plc-01" / "first.txt").chmod(0o444)
    os.link(older.tree / "hmi-03/Logs/scadaHMI_1.txt", older.folder / "second name")
    assert _import(older, "--apply", "--in-place", "--quarantine", *ANSWERS) == 0
    live = Path(_config(older).data_dir) / "live"
    assert {path: (live / path).stat().st_ino for path in before} == before
    assert _contents(older) == _EXPECTED
    left = {str(path.relative_to(older.tree)) for path in older.tree.rglob("*") if path.is_file()}
    assert left == {"in no folder.txt", "hmi-03/Logs/scadaHMI_1.txt"}, "what has another name is copied"
    aside = Path(_config(older).data_dir) / "quarantine" / "plc-01" / "agentconfig.txt"
    assert PASSWORD in aside.read_text()
    with FtpPart(_config(older)):
        agent = OlderAgent(older.folder, "plc-01", older.port)
        with agent.connected() as client:
            grown = LOGS["plc-01"]["first.txt"] + b"grown\n"
            assert agent.deliver(client, "first.txt", grown).startswith("226")
    assert _contents(older)["plc-01/first.txt"] == grown


def test_a_move_that_was_cut_off_is_brought_to_its_end(older: OlderServer) -> None:
    """Both names are there, with or without a row: the second run takes the old one away, and loses nothing."""
    assert _import(older, "--apply", *ANSWERS, "--in-place") == 0
    live = Path(_config(older).data_dir) / "live"
    os.link(live / "plc-01/first.txt", older.tree / "plc-01/first.txt")
    late = older.tree / "plc-01/late.txt"
    late.write_bytes(b"late\n")
    os.link(late, live / "plc-01/late.txt")
    assert _import(older, "--apply", "--in-place", "--skip", "short") == 0
    assert _contents(older) == _EXPECTED | {"plc-01/late.txt": b"late\n"}
    assert not (older.tree / "plc-01/first.txt").exists()


def test_a_blocked_user_delivers_once_it_has_a_password(
    older: OlderServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And for one agent more, as its administrator says."""
    older.users["agent"]["passwd"] = "123456"
    (older.folder / "userRecord.json").write_text(json.dumps(older.users))
    assert _import(older, "--apply", *ANSWERS) == 0
    config = str(older.folder.parent / "new" / "server.toml")
    with FtpPart(_config(older)):
        agent = OlderAgent(older.folder, "new-01", older.port, password="123456")
        with pytest.raises(ftplib.error_perm):
            agent.connected()
        secret = tmp_path / "secret"
        secret.write_text("a better one\n")
        assert (
            run(["admin", "--config", config, "delivers", "agent", "--agent", "new-01", "--password-file", str(secret)])
            == 0
        )
        agent.password = "a better one"
        with eventually(lambda: _try(agent)) as client:
            assert agent.deliver(client, "a.txt", b"a\n").startswith("226")
    capsys.readouterr()
    assert run(["admin", "--config", config, "delivers", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"user": "agent", "agents": ["hmi-03", "hmi-04", "plc-01", "new-01"], "may_log_in": True}


def _try(agent: OlderAgent) -> ftplib.FTP | None:
    """The log-in, once the server has noticed that the user changed."""
    try:
        return agent.connected()
    except ftplib.error_perm:
        return None


def test_one_of_the_agents_that_share_a_user_is_paused_and_revoked_alone(served: OlderServer) -> None:
    """Also where it is connected; the others go on, and its files stay."""
    agent, other = (OlderAgent(served.folder, name, served.port) for name in ("plc-01", "hmi-03"))
    catalog, archive = _archive(served)
    people = People(catalog)
    with catalog, archive, agent.connected() as client, other.connected() as beside:

        def says(one: OlderAgent, ftp: ftplib.FTP) -> str:
            try:
                return one.deliver(ftp, f"new-{time.monotonic_ns()}.txt", b"x")[:3]
            except (ftplib.Error, EOFError, OSError) as error:
                return str(error)[:3] or "gone"

        assert says(agent, client) == "226"
        catalog.agents.change("plc-01", paused=True)
        eventually(lambda: says(agent, client) == "450")
        assert says(other, beside) == "226"
        catalog.agents.change("plc-01", paused=False)
        eventually(lambda: says(agent, client) == "226")
        assert Enrolment(catalog, people).revoke("plc-01") == ("agent",)
        eventually(lambda: says(agent, client) != "226")
        with eventually(lambda: _try(other)) as again:
            assert says(other, again) == "226"
        with agent.connected() as once_more:
            assert says(agent, once_more) == "550"
        with pytest.raises(NotFound, match="has no user"):
            Enrolment(catalog, people).revoke("plc-01")
        assert catalog.files.at("plc-01", "first.txt") is not None
