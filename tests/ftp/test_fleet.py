"""A server of several processes: one port, one view, one set of limits, and death."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logferry.errors import BadConfig
from logferry.ftp import (
    Banned,
    Connected,
    DefenderRules,
    Event,
    FtpServer,
    Incomplete,
    LoggedIn,
    LoginFailed,
    MemoryUsers,
    Received,
    ServerLimits,
    SessionEnded,
    TlsIdentity,
    User,
    WorkerParts,
)
from tests.ftp.kit import SECRET, RawClient, Serving, finish, serving, until


@contextlib.contextmanager
def fleet(folder: Path, **settings: Any) -> Iterator[Serving]:
    """A server of two processes, none of which is left afterwards."""
    settings.setdefault("processes", 2)
    with serving(folder, **settings) as at:
        pids = at.server.process_ids
        yield at
        pids = [*pids, *at.server.process_ids]
    for pid in pids:
        until(lambda pid=pid: not alive(pid), f"process {pid} is left over")  # type: ignore[misc]


def alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def shares(at: Serving) -> list[int]:
    """Sessions of each process."""
    return at.server._commons.tally.loads()


def serves(at: Serving) -> list[int]:
    """The processes that take connections, by slot."""
    return at.server._commons.tally.pids()


def test_clients_are_spread_evenly_and_seen_in_one_view(tmp_path: Path) -> None:
    """Whichever process the kernel chose; numbers are unique, and all can deliver."""
    with fleet(tmp_path) as at:
        clients = [at.client() for _ in range(8)]
        assert shares(at) == [4, 4]
        sessions = at.server.sessions()
        assert len({info.id for info in sessions}) == 8
        assert [info.id for info in sessions] == sorted(info.id for info in sessions)
        assert {info.user for info in sessions} == {"ann"}
        for number, client in enumerate(clients):
            assert client.upload(f"STOR f{number}", b"x" * 1000).startswith("226")
        assert len(list(at.home.iterdir())) == 8
        for client in clients:
            client.close()
        until(lambda: shares(at) == [0, 0], "sessions are left in the counts")
        assert at.server.sessions() == []


def test_events_come_to_the_parent_in_order(tmp_path: Path) -> None:
    """Of each session: login, what it did, its end; called in this process."""
    with fleet(tmp_path) as at:
        for number in range(4):
            with at.client() as client:
                client.upload(f"STOR f{number}", b"x")
        ends = [at.event(SessionEnded) for _ in range(4)]
        for end in ends:
            mine = [type(event) for event in at.seen if event.session == end.session]
            assert mine == [Connected, LoggedIn, Received, SessionEnded]


def test_who_begins_to_listen_later_hears_of_all_processes(tmp_path: Path) -> None:
    """Nobody listened at the start: a stream and a callable made while it runs, one process dead since."""
    users = MemoryUsers(User("ann", str(tmp_path), password_hash=SECRET))
    with FtpServer(("127.0.0.1", 0), users=users, tls="off", processes=2) as server:
        seen: list[Event] = []
        server.on(LoggedIn, seen.append)
        stream = server.events(SessionEnded)
        before = server.process_ids
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len({*server.process_ids} - {before[0]}) == 2, "the dead process is not replaced")
        for _ in range(6):
            with RawClient(server.address[1]) as client:
                client.login()
        ends = [stream.get(10) for _ in range(6)]
    assert all(isinstance(end, SessionEnded) for end in ends)
    assert len(seen) == 6


def test_all_events_are_told_when_stop_returns(tmp_path: Path) -> None:
    """Also those of the last moment."""
    seen: list[Event] = []
    users = MemoryUsers(User("ann", str(tmp_path), password_hash=SECRET))
    server = FtpServer(("127.0.0.1", 0), users=users, tls="off", processes=2, on_event=seen.append)
    with server:
        clients = [RawClient(server.address[1]) for _ in range(4)]
        for client in clients:
            client.login()
    assert sum(isinstance(event, SessionEnded) for event in seen) == 4
    for client in clients:
        assert client.reply().startswith("421 The server stops")
        client.close()


def test_a_handler_may_ask_the_server(tmp_path: Path) -> None:
    """While it is told of something: no deadlock. One that fails is logged and hurts nobody."""
    seen: queue.SimpleQueue[int] = queue.SimpleQueue()

    def told(event: Event) -> None:
        if isinstance(event, LoggedIn):
            seen.put(len(server.sessions()))
            raise RuntimeError("handler")  # noqa: TRY004  # stands for any defect

    users = MemoryUsers(User("ann", str(tmp_path), password_hash=SECRET))
    server = FtpServer(("127.0.0.1", 0), users=users, tls="off", processes=2, on_event=told)
    with server, RawClient(server.address[1]) as client:
        client.login()
        assert seen.get(timeout=20) == 1
        assert client.command("NOOP").startswith("200")


def test_changes_of_users_reach_all_processes_before_they_return(tmp_path: Path) -> None:
    """New ones, changed ones, removed ones."""
    with fleet(tmp_path) as at:
        clients = [at.client() for _ in range(4)]
        at.users.change("ann", permissions="elr")
        for client in clients:
            assert client.command("MKD x").startswith("550 Permission denied")
        at.users.add(User("bob", str(at.home), password_hash=SECRET))
        for _ in range(4):
            client = at.client(login=False)
            client.login("bob")
            clients.append(client)
        at.users.remove("bob")
        for client in clients[4:]:
            assert client.command("NOOP").startswith("421")
        for client in clients:
            client.close()


def test_limits_of_connections_hold_over_all_processes(tmp_path: Path) -> None:
    """In all, per address and per user."""
    limits = ServerLimits(sessions=6, sessions_per_address=5, login_delay_s=0.0)
    with fleet(tmp_path, limits=limits) as at:
        at.users.change("ann", connections=3)
        at.users.add(User("bob", str(at.home), password_hash=SECRET))
        clients = [at.client() for _ in range(3)]
        fourth = at.client(login=False)
        fourth.command("USER ann")
        assert fourth.command("PASS secret").startswith("421 You have too many connections")
        assert at.event(LoginFailed).reason == "too many connections of the user"
        fourth.close()
        until(lambda: sum(shares(at)) == 3, "the refused one still counts")
        for _ in range(2):
            client = at.client(login=False)
            client.login("bob")
            clients.append(client)
        with socket.create_connection(("127.0.0.1", at.port)) as sixth:
            assert sixth.recv(100).startswith(b"421 Too many connections from your address")
        with socket.create_connection(("127.0.0.1", at.port), source_address=("127.0.0.2", 0)) as other:
            assert other.recv(100).startswith(b"220")
            until(lambda: sum(shares(at)) == 6, "six are there")
            with socket.create_connection(("127.0.0.1", at.port), source_address=("127.0.0.3", 0)) as last:
                assert last.recv(100).startswith(b"421 Too many connections;")
        for client in clients:
            client.close()


def test_a_session_is_ended_wherever_it_is(tmp_path: Path) -> None:
    """Idle or in the middle of an upload, which is Incomplete; there is no such session twice."""
    with fleet(tmp_path) as at:
        clients = [at.client() for _ in range(2)]
        connection = clients[1].data("STOR big")
        connection.sendall(b"x" * 100_000)
        until(lambda: any(info.doing == "STOR" for info in at.server.sessions()), "the upload is not seen")
        ids = [info.id for info in at.server.sessions()]
        assert [at.server.end(number) for number in ids] == [True, True]
        assert clients[0].reply().startswith("421 Your session was ended")
        assert clients[1].reply().startswith("426 Your session was ended")
        assert clients[1].reply().startswith("421 Your session was ended")
        assert at.event(Incomplete).reason == "Your session was ended by the administrator."
        connection.close()
        for client in clients:
            client.close()
        until(lambda: not at.server.sessions(), "sessions are left")
        assert not at.server.end(ids[0])


def test_a_ban_holds_in_all_processes_and_is_lifted_in_all(tmp_path: Path) -> None:
    """Whoever noticed; the parent lists it."""
    with fleet(tmp_path, defender=DefenderRules(threshold=6)) as at:
        for _ in range(2):
            with at.client(login=False) as client:
                for _ in range(3):
                    client.command("USER ann")
                    client.command(f"PASS {time.monotonic_ns()}")
        assert at.event(Banned).address == "127.0.0.1"
        for _ in range(6):
            with socket.create_connection(("127.0.0.1", at.port)) as refused:
                assert refused.recv(100).startswith(b"421 Your address is banned")
                assert refused.recv(100) == b""
        assert [ban.address for ban in at.server.bans()] == ["127.0.0.1"]
        assert at.server.unban("127.0.0.1")
        for _ in range(4):
            at.client().close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tickets_of_one_process_open_data_connections_of_another(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """A client with several connections shares its TLS sessions among them; a stranger's is refused all the same."""
    with fleet(tmp_path, tls="required") as at:
        at.users.add(User("bob", str(at.home), password_hash=SECRET))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        clients = []
        for name in ("ann", "ann", "bob"):
            client = at.client(login=False)
            client.context = context
            client.secure()
            client.login(name)
            clients.append(client)
            # TLS 1.2 knows sessions by the second of their handshake.
            time.sleep(1.01 if version == ssl.TLSVersion.TLSv1_2 else 0.0)
        assert sorted(shares(at)) == [1, 2]
        first, second, stranger = clients

        def upload(through: RawClient, ticket: RawClient) -> str:
            with contextlib.suppress(OSError):
                connection = socket.create_connection(("127.0.0.1", through.port()))
                assert through.command("STOR f").startswith("150")
                assert isinstance(ticket.socket, ssl.SSLSocket)
                data = context.wrap_socket(connection, session=ticket.socket.session)
                data.sendall(b"x" * 1000)
                finish(data)
            return through.reply()

        for through in (first, second):
            for ticket in (first, second):
                assert upload(through, ticket).startswith("226")
        for through in (first, second):
            assert upload(through, stranger).startswith("522")
        for client in clients:
            client.close()


