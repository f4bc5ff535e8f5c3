"""A small FTP server that does wrong what it is told to do wrong. Files are in memory."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from logferry.ftp import FtpClient

RESET = struct.pack("ii", 1, 0)


class Hangup(Exception):
    """Raised by a fault: close the control connection without a word."""


@dataclass
class Faults:
    """What goes wrong. ``replies`` overrides the reply to a verb; a ``once`` entry is used up by its first use."""

    greeting: bytes = b"220 ready\r\n"
    features: tuple[str, ...] = ("EPSV", "MDTM", "REST STREAM", "SIZE", "UTF8")
    replies: dict[str, bytes] = field(default_factory=dict)
    once: dict[str, bytes] = field(default_factory=dict)
    verdicts: list[str] = field(default_factory=list)
    """For each transfer in turn: ``ok``, ``lost`` (stored or half sent, then hung up before 226), ``reset`` (half read
    or sent, 426), ``oops`` (half read, 500), ``full`` (half read, 452, data left open), ``early`` (226 before a byte
    was read), ``stuck`` (never read), ``short`` (half sent, 226)."""
    foreign_pasv: bool = False
    listings: dict[str, list[str]] = field(default_factory=dict)
    """Folder -> lines of facts and names that MLSD sends; announce MLST with it. Such folders exist."""
    digest: bytes = b""
    """What HASH answers instead of the truth; announce HASH with it."""
    stored: bytes = b"226 stored\r\n"
    """The reply to an upload that went well."""


class FaultyServer:
    """Listens on 127.0.0.1, a thread per session. ``commands``: everything ever received; ``files``: what is stored."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.files: dict[str, bytes] = {}
        self.commands: list[str] = []
        self.sessions = 0
        self.freed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.freed.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in self._sockets:
            sock.close()

    def client(self, **more: Any) -> FtpClient:
        """A client for it."""
        settings: dict[str, Any] = {"user": "ann", "password": "secret", "tls": "off", "timeout_s": 5.0}
        return FtpClient("127.0.0.1", self.port, **(settings | more))

    def verbs(self) -> list[str]:
        """The verbs received, in order."""
        return [command.partition(" ")[0] for command in self.commands]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.sessions += 1
                self._sockets.append(sock)
                thread = threading.Thread(target=_Session(self, sock).run)
                self._threads.append(thread)
                thread.start()

    def keep(self, sock: socket.socket) -> socket.socket:
        """Close ``sock`` at the end."""
        self._sockets.append(sock)
        return sock


