"""Workers elsewhere: the same answers as here, also when one of them dies; what nobody looked through is named."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import pytest

from logferry import limits
from logferry.archive.durable import Disk
from logferry.archive.store import LocalStore
from logferry.search import tallying
from logferry.search.executor import Crew, Processes
from logferry.search.service import SearchRequest, SearchService
from logferry.search.tally import Buckets
from tests.search.test_indexed import EVERYTHING, Grown, tally
from tests.security.amounts import seed

QUERIES = ["/t[io]+k? [0-9]+/", "10.2", "7 -error", "/e.r/ OR 251"]


@pytest.fixture
def grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Grown]:
    """One segment or more, of which much has to be looked through by workers."""
    assert limits.SEARCH_SPREAD_BYTES > 0
    monkeypatch.setattr(tallying, "SEARCH_SPREAD_BYTES", 1)
    made = Grown(tmp_path, random.Random(seed("executor")))
    for agent in ("web-01", "db"):
        made.put(agent, "app.log", made.text(6000))
    made.seal(128 << 10)
    yield made
    made.close()


def niceness() -> int:
    """Of the process."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def opener(grown: Grown) -> partial[LocalStore]:
    """Opens its store in another process."""
    return partial(LocalStore, str(grown.folder / "store"), Disk())


def same(grown: Grown, crew: Crew) -> None:
    """All tallies are those without workers."""
    alone = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    helped = SearchService(grown.archive, grown.catalog, clock=grown.clock, crew=crew)
    for query in QUERIES:
        wanted = tally(alone, SearchRequest(query, EVERYTHING), Buckets(3600))
        found = tally(helped, SearchRequest(query, EVERYTHING), Buckets(3600))
        assert (found.lines, found.histogram, found.facets, found.exact, found.errors) == (
            wanted.lines, wanted.histogram, wanted.facets, True, (),
        )  # fmt: skip


def test_processes_find_the_same(grown: Grown) -> None:
    """Two of them, kept from one tally to the next. They let other processes go first."""
    with contextlib.closing(Crew(Processes(opener(grown), 2))) as crew:
        same(grown, crew)
        if sys.platform == "linux":
            assert crew._present(0).submit(niceness).result() == min(niceness() + limits.SEARCH_NICE, 19)


class Dying(Processes):
    """Processes of which the first ``times`` ones are killed before they have worked."""

    def __init__(self, grown: Grown, times: int) -> None:
        super().__init__(opener(grown), 2)
        self._times = times
        self.made = 0

    def executor(self, lane: int) -> Executor:
        self.made += 1
        made = super().executor(lane)
        if self.made <= self._times:
            os.kill(made.submit(os.getpid).result(), signal.SIGKILL)
        return made


def test_a_killed_worker_is_replaced(grown: Grown) -> None:
    """Its batch is done by another one; nobody notices."""
    dying = Dying(grown, 1)
    with contextlib.closing(Crew(dying)) as crew:
        same(grown, crew)
    assert dying.made > 1


def test_what_no_worker_could_look_through_is_named(grown: Grown) -> None:
    """A count without it is a lower bound, and says so."""
    with contextlib.closing(Crew(Dying(grown, 10**6))) as crew:
        service = SearchService(grown.archive, grown.catalog, clock=grown.clock, crew=crew)
        found = tally(service, SearchRequest(QUERIES[0], EVERYTHING))
        assert not found.exact
        assert any("was not looked through" in error for error in found.errors)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_end_with_the_process_that_started_them(grown: Grown) -> None:
    """Also when it is killed and can tell them nothing."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.search.with_worker", str(grown.folder / "store")], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert is_alive(worker)
        parent.kill()
    until_s = time.monotonic() + 60
    while is_alive(worker):
        assert time.monotonic() < until_s, f"worker {worker} is still there"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended and is waited for by nobody does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
