"""Who is told: a real HTTP receiver and a real SMTP server on the loopback, and certificates for them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from logferry.ftp import TlsIdentity


@dataclass
class Inbox:
    """What came, and what is answered: the next of ``answers``, else 204."""

    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    drip: bool = False
    drips_body: bool = False
    dripped: int = 0
    url: str = ""


@contextlib.contextmanager
def http_receiver(tls: TlsIdentity | None = None) -> Iterator[Inbox]:
    """An HTTP server that keeps what is posted to it."""
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            inbox.got.append((dict(self.headers.items()), body))
            if inbox.drip:
                with contextlib.suppress(OSError):
                    while True:
                        self.wfile.write(b"H")
                        time.sleep(0.05)
                return
            if inbox.drips_body:
                self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
                with contextlib.suppress(OSError):
                    while inbox.drips_body:
                        self.wfile.write(b"x")
                        inbox.dripped += 1
                        time.sleep(0.02)
                self.close_connection = True
                return
            status, headers, text = inbox.answers.pop(0) if inbox.answers else (204, {}, b"")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate_path, tls.key_path)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    inbox.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}/hook?key=s3cret"
    try:
        yield inbox
    finally:
        inbox.drip = inbox.drips_body = False
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def dripping(first: bytes) -> Iterator[int]:
    """A server that says ``first`` to whoever connects, then a byte now and then; its port."""
    over = threading.Event()

    def drip(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.sendall(first)
            while not over.wait(0.02):
                client.sendall(b"x")

    def accept(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, args=(server,), daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)


@dataclass
class Mailbox:
    """What came; ``refuse`` is answered to RCPT instead, if set."""

    got: list[Any] = field(default_factory=list)
    refuse: str = ""
    port: int = 0

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        envelope.was_encrypted = session.ssl is not None
        self.got.append(envelope)
        return "250 Message accepted for delivery"


class OnAnyPort(Controller):
    """On a free port; aiosmtpd looks at the one it was told."""

    def _trigger_server(self) -> None:
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def mail_server(tls: TlsIdentity | None = None, *, implicit: bool = False, password: str = "") -> Iterator[Mailbox]:
    """An SMTP server; with ``tls`` it takes mail over STARTTLS alone (``implicit``: TLS from the first byte)."""
    box = Mailbox()

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"logferry", password.encode())
        return AuthResult(success=right, handled=False)

    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate_path, tls.key_path)
    controller = OnAnyPort(
        box, hostname="127.0.0.1", port=0, ssl_context=context if implicit else None,
        tls_context=None if implicit else context, require_starttls=context is not None and not implicit,
        authenticator=check if password else None, auth_required=bool(password), auth_require_tls=context is not None,
    )  # fmt: skip
    controller.start()
    try:
        box.port = controller.port
        yield box
    finally:
        controller.stop(no_assert=True)


def certificate(folder: Path) -> TlsIdentity:
    """One for 127.0.0.1, which vouches for itself."""
    return TlsIdentity.ensure(str(folder), names=["127.0.0.1", "localhost"])
