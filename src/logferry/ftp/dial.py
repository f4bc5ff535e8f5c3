"""Connecting to a host: names resolved, every address tried, one deadline, and cut at once when told to."""

from __future__ import annotations

import errno
import ipaddress
import os
import queue
import socket
import threading
from typing import Any

from logferry.clock import Clock
from logferry.errors import TimedOut, Unreachable
from logferry.ftp.cut import Cutter
from logferry.ftp.waiting import wait
from logferry.limits import FTP_ABORT_POLL_S

Address = tuple[Any, ...]
"""What ``socket.connect`` takes."""


def dial(host: str, port: int, *, timeout_s: float, cutter: Cutter, clock: Clock) -> socket.socket:
    """A connected non-blocking TCP socket with TCP_NODELAY, adopted by ``cutter``.

    Raises:
        Unreachable: no address of ``host`` accepts connections, or there is no such name.
        TimedOut: ``timeout_s`` passed.
        Aborted: the cutter was used.
    """
    end = clock.monotonic_s() + timeout_s
    last: OSError | None = None
    for family, address in _resolve(host, port, end=end, cutter=cutter, clock=clock):
        left = end - clock.monotonic_s()
        if left <= 0:
            break
        try:
            sock = connect(family, address, timeout_s=left, cutter=cutter)
        except TimeoutError:
            break
        except OSError as error:
            last = error
            continue
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        keep_alive(sock)
        return sock
    if last is not None:
        raise Unreachable(f"cannot connect to {host}:{port}: {last.strerror or last}", hint="is the server running?")
    raise TimedOut(f"{host}:{port} did not answer within {timeout_s:g} s", hint="check address and firewall")


def connect(
    family: int, address: Address, *, timeout_s: float, cutter: Cutter, wait_for_it: bool = True
) -> socket.socket:
    """A non-blocking socket, connected or (unless ``wait_for_it``) connecting, adopted by ``cutter``.

    Raises OSError, TimeoutError, Aborted.
    """
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    cutter.adopt(sock)
    try:
        _connect(sock, address, timeout_s if wait_for_it else None)
        cutter.check()
    except BaseException as error:
        cutter.release(sock)
        sock.close()
        if isinstance(error, OSError):
            cutter.check()
        raise
    return sock


def _connect(sock: socket.socket, address: Address, timeout_s: float | None) -> None:
    code = sock.connect_ex(address)
    if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
        if timeout_s is None:
            return
        if not wait(write=[sock], timeout_s=timeout_s):
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def keep_alive(sock: socket.socket) -> None:
    """Let the kernel notice within about two minutes that the other machine is gone."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _resolve(host: str, port: int, *, end: float, cutter: Cutter, clock: Clock) -> list[tuple[int, Address]]:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _look_up(host, port, end=end, cutter=cutter, clock=clock)
    if address.version == 6:
        return [(socket.AF_INET6, (host, port, 0, 0))]
    return [(socket.AF_INET, (host, port))]


def _look_up(host: str, port: int, *, end: float, cutter: Cutter, clock: Clock) -> list[tuple[int, Address]]:
    """``getaddrinfo`` can neither time out nor be woken, so a thread of its own may be left waiting for it."""
    answer: queue.SimpleQueue[list[tuple[int, Address]] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.put([(family, address) for family, _, _, _, address in found])
        except (OSError, UnicodeError) as error:
            answer.put(error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error)))

    threading.Thread(target=ask, name="logferry-resolve", daemon=True).start()
    while True:
        cutter.check()
        try:
            found = answer.get(timeout=FTP_ABORT_POLL_S)
        except queue.Empty:
            if clock.monotonic_s() >= end:
                raise TimedOut(f"the name {host} could not be resolved in time", hint="check DNS") from None
            continue
        if isinstance(found, OSError):
            raise Unreachable(f"cannot resolve {host}: {found.strerror or found}", hint="check the host name")
        return found
