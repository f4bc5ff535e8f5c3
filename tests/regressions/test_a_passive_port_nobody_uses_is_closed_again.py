"""A port opened by EPSV and never used stayed open as long as its session."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from logferry.ftp import ServerLimits
from tests.ftp.kit import WAIT_S, serving, until


def test_the_port_closes_and_the_session_goes_on(tmp_path: Path) -> None:
    """After data_connect_s nobody listens there; the transfer command asks for a new one."""
    limits = ServerLimits(data_connect_s=0.3, login_delay_s=0.0)
    with serving(tmp_path, limits=limits) as at, at.client() as client:
        port = client.port()

        def closed() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=WAIT_S).close()
            except ConnectionRefusedError:
                return True
            return False

        until(closed, "the port is still open")
        assert client.command("STOR a").startswith("425")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        assert client.upload("STOR a", b"content").startswith("226")
