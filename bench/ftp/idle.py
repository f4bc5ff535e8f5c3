"""What sessions cost that are logged in and do nothing."""

from __future__ import annotations

import resource
import time

from bench.ftp.client import Client
from bench.ftp.servers import Running

_SETTLE_S = 1.0


def idle_memory(server: Running, sessions: int) -> dict[str, float]:
    """MB of the server with ``sessions`` logged in: ``rss`` and ``pss`` over all its processes, ``half``: PSS half-way.

    RSS counts pages that processes share once for each; PSS divides them.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients: list[Client] = []
    started = time.perf_counter()
    try:
        _fill(clients, server, sessions // 2)
        half = server.memory()[1]
        _fill(clients, server, sessions)
        took = time.perf_counter() - started
        rss, pss = server.memory()
    finally:
        for client in clients:
            client.close()
    return {"sessions": sessions, "half": half, "rss": rss, "pss": pss, "logins_s": sessions / took}


def _fill(clients: list[Client], server: Running, sessions: int) -> None:
    while len(clients) < sessions:
        clients.append(Client("127.0.0.1", server.port, server.user, "bench"))
    time.sleep(_SETTLE_S)


def scaled(found: dict[str, float], sessions: int) -> float:
    """PSS in MB that ``sessions`` would need, in a straight line through the two points that were measured."""
    count = found["sessions"]
    return found["pss"] + (found["pss"] - found["half"]) / (count - count // 2) * (sessions - count)
