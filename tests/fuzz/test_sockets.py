"""Fuzzed sessions over real sockets: the server answers, ends or goes on, and is afterwards what it was before."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import socket
import threading
from pathlib import Path

from logferry.ftp import ServerLimits
from tests.ftp.kit import reset, serving, until
from tests.fuzz.mutate import bent, line
from tests.security.amounts import amount, dice

SESSIONS = amount("fuzz_sockets", 60, 3000)
LIMITS = ServerLimits(login_delay_s=0.0, data_connect_s=0.2, login_s=5.0, data_stall_s=0.2)


def _descriptors() -> list[str]:
    """Where the open descriptors of this process lead."""
    gc.collect()
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return sorted(found)


def _resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def _stream(source: random.Random) -> bytes:
    lines = [b"USER ann\r\n", b"PASS secret\r\n"] if source.random() < 0.8 else []
    for _ in range(source.randrange(1, 30)):
        if source.random() < 0.3:
            lines.append(source.choice((b"EPSV\r\n", b"PASV\r\n")))
        lines.append(line(source))
    stream = b"".join(lines)
    return bent(stream, source) if source.random() < 0.5 else stream


def _visit(port: int, source: random.Random) -> bytes:
    """One session: bytes out, data ports knocked at, ended in any way; what was answered."""
    seen = b""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as control, contextlib.suppress(OSError):
        control.sendall(_stream(source))
        kind = source.randrange(4)
        if kind == 0:
            control.shutdown(socket.SHUT_WR)
        elif kind == 1:
            control.sendall(b"\r\nQUIT\r\n")
        elif kind == 2:
            reset(control)
            return seen
        control.settimeout(0.05 if kind == 3 else 1.0)
        while data := control.recv(65536):
            seen += data
            for word in data.split(b"(|||")[1:]:
                with contextlib.suppress(OSError, ValueError):
                    _knock(int(word.split(b"|")[0]), b"content" if source.random() < 0.5 else b"")
    return seen


def _knock(port: int, content: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(content)


def test_a_server_after_many_fuzzed_sessions_is_what_it_was_before(tmp_path: Path) -> None:
    """Descriptors and threads as before, memory as after the first third, and a good client is served."""
    source = dice("sockets")
    with serving(tmp_path, tls="explicit", limits=LIMITS) as at:
        before = _descriptors()
        third = 0
        for number in range(SESSIONS):
            _visit(at.port, source)
            if number == SESSIONS // 3:
                third = _resident_kb()
        until(lambda: not at.server.sessions(), "sessions are left")
        until(lambda: len(_descriptors()) <= len(before), f"descriptors are left: {_descriptors()}, before {before}")
        grown = _resident_kb() - third
        with at.client(tls=True) as client:
            assert client.upload("STOR good", b"content").startswith("226")
        assert grown < 20_000, f"{grown} KB more memory after {SESSIONS} sessions"
        assert at.server.threads <= threading.active_count()
    print(f"{SESSIONS} sessions over sockets: memory {grown:+} KB after the first third, descriptors as before")
