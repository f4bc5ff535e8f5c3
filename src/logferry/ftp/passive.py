"""The passive data port: opened for one transfer, for one peer, then gone."""

from __future__ import annotations

import errno
import os
import random
import socket

from logferry.errors import Later
from logferry.ftp.control import timeval
from logferry.ftp.portable import KERNEL_TIMEOUTS
from logferry.limits import FTP_PASSIVE_PORT_MIN, FTP_WATCH_S

_BACKLOG = 4
_ATTEMPTS_MAX = 200
_WATCH = timeval(FTP_WATCH_S)
_dice = random.SystemRandom()


def same_host(address: str) -> str:
    """An address as it compares: IPv4 mapped into IPv6 and scope ids are taken off."""
    return address.removeprefix("::ffff:").partition("%")[0]


class PassivePort:
    """A listening socket that hands out one connection, and only to ``peer``.

    Time-outs are set on it in the kernel; connections it accepts inherit them, so a transfer of a small file needs no
    call for that.
    """

    __slots__ = ("_family", "_peer", "_socket", "port")

    def __init__(self, host: str, peer: str, ports: range | None) -> None:
        host = same_host(host)
        self._peer = same_host(peer)
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = self._listening(host, 0) if ports is None else self._of_range(host, ports)
        self.port: int = self._socket.getsockname()[1]

    def _listening(self, host: str, port: int) -> socket.socket:
        listener = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            if KERNEL_TIMEOUTS:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _WATCH)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _WATCH)
            else:
                listener.settimeout(FTP_WATCH_S)
            if port and os.name == "posix":
                # Elsewhere it would let another program take the very port.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            # Two sockets, in two processes or threads, may both be bound to a port; only one of them gets to listen.
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
        return listener

    def _of_range(self, host: str, ports: range) -> socket.socket:
        # In random order: a port that can be foretold can be stolen.
        for port in _dice.sample(ports, min(len(ports), _ATTEMPTS_MAX)):
            assert port >= FTP_PASSIVE_PORT_MIN
            try:
                return self._listening(host, port)
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
        raise Later(f"no passive port of {ports.start}-{ports.stop - 1} is free", hint="widen passive_ports")

    def fileno(self) -> int:
        return self._socket.fileno()

    def accept(self) -> socket.socket | None:
        """The peer's connection; None when there was none for FTP_WATCH_S. Anybody else's is closed at once."""
        try:
            # What ``accept`` does, without turning family and type into enumerations first, which costs as much again.
            descriptor, address = self._socket._accept()  # type: ignore[attr-defined]
        except (BlockingIOError, TimeoutError):
            return None
        connection = socket.socket(self._family, socket.SOCK_STREAM, 0, fileno=descriptor)
        if not KERNEL_TIMEOUTS:
            connection.settimeout(FTP_WATCH_S)
        if same_host(address[0]) != self._peer:
            connection.close()
            return None
        return connection

    def close(self) -> None:
        """Give the port back. May be called twice."""
        self._socket.close()
