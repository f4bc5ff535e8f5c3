"""A Dask cluster of two ``logferry worker`` processes: it gives the answers of one machine, also with one less."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from logferry.clock import SYSTEM
from logferry.errors import BadConfig
from logferry.search import cluster as clusters
from logferry.search import tallying
from logferry.search.cluster import Cluster
from logferry.search.executor import Crew
from logferry.search.service import SearchRequest, SearchService
from logferry.search.tally import Buckets, Tally
from logferry.server.config import SearchConfig, ServerConfig
from logferry.server.crew import check_crew
from tests.search.draw import Drawer
from tests.search.test_indexed import EVERYTHING, Grown, tally
from tests.search.test_oracle import Mixed, compare
from tests.security.amounts import amount, dice, seed

READY_S_MAX = 60.0


def cluster_at(port: int) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Address, and the commands of scheduler and worker."""
    address = f"tcp://127.0.0.1:{port}"
    scheduler = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    return address, scheduler, ("logferry.cli", "worker", "--scheduler", address)


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
            if len(cluster.workers()) == count:
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
    address, scheduler, worker = cluster_at(free_port)
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


@pytest.mark.timeout(180)
def test_workers_are_seen_whatever_the_client_asks_for_itself_meanwhile(tmp_path: Path, free_port: int) -> None:
    """Each second it asks the scheduler for its facts without the workers, and keeps that: here without a pause."""
    address, scheduler, worker = cluster_at(free_port)
    cluster = Cluster(address)
    is_over = threading.Event()

    def ask(client: Any) -> None:
        while not is_over.is_set():
            client.sync(client._update_scheduler_info)

    with closing(cluster), running(*scheduler), running(*worker, LOGFERRY_ARCHIVE__ROOT=str(tmp_path)):
        wait_for_workers(cluster, 1)
        asking = threading.Thread(target=ask, args=(cluster._connected(),))
        asking.start()
        try:
            for _ in range(200):
                assert len(cluster.workers()) == 1
                cluster.check()
        finally:
            is_over.set()
            asking.join()


class Counted(Crew):
    """Knows how often it was asked."""

    asked = 0

    def look(self, *arguments: Any, **values: Any) -> Iterator[Any]:
        self.asked += 1
        return super().look(*arguments, **values)