class _Session:
    def __init__(self, server: FaultyServer, sock: socket.socket) -> None:
        self._server = server
        self._faults = server.faults
        self._sock = sock
        self._rest = 0
        self._renamed = ""
        self._listener: socket.socket | None = None
        self._verbs: dict[str, Callable[[str], bytes]] = {
            "FEAT": self._feat,
            "EPSV": self._epsv,
            "PASV": self._pasv,
            "REST": self._set_rest,
            "STOR": self._stor,
            "RETR": self._retr,
            "SIZE": self._size,
            "RNFR": self._rnfr,
            "RNTO": self._rnto,
            "MLSD": self._mlsd,
            "MLST": self._mlst,
            "HASH": self._hash,
        }

    def run(self) -> None:
        with contextlib.suppress(OSError, Hangup):
            self._sock.sendall(self._faults.greeting)
            for line in self._sock.makefile("rb"):
                command = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
                self._server.commands.append(command)
                verb, _, argument = command.partition(" ")
                self._sock.sendall(self._answer(verb, argument))
                if verb == "QUIT":
                    break
        self._sock.close()

    def _answer(self, verb: str, argument: str) -> bytes:
        forced = self._faults.once.pop(verb, None) or self._faults.replies.get(verb)
        if forced is not None:
            if forced == b"hang up":
                raise Hangup
            return forced
        simple = {"USER": b"331 password\r\n", "PASS": b"230 in\r\n", "MDTM": b"550 no\r\n", "MKD": b"257 made\r\n"}
        work = self._verbs.get(verb)
        return work(argument) if work else simple.get(verb, b"200 ok\r\n")

    def _feat(self, _: str) -> bytes:
        return "".join(
            ["211-Features\r\n", *(f" {name}\r\n" for name in self._faults.features), "211 End\r\n"]
        ).encode()

    def _listen(self) -> int:
        self._listener = self._server.keep(socket.create_server(("127.0.0.1", 0)))
        port: int = self._listener.getsockname()[1]
        return port

    def _epsv(self, _: str) -> bytes:
        return f"229 ok (|||{self._listen()}|)\r\n".encode()

    def _pasv(self, _: str) -> bytes:
        port = self._listen()
        host = "192,0,2,1" if self._faults.foreign_pasv else "127,0,0,1"
        return f"227 ok ({host},{port >> 8},{port & 255})\r\n".encode()

    def _set_rest(self, argument: str) -> bytes:
        self._rest = int(argument)
        return b"350 ok\r\n"

    def _data(self) -> socket.socket:
        assert self._listener is not None
        sock, _ = self._listener.accept()
        return self._server.keep(sock)

    def _stor(self, path: str) -> bytes:
        verdict = self._faults.verdicts.pop(0) if self._faults.verdicts else "ok"
        rest, self._rest = self._rest, 0
        self._sock.sendall(b"150 go\r\n")
        data = self._data()
        if verdict == "early":
            return b"226 stored\r\n"
        if verdict == "stuck":
            self._server.freed.wait()
            raise Hangup
        if verdict in ("reset", "full", "oops"):
            part = data.recv(1000)
            self._server.files[path] = self._server.files.get(path, b"")[:rest] + part
            if verdict == "full":
                return b"452 disk full\r\n"
            data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            data.close()
            return b"500 OOPS: a part of the server died\r\n" if verdict == "oops" else b"426 cut\r\n"
        blocks = []
        try:
            while block := data.recv(65536):
                blocks.append(block)
        except ConnectionError:
            return b"426 cut\r\n"
        data.close()
        before = self._server.files.get(path, b"")
        new = b"".join(blocks)
        self._server.files[path] = before[:rest] + new + before[rest + len(new) :] if rest else new
        if verdict == "lost":
            raise Hangup
        return self._faults.stored

    def _retr(self, path: str) -> bytes:
        if path not in self._server.files:
            return b"550 No such file\r\n"
        rest, self._rest = self._rest, 0
        verdict = self._faults.verdicts.pop(0) if self._faults.verdicts else "ok"
        self._sock.sendall(b"150 go\r\n")
        data = self._data()
        content = self._server.files[path][rest:]
        if verdict == "reset":
            data.sendall(content[: len(content) // 2])
            data.close()
            return b"426 cut\r\n"
        if verdict == "short":
            data.sendall(content[: len(content) // 2])
        elif verdict == "lost":
            data.sendall(content[: len(content) // 2])
            data.close()
            raise Hangup
        else:
            data.sendall(content)
        data.close()
        return b"226 sent\r\n"

    def _mlsd(self, path: str) -> bytes:
        if path not in self._faults.listings:
            return b"550 No such folder\r\n"
        self._sock.sendall(b"150 go\r\n")
        data = self._data()
        data.sendall("".join(f"{line}\r\n" for line in self._faults.listings[path]).encode("utf-8", "surrogateescape"))
        data.close()
        return b"226 listed\r\n"

    def _mlst(self, path: str) -> bytes:
        facts = "type=dir;" if path in self._faults.listings else "type=file;" if path in self._server.files else ""
        return f"250-it\r\n {facts} {path}\r\n250 End\r\n".encode() if facts else b"550 No such thing\r\n"

    def _hash(self, path: str) -> bytes:
        if self._faults.digest:
            return self._faults.digest
        content = self._server.files.get(path)
        if content is None:
            return b"550 No such file\r\n"
        return f"213 SHA-256 0-{len(content)} {hashlib.sha256(content).hexdigest()} {path}\r\n".encode()

    def _size(self, path: str) -> bytes:
        content = self._server.files.get(path)
        return b"550 No such file\r\n" if content is None else f"213 {len(content)}\r\n".encode()

    def _rnfr(self, path: str) -> bytes:
        self._renamed = path
        return b"350 where to?\r\n" if path in self._server.files else b"550 No such file\r\n"

    def _rnto(self, path: str) -> bytes:
        self._server.files[path] = self._server.files.pop(self._renamed)
        return b"250 renamed\r\n"
