"""A connection that was reset before anybody looked at it is a server that is away, not a fault of the client."""

from __future__ import annotations

import socket
import struct
import time

import pytest

from logferry.clock import SYSTEM
from logferry.errors import Unreachable
from logferry.ftp import client_control
from logferry.ftp.client_control import ControlConnection
from logferry.ftp.cut import Cutter


def _reset_at_once() -> socket.socket:
    """A client's socket whose connection was accepted and then reset by the other side."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
    deadline = time.monotonic() + 60
    while True:
        try:
            client.getpeername()
        except OSError:
            return client
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_it_is_told_as_a_connection_that_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the agent waits for the server instead of blaming the file it was about to send."""
    monkeypatch.setattr(client_control, "dial", lambda *_, **__: _reset_at_once())
    with pytest.raises(Unreachable, match="closed the connection"):
        ControlConnection("127.0.0.1", 21, timeout_s=5, cutter=Cutter(), clock=SYSTEM)
