"""Whoever connected and hung up in a loop made the server hold every session for as long as it might have waited."""

from __future__ import annotations

import gc
import socket
from pathlib import Path

from logferry.ftp.session import Session
from tests.ftp.kit import WAIT_S, serving, until

VISITS = 300


def _sessions() -> int:
    gc.collect()
    return sum(isinstance(one, Session) for one in gc.get_objects())


def test_ended_sessions_leave_the_memory(tmp_path: Path) -> None:
    """Hundreds of short connections, and a handful of objects afterwards."""
    before = _sessions()
    with serving(tmp_path) as at:
        for _ in range(VISITS):
            with socket.create_connection(("127.0.0.1", at.port), timeout=WAIT_S) as sock:
                sock.recv(100)
        until(lambda: not at.server.sessions(), "sessions are left")
        until(lambda: _sessions() - before < 20, "sessions that ended are still held")
        lot = at.server._lot
        assert lot is not None
        assert len(lot._alarms) < 20
