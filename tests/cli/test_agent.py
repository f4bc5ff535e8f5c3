"""The agent's commands against a running server."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Site

pytestmark = pytest.mark.slow  # a running server, real processes


def joined(site: Site, folder: Path, agent_id: str) -> Path:
    """A node with one log that has joined; returns its agent.toml."""
    (folder / "log").mkdir()
    (folder / "log" / "app.log").write_text("one\ntwo\n")
    done = site.logferry(
        *("agent", "join", site.url.partition("//")[2], "--token", site.join_token(), "--id", agent_id),
        *("--watch", str(folder / "log"), "--config", str(folder / "agent.toml"), "--no-run"),
    )
    assert done.code == 0, done.err
    assert f"joined as {agent_id}" in done.err
    return folder / "agent.toml"


def test_joining_writes_settings_and_a_secret_for_the_owner_alone(site: Site, tmp_path: Path) -> None:
    """The password is nobody else's to read, and the settings are right at once."""
    config = joined(site, tmp_path, "join-1")
    assert stat.S_IMODE(os.stat(tmp_path / "agent.secret").st_mode) == 0o600
    assert site.logferry("config", "check", "--agent", str(config)).code == 0
    assert "sha256/" in config.read_text(), "the server's certificate is pinned"


def test_a_wrong_token_joins_nobody(site: Site, tmp_path: Path) -> None:
    """Exit 3, and no file is left behind."""
    done = site.logferry(
        *("agent", "join", site.url.partition("//")[2], "--token", "LJ-WRONG", "--watch", str(tmp_path)),
        *("--config", str(tmp_path / "agent.toml"), "--no-run"),
    )
    assert done.code == 3
    assert list(tmp_path.iterdir()) == []


def test_once_ships_everything_and_says_so(site: Site, tmp_path: Path) -> None:
    """The second time there is nothing left to send."""
    config = joined(site, tmp_path, "once-1")
    first = json.loads(site.logferry("agent", "once", "--config", str(config), "--json").out)
    assert (first["complete"], first["sent_bytes"], first["left"]) == (True, 8, 0)
    again = json.loads(site.logferry("agent", "once", "--config", str(config), "--json").out)
    assert (again["complete"], again["sent_bytes"]) == (True, 0)
    path = str(tmp_path / "log" / "app.log")
    assert site.logferry("cat", f"once-1:{path}").out == "one\ntwo\n"


def test_a_running_agent_follows_tells_its_state_and_stops_on_sigterm(site: Site, tmp_path: Path) -> None:
    """Appended lines arrive by themselves; SIGTERM ends it with exit 0; then the state is "not running"."""
    config = joined(site, tmp_path, "run-1")
    command = [sys.executable, "-m", "logferry.cli", "agent", "run", "--config", str(config)]
    environment = site.programs.environment() | {"LOGFERRY_AGENT__SCAN_INTERVAL": "200ms"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as running:
        try:
            place = f"run-1:{tmp_path / 'log' / 'app.log'}"
            wait_for(site, place, "one\ntwo\n")
            with (tmp_path / "log" / "app.log").open("a") as log:
                log.write("three\n")
            wait_for(site, place, "one\ntwo\nthree\n")
            told = wait_for_link(site, config)
            assert (told["agent"], told["running"]) == ("run-1", True)
            assert site.logferry("agent", "status", "--config", str(config)).out.startswith("run-1 → 127.0.0.1:")
            reloads_and_explains(site, config)
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) == 0
    done = site.logferry("agent", "status", "--config", str(config))
    assert done.code == 1
    assert "not running" in done.out


def reloads_and_explains(site: Site, config: Path) -> None:
    """While it runs: good settings are taken, wrong ones are refused in one sentence; a file is explained."""
    good = config.read_text()
    assert site.logferry("agent", "reload", "--config", str(config)).out == "the agent has taken its settings\n"
    config.write_text(good + "mistake = 1\n")
    refused = site.logferry("agent", "reload", "--config", str(config))
    assert (refused.code, refused.out) == (3, "")
    assert "unknown setting sources[1].mistake" in refused.err
    assert json.loads(site.logferry("agent", "reload", "--config", str(config), "--json").out)["taken"] is False
    shown = site.logferry("agent", "status", "--config", str(config))
    assert "problem: new settings are not in use" in shown.out
    config.write_text(good)
    assert site.logferry("agent", "reload", "--config", str(config)).code == 0
    log = str(config.parent / "log" / "app.log")
    told = site.logferry("agent", "explain", log, "--config", str(config))
    assert (told.code, told.out.partition(" ")[0]) == (0, "shipped")
    assert json.loads(site.logferry("agent", "explain", log, "--config", str(config), "--json").out)["confirmed"] == 14
    elsewhere = site.logferry("agent", "explain", "/etc/passwd", "--config", str(config))
    assert (elsewhere.code, "it lies in no source" in elsewhere.out) == (1, True)
    numbers = site.logferry("agent", "status", "--metrics", "--config", str(config))
    assert "logferry_agent_sent_bytes_total 14\n" in numbers.out


