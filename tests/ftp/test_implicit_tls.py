"""Implicit TLS: TLS from the first byte on; server, raw clients and our own client."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

import pytest

from logferry.errors import Unreachable
from logferry.ftp import FtpClient, ServerLimits, SessionEnded, TlsIdentity
from tests.ftp.kit import RawClient, finish, serving, trusting_context, until

CONTENT = b"0123456789" * 100_000


class ImplicitClient(RawClient):
    """A raw client that begins with the handshake."""

    def __init__(self, port: int, version: ssl.TLSVersion) -> None:
        context = trusting_context()
        context.minimum_version = context.maximum_version = version
        plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._host = "127.0.0.1"
        self.socket = context.wrap_socket(plain)
        self.context = context
        self._buffer = b""
        self._private = True
        self.greeting = self.reply()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_greeting_login_and_transfers_are_protected(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Data connections too, with neither AUTH nor PBSZ nor PROT, and they resume the session."""
    with serving(tmp_path, tls="implicit") as at, ImplicitClient(at.port, version) as client:
        assert client.greeting.startswith("220")
        client.login()
        assert client.upload("STOR f", CONTENT).startswith("226")
        assert client.download("RETR f") == CONTENT
        assert client.command("AUTH TLS").startswith("503")
        assert client.command("PBSZ 0").startswith("200")
        assert client.command("PROT C").startswith("534")
        assert client.command("PROT P").startswith("200")
        features = client.command("FEAT")
        assert " PROT\n" in features
        assert "AUTH" not in features
        data = client.data("RETR f", reuse=False)
        assert client.code() == "522"
        data.close()
        client.command("USER ann")
        client.command("PASS secret")
        assert client.download("RETR f") == CONTENT, "logging in again changes nothing about TLS"


def test_plain_text_gets_no_word(tmp_path: Path) -> None:
    """Nothing is told before the handshake, and what is no handshake ends the connection."""
    with serving(tmp_path, tls="implicit") as at:
        with socket.create_connection(("127.0.0.1", at.port), timeout=20) as plain:
            plain.settimeout(0.3)
            with pytest.raises(TimeoutError):
                plain.recv(1)
            plain.settimeout(20)
            plain.sendall(b"USER ann\r\nPASS secret\r\n")
            answer = b"".join(iter(lambda: _receive(plain), b""))
        assert b"220" not in answer
        assert b"331" not in answer
        assert "TLS handshake failed" in at.event(SessionEnded).reason


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


def test_a_client_that_never_shakes_hands_is_let_go(tmp_path: Path) -> None:
    """In the time a login may take, and it keeps no thread."""
    with serving(tmp_path, tls="implicit", limits=ServerLimits(login_s=0.5)) as at:
        with socket.create_connection(("127.0.0.1", at.port), timeout=20) as silent:
            assert silent.recv(100) == b""
        until(lambda: at.server.sessions() == [], "the session stays")
        assert at.event(SessionEnded).reason == "no login in time"


def test_our_client_speaks_it(tmp_path: Path) -> None:
    """Pin checked, upload, listing and download; a wrong pin sends no password."""
    with serving(tmp_path, tls="implicit") as at:
        pin = TlsIdentity.ensure(str(tmp_path / "identity")).pin
        source, back = tmp_path / "source", tmp_path / "back"
        source.write_bytes(CONTENT)
        with FtpClient("127.0.0.1", at.port, user="ann", password="secret", tls="implicit", pins=(pin,)) as client:
            assert client.encrypted
            client.upload(str(source), "/f")
            assert [entry.name for entry in client.entries("/")] == ["f"]
            client.download("/f", str(back))
        assert back.read_bytes() == CONTENT


def test_our_client_against_a_server_that_speaks_first(tmp_path: Path) -> None:
    """Implicit TLS where the server is plain: an error that names TLS, no password sent."""
    with serving(tmp_path, tls="off") as at:
        pins = (f"sha256/{'0' * 64}",)
        client = FtpClient("127.0.0.1", at.port, user="ann", password="secret", tls="implicit", pins=pins)
        with pytest.raises(Unreachable, match="TLS"):
            client.connect()


def _data_first(client: RawClient) -> socket.socket:
    return socket.create_connection(("127.0.0.1", client.port()), timeout=20)


@pytest.mark.parametrize("pause_s", [0.0, 0.1])
def test_a_handshake_before_its_command_is_done(tmp_path: Path, pause_s: float) -> None:
    """asyncio's clients do it so; the session's rule holds for them as well, and is told when the command comes."""
    with serving(tmp_path, tls="required") as at, at.client(tls=True) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        connection = client.context.wrap_socket(_data_first(client), session=client.socket.session)
        time.sleep(pause_s)
        assert client.command("STOR f").startswith("150")
        connection.sendall(CONTENT)
        finish(connection)
        assert client.code() == "226"
        assert (at.home / "f").read_bytes() == CONTENT
        stranger = client.context.wrap_socket(_data_first(client))
        assert [client.command("RETR f")[:3], client.code()] == ["150", "522"]
        stranger.close()


def test_a_connection_long_before_its_command_waits_for_it(tmp_path: Path) -> None:
    """The usual order, only slow: no handshake begins before 150."""
    with serving(tmp_path, tls="required") as at, at.client(tls=True) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        (at.home / "f").write_bytes(CONTENT)
        plain = _data_first(client)
        time.sleep(0.2)
        assert client.command("RETR f").startswith("150")
        connection = client.context.wrap_socket(plain, session=client.socket.session)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
        finish(connection)
        assert client.code() == "226"
        assert received == CONTENT
