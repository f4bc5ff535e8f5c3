"""The open sockets of one client, and the means to cut them all from another thread."""

from __future__ import annotations

import contextlib
import socket
import threading

from logferry.clock import Clock
from logferry.errors import Later
from logferry.limits import FTP_ABORT_POLL_S


class Aborted(Later):
    """The client's ``abort()`` ended this call. Start over with a new client when wanted."""


class Cutter:
    """Knows every socket that somebody may be blocked on. Once cut, it stays cut: later sockets are refused."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._cut = threading.Event()

    @property
    def is_cut(self) -> bool:
        return self._cut.is_set()

    def check(self) -> None:
        """Raise Aborted once cut."""
        if self._cut.is_set():
            raise Aborted("the transfer was stopped by abort()")

    def adopt(self, sock: socket.socket) -> None:
        """Remember ``sock``. Raises Aborted (and closes it) once cut."""
        with self._lock:
            if not self._cut.is_set():
                self._sockets.add(sock)
                return
        sock.close()
        self.check()

    def release(self, sock: socket.socket) -> None:
        """Forget ``sock``; to be called before it is closed."""
        with self._lock:
            self._sockets.discard(sock)

    def replace(self, old: socket.socket, new: socket.socket) -> None:
        """``new`` (a TLS wrapper) has taken the place of ``old``."""
        self.release(old)
        self.adopt(new)

    def cut_all(self) -> None:
        """Shut every socket down in both directions, so that whoever waits on one wakes up."""
        with self._lock:
            self._cut.set()
            for sock in self._sockets:
                # The plain method: the one of a TLS socket would take its state away under the other thread's feet.
                with contextlib.suppress(OSError):  # not connected yet, or gone already: nobody is waiting on it
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def sleep(self, clock: Clock, seconds: float) -> None:
        """Sleep on ``clock``, looking up now and then. Raises Aborted once cut."""
        end = clock.monotonic_s() + seconds
        while (left := end - clock.monotonic_s()) > 0:
            self.check()
            clock.sleep(min(left, FTP_ABORT_POLL_S))
        self.check()