def test_reload_without_an_agent_says_how_to_start_one(site: Site, tmp_path: Path) -> None:
    """Exit 1: nothing found."""
    done = site.logferry("agent", "reload", "--config", str(joined(site, tmp_path, "reload-1")))
    assert done.code == 1
    assert "logferry agent run" in done.err


def test_a_service_file_is_printed_or_written(site: Site, tmp_path: Path) -> None:
    """Printed, nothing is changed; WinSW's is written beside the settings, with the steps that start it."""
    config = joined(site, tmp_path, "service-1")
    done = site.logferry("agent", "install-service", "--print", "--kind", "systemd", "--config", str(config))
    assert done.code == 0
    assert f"agent run --config {config}" in done.out
    assert not list(tmp_path.glob("*.service"))
    done = site.logferry("agent", "install-service", "--kind", "winsw", "--config", str(config))
    assert (tmp_path / "logferry-agent.xml").exists()
    assert "install" in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
def test_on_a_terminal_the_first_ship_has_a_bar_and_ctrl_c_ends_it_quietly(site: Site, tmp_path: Path) -> None:
    """Then it says that it follows; no log lines and no traceback among it."""
    import pty

    config = joined(site, tmp_path, "bar-1")
    with (tmp_path / "log" / "big.log").open("wb") as log:
        log.write(os.urandom(20_000_000))
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "logferry.cli", "agent", "run", "--config", str(config)]
    environment = site.programs.environment() | {"TERM": "xterm"}
    with subprocess.Popen(
        command, env=environment, stdin=child, stdout=child, stderr=child, start_new_session=True
    ) as running:
        os.close(child)
        try:
            seen = b""
            while b"now following" not in seen:
                seen += os.read(parent, 65536)
        finally:
            running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0
        try:
            while more := os.read(parent, 65536):
                seen += more
        except OSError:  # the other end is closed
            os.close(parent)
    text = seen.decode()
    assert "2 files known" in text
    assert "20 MB" in text
    assert "Traceback" not in text
    assert '"event"' not in text.partition("now following")[0]


def wait_for(site: Site, place: str, content: str) -> None:
    """Until the archive has exactly this at a place."""
    deadline = time.monotonic() + 60
    while site.logferry("cat", place).out != content:
        assert time.monotonic() < deadline, f"{place} never became {content!r}"


def wait_for_link(site: Site, config: Path) -> dict[str, object]:
    """The status, once the agent has written that it is connected."""
    deadline = time.monotonic() + 60
    while True:
        told: dict[str, object] = json.loads(site.logferry("agent", "status", "--config", str(config), "--json").out)
        if told["link"] == "connected":
            return told
        assert time.monotonic() < deadline, told


def test_status_without_a_run_says_how_to_start(site: Site, tmp_path: Path) -> None:
    """Exit 1: nothing found."""
    done = site.logferry("agent", "status", "--config", str(joined(site, tmp_path, "status-1")))
    assert done.code == 1
    assert "logferry agent run" in done.err


def test_check_tries_everything(site: Site, tmp_path: Path) -> None:
    """All is well with a joined node; a wrong password is found before it counts."""
    config = joined(site, tmp_path, "check-1")
    assert site.logferry("agent", "check", "--config", str(config)).code == 0
    (tmp_path / "agent.secret").write_text("wrong\n")
    done = site.logferry("agent", "check", "--config", str(config))
    assert done.code == 3
    assert "fail" in done.out


def test_settings_that_are_missing_or_wrong_are_named(site: Site, tmp_path: Path) -> None:
    """The file, the key, the near name."""
    done = site.logferry("agent", "run", "--config", str(tmp_path / "none.toml"))
    assert done.code == 2
    assert "none.toml" in done.err
    (tmp_path / "agent.toml").write_text('[agent]\nid = "x"\nscan_intervall = "1s"\n[server]\naddress = "x:1"\n')
    done = site.logferry("agent", "run", "--config", str(tmp_path / "agent.toml"))
    assert "did you mean 'scan_interval'?" in done.err


def test_a_refused_agent_says_why_even_when_it_has_ended(site: Site, tmp_path: Path) -> None:
    """`agent status` after a wrong password: not running, and what the server answered."""
    config = joined(site, tmp_path, "refused-1")
    (tmp_path / "agent.secret").write_text("wrong\n")
    assert site.logferry("agent", "once", "--config", str(config)).code == 4
    told = site.logferry("agent", "status", "--config", str(config)).out
    assert "not running" in told
    assert "refused (signing in to " in told


def test_the_ftp_port_is_no_place_to_join(site: Site, tmp_path: Path) -> None:
    """The usual mix-up gets a sentence of its own, and leaves no file."""
    config = tmp_path / "agent.toml"
    done = site.logferry(
        *("agent", "join", site.programs.ftp, "--token", "LJ-X", "--watch", str(tmp_path), "--config", str(config)),
    )
    assert done.code == 4
    assert f"{site.programs.ftp} does not speak HTTP" in done.err
    assert "web port" in done.err
    assert list(tmp_path.iterdir()) == []
