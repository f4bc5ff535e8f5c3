"""The passive data port: opened for one transfer, for one peer, then gone."""

from __future__ import annotations

import random
import socket

from logferry.errors import Later
from logferry.ftp.control import timeval
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
        self._socket = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _WATCH)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _WATCH)
            self._bind(host, ports)
            self._socket.listen(_BACKLOG)
        except BaseException:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]

    def _bind(self, host: str, ports: range | None) -> None:
        if ports is None:
            self._socket.bind((host, 0))
            return
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # In random order: a port that can be foretold can be stolen.
        for port in _dice.sample(ports, min(len(ports), _ATTEMPTS_MAX)):
            assert port >= FTP_PASSIVE_PORT_MIN
            try:
                self._socket.bind((host, port))
            except OSError:
                continue
            return
        raise Later(f"no passive port of {ports.start}-{ports.stop - 1} is free", hint="widen passive_ports")

    def fileno(self) -> int:
        return self._socket.fileno()

    def accept(self) -> socket.socket | None:
        """The peer's connection; None when there was none for FTP_WATCH_S. Anybody else's is closed at once."""
        try:
            # What ``accept`` does, without turning family and type into enumerations first, which costs as much again.
            descriptor, address = self._socket._accept()  # type: ignore[attr-defined]
        except BlockingIOError:
            return None
        connection = socket.socket(self._family, socket.SOCK_STREAM, 0, fileno=descriptor)
        if same_host(address[0]) != self._peer:
            connection.close()
            return None
        return connection

    def close(self) -> None:
        """Give the port back. May be called twice."""
        self._socket.close()
