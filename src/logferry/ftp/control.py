"""The control connection's socket: blocking, with time-outs, plain or TLS.

A plain socket blocks in the kernel with SO_RCVTIMEO, which costs one system call per read; Python's own time-outs
cost two. TLS needs Python's, since a read may have to be tried again inside.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import struct
import time

from logferry.ftp.portable import KERNEL_TIMEOUTS, is_cut_end
from logferry.ftp.tls import Mark, session_mark
from logferry.limits import FTP_LINGER_S, FTP_REPLY_S_MAX

_READ_BYTES = 8192


def timeval(seconds: float) -> bytes:
    """A ``struct timeval`` for SO_RCVTIMEO and SO_SNDTIMEO."""
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))


def shut_down(connection: socket.socket) -> None:
    """End ``connection`` from another thread: whoever reads or writes it now fails.

    Below TLS: the method of a TLS socket would take its state away under the other thread's feet, which would then
    read raw records as if they were content, and write in clear.
    """
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Control:
    """One control connection, used by one thread at a time."""

    __slots__ = ("_socket", "_tls", "mark")

    def __init__(self, accepted: socket.socket) -> None:
        self._socket = accepted
        self._tls: ssl.SSLSocket | None = None
        self.mark: Mark | None = None
        """By what its TLS session is known, once the handshake is done."""
        accepted.setblocking(True)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # Clients send the DM after "IAC IP" as urgent data; it must not stay behind when ABOR comes.
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        if KERNEL_TIMEOUTS:
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(FTP_LINGER_S))
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval(FTP_REPLY_S_MAX))

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self, *, wait: bool) -> bytes | None:
        """What has arrived; ``b""`` at the end of the connection; None when nothing came.

        With ``wait`` it waits FTP_LINGER_S for something to come.

        Raises:
            OSError: the connection broke.
        """
        if self._tls is not None:
            return self._receive_by_timeout(self._tls, wait)
        if not KERNEL_TIMEOUTS:
            return self._receive_by_timeout(self._socket, wait)
        try:
            return self._socket.recv(_READ_BYTES, 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None

    def _receive_by_timeout(self, connection: socket.socket, wait: bool) -> bytes | None:
        # The time-out is FTP_LINGER_S at all other times: changing it costs a system call.
        if not wait:
            connection.settimeout(0.0)
        elif not KERNEL_TIMEOUTS:
            connection.settimeout(FTP_LINGER_S)
        try:
            return connection.recv(_READ_BYTES)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except ssl.SSLError as error:
            if is_cut_end(error):  # of commands, which tells nothing more than an end
                return b""
            raise
        finally:
            if not wait:
                connection.settimeout(FTP_LINGER_S)

    @property
    def holds_input(self) -> bool:
        """Whether something has arrived that the kernel does not know of any more: nobody would wake us for it."""
        return self._tls is not None and self._tls.pending() > 0

    def send(self, data: bytes, *, wait: bool = True) -> None:
        """Send all of ``data``; without ``wait`` only if the kernel takes it at once.

        Raises:
            OSError: the connection broke, or the client reads nothing.
        """
        if not wait:
            self._send_at_once(data)
        elif self._tls is None:
            if not KERNEL_TIMEOUTS:
                self._socket.settimeout(FTP_REPLY_S_MAX)
            self._socket.sendall(data)
        else:
            _send_tls(self._tls, data)

    def _send_at_once(self, data: bytes) -> None:
        if self._tls is None:
            if not KERNEL_TIMEOUTS:
                self._socket.settimeout(0.0)
            if self._socket.send(data, getattr(socket, "MSG_DONTWAIT", 0)) < len(data):
                raise BlockingIOError(errno.EAGAIN, "the client reads nothing")
            return
        self._tls.settimeout(0.0)
        try:
            left = memoryview(data)
            while left:
                left = left[self._tls.send(left) :]
        finally:
            self._tls.settimeout(FTP_LINGER_S)

    def begin_tls(self, context: ssl.SSLContext) -> None:
        """From here on TLS; ``handshake`` has to follow."""
        self._tls = context.wrap_socket(
            self._socket, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        self._socket = self._tls

    def handshake(self, *, wait_s: float) -> bool:
        """Go on with the handshake for at most ``wait_s``; whether it is done.

        Raises:
            OSError: it failed (ssl.SSLError is one).
        """
        assert self._tls is not None
        self._tls.settimeout(wait_s)
        try:
            self._tls.do_handshake()
        except (TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        self._tls.settimeout(FTP_LINGER_S)
        self.mark = session_mark(self._tls)
        return True

    def cut(self) -> None:
        """End the connection from another thread: whoever reads or writes it now fails."""
        shut_down(self._socket)

    def close(self) -> None:
        """Close it, politely when that costs no time."""
        if self._tls is not None:
            with contextlib.suppress(OSError, ValueError):
                self._tls.settimeout(0.0)
                self._tls.unwrap()
        self._socket.close()


def _send_tls(tls: ssl.SSLSocket, data: bytes) -> None:
    """Send all, in turns as long as the time-out that reading wants."""
    left = memoryview(data)
    until = 0.0
    while left:
        try:
            left = left[tls.send(left) :]
        except TimeoutError:
            now = time.monotonic()
            until = until or now + FTP_REPLY_S_MAX
            if now > until:
                raise