@pytest.mark.timeout(3600)
def test_random_queries_counted_on_two_workers_find_what_the_oracle_finds(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``HEAVY_CLUSTER_QUERIES=n`` asks n of them."""
    monkeypatch.setattr(tallying, "SEARCH_SPREAD_BYTES", 1)
    random_ = dice("cluster queries")
    queries = amount("cluster_queries", 20, 4_000)
    address, scheduler, worker = cluster_at(free_port)
    settings = {"LOGFERRY_ARCHIVE__ROOT": str(tmp_path)}
    cluster = Cluster(address)
    with (
        running(*scheduler),
        running(*worker, **settings),
        running(*worker, **settings),
        closing(Counted(cluster)) as crew,
        closing(Mixed(tmp_path, random_, 20, large=1_000)) as mixed,
    ):
        wait_for_workers(cluster, 2)
        service = SearchService(mixed.archive, mixed.catalog, clock=mixed.clock, crew=crew)
        compare(mixed, random_, queries, Drawer(random_, mixed.files()).node, service, tallied=1.0)
    print(f"{queries} queries, the workers were asked {crew.asked} times")
    assert crew.asked > queries // 20


@pytest.mark.timeout(180)
def test_a_search_is_done_here_whatever_is_wrong_with_the_cluster(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No scheduler, one without workers, one that has gone, and one that came back: each time everything is found."""
    monkeypatch.setattr(tallying, "SEARCH_SPREAD_BYTES", 1)
    monkeypatch.setattr(clusters, "SEARCH_CLUSTER_S_MAX", 1.0)
    monkeypatch.setattr(clusters, "SEARCH_CLUSTER_REST_S", 0.0)
    grown = Grown(tmp_path, random.Random(seed("cluster-trouble")))
    grown.put("web-01", "app.log", grown.text(2000))
    grown.seal(128 << 10)
    address, scheduler, worker = cluster_at(free_port)
    cluster = Cluster(address)
    with closing(Crew(cluster)) as crew, closing(grown):
        request = SearchRequest("10.2", EVERYTHING)
        wanted = tally(SearchService(grown.archive, grown.catalog, clock=grown.clock), request, Buckets(3600))
        helped = SearchService(grown.archive, grown.catalog, clock=grown.clock, crew=crew)

        def same(*, is_remarked: bool = True) -> None:
            helped.forget_answers()
            found = tally(helped, request, Buckets(3600))
            assert (found.lines, found.histogram, found.facets) == (wanted.lines, wanted.histogram, wanted.facets)
            assert (found.exact, found.errors) == (True, ())
            assert any("it was done here" in remark for remark in found.remarks) is is_remarked, found.remarks

        same()  # nobody was ever there
        with running(*scheduler):
            wait_for("no worker is connected", cluster)
            same()
        same()
        wait_for("", cluster)
        same()
        with running(*scheduler), running(*worker, LOGFERRY_ARCHIVE__ROOT=str(tmp_path)):
            wait_for_workers(cluster, 1)
            monkeypatch.setattr(clusters, "SEARCH_CLUSTER_S_MAX", 60.0)  # this one is to come, however slow it is here
            same(is_remarked=False)


@pytest.mark.timeout(180)
def test_a_cluster_that_loses_its_last_worker_in_the_middle_of_a_batch_holds_nobody(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its scheduler would keep the batch until another worker comes; the server does it, long before the deadline."""
    monkeypatch.setattr(tallying, "SEARCH_SPREAD_BYTES", 1)
    grown = Grown(tmp_path, random.Random(seed("cluster-lost")))
    grown.put("web-01", "app.log", grown.text(2000))
    grown.seal(128 << 10)
    address, scheduler, worker = cluster_at(free_port)
    cluster = Cluster(address)
    request = SearchRequest("10.2", EVERYTHING, deadline_s=3600.0)
    wanted = tally(SearchService(grown.archive, grown.catalog, clock=grown.clock), request)
    with (
        running(*scheduler),
        running(*worker, LOGFERRY_ARCHIVE__ROOT=str(tmp_path)) as only,
        closing(Crew(cluster)) as crew,
        closing(grown),
    ):
        wait_for_workers(cluster, 1)
        service = SearchService(grown.archive, grown.catalog, clock=SYSTEM, crew=crew)
        only.send_signal(signal.SIGSTOP)  # it takes the batch and does not come to it
        events = iter(service.tally(request))
        event = next(events)
        while not (isinstance(event, Tally) and event.reason != "running"):
            if only.poll() is None and any(cluster._client.processing().values()):
                only.kill()
                only.wait(READY_S_MAX)
            event = next(events)
        assert only.poll() is not None
        assert isinstance(event, Tally)
        assert (event.lines, event.exact, event.errors) == (wanted.lines, True, ())
        assert any("it was done here" in remark for remark in event.remarks)


def wait_for(why: str, cluster: Cluster) -> None:
    """Until nobody works there, for that reason."""
    until_s = time.monotonic() + READY_S_MAX
    while True:
        with pytest.raises(OSError) as raised:
            cluster.workers()
        if why in str(raised.value):
            return
        assert time.monotonic() < until_s, raised.value
        time.sleep(0.1)


def test_a_scheduler_that_does_not_answer_is_left_alone_for_a_while(
    free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ask: one tries, the others are told what it was told."""
    monkeypatch.setattr(clusters, "SEARCH_CLUSTER_S_MAX", 0.5)
    with socket.create_server(("127.0.0.1", free_port)):
        cluster = Cluster(f"tcp://127.0.0.1:{free_port}")

        def ask(_: int) -> None:
            with pytest.raises(OSError):
                cluster.workers()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(ask, range(8)))
        tried_s = cluster._again_s
        ask(0)
        assert cluster._again_s == tried_s > 0


def test_settings_that_name_a_cluster_need_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server says so when it starts, not in the middle of a search."""
    config = ServerConfig(search=SearchConfig(cluster="tcp://127.0.0.1:8786"))
    check_crew(config)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(BadConfig, match="distributed is missing"):
        check_crew(config)
