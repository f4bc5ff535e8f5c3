"""Clients as processes that start together: how many files a second a server takes, and at what cost of CPU."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event, Semaphore

from bench.ftp.client import Client
from bench.ftp.servers import Running

START_S_MAX = 60.0
RUN_S_MAX = 300.0


@dataclass(frozen=True, slots=True)
class Work:
    """What all clients do together: ``files`` of ``file_bytes`` each. ``ahead``: commands are sent ahead."""

    files: int
    file_bytes: int = 20_000
    clients: int = 1
    tls: bool = False
    ahead: bool = False
    host: str = "127.0.0.1"
    round_trip_s: float = 0.0


def _client(work: Work, port: int, user: str, number: int, ready: Semaphore, go: Event, leave: Event) -> None:
    client = Client(work.host, port, user, "bench", tls=work.tls, round_trip_s=work.round_trip_s)
    content = os.urandom(work.file_bytes)
    names = [f"up/file{number}-{index}" for index in range(work.files // work.clients)]
    ready.release()
    go.wait()
    if work.ahead:
        client.store_ahead(names, content)
    else:
        for name in names:
            client.store(name, content)
    ready.release()
    # The CPU of a process that serves one session is counted while it lives: stay until it was read.
    leave.wait()


def small_files(server: Running, work: Work, port: int = 0) -> tuple[float, float]:
    """(files/s, server CPU seconds). ``port`` when something stands in front of the server."""
    rate, cost = together(server, _client, work, port or server.port, clients=work.clients)
    sizes = [entry.stat().st_size for entry in os.scandir(server.folder)]
    count = work.files // work.clients * work.clients
    if len(sizes) != count or set(sizes) != {work.file_bytes}:
        raise SystemExit(f"{server.kind}: {len(sizes)} of {count} files arrived, sizes {sorted(set(sizes))[:5]}")
    return count / rate, cost


def together(
    server: Running, target: Callable[..., None], work: Work, port: int, *, clients: int, argument: str = ""
) -> tuple[float, float]:
    """(wall seconds, server CPU seconds) from the moment all clients are logged in until all are done.

    ``target`` is given its number and, where there is one, not that but ``argument``.
    """
    context = multiprocessing.get_context("spawn")
    ready, go, leave = context.Semaphore(0), context.Event(), context.Event()
    processes = [
        context.Process(target=target, args=(work, port, server.user, argument or number, ready, go, leave))
        for number in range(clients)
    ]
    for process in processes:
        process.start()
    _all_ready(ready, processes, START_S_MAX)
    before, start = server.cpu_s(), time.perf_counter()
    go.set()
    _all_ready(ready, processes, RUN_S_MAX)
    took, cost = time.perf_counter() - start, server.cpu_s() - before
    leave.set()
    for process in processes:
        process.join()
    return took, cost


def _all_ready(ready: Semaphore, processes: Sequence[BaseProcess], wait_s: float) -> None:
    until = time.monotonic() + wait_s
    for _ in processes:
        while not ready.acquire(timeout=0.2):
            if time.monotonic() > until or any(process.exitcode for process in processes):
                for process in processes:
                    process.terminate()
                raise ChildProcessError("a client failed")
