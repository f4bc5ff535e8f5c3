"""The server as a program: its first screen, its mistakes, its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from logferry.cli.serve import overrides
from tests.conftest import Site

pytestmark = pytest.mark.slow  # a running server, real processes


@pytest.fixture
def own(tmp_path: Path) -> Site:
    """A server of this test's own, not started."""
    return Site(tmp_path)


def test_the_first_screen_has_everything_to_begin_with(own: Site) -> None:
    """Where it listens, the one-time link, the line for a node; at the second start neither link nor line."""
    try:
        own.start()
        first = (own.folder / "server.log").read_text()
        assert f"web {own.url}" in first
        assert "(new)" in first
        assert f"{own.url}/setup?code=" in first
        assert "logferry agent join" in first
        assert own.programs.stop("server") == 0
        own.programs.start_server()
        again = (own.folder / "server.log").read_text()[len(first) :]
        assert "setup?code=" not in again
        assert "(new)" not in again
    finally:
        own.programs.stop_all()


def test_sigterm_stops_all_parts_within_seconds(own: Site) -> None:
    """No process stays, the ports are free, local.json is gone."""
    try:
        own.start()
        parts = [json.loads((own.programs.data / "run" / f"{p}.json").read_text()) for p in ("ftp", "web")]
        started = time.monotonic()
        assert own.programs.stop("server") == 0
        assert time.monotonic() - started < 10
    finally:
        own.programs.stop_all()
    for part in parts:
        with pytest.raises(ProcessLookupError):
            os.kill(part["pid"], 0)
        with socket.socket() as probe:
            assert probe.connect_ex((part["host"], part["port"])) != 0
    assert not (own.programs.data / "local.json").exists()


def test_a_part_that_dies_comes_back_and_the_other_stays(own: Site) -> None:
    """A crash of the web part does not touch ingest."""
    try:
        own.start()
        run = own.programs.data / "run"
        before = {p: json.loads((run / f"{p}.json").read_text())["pid"] for p in ("ftp", "web")}
        os.kill(before["web"], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while json.loads((run / "web.json").read_text())["pid"] == before["web"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert own.logferry("agents").code == 1, "no agents, but an answer"
        assert json.loads((run / "ftp.json").read_text())["pid"] == before["ftp"]
    finally:
        own.programs.stop_all()


def test_a_second_server_on_the_same_archive_is_refused(site: Site) -> None:
    """With the process that has it."""
    done = site.logferry("serve", "--listen", "127.0.0.1:0", "--ftp-listen", "127.0.0.1:0")
    assert done.code == 2
    assert "another Logferry server" in done.err


def test_a_port_in_use_is_named(tmp_path: Path, own: Site) -> None:
    """Both parts stop again, with one message and the next step."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = own.logferry("serve", "--listen", "127.0.0.1:0", "--ftp-listen", address)
    assert done.code == 2
    assert address in done.err
    assert "Traceback" not in done.err


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    """Only those that were given count."""
    assert overrides(archive__root="x", web__listen=None) == {"archive": {"root": "x"}}


def test_on_every_address_the_web_is_https_with_the_printed_pin(own: Site) -> None:
    """The command line of another machine needs address and pin, nothing else."""
    command = [sys.executable, "-m", "logferry.cli", "serve", "--listen", "0.0.0.0:0", "--ftp-listen", "127.0.0.1:0"]
    with subprocess.Popen(
        command, env=own.programs.environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout
        first = server.stdout.readline()
        try:
            port = first.rsplit(":", 1)[1].strip()
            pin = next(word for word in first.replace(")", " ").split() if word.startswith("sha256/"))
            url = f"https://127.0.0.1:{port}"
            done = own.logferry("version", LOGFERRY_URL=url, LOGFERRY_PIN=pin)
            assert f"({url})" in done.out
            done = own.logferry("agents", LOGFERRY_URL=url, LOGFERRY_PIN="sha256/" + "0" * 64)
            assert (done.code, pin in done.err) == (2, True)
            watch = ("--watch", str(own.folder), "--config", str(own.folder / "pinned" / "agent.toml"), "--no-run")
            joined = own.logferry("agent", "join", f"127.0.0.1:{port}", "--token", "LJ-X", "--pin", pin, *watch)
            assert joined.code == 3, f"a pin means HTTPS on loopback, too: {joined.err}"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
