"""The parts of the server start, are watched and stop together."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from logferry.server.supervisor import Notice, Part, PartFailed, Supervisor
from tests.server.helpers import alive, end, eventually

WAITS = """
import os, signal, sys, time
from logferry.server.lifeline import Lifeline
line = Lifeline.from_environment(os.environ)
line.ready({"pid": os.getpid(), "port": 7})
line.watch()
signal.pause()
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + WAITS.replace(
    "signal.pause()", "time.sleep(99)"
)


def part(name: str, script: str = WAITS) -> Part:
    """A child process that runs ``script``."""
    return Part(name, (sys.executable, "-c", script))


class Running:
    """A supervisor in a thread, and what it told."""

    def __init__(self, parts: list[Part], kill_after_s: float = 4.0) -> None:
        self.notices: list[Notice] = []
        self.ready: dict[str, dict[str, Any]] = {}
        self.error: PartFailed | None = None
        self.supervisor = Supervisor(parts, on_notice=self.notices.append, kill_after_s=kill_after_s)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.supervisor.run(self.ready.update)
        except PartFailed as error:
            self.error = error

    def stop(self) -> None:
        """Stop and wait."""
        self.supervisor.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()


@contextmanager
def running(parts: list[Part], kill_after_s: float = 4.0) -> Iterator[Running]:
    """A supervisor that is stopped at the end whatever happens."""
    it = Running(parts, kill_after_s)
    try:
        yield it
    finally:
        it.stop()


def test_ready_is_told_once_every_part_listens() -> None:
    """With what each part announced; stopping ends them all."""
    with running([part("ftp"), part("web")]) as it:
        eventually(lambda: it.ready)
        assert it.ready["ftp"]["port"] == 7
        pids = it.supervisor.pids()
        assert {it.ready[name]["pid"] for name in ("ftp", "web")} == set(pids.values())
    assert not any(alive(pid) for pid in pids.values())
    assert it.error is None


def test_a_part_that_crashes_comes_back_and_the_other_stays() -> None:
    """The survivor keeps its process."""
    with running([part("ftp"), part("web")]) as it:
        eventually(lambda: it.ready)
        before = it.supervisor.pids()
        end(before["ftp"], signal.SIGKILL)
        eventually(lambda: [n for n in it.notices if n.kind == "ready" and n.part == "ftp"][1:])
        after = it.supervisor.pids()
        assert after["web"] == before["web"]
        assert after["ftp"] != before["ftp"]
        assert alive(after["web"])
    (ended,) = [n.detail for n in it.notices if n.kind == "ended"]
    assert ended == "ended by signal SIGKILL, starts again in 0.5 s"


def test_a_part_that_ends_before_it_listens_stops_everything() -> None:
    """Its exit status becomes the supervisor's."""
    it = Running([part("web"), part("ftp", "import sys; sys.exit(2)")])
    it.thread.join(20)
    assert it.error is not None
    assert it.error.exit_code == 2
    assert "the ftp part ended with exit status 2 before it listened" in str(it.error)
    assert it.ready == {}
    assert it.supervisor.pids() == {}


def test_a_program_that_is_not_there_is_named() -> None:
    """Instead of a traceback."""
    it = Running([Part("ftp", ("/nowhere/python",))])
    it.thread.join(20)
    assert "cannot start the ftp part" in str(it.error)


def test_a_part_that_will_not_stop_is_killed() -> None:
    """After the time it was given."""
    with running([part("ftp", STUBBORN)], kill_after_s=0.2) as it:
        eventually(lambda: it.ready)
        (pid,) = it.supervisor.pids().values()
    assert not alive(pid)


SERVE = """
import sys
from logferry.server.supervisor import Part, Supervisor
parts = [Part(name, (sys.executable, "-c", {script!r})) for name in ("ftp", "web")]
supervisor = Supervisor(parts)
def told(ready):
    import json
    print(json.dumps(supervisor.pids()), flush=True)
supervisor.run(told)
"""


def serve() -> tuple[subprocess.Popen[str], dict[str, int]]:
    """A program that supervises two parts, and their process ids."""
    process = subprocess.Popen([sys.executable, "-c", SERVE.format(script=WAITS)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_parts_and_the_program(number: signal.Signals) -> None:
    """SIGTERM from a service manager, SIGINT from a keyboard."""
    process, pids = serve()
    with process:
        process.send_signal(number)
        assert process.wait(5) == 0
    assert not any(alive(pid) for pid in pids.values())


def test_no_part_outlives_a_supervisor_that_was_killed() -> None:
    """They notice by themselves."""
    process, pids = serve()
    with process:
        process.kill()
        process.wait(5)
        eventually(lambda: not any(alive(pid) for pid in pids.values()), within_s=5)


def test_announcing_writes_where_a_part_listens(tmp_path: Path) -> None:
    """In ``run/<part>.json``, readable by the owner alone."""
    from logferry.server import lifeline, runfiles

    lifeline.announce(str(tmp_path), "ftp", {"host": "127.0.0.1", "port": 2121})
    path = tmp_path / "run" / "ftp.json"
    told = runfiles.read_json(str(path))
    assert told is not None
    assert (told["part"], told["host"], told["port"]) == ("ftp", "127.0.0.1", 2121)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["ftp.json"]
