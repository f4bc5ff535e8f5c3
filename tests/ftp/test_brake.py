"""Limits of speed on real transfers: whose they are, which way they work, and that they may change meanwhile.

Bytes are counted, not seconds: a transfer under a limit has moved little when one without has long been whole.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from logferry.clock import ManualClock
from logferry.errors import BadConfig
from logferry.ftp import FtpServer, Incomplete, MemoryUsers, Received, ServerLimits, User
from tests.ftp.kit import SECRET, RawClient, Serving, finish, serving, until

KIB = 1024
MIB = 1024 * KIB
SLOW = "64 KiB/s"


def moved(at: Serving) -> int:
    """Bytes of the one transfer that runs."""
    return max(info.moved for info in at.server.sessions())


def crawl(at: Serving, client: RawClient, verb: str, *, crawls: bool) -> None:
    """Begin a transfer of 8 MiB and see whether it crawls; then it is aborted."""
    (at.home / "big").write_bytes(b"x" * 8 * MIB)
    connection = client.data(f"{verb} {'new' if verb == 'STOR' else 'big'}")
    connection.settimeout(20)
    count = 0
    if verb == "STOR":
        connection.setblocking(False)
    end = time.monotonic() + (0.6 if crawls else 20)
    while time.monotonic() < end and count < 8 * MIB:
        try:
            count += connection.send(b"x" * 64 * KIB) if verb == "STOR" else len(connection.recv(64 * KIB))
        except BlockingIOError:
            time.sleep(0.005)
    if not crawls:
        finish_well(client, connection)
        return
    taken = moved(at) if verb == "STOR" else count
    assert taken < 1 * MIB, "what the kernel buffers, and hardly more"
    client.command("ABOR")
    connection.close()
    until(lambda: all(info.doing == "idle" for info in at.server.sessions()), "the transfer goes on after ABOR")


def finish_well(client: RawClient, connection: socket.socket) -> None:
    """End the data connection; the reply is good."""
    connection.setblocking(True)
    finish(connection)
    assert client.code() == "226"


WAYS = [("STOR", "upload"), ("RETR", "download")]


@pytest.mark.parametrize(("verb", "way"), WAYS)
@pytest.mark.parametrize("whose", ["user", "server", "transfer"])
def test_a_limit_holds_for_its_direction_and_not_for_the_other(tmp_path: Path, verb: str, way: str, whose: str) -> None:
    """``upload`` is what the client sends to us."""
    prefix = "transfer_" if whose == "transfer" else ""
    limits = ServerLimits(**({} if whose == "user" else {f"{prefix}{way}_rate": SLOW}))  # type: ignore[arg-type]
    with serving(tmp_path, limits=limits) as at:
        if whose == "user":
            at.users.change("ann", **{f"{way}_rate": SLOW})
        with at.client() as client:
            crawl(at, client, verb, crawls=True)
        other = "RETR" if verb == "STOR" else "STOR"
        with at.client() as client:
            crawl(at, client, other, crawls=False)


@pytest.mark.parametrize(("verb", "way"), WAYS)
def test_a_limit_holds_over_tls_and_what_arrives_is_whole(tmp_path: Path, verb: str, way: str) -> None:
    """Blocks of all sizes, byte for byte."""
    content = bytes(range(256)) * 1500
    with serving(tmp_path, tls="explicit") as at:
        at.users.change("ann", **{f"{way}_rate": 1 * MIB})
        (at.home / "a").write_bytes(content)
        with at.client(tls=True) as client:
            if verb == "STOR":
                assert client.upload("STOR b", content).startswith("226")
                assert (at.home / "b").read_bytes() == content
            else:
                assert client.download("RETR a") == content


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(("verb", "way"), WAYS)
def test_a_limit_that_comes_and_goes_while_a_transfer_runs(tmp_path: Path, verb: str, way: str, tls: bool) -> None:
    """It runs free, is slowed within a second, runs free again; and every byte is right."""
    content = bytes(range(256)) * (50 * MIB // 256)
    with serving(tmp_path, tls="explicit") as at:
        (at.home / "a").write_bytes(content)
        with at.client(tls=tls) as client:
            connection = client.data(f"{verb} {'b' if verb == 'STOR' else 'a'}")
            connection.settimeout(20)
            view = memoryview(content)
            got = bytearray()
            done = 0

            def step() -> int:
                if verb == "STOR":
                    return connection.send(view[done : done + 64 * KIB])
                piece = connection.recv(64 * KIB)
                got.extend(piece)
                return len(piece)

            # A steady pace, so that the transfer lasts long enough for everybody to look up.
            while done < 8 * MIB:
                done += step()
                time.sleep(0.005)
            at.users.change("ann", **{f"{way}_rate": 256 * KIB})
            connection.settimeout(0.2)
            crawled = False
            end = time.monotonic() + 20
            while not crawled and time.monotonic() < end:
                before, since = done, time.monotonic()
                while time.monotonic() - since < 0.5 and done < 48 * MIB:
                    time.sleep(0.005)
                    try:
                        done += step()
                    except TimeoutError:
                        continue
                crawled = done - before < 1 * MIB
                assert done < 48 * MIB, "it was never slowed"
            assert crawled
            at.users.change("ann", **{f"{way}_rate": 0})
            connection.settimeout(20)
            while done < len(content):
                done += step()
            finish(connection)
            assert client.code() == "226"
        if verb == "STOR":
            assert (at.home / "b").read_bytes() == content
        else:
            assert got == content


def test_all_connections_of_a_user_share_the_limit(tmp_path: Path) -> None:
    """Four at 64 KiB/s are no faster than one; another user is not concerned."""
    with serving(tmp_path) as at:
        at.users.change("ann", upload_rate=SLOW)
        at.users.add(User("bob", str(at.home), password_hash=SECRET))
        clients = [at.client() for _ in range(4)]
        connections = [client.data(f"STOR f{number}") for number, client in enumerate(clients)]
        for connection in connections:
            connection.setblocking(False)
            connection.send(b"x" * 256 * KIB)
        begin = time.monotonic()
        with at.client(login=False) as other:
            other.login("bob")
            assert other.upload("STOR g", b"x" * 4 * MIB).startswith("226")
        time.sleep(0.5)
        total = sum(info.moved for info in at.server.sessions())
        # The burst, one block of each, and the rate since.
        assert total <= 4 * KIB * 16 + 64 * KIB * (time.monotonic() - begin + 1)
        for client, connection in zip(clients, connections, strict=True):
            connection.close()
            client.close()


def test_a_timetable_is_followed_while_a_transfer_runs(tmp_path: Path) -> None:
    """At 18:00 the limit falls away, for the transfer under way as well."""
    clock = ManualClock(now_ns=(17 * 60 + 59) * 60 * 1_000_000_000)
    limits = ServerLimits(upload_rate="08:00-18:00 16 KiB/s, else none, zone UTC")
    users = MemoryUsers(User("ann", str(tmp_path), password_hash=SECRET))
    told: list[object] = []
    server = FtpServer(
        ("127.0.0.1", 0), users=users, tls="off", limits=limits, clock=_WallClock(clock), on_event=told.append
    )
    with server, RawClient(server.address[1]) as client:
        client.login()
        connection = client.data("STOR a")
        connection.setblocking(False)
        sent = connection.send(b"x" * 1 * MIB)
        until(lambda: server.sessions()[0].moved > 0, "nothing arrives")
        assert server.sessions()[0].moved < 256 * KIB
        clock.advance(120)
        connection.setblocking(True)
        connection.sendall(b"x" * (8 * MIB - sent))
        connection.close()
        assert client.code() == "226"
    received = [event for event in told if isinstance(event, Received)]
    assert [event.count for event in received] == [8 * MIB]


class _WallClock:
    """The wall clock of a manual one; time for intervals is real."""

    def __init__(self, wall: ManualClock) -> None:
        self._wall = wall

    def now_ns(self) -> int:
        return self._wall.now_ns()

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def test_waiting_for_the_limit_hears_abor_and_stop(tmp_path: Path) -> None:
    """At a byte per second nobody could wait for the next block."""
    with serving(tmp_path) as at:
        at.users.change("ann", upload_rate=1)
        with at.client() as client:
            connection = client.data("STOR a")
            connection.sendall(b"x" * 100 * KIB)
            until(lambda: moved(at) > 0, "nothing arrives")
            client.send("STAT")
            assert client.reply().startswith("213 STOR /a: ")
            client.send("ABOR")
            assert client.reply() == "426 Aborted as you asked."
            assert client.code() == "226"
            connection.close()
            assert at.event(Incomplete).reason == "Aborted as you asked."
            second = client.data("STOR a")
            second.sendall(b"x" * 100 * KIB)
            until(lambda: moved(at) > 0, "nothing arrives")
            at.server.stop(0.2)
            assert at.event(Incomplete).reason == "The server stops."
            second.close()


def test_a_client_that_sends_nothing_is_cut_under_a_limit_too(tmp_path: Path) -> None:
    """Our own waiting is not counted as its rest, its rest is."""
    with serving(tmp_path, limits=ServerLimits(data_stall_s=0.4, upload_rate="8 KiB/s")) as at, at.client() as client:
        connection = client.data("STOR a")
        connection.sendall(b"x" * 12 * KIB)
        connection_end = client.reply()
        assert connection_end == "426 No byte for 0 s."
        assert at.event(Incomplete).count == 12 * KIB
        connection.close()


def test_limits_that_are_none_are_refused() -> None:
    """When they are set, by name."""
    with pytest.raises(BadConfig, match="download_rate"):
        ServerLimits(download_rate="fast")
    with pytest.raises(BadConfig, match="upload_rate"):
        User("ann", "/", upload_rate=-1)
    with pytest.raises(BadConfig, match="connections"):
        User("ann", "/", connections=-1)
