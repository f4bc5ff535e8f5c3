"""Whose TLS session a data connection resumes, when several connections share tickets."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.ftp import tls
from logferry.ftp.tls import Mark, TlsIdentity, TlsOwners, session_mark
from tests.ftp.kit import trusting_context


def _accept(context: ssl.SSLContext, listener: socket.socket, made: list[ssl.SSLSocket]) -> None:
    plain, _ = listener.accept()
    connection = context.wrap_socket(plain, server_side=True)
    made.append(connection)
    connection.sendall(b"!")


def _connect(
    server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """The server's and the client's end of a new connection that resumes ``session``."""
    made: list[ssl.SSLSocket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_accept, args=(server, listener, made))
        thread.start()
        plain = socket.create_connection(listener.getsockname())
        connection = client.wrap_socket(plain, session=session)
        assert connection.recv(1) == b"!"
        thread.join()
    return made[0], connection


@pytest.fixture
def resumed(tmp_path: Path) -> Iterator[tuple[ssl.SSLSocket, Mark]]:
    """A data connection as the server sees it, and the mark of the control connection whose ticket it used."""
    server, client = TlsIdentity.ensure(str(tmp_path)).server_context(), trusting_context()
    server.num_tickets = 1
    control, theirs = _connect(server, client, None)
    server.num_tickets = 0  # as for every data connection
    data, back = _connect(server, client, theirs.session)
    mark = session_mark(control)
    assert mark is not None
    yield data, mark
    for connection in (control, theirs, data, back):
        connection.close()


def test_a_session_is_its_users(resumed: tuple[ssl.SSLSocket, Mark], monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection's own, or another one of the same user; nobody else's."""
    monkeypatch.setattr(tls, "FTP_TLS_OWNER_S_MAX", 0.05)
    data, mark = resumed
    owners = TlsOwners()
    assert not owners.allow(data, None, "ann"), "a session nobody knows"
    assert owners.allow(data, mark, "ann"), "its own"
    owners.note(mark)
    assert not owners.allow(data, None, "ann"), "one that has not logged in"
    owners.note(mark, "bob")
    assert not owners.allow(data, None, "ann")
    assert owners.allow(data, None, "bob")


def test_a_ticket_may_be_used_before_its_connection_is_known(resumed: tuple[ssl.SSLSocket, Mark]) -> None:
    """It is out before the server's handshake returns, and a client with many connections takes the newest."""
    data, mark = resumed
    owners = TlsOwners()
    later = threading.Timer(0.1, owners.note, (mark, "ann"))
    later.start()
    assert owners.allow(data, None, "ann")
    later.join()
