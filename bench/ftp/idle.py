"""What sessions cost that are logged in and do nothing."""

from __future__ import annotations

import resource
import time

from bench.ftp.client import Client
from bench.ftp.servers import Running

_SETTLE_S = 1.0


def idle_memory(server: Running, sessions: int) -> dict[str, float]:
    """MB of the server with ``sessions`` logged in: ``rss`` and ``pss`` over all its processes, and ``base`` before.

    RSS counts pages that processes share once for each; PSS divides them.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    base = server.memory()[1]
    clients: list[Client] = []
    started = time.perf_counter()
    try:
        while len(clients) < sessions:
            clients.append(Client("127.0.0.1", server.port, server.user, "bench"))
        took = time.perf_counter() - started
        time.sleep(_SETTLE_S)
        rss, pss = server.memory()
    finally:
        for client in clients:
            client.close()
    return {"sessions": sessions, "base": base, "rss": rss, "pss": pss, "logins_s": sessions / took}


def scaled(found: dict[str, float], sessions: int) -> float:
    """PSS in MB that ``sessions`` would need, in a straight line from those measured."""
    return found["base"] + (found["pss"] - found["base"]) / found["sessions"] * sessions
