"""Waiting for sockets, with a deadline, on every platform."""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence

_HAS_POLL = hasattr(select, "poll")


def wait(*, read: Sequence[socket.socket] = (), write: Sequence[socket.socket] = (), timeout_s: float) -> list[int]:
    """Descriptors that are ready or broken; none after ``timeout_s`` seconds."""
    if not _HAS_POLL:
        ready = select.select(read, write, read, max(0.0, timeout_s))
        return [sock.fileno() for found in ready for sock in found]
    poll = select.poll()
    for sock in write:
        poll.register(sock, select.POLLOUT | (select.POLLIN if sock in read else 0))
    for sock in read:
        if sock not in write:
            poll.register(sock, select.POLLIN)
    return [fd for fd, _ in poll.poll(max(0.0, timeout_s) * 1000)]


def readable(*descriptors: int, timeout_s: float) -> list[int]:
    """Those of ``descriptors`` that bring something, or an end; none after ``timeout_s`` seconds."""
    if not _HAS_POLL:
        return select.select(descriptors, (), (), timeout_s)[0]
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [fd for fd, _ in poll.poll(timeout_s * 1000)]
