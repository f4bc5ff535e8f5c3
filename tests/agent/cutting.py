"""A proxy between agent and FTP server that breaks connections at chosen moments."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

_RESET = struct.pack("ii", 1, 0)

Judge = Callable[[bytes, bytes], bool]
"""``judge(last command line, reply)``: whether to cut instead of passing the reply on."""


class CuttingProxy:
    """Passes control connections on to ``target``; the data connections go straight to the server.

    ``cut`` decides for every reply. When it says so, the reply is swallowed and both sides are reset: exactly what a
    lost network does after the server has done its work.
    """

    def __init__(self, target: tuple[str, int], cut: Judge) -> None:
        self._target = target
        self.cut = cut
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Accept nobody any more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            pair = _Pair(self, client, server)
            threading.Thread(target=pair.upwards, daemon=True).start()
            threading.Thread(target=pair.downwards, daemon=True).start()


class _Pair:
    def __init__(self, proxy: CuttingProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._commands: list[bytes] = []

    def upwards(self) -> None:
        try:
            with self._client.makefile("rb") as lines:
                for line in lines:
                    self._commands.append(line.strip())
                    self._server.sendall(line)
        except OSError:
            pass
        finally:
            self._end()

    def downwards(self) -> None:
        try:
            with self._server.makefile("rb") as lines:
                for line in lines:
                    final = line[3:4] == b" " and line[:3].isdigit()
                    command = self._commands[0] if self._commands else b""
                    if final and not line.startswith(b"1") and self._commands:
                        self._commands.pop(0)
                    if final and self._proxy.cut(command, line):
                        self._proxy.cuts += 1
                        return
                    self._client.sendall(line)
        except OSError:
            pass
        finally:
            self._end()

    def _end(self) -> None:
        for sock in (self._client, self._server):
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                sock.shutdown(socket.SHUT_RDWR)
                sock.close()
            except OSError:
                continue
