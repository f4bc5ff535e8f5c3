"""Random kills: parallel uploaders in a process that is shot again and again; every acknowledged byte is there once."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from logferry.ftp.waiting import readable
from logferry.names import aside_name
from tests.archive.conftest import Shelf
from tests.archive.crashing import forked, grow, move, publish, told

KILLS = 100
WORKERS = 3
LIFE_S_MAX = 0.06

Op = tuple[str, str, int, int]  # what, path, seed and size of the content (short lines pass a pipe whole)


@dataclass
class Oracle:
    """What one worker's paths hold: all generations, oldest first, and which paths have a current one."""

    held: dict[str, list[bytes]] = field(default_factory=dict)
    current: set[str] = field(default_factory=set)

    def now(self, path: str) -> bytes:
        """What a sender believes is confirmed at ``path``."""
        return self.held[path][-1] if path in self.current else b""

    def apply(self, op: Op) -> None:
        """What a finished operation makes of it."""
        what, path, data = op[0], op[1], content(op)
        held = self.held.setdefault(path, [])
        if what == "rotate":
            self.held.setdefault(f"{path}.1", []).append(held.pop())
            self.current.remove(path)
            self.current.add(f"{path}.1")
            if not held:
                del self.held[path]
            return
        if what == "grow":
            data = self.now(path) + data
        if path in self.current and data.startswith(held[-1]):
            held[-1] = data
        else:
            held.append(data)
        self.current.add(path)

    def after(self, op: Op | None) -> Oracle:
        """What it will be once ``op`` is done."""
        other = Oracle({path: list(held) for path, held in self.held.items()}, set(self.current))
        if op is not None:
            other.apply(op)
        return other


def content(op: Op) -> bytes:
    """The bytes an operation sends."""
    return random.Random(op[2]).randbytes(op[3])


@pytest.mark.slow
def test_a_hundred_kills_lose_nothing_and_double_nothing(folder: Path) -> None:
    """SIGKILL at random moments while three threads upload, append, rotate, replace and publish.

    Before each operation the child tells what it is going to do, afterwards that it is done. The parent keeps the
    history of every path from that, compares byte by byte after every kill, and the next child first repeats what
    had no answer.
    """
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    Shelf(folder).close()
    oracles = [Oracle() for _ in range(WORKERS)]
    pending: list[Op | None] = [None] * WORKERS
    for kill in range(KILLS):
        seeds = [dice.randrange(2**32) for _ in range(WORKERS)]
        life_s = dice.uniform(0.0, LIFE_S_MAX)

        def work(tell: Callable[[str], None], seeds: list[int] = seeds) -> None:
            shelf = Shelf(folder)
            tell("open")
            threads = [
                threading.Thread(
                    target=_upload, args=(shelf, tell, number, seeds[number], oracles[number], pending[number])
                )
                for number in range(WORKERS)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        with forked(work) as (pid, reading):
            readable(reading, timeout_s=30)
            time.sleep(life_s)  # the moment of the shot is what is random here
            os.kill(pid, signal.SIGKILL)
            _replay(told(reading)[1:], oracles, pending)
        if kill % 5 == 4:
            _verify(folder, oracles, pending, seed)
    shelf = Shelf(folder)
    for number, op in enumerate(pending):
        if op is not None:
            _do(shelf, op, oracles[number])
            oracles[number].apply(op)
    list(shelf.archive.check(repair=True))
    assert list(shelf.archive.check(digests=True)) == [], f"seed {seed}"
    assert shelf.everything() == {path: held for oracle in oracles for path, held in oracle.held.items()}, (
        f"seed {seed}"
    )
    assert sum(len(held) for oracle in oracles for held in oracle.held.values()) > 30, (
        "the children did not live long enough to do anything"
    )
    shelf.close()


def _upload(shelf: Shelf, tell: Callable[[str], None], number: int, seed: int, oracle: Oracle, op: Op | None) -> None:
    dice = random.Random(seed)
    while True:
        if op is None:
            op = _next(dice, number, oracle)
        tell(json.dumps([number, *op]))
        _do(shelf, op, oracle)
        tell(json.dumps([number]))
        oracle.apply(op)
        op = None


def _next(dice: random.Random, number: int, oracle: Oracle) -> Op:
    path = f"w{number}/d{dice.randrange(2)}/app.log"
    choice = ["grow", "grow", "publish", "replace", "rotate"] if path in oracle.current else ["grow", "publish"]
    return dice.choice(choice), path, dice.randrange(2**32), dice.choice([0, 1, 100, 5000, 70_000])


def _do(shelf: Shelf, op: Op, oracle: Oracle) -> None:
    what, path, data = op[0], op[1], content(op)
    if what == "grow":
        confirmed = oracle.now(path)
        grow(shelf, path, confirmed + data, len(confirmed))
    elif what == "replace":
        grow(shelf, path, data, 0)
    elif what == "publish":
        publish(shelf, path, data)
    else:
        move(shelf, path, f"{path}.1")


def _replay(lines: list[str], oracles: list[Oracle], pending: list[Op | None]) -> None:
    for line in lines:
        number, *rest = json.loads(line)
        if rest:
            pending[number] = (rest[0], rest[1], rest[2], rest[3])
        elif (done := pending[number]) is not None:
            oracles[number].apply(done)
            pending[number] = None


def _verify(folder: Path, oracles: list[Oracle], pending: list[Op | None], seed: int) -> None:
    shelf = Shelf(folder)
    found = shelf.everything()
    for number, oracle in enumerate(oracles):
        mine = {path: held for path, held in found.items() if path.startswith(f"w{number}/")}
        op = pending[number]
        assert mine in (oracle.held, oracle.after(op).held), f"seed {seed}: {op}"
    shelf.close()


@pytest.mark.parametrize("stamp", ["20261123T081400Z-1a2b3c4d"])
def test_two_processes_write_into_one_archive(folder: Path, stamp: str) -> None:
    """Each sees what the other committed; concurrent transactions wait for each other."""
    Shelf(folder).close()

    def work(tell: Callable[[str], None]) -> None:
        shelf = Shelf(folder)
        for number in range(60):
            shelf.put(f"child/{number}.log", b"%d" % number)
        tell("done")
        shelf.close()

    with forked(work) as (_, reading):
        shelf = Shelf(folder)
        for number in range(60):
            shelf.put(f"parent/{number}.log", b"%d" % number)
        assert told(reading) == ["done"]
    assert shelf.everything() == {f"{who}/{n}.log": [b"%d" % n] for who in ("child", "parent") for n in range(60)}
    shelf.rename("child/1.log", f"child/{aside_name('1.log', stamp)}")
    assert shelf.catalog.files.sums().files == 120
    shelf.close()
