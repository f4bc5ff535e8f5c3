"""A Dask cluster of two ``logferry worker`` processes: it gives the answers of one machine, also with one less."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from logferry.search import tallying
from logferry.search.executor import Cluster, Crew
from logferry.search.service import SearchRequest, SearchService
from logferry.search.tally import Buckets
from tests.search.test_indexed import EVERYTHING, Grown, tally
from tests.security.amounts import seed

READY_S_MAX = 60.0


@contextmanager
def running(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is stopped in the end."""
    process = subprocess.Popen([sys.executable, "-m", *command], env=os.environ | environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(READY_S_MAX)


def wait_for_workers(cluster: Cluster, count: int) -> None:
    """Until so many are there."""
    until_s = time.monotonic() + READY_S_MAX
    while True:
        try:
            if len(cluster._workers()) == count:
                return
        except OSError:
            pass
        assert time.monotonic() < until_s, f"{count} workers were not there in time"
        time.sleep(0.1)


@pytest.mark.timeout(180)
def test_a_cluster_of_two_workers_finds_the_same(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts, times and places; and again when one of the two was killed."""
    monkeypatch.setattr(tallying, "SEARCH_SPREAD_BYTES", 1)
    grown = Grown(tmp_path, random.Random(seed("cluster")))
    for agent in ("web-01", "db"):
        grown.put(agent, "app.log", grown.text(4000))
    grown.seal(128 << 10)
    address = f"tcp://127.0.0.1:{free_port}"
    scheduler = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(free_port), "--no-dashboard")
    worker = ("logferry.cli", "worker", "--scheduler", address)
    settings = {"LOGFERRY_ARCHIVE__ROOT": str(tmp_path)}
    cluster = Cluster(address)
    with (
        running(*scheduler),
        running(*worker, **settings),
        running(*worker, **settings) as second,
        closing(Crew(cluster)) as crew,
        closing(grown),
    ):
        wait_for_workers(cluster, 2)
        alone = SearchService(grown.archive, grown.catalog, clock=grown.clock)
        helped = SearchService(grown.archive, grown.catalog, clock=grown.clock, crew=crew)
        for query in ("/t[io]+k? [0-9]+/", "10.2"):
            wanted = tally(alone, SearchRequest(query, EVERYTHING), Buckets(3600))
            found = tally(helped, SearchRequest(query, EVERYTHING), Buckets(3600))
            assert (found.lines, found.histogram, found.facets) == (wanted.lines, wanted.histogram, wanted.facets)
            assert (found.exact, found.errors) == (True, ())
            helped.forget_answers()
        second.kill()
        wait_for_workers(cluster, 1)
        found = tally(helped, SearchRequest(query, EVERYTHING), Buckets(3600))
        assert (found.lines, found.exact, found.errors) == (wanted.lines, True, ())
