"""The process that compiles beforehand: it ends by itself, is ended with the server, and says when it failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from logferry.archive.index.compiled import identity
from logferry.server.warming import Warming, is_compiled
from tests.agent.conftest import eventually
from tests.server.helpers import alive


def program(folder: Path, body: str) -> str:
    """A Python of a test's own."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_it_ends_by_itself_says_nothing_and_tells_what_is_compiled(tmp_path: Path) -> None:
    """The real one."""
    warming = Warming(str(tmp_path))
    with capture_logs() as logs:
        warming.start()
        eventually(lambda: warming.is_over, timeout_s=180)
    assert logs == []
    assert is_compiled(str(tmp_path), identity())
    assert not is_compiled(str(tmp_path), "another version")


def test_why_it_failed_is_said_once_and_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the program printed."""
    monkeypatch.setattr(sys, "executable", program(tmp_path, "printf 'no room \\033[2J' >&2; exit 3"))
    warming = Warming(str(tmp_path))
    with capture_logs() as logs:
        warming.start()
        eventually(lambda: warming.is_over, timeout_s=60)
        assert warming.is_over
    assert [(entry["status"], entry["why"]) for entry in logs] == [(3, "no room ␛[2J")]


def test_a_program_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the server goes on."""
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    warming = Warming(str(tmp_path))
    with capture_logs() as logs:
        warming.start()
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert warming.is_over


def test_stop_ends_it_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it would still take."""
    monkeypatch.setattr(sys, "executable", program(tmp_path, "exec sleep 600"))
    warming = Warming(str(tmp_path))
    warming.start()
    assert not warming.is_over
    warming.stop()
    assert warming.is_over


def test_it_ends_with_a_server_that_is_killed(tmp_path: Path) -> None:
    """Else a server that falls again and again leaves a crowd of them, each compiling the same."""
    server = "import sys, time; from logferry.server.warming import Warming; w = Warming(sys.argv[1]); w.start(); "
    server += "print(w._process.pid, flush=True); time.sleep(600)"
    command = [sys.executable, "-c", server, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        child = int(running.stdout.readline())
        assert alive(child)
        running.kill()
    eventually(lambda: not alive(child), timeout_s=60)
    assert not is_compiled(str(tmp_path), identity())
