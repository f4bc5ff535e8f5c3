"""A proxy between browser and server that cuts every connection when it is told to."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit


class Cutter:
    """Passes bytes both ways; ``cut`` resets all connections there are, ``down`` refuses new ones until ``up``."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (str(parts.hostname), int(parts.port or 80))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._is_down = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def base(self) -> str:
        """Where browsers find it."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self, *, down: bool = False) -> None:
        """Reset everything; ``down``: whoever comes next is reset too."""
        with self._lock:
            self._is_down = down
            ends, self._open = self._open, set()
        for end in ends:
            _reset(end)

    def up(self) -> None:
        """Let people in again."""
        self._is_down = False

    def close(self) -> None:
        """No more."""
        self._listener.close()
        self.cut(down=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_down:
                _reset(client)
                continue
            server = socket.create_connection(self._target)
            with self._lock:
                self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextlib.contextmanager
def cutting(target: str) -> Iterator[Cutter]:
    """A cutter in front of a server."""
    cutter = Cutter(target)
    try:
        yield cutter
    finally:
        cutter.close()