def test_a_killed_process_is_replaced_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Its sessions leave the view and the counts and are told as ended; users changed meanwhile are known to the new
    one; what it had not acknowledged is not there under its name."""
    with fleet(tmp_path, limits=ServerLimits(sessions_per_address=8, login_delay_s=0.0)) as at:
        clients = [at.client() for _ in range(8)]
        at.users.change("ann", permissions="elradfmwM")
        connections = []
        for number, client in enumerate(clients):
            connection = client.data(f"STOR f{number}")
            connection.sendall(b"x" * 300_000)
            connections.append(connection)
        until(lambda: sum(info.moved > 0 for info in at.server.sessions()) == 8, "all upload")
        victim, survivor = at.server.process_ids
        os.kill(victim, signal.SIGKILL)
        until(lambda: at.server.process_ids != [survivor, victim] and victim not in at.server.process_ids, "replaced")
        until(lambda: all(serves(at)) and victim not in serves(at), "the new one serves")
        until(lambda: sorted(shares(at)) == [0, 4], "the dead one's sessions are gone")
        assert len(at.server.sessions()) == 4
        done = []
        for number, (client, connection) in enumerate(zip(clients, connections, strict=True)):
            with contextlib.suppress(OSError):
                connection.close()
            reply = client.reply()
            assert reply == "" or reply.startswith("226")
            assert (at.home / f"f{number}").exists() == (reply != "")
            done.append(reply != "")
        assert done.count(True) == 4
        ended = [at.event(SessionEnded) for _ in range(4)]
        assert {event.reason for event in ended} == {"the process that served it died"}
        again = [at.client() for _ in range(4)]
        assert shares(at) == [4, 4]
        for client in again:
            assert client.upload("STOR again", b"x").startswith("226")
            assert client.command("SITE CHMOD 600 again").startswith("200")
        for client in (*clients, *again):
            client.close()


def test_processes_die_again_and_again(tmp_path: Path) -> None:
    """Ten kills, clients all the while: whoever is told 226 finds the file."""
    with fleet(tmp_path) as at:
        for number in range(8):
            os.kill(at.server.process_ids[number % len(at.server.process_ids)], signal.SIGKILL)
            stored = False
            end = time.monotonic() + 20
            while not stored and time.monotonic() < end:
                with contextlib.suppress(OSError, AssertionError), at.client(login=False) as client:
                    client.login()
                    stored = client.upload(f"STOR f{number}", b"x").startswith("226")
            assert stored
            until(lambda: len(at.server.process_ids) == 2 and all(serves(at)), "replaced")
        assert len(list(at.home.glob("f*"))) == 8
        until(lambda: sum(shares(at)) == 0, "counts come back to nothing")


def test_a_stopped_process_is_killed_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that hangs cannot keep the server from stopping, nor from answering what the others know."""
    monkeypatch.setattr("logferry.ftp.fleet.FTP_CALL_S_MAX", 0.3)
    monkeypatch.setattr("logferry.ftp.fleet._STOP_GRACE_S", 0.5)
    with fleet(tmp_path) as at:
        clients = [at.client() for _ in range(4)]
        os.kill(at.server.process_ids[0], signal.SIGSTOP)
        assert len(at.server.sessions()) == 2
        at.server.stop(0.2)
        for client in clients:
            client.close()


