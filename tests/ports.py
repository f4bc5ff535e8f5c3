"""Ports for servers that are to come back at the same address."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_FIRST, _LAST = 10_000, 32_767
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses at this moment.

    None of those that the system gives to connections by itself: while a server is away, somebody's connection could
    get its port, and it could not come back.
    """
    last = min(_LAST, int(_RANGE.read_text().split()[0]) - 1) if _RANGE.exists() else _LAST
    for port in random.SystemRandom().sample(range(_FIRST, max(last, _FIRST + 1000)), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("none of 200 ports is free")
