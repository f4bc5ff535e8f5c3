"""Thousands of idle sessions at a server process of its own: what they cost, that they live, how they end."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from logferry.limits import FTP_PASSWORD_CHECKS_MAX
from tests.ftp.kit import until
from tests.ports import free_port
from tests.security.amounts import HEAVY, amount

SESSIONS = amount("idle", 500, 10_000)
PER_ADDRESS = 180
WAIT_S = 240.0
_OWN_SOCKETS = 3
"""The listener and the pair that wakes the loop."""

_SERVER = """
import resource, sys, threading
from logferry.ftp import FtpServer, MemoryUsers, ServerLimits, User, hash_password
port, root, most, idle_s = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
users = MemoryUsers(User("ann", root, password_hash=hash_password("secret", light=True)))
limits = ServerLimits(sessions=most, idle_s=idle_s, login_s=600.0)
with FtpServer(("127.0.0.1", port), users=users, tls="off", limits=limits):
    threading.Event().wait()
"""


@contextmanager
def _server(folder: Path, *, most: int, idle_s: float = 600.0) -> Iterator[tuple[int, int]]:
    """(port, process id) of a server that takes ``most`` sessions."""
    port = free_port()
    command = [sys.executable, "-c", _SERVER, str(port), str(folder), str(most), str(idle_s)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        until(lambda: _greeting(port).startswith(b"220 "), "the server does not greet")
        until(lambda: _sockets(process.pid) <= _OWN_SOCKETS, "the connection that looked for the port is still there")
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


def _sockets(pid: int) -> int:
    folder = Path(f"/proc/{pid}/fd")
    count = 0
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            count += os.readlink(folder / name).startswith("socket:")
    return count


@contextmanager
def _room_for(descriptors: int) -> Iterator[None]:
    """Raise this process's own bound for the time being; too low a hard bound skips the test and says so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < descriptors + 500:
        pytest.skip(f"{descriptors} sessions need more than {hard} open files: raise the hard limit")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, descriptors + 500), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _memory_mb(pid: int) -> dict[str, float]:
    """Resident and private memory of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines[1:]}
    return {"rss": found["Rss"], "pss": found["Pss"]}


def _threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def _open(port: int, number: int) -> socket.socket:
    """A connection of its own address for each PER_ADDRESS of them, so that the bound per address does not matter."""
    address = number // PER_ADDRESS
    source = f"127.1.{address // 250}.{address % 250 + 1}"
    return socket.create_connection(("127.0.0.1", port), source_address=(source, 0), timeout=WAIT_S)


def _replies(sockets: list[socket.socket], code: bytes) -> int:
    """How many sockets bring a line that begins with ``code``."""
    poll = select.poll()
    waiting = {sock.fileno(): sock for sock in sockets}
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    right = 0
    end = time.monotonic() + WAIT_S
    while waiting and time.monotonic() < end:
        for descriptor, _ in poll.poll(1000):
            right += waiting.pop(descriptor).recv(1000).startswith(code)
            poll.unregister(descriptor)
    return right


def _greeting(port: int) -> bytes:
    try:
        with _open(port, 0) as sock:
            return sock.recv(1000)
    except OSError:  # nobody listens yet, or we were turned away by a reset
        return b""


@pytest.mark.slow
def test_idle_sessions_are_cheap_and_all_alive(tmp_path: Path) -> None:
    """Opened, logged in, left alone: each still answers, no thread is held, one more is told 421, then all may go."""
    with _room_for(SESSIONS), _server(tmp_path, most=SESSIONS) as (port, pid):
        empty = _memory_mb(pid)
        started = time.monotonic()
        sockets = [_open(port, number) for number in range(SESSIONS)]
        try:
            assert _replies(sockets, b"220 ") == SESSIONS
            for command, code in ((b"USER ann\r\n", b"331 "), (b"PASS secret\r\n", b"230 ")):
                for sock in sockets:
                    sock.sendall(command)
                assert _replies(sockets, code) == SESSIONS
            opened_s = time.monotonic() - started
            with _open(port, SESSIONS) as late:
                assert late.recv(1000).startswith(b"421 ")
            if HEAVY:
                # Threads stay ten seconds for the next storm; the last to go gives back what the logins took.
                # Those that check passwords are few and stay.
                until(lambda: _threads(pid) <= 2 + FTP_PASSWORD_CHECKS_MAX, "idle sessions hold threads")
            full, threads = _memory_mb(pid), _threads(pid)
            started = time.monotonic()
            for sock in sockets:
                sock.sendall(b"NOOP\r\n")
            assert _replies(sockets, b"200 ") == SESSIONS
            answered_s = time.monotonic() - started
        finally:
            for sock in sockets:
                sock.close()
        until(lambda: _sockets(pid) <= _OWN_SOCKETS, "closed sessions keep their descriptors")
        with _open(port, 0) as again:
            assert again.recv(1000).startswith(b"220 ")
    print(
        f"{SESSIONS} idle sessions: {full['rss']:.1f} MB RSS ({full['pss']:.1f} PSS), {empty['rss']:.1f} before,"
        f" {threads} threads; opened in {opened_s:.1f} s, all answered in {answered_s:.2f} s"
    )


def test_idle_sessions_end_and_make_room(tmp_path: Path) -> None:
    """Nobody has said anything for idle_s: 421, and newcomers get in again."""
    count = 50
    with _server(tmp_path, most=count, idle_s=0.5) as (port, _):
        sockets = [_open(port, number) for number in range(count)]
        try:
            assert _replies(sockets, b"220 ") == count
            for command in (b"USER ann\r\n", b"PASS secret\r\n"):
                for sock in sockets:
                    sock.sendall(command)
                assert _replies(sockets, b"") == count
            assert _replies(sockets, b"421 ") == count
            until(lambda: _greeting(port).startswith(b"220 "), "nobody gets in any more")
        finally:
            for sock in sockets:
                sock.close()
