"""A proxy that carries data connections too, and ends uploads on the way as networks and middleboxes do."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from logferry.ftp.waiting import readable

_FOR_EVER_S = 3600.0
_RESET = struct.pack("ii", 1, 0)
_EXTENDED = re.compile(rb"\(\|\|\|([0-9]+)\|\)")
_PASSIVE = re.compile(rb"\(([0-9]+),([0-9]+),([0-9]+),([0-9]+),([0-9]+),([0-9]+)\)")


@dataclass(frozen=True, slots=True)
class Cut:
    """After ``after`` bytes the server sees a reset, or an end like any other; the sender sees nothing of it."""

    after: int
    how: Literal["reset", "fin"]


class DataProxy:
    """Passes control and data connections on to ``target``.

    ``fate(number)`` says for the nth upload, counted from 0, what happens to it; None: nothing.
    """

    def __init__(self, target: tuple[str, int], fate: Callable[[int], Cut | None]) -> None:
        self._target = target
        self._fate = fate
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.uploads = 0
        self.cuts = 0
        self._listener = self._kept(socket.create_server(("127.0.0.1", 0)))
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._start(self._accept)

    def close(self) -> None:
        """End everything."""
        with self._lock:
            sockets, self._open = self._open, []
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def __enter__(self) -> DataProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _kept(self, sock: socket.socket) -> socket.socket:
        with self._lock:
            self._open.append(sock)
        return sock

    @staticmethod
    def _start(work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._kept(client)
                server = self._kept(socket.create_connection(self._target))
                self._start(self._pass, client, server)
                self._start(self._replies, server, client)

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(65536):
                sink.sendall(block)
            sink.shutdown(socket.SHUT_WR)

    def _replies(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError), server.makefile("rb") as lines:
            for line in lines:
                if line.startswith(b"229 ") and (found := _EXTENDED.search(line)):
                    line = b"229 ok (|||%d|)\r\n" % self._data_port(int(found[1]))
                elif line.startswith(b"227 ") and (found := _PASSIVE.search(line)):
                    port = self._data_port(int(found[5]) * 256 + int(found[6]))
                    line = b"227 ok (127,0,0,1,%d,%d)\r\n" % divmod(port, 256)
                client.sendall(line)
            client.shutdown(socket.SHUT_WR)

    def _data_port(self, server_port: int) -> int:
        listener = self._kept(socket.create_server(("127.0.0.1", 0)))
        self._start(self._data, listener, server_port)
        port: int = listener.getsockname()[1]
        return port

    def _data(self, listener: socket.socket, server_port: int) -> None:
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            listener.close()
            self._kept(client)
            server = self._kept(socket.create_connection((self._target[0], server_port)))
            # Nobody else may wait for the server's socket: it could not be reset then.
            if server.fileno() in readable(client.fileno(), server.fileno(), timeout_s=_FOR_EVER_S):
                self._pass(server, client)
            else:
                self._upload(client, server)

    def _upload(self, client: socket.socket, server: socket.socket) -> None:
        fate, passed = None, 0
        block = client.recv(65536)
        if block:
            with self._lock:
                number, self.uploads = self.uploads, self.uploads + 1
            fate = self._fate(number)
        while block:
            if fate is not None and passed + len(block) > fate.after:
                server.sendall(block[: fate.after - passed])
                self._cut(server, fate)
                while client.recv(65536):
                    pass
                return
            server.sendall(block)
            passed += len(block)
            block = client.recv(65536)
        server.shutdown(socket.SHUT_WR)

    def _cut(self, server: socket.socket, fate: Cut) -> None:
        self.cuts += 1
        if fate.how == "fin":
            server.shutdown(socket.SHUT_WR)
            return
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        server.close()
