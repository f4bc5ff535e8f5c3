"""A client that shakes hands on the data connection before it sends the command, again and again without a pause."""

from __future__ import annotations

import ftplib
import socket
import ssl
from pathlib import Path

import pytest

from tests.ftp.kit import serving


def test_a_handshake_ahead_of_its_command_is_answered_at_the_end_of_a_turn_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session gives its thread to others there; it used to wait for a command then, and the client for TLS."""
    monkeypatch.setattr("logferry.ftp.session.FTP_TURN_S_MAX", 0.0)  # every command ends a turn
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with serving(tmp_path, tls="required", require_data_reuse=False) as at, ftplib.FTP_TLS(context=context) as client:
        client.connect("127.0.0.1", at.port, timeout=10)
        client.login("ann", "secret")
        client.prot_p()
        assert client.sock is not None
        for _ in range(3):
            where = ftplib.parse229(client.sendcmd("EPSV"), client.sock.getpeername())
            with context.wrap_socket(socket.create_connection(where[:2], timeout=10)) as data:
                client.putcmd("NLST")
                assert client.getresp().startswith("150")
                while data.recv(1024):
                    continue
            assert client.voidresp().startswith("226")