def test_the_death_of_the_parent_ends_all(tmp_path: Path) -> None:
    """Killed with -9 it can tell nobody; its processes notice, and the port is free."""
    program = (
        "import sys, threading\n"
        "from logferry.ftp import FtpServer, MemoryUsers\n"
        "server = FtpServer(('127.0.0.1', 0), users=MemoryUsers(), tls='off', processes=2).start()\n"
        "print(server.address[1], *server.process_ids, flush=True)\n"
        "threading.Event().wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        port, *pids = (int(word) for word in parent.stdout.readline().split())
        with RawClient(port) as client:
            assert client.command("NOOP").startswith(("200", "530"))
            parent.kill()
            parent.wait()
            for pid in pids:
                until(lambda pid=pid: not alive(pid), f"process {pid} lives on")  # type: ignore[misc]
            assert client.reply()[:3] in ("421", "")

    def free() -> bool:
        with contextlib.suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            return True
        return False

    until(free, "the port is still taken")


def test_passive_ports_of_a_range_never_collide(tmp_path: Path) -> None:
    """Twelve clients of two processes on eight ports: each has one of its own, or is told that there is none."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        start = min(probe.getsockname()[1], 65_000)
    with fleet(tmp_path, passive_ports=range(start + 1, start + 9)) as at:
        clients = [at.client() for _ in range(12)]
        for client in clients:
            client.send("EPSV")
        replies = [client.reply() for client in clients]
        ports = [reply.split("|")[3] for reply in replies if reply.startswith("229")]
        assert len(ports) == len(set(ports))
        assert 4 <= len(ports) <= 8
        assert all(reply.startswith(("229", "425 no passive port")) for reply in replies)
        for client in clients:
            client.close()


def test_what_a_process_makes_for_itself(tmp_path: Path) -> None:
    """``in_worker`` is entered in each process and left at the end; its users, files and events are used there."""
    log = tmp_path / "log"

    def write(text: str) -> None:
        with log.open("a") as file:
            file.write(f"{os.getpid()} {text}\n")

    @contextlib.contextmanager
    def parts() -> Iterator[WorkerParts]:
        write("enter")
        users = MemoryUsers(User("carl", str(tmp_path), password_hash=SECRET))
        yield WorkerParts(users=users, on_event=lambda event: write(type(event).__name__))
        write("leave")

    with fleet(tmp_path, in_worker=parts) as at:
        pids = at.server.process_ids
        client = at.client(login=False)
        client.login("carl")
        client.command("QUIT")
        client.close()
        until(lambda: "SessionEnded" in log.read_text(), "the event is not told")
    lines = [line.split() for line in log.read_text().splitlines()]
    for pid in pids:
        mine = [word for number, word in lines if int(number) == pid]
        assert mine in (["enter", "leave"], ["enter", "Connected", "LoggedIn", "SessionEnded", "leave"])


def test_what_cannot_start_says_why(tmp_path: Path) -> None:
    """A port that is taken, also by another server of several processes; an ``in_worker`` that fails; settings."""
    users = MemoryUsers()

    def server(port: int = 0, **settings: Any) -> FtpServer:
        return FtpServer(("127.0.0.1", port), users=users, tls="off", processes=2, **settings)

    with server() as first, pytest.raises(OSError, match="in use"):
        server(first.address[1]).start()

    def broken() -> contextlib.AbstractContextManager[WorkerParts]:
        raise BadConfig("no database here")

    before = threading.active_count()
    with pytest.raises(OSError, match="no database here"):
        server(in_worker=broken).start()
    until(lambda: threading.active_count() <= before, "threads are left over")
    with pytest.raises(BadConfig, match="processes"):
        FtpServer(users=users, tls="off", processes=0)
    with pytest.raises(BadConfig, match="in_worker"):
        FtpServer(users=users, tls="off", in_worker=broken)


def test_a_rate_holds_over_all_processes(tmp_path: Path) -> None:
    """Two uploads in two processes at 1 MiB/s for the user: 1 MiB together takes the better part of a second."""
    with fleet(tmp_path) as at:
        at.users.change("ann", upload_rate="1 MiB/s")
        clients = [at.client() for _ in range(2)]
        assert shares(at) == [1, 1]
        begin = time.monotonic()
        connections = [client.data(f"STOR f{number}") for number, client in enumerate(clients)]
        for connection in connections:
            connection.sendall(b"x" * 512 * 1024)
            connection.close()
        for client in clients:
            assert client.code() == "226"
        assert time.monotonic() - begin >= 0.7
        for client in clients:
            client.close()


def test_tls_identity_is_read_before_the_fork(tmp_path: Path) -> None:
    """A process that is started anew needs no file any more."""
    identity = TlsIdentity.ensure(str(tmp_path / "identity"))
    with fleet(tmp_path, tls="required") as at:
        os.unlink(identity.key_path)
        victim = at.server.process_ids[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in at.server.process_ids and len(at.server.process_ids) == 2, "replaced")
        for _ in range(4):
            at.client(tls=True).close()


def test_a_process_that_dies_all_the_time_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others serve on, and get its share."""
    monkeypatch.setattr("logferry.ftp.keeper.FTP_RESTARTS_MAX", 2)
    with fleet(tmp_path) as at:
        first = at.server._fleet
        assert first is not None
        pid = first.pids()[0]
        os.kill(pid, signal.SIGKILL)
        until(lambda: first.pids().get(0, pid) != pid and all(serves(at)), "it is not replaced")
        os.kill(first.pids()[0], signal.SIGKILL)
        until(lambda: 0 not in first.pids() and not serves(at)[0], "it is still in the view")
        clients = [at.client() for _ in range(4)]
        assert shares(at) == [0, 4]
        for client in clients:
            assert client.upload("STOR a", b"x").startswith("226")
            client.close()


def test_the_death_of_the_keeper_stops_nobody(tmp_path: Path) -> None:
    """The processes serve on and are stopped as ever; only the dead are not replaced any more."""
    with fleet(tmp_path) as at:
        made = at.server._fleet
        assert made is not None
        os.kill(made._keeper_pid, signal.SIGKILL)
        clients = [at.client() for _ in range(4)]
        assert len(at.server.sessions()) == 4
        for client in clients:
            assert client.upload("STOR a", b"x").startswith("226")
            client.close()
