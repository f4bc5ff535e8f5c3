"""A client that does no more than the protocol needs, so that the server is what is measured.

It reuses the TLS session on data connections and switches Nagle's algorithm off; every server gets the same one.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time

BLOCK_BYTES = 1 << 20
WAIT_S_MAX = 120.0


class Client:
    """A logged-in control connection; TYPE I, EPSV for each transfer.

    ``round_trip_s``: a proxy on this machine plays a far server, but answers a connect at once; then this waits.
    """

    def __init__(
        self, host: str, port: int, user: str, password: str, *, tls: bool = False, round_trip_s: float = 0.0
    ) -> None:
        self._host = host
        self._round_trip_s = round_trip_s
        self._socket = self._connected(port)
        self._tls: ssl.SSLSocket | None = None
        self._buffer = b""
        self.reused = 0
        """Data connections that resumed the control connection's TLS session."""
        self.reply()
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
            self.command("AUTH TLS")
            self._tls = self._context.wrap_socket(self._socket)
            self._socket = self._tls
        self.command(f"USER {user}")
        self.command(f"PASS {password}")
        if tls:
            self.command("PBSZ 0")
            self.command("PROT P")
        self.command("TYPE I")

    def reply(self) -> str:
        """The next reply's last line. Raises ConnectionError when it is a refusal."""
        while True:
            while b"\n" not in self._buffer:
                data = self._socket.recv(8192)
                if not data:
                    raise ConnectionError("the server hung up")
                self._buffer += data
            line, _, self._buffer = self._buffer.partition(b"\n")
            if line[3:4] == b" " and line[:3].isdigit():
                if line[:1] in b"45":
                    raise ConnectionError(line.decode())
                return line.decode()

    def command(self, text: str) -> str:
        """Send and wait for the reply."""
        self._socket.sendall(text.encode() + b"\r\n")
        return self.reply()

    def _connected(self, port: int) -> socket.socket:
        connection = socket.create_connection((self._host, port), WAIT_S_MAX)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._round_trip_s:
            time.sleep(self._round_trip_s)
        return connection

    def _connect(self, reply: str) -> socket.socket:
        return self._connected(int(reply.split("|")[3]))

    def _secure(self, data: socket.socket) -> socket.socket:
        if self._tls is None:
            return data
        secured = self._context.wrap_socket(data, session=self._tls.session)
        self.reused += bool(secured.session_reused)
        return secured

    def store(self, name: str, content: bytes) -> None:
        """EPSV, STOR, data, 226."""
        data = self._connect(self.command("EPSV"))
        self.command(f"STOR {name}")
        data = self._secure(data)
        data.sendall(content)
        _end(data)
        self.reply()

    def store_ahead(self, names: list[str], content: bytes) -> None:
        """The same with commands sent ahead: STOR, data and the next EPSV before any reply is read."""
        reply = self.command("EPSV")
        for name in names:
            data = self._connect(reply)
            self._socket.sendall(f"STOR {name}\r\nEPSV\r\n".encode())
            data = self._secure(data)
            data.sendall(content)
            _end(data)
            self.reply()
            self.reply()
            reply = self.reply()

    def store_file(self, name: str, descriptor: int, count: int) -> None:
        """STOR of ``count`` bytes of a file: by ``sendfile`` when plain, in 1 MiB writes over TLS."""
        data = self._connect(self.command("EPSV"))
        self.command(f"STOR {name}")
        data = self._secure(data)
        data.settimeout(None)
        sent = 0
        if isinstance(data, ssl.SSLSocket):
            while sent < count:
                block = os.pread(descriptor, min(BLOCK_BYTES, count - sent), sent)
                data.sendall(block)
                sent += len(block)
        else:
            while sent < count:
                sent += os.sendfile(data.fileno(), descriptor, sent, count - sent)
        _end(data)
        self.reply()

    def fetch(self, name: str) -> int:
        """RETR; the count of bytes. Plain ones are counted and dropped in the kernel: the client costs little."""
        data = self._connect(self.command("EPSV"))
        self.command(f"RETR {name}")
        data = self._secure(data)
        data.settimeout(None)
        buffer = bytearray(BLOCK_BYTES)
        count = 0
        flags = 0 if isinstance(data, ssl.SSLSocket) else socket.MSG_TRUNC
        while got := data.recv_into(buffer, BLOCK_BYTES, flags):
            count += got
        data.close()
        self.reply()
        return count

    def size(self, name: str) -> int:
        """SIZE."""
        return int(self.command(f"SIZE {name}").split()[1])

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def _end(data: socket.socket) -> None:
    """End an upload: over TLS with close_notify, and without waiting for the server's."""
    if isinstance(data, ssl.SSLSocket):
        data.settimeout(WAIT_S_MAX)
        # It may close without one of its own; its reply says how the upload went.
        with contextlib.suppress(OSError, ValueError):
            data.unwrap()
    data.close()
