"""Disks that get full and have room again, twenty times: under the server's archive, under the agent's registry.

No wrong byte, and delivery goes on by itself within 5 s of room being there. What is asserted is what the agent plans
(the pause) and, of the real times, that they end at all; they are printed. ``make crash`` makes all cycles.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from logferry.agent.journal import Journal
from logferry.agent.link import Link
from logferry.clock import ManualClock
from logferry.errors import Full, Unreachable
from logferry.limits import FULL_RETRY_S_MAX, MIB
from tests.agent.conftest import eventually
from tests.agent.crash.keepers import ArchiveTarget, small_disk
from tests.agent.crash.mortal import fill
from tests.agent.crash.works import Place
from tests.security.amounts import amount

CYCLES = amount("full_disk_cycles", 2, 20)
SERVER_DISK_BYTES = 10 * MIB
REGISTRY_DISK_BYTES = 2 * MIB
WAIT_S = 120.0


class Highest:
    """Dice that always show the most."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_a_full_server_is_asked_again_within_seconds_however_long_it_was_full() -> None:
    """The pause after 452 does not grow; the one for a server that is away does."""
    clock = ManualClock()
    link = Link("there:21", Journal(), clock, Highest())
    for _ in range(50):
        link.failed(Full("no room left"))
        assert 0 < link.wait_s() <= FULL_RETRY_S_MAX < 5.0
        clock.advance(FULL_RETRY_S_MAX)
        assert link.wait_s() == 0
    for _ in range(10):
        link.failed(Unreachable("nobody there"))
        clock.advance(link.wait_s())
    link.failed(Unreachable("nobody there"))
    assert link.wait_s() > 30


@contextmanager
def disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A small disk, or a skip that says what it takes."""
    stack = small_disk(folder, size_bytes)
    try:
        mounted = stack.__enter__()
    except OSError as error:
        pytest.skip(str(error))
    try:
        yield mounted
    finally:
        stack.__exit__(None, None, None)


class Program:
    """The agent as a process of its own, with what it logs."""

    def __init__(self, place: Place) -> None:
        self._command = [sys.executable, "-m", "logferry.agent", str(place.config)]
        self._log_path = place.base / "agent.log"
        self.start()

    def start(self) -> None:
        """Start it."""
        self._log = self._log_path.open("ab")
        self._process = subprocess.Popen(self._command, stderr=self._log)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def said(self) -> int:
        """How much it has logged so far."""
        return self._log_path.stat().st_size

    def says(self, *words: str, since: int) -> bool:
        """Whether a line with all these words was logged after ``since``."""
        with self._log_path.open("rb") as log:
            log.seek(since)
            return any(all(word in line for word in words) for line in log.read().decode().splitlines())

    def last_words(self) -> str:
        """The end of the log."""
        return self._log_path.read_text()[-2000:]


def _timed(check: Callable[[], bool], program: Program) -> float:
    """Seconds until ``check()``."""
    begin = time.monotonic()
    eventually(check, program.last_words, timeout_s=WAIT_S)
    return time.monotonic() - begin


def _empty_log(place: Place) -> None:
    """Begin SQLite's write-ahead log anew: as long as the old one is written over, a full disk is not noticed."""

    def done() -> bool:
        with closing(sqlite3.connect(place.state / "registry.db")) as db:
            busy: int = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return busy == 0

    eventually(done, timeout_s=WAIT_S)


def _told(what: str, times: list[float]) -> None:
    shown = " ".join(f"{seconds:.1f}" for seconds in times)
    print(f"{what}: {len(times)} cycles, resumed after {shown} s (at most {max(times):.1f})")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_server_whose_disk_is_full_again_and_again_gets_every_byte(memory: Path) -> None:
    """10 MB for archive and catalog, full to the last byte: growth, new files, renames and replacements wait."""
    times: list[float] = []
    with disk(memory / "archive-disk", SERVER_DISK_BYTES) as mounted:
        target = ArchiveTarget(mounted / "server", reserve=False)
        place = Place(memory / "full-server", "node", target, address=target.address, state=memory / "state1")
        place.append(50_000)
        program = Program(place)
        try:
            eventually(lambda: place.wrong() == [], program.last_words, timeout_s=WAIT_S)
            for cycle in range(CYCLES):
                since = program.said()
                fill(mounted)
                place.append(60_000)
                place.append(9_000, b"new-%d.log" % cycle)
                eventually(lambda s=since: program.says('"state": "full"', since=s), program.last_words)  # type: ignore[misc]
                if cycle % 2:
                    place.rotate(4_000)
                else:
                    place.refill(4_000, b"new-%d.log" % cycle)
                os.unlink(mounted / "filler")
                times.append(_timed(lambda: place.wrong() == [], program))
        finally:
            program.kill()
            target.close()
    _told("server's disk", times)
    assert len(times) == CYCLES


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_agent_whose_registry_has_no_room_again_and_again_delivers_and_doubles_nothing(memory: Path) -> None:
    """Shipping goes on meanwhile; every second time the agent is killed before there is room, and started again."""
    times: list[float] = []
    target = ArchiveTarget(memory / "roomy-server")
    with disk(memory / "registry-disk", REGISTRY_DISK_BYTES) as mounted:
        place = Place(memory / "full-agent", "node", target, address=target.address, state=mounted / "state")
        place.append(50_000)
        program = Program(place)
        try:
            eventually(lambda: place.wrong() == [], program.last_words, timeout_s=WAIT_S)
            for cycle in range(CYCLES):
                since = program.said()
                _empty_log(place)
                fill(mounted)
                place.append(60_000)
                for number in range(30):
                    place.append(500, b"new-%d-%s-%d.log" % (cycle, b"long" * 40, number))
                eventually(lambda: place.wrong() == [], program.last_words, timeout_s=WAIT_S)
                eventually(lambda s=since: program.says("registry", "behind", since=s), program.last_words)  # type: ignore[misc]
                if cycle % 2:
                    program.kill()
                    program.start()
                    place.append(700)
                place.rotate(3_000)
                since = program.said()
                os.unlink(mounted / "filler")
                times.append(_timed(lambda: place.wrong() == [], program))
        finally:
            program.kill()
            target.close()
    _told("registry's disk", times)
    assert len(times) == CYCLES
