"""One large file up and down: MB/s on the wire, and what it costs the server in CPU seconds."""

from __future__ import annotations

import os
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path

from bench.ftp.client import Client
from bench.ftp.load import Work, together
from bench.ftp.servers import Running

_BLOCK_BYTES = 64 << 20
NAME = "up/large"


def make_source(path: Path, count: int) -> None:
    """A file of ``count`` bytes that nothing can compress, held in memory by the kernel."""
    block = os.urandom(min(_BLOCK_BYTES, count))
    with path.open("wb", buffering=0) as file:
        while file.tell() < count:
            file.write(block[: count - file.tell()])


def _up(work: Work, port: int, user: str, source: str, ready: Semaphore, go: Event, leave: Event) -> None:
    client = Client(work.host, port, user, "bench", tls=work.tls)
    with open(source, "rb") as file:
        ready.release()
        go.wait()
        client.store_file(NAME, file.fileno(), work.file_bytes)
        ready.release()
        leave.wait()


def _down(work: Work, port: int, user: str, _source: str, ready: Semaphore, go: Event, leave: Event) -> None:
    client = Client(work.host, port, user, "bench", tls=work.tls)
    ready.release()
    go.wait()
    count = client.fetch(NAME)
    assert count == work.file_bytes, f"{count} of {work.file_bytes} bytes came"
    ready.release()
    leave.wait()


def up(server: Running, source: Path, work: Work) -> tuple[float, float]:
    """(MB/s, server CPU seconds) of storing ``source``; it stays there."""
    took, cost = together(server, _up, work, server.port, clients=1, argument=str(source))
    stored = (server.folder / "large").stat().st_size
    assert stored == work.file_bytes, f"{server.kind} stored {stored} of {work.file_bytes} bytes"
    return work.file_bytes / took / 1e6, cost


def down(server: Running, work: Work) -> tuple[float, float]:
    """(MB/s, server CPU seconds) of fetching what ``up`` has stored."""
    took, cost = together(server, _down, work, server.port, clients=1, argument="")
    return work.file_bytes / took / 1e6, cost
