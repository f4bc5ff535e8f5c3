"""With as many flooding strangers as threads nobody else was served, and their time to log in never ran out."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from logferry.ftp import ServerLimits
from tests.ftp.kit import WAIT_S, RawClient, Serving, serving, until

THREADS = 2


def _limits(**more: float) -> ServerLimits:
    return ServerLimits(threads=THREADS, login_delay_s=0.0, **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def _flooding(at: Serving, line: bytes, *, read: bool, login: bool = False) -> Iterator[list[threading.Thread]]:
    """Two clients for each thread of the server send ``line`` without end; threads that end when they are cut."""
    sockets, threads = [], []
    for _ in range(2 * THREADS):
        client = at.client(login=login)
        sockets.append(client.socket)
        for work in (_send, _read) if read else (_send,):
            thread = threading.Thread(target=work, args=(client.socket, line))
            threads.append(thread)
            thread.start()
    try:
        yield threads
    finally:
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(WAIT_S)
        for sock in sockets:
            sock.close()


def _send(sock: socket.socket, line: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(line * 100)


def _read(sock: socket.socket, _line: bytes) -> None:
    with contextlib.suppress(OSError):
        while sock.recv(65536):
            continue


def test_strangers_who_never_pause_let_others_in(tmp_path: Path) -> None:
    """More clients than threads send NOOP without end: another one logs in and is served all the same."""
    with serving(tmp_path, limits=_limits()) as at, _flooding(at, b"NOOP\r\n", read=True), RawClient(at.port) as client:
        client.login()
        assert client.upload("STOR a", b"content").startswith("226")


def test_users_who_never_pause_let_others_in(tmp_path: Path) -> None:
    """The same when they are logged in, and over TLS, where bytes may wait inside the library."""
    with (
        serving(tmp_path, limits=_limits(), tls="explicit") as at,
        _flooding(at, b"NOOP\r\n", read=True, login=True),
        at.client(tls=True) as client,
    ):
        assert client.upload("STOR a", b"content").startswith("226")
        client.send(*["NOOP"] * 3000)
        assert all(client.code() == "200" for _ in range(3000))


def test_the_time_to_log_in_runs_out_for_those_who_never_pause(tmp_path: Path) -> None:
    """NOOP is no login, however often."""
    with serving(tmp_path, limits=_limits(login_s=0.5)) as at, _flooding(at, b"NOOP\r\n", read=True) as threads:
        until(lambda: not any(thread.is_alive() for thread in threads), "they are still there")
        assert at.server.sessions() == []


def test_strangers_who_never_read_are_cut(tmp_path: Path) -> None:
    """More clients than threads ask for HELP without end and read no word of it: the others are served."""
    with serving(tmp_path, limits=_limits()) as at, _flooding(at, b"HELP\r\n", read=False) as threads:
        with RawClient(at.port) as client:
            client.login()
            assert client.upload("STOR a", b"content").startswith("226")
        until(lambda: not any(thread.is_alive() for thread in threads), "they are still there")
