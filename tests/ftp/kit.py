"""A running server for tests, and a raw client that does exactly what it is told."""

from __future__ import annotations

import queue
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from logferry.ftp import Event, FtpServer, MemoryUsers, ServerLimits, TlsIdentity, User, hash_password

WAIT_S = 20.0
SECRET = hash_password("secret", light=True)
EventKind = TypeVar("EventKind", bound=Event)


def until(true: Callable[[], bool], what: str) -> None:
    """Wait until ``true()``; fail with ``what`` after a while."""
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.005)


class Serving:
    """A server on ``home``, user ``ann`` (password ``secret``), and the events it told."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.users: MemoryUsers = settings.pop("users", None) or MemoryUsers()
        self.users.add(User("ann", str(self.home), password_hash=SECRET))
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.seen: list[Event] = []
        self.server_tls = settings.setdefault("tls", "off") != "off"
        """Whether it speaks TLS."""
        if self.server_tls:
            settings["identity"] = TlsIdentity.ensure(str(folder / "identity"))
        settings.setdefault("limits", ServerLimits(login_delay_s=0.0))
        # Tests do things that honest clients do not; those about the defender pass their own.
        settings.setdefault("defender", None)
        self.server = FtpServer(("127.0.0.1", 0), users=self.users, on_event=self._events.put, **settings)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.address[1]

    def event(self, kind: type[EventKind]) -> EventKind:
        """The next event of that kind; others are passed over."""
        end = time.monotonic() + WAIT_S
        while True:
            event = self._events.get(timeout=max(end - time.monotonic(), 0.01))
            self.seen.append(event)
            if isinstance(event, kind):
                return event

    def client(self, *, login: bool = True, tls: bool = False) -> RawClient:
        """A new connection."""
        client = RawClient(self.port)
        try:
            if tls:
                client.secure()
            if login:
                client.login()
        except BaseException:
            client.close()
            raise
        return client

    def partials(self) -> list[Path]:
        """Hidden files of interrupted uploads."""
        return sorted(self.home.rglob(".~up-*"))


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Serving]:
    """A started ``Serving``; the server's threads are gone afterwards."""
    made = Serving(folder, **settings)
    before = _threads()
    with made.server:
        yield made
    until(lambda: _threads() <= before, "threads are left over")


def _threads() -> int:
    """Threads alive, but for those that check passwords: these serve the whole process and stay."""
    return sum(not thread.name.startswith("logferry-passwords") for thread in threading.enumerate())


def trusting_context() -> ssl.SSLContext:
    """A client context that believes everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class RawClient:
    """A control connection: lines out, reply lines in, nothing clever."""

    def __init__(self, port: int, *, host: str = "127.0.0.1") -> None:
        self._host = host
        self.socket: socket.socket = socket.create_connection((host, port), timeout=WAIT_S)
        self.context = trusting_context()
        self._buffer = b""
        self._private = False
        try:
            self.greeting = self.reply()
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *lines: str) -> None:
        """Send lines in one packet."""
        self.socket.sendall("".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape"))

    def reply(self) -> str:
        """The next reply, all its lines; empty when the server has closed the connection."""
        lines: list[str] = []
        while True:
            while b"\r\n" not in self._buffer:
                try:
                    data = self.socket.recv(65536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    return ""
                self._buffer += data
            raw, _, self._buffer = self._buffer.partition(b"\r\n")
            lines.append(raw.decode("utf-8", "surrogateescape"))
            if lines[-1][:3].isdigit() and lines[-1][3:4] == " ":
                return "\n".join(lines)

    def code(self) -> str:
        """The code of the next reply."""
        return self.reply()[:3]

    def command(self, line: str) -> str:
        """Send one line, return its reply."""
        self.send(line)
        return self.reply()

    def login(self, name: str = "ann", password: str = "secret") -> None:
        """USER and PASS, which must be right."""
        self.command(f"USER {name}")
        reply = self.command(f"PASS {password}")
        assert reply.startswith("230"), reply

    def secure(self) -> None:
        """AUTH TLS, PBSZ 0, PROT P."""
        assert self.command("AUTH TLS").startswith("234")
        self.socket = self.context.wrap_socket(self.socket)
        assert self.command("PBSZ 0").startswith("200")
        assert self.command("PROT P").startswith("200")
        self._private = True

    def port(self) -> int:
        """EPSV, the port it gives."""
        reply = self.command("EPSV")
        assert reply.startswith("229"), reply
        return int(reply.split("|")[3])

    def data(self, line: str, *, reuse: bool = True) -> socket.socket:
        """EPSV, the data connection, then ``line``, whose 150 is read; TLS when the session is private."""
        connection = socket.create_connection((self._host, self.port()), timeout=WAIT_S)
        try:
            reply = self.command(line)
            assert reply.startswith("150"), reply
        except BaseException:
            connection.close()
            raise
        if self._private:
            assert isinstance(self.socket, ssl.SSLSocket)
            session = self.socket.session if reuse else None
            try:
                return self.context.wrap_socket(connection, session=session, suppress_ragged_eofs=False)
            except OSError:
                connection.close()
                raise
        return connection

    def upload(self, line: str, content: bytes) -> str:
        """A whole upload; the last reply."""
        connection = self.data(line)
        try:
            connection.sendall(content)
            finish(connection)
        except BaseException:
            connection.close()
            raise
        return self.reply()

    def download(self, line: str) -> bytes:
        """A whole download or listing."""
        connection = self.data(line)
        content = bytearray()  # grows in place: with bytes, each piece would copy all that is there
        while piece := connection.recv(65536):
            content += piece
        finish(connection)
        reply = self.reply()
        assert reply.startswith("226"), reply
        return bytes(content)

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


def finish(connection: socket.socket) -> None:
    """End a data connection well."""
    if isinstance(connection, ssl.SSLSocket):
        connection = connection.unwrap()
    connection.close()


def reset(connection: socket.socket) -> None:
    """End a connection with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
