"""Active mode: the server connects to the client (PORT, EPRT)."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable

from logferry.ftp.control import timeval
from logferry.ftp.passive import same_host
from logferry.ftp.portable import KERNEL_TIMEOUTS
from logferry.ftp.protocol.active_reader import Target
from logferry.ftp.transfers import Interrupted
from logferry.ftp.waiting import wait
from logferry.limits import FTP_WATCH_S


def connect(
    target: Target, *, local: str, source_port: int, timeout_s: float, glance: Callable[[], None]
) -> socket.socket:
    """A connection to ``target`` from the address ``local``, on which the client spoke to us.

    ``source_port`` 0 takes any; firewalls of old may want 20, which only root may use. ``glance`` is called while
    waiting and may raise.

    Raises:
        Interrupted: 425, it could not be made in time.
    """
    family = socket.AF_INET6 if ":" in target.host else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        # As a passive connection has it: the kernel's time-outs (see ``transfers``).
        if KERNEL_TIMEOUTS:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(FTP_WATCH_S))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval(FTP_WATCH_S))
        if source_port:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.bind((same_host(local), source_port))
        connection.setblocking(False)
        _await(connection, target, time.monotonic() + timeout_s, glance)
        connection.settimeout(None if KERNEL_TIMEOUTS else FTP_WATCH_S)
    except OSError as error:
        connection.close()
        raise Interrupted(425, f"Cannot connect to you: {error.strerror or error}.") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _await(connection: socket.socket, target: Target, until: float, glance: Callable[[], None]) -> None:
    code = connection.connect_ex(target)
    if code not in (0, errno.EINPROGRESS):
        raise OSError(code, os.strerror(code))
    while not wait(write=[connection], timeout_s=FTP_WATCH_S):
        if time.monotonic() > until:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        glance()
    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
