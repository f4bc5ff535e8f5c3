"""Transfers against a running server: what counts as whole, what is kept, what is refused."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from logferry.errors import Full
from logferry.ftp import FtpServer, Incomplete, LocalFilesystem, MemoryUsers, Received, Sent, ServerLimits, User
from logferry.ftp.local_upload import LocalUpload
from tests.ftp.kit import SECRET, WAIT_S, RawClient, Serving, finish, reset, serving, until

BLOCK = os.urandom(300_000)


@pytest.fixture(params=["off", "explicit"], ids=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> str:
    """Each test over plain FTP and over explicit TLS."""
    return str(request.param)


def _client(at: Serving, tls: str) -> RawClient:
    return at.client(tls=tls == "explicit")


def test_an_upload_is_stored_and_told(tmp_path: Path, tls: str) -> None:
    """Bytes equal, event with its count, nothing hidden left."""
    with serving(tmp_path, tls=tls) as at, _client(at, tls) as client:
        assert client.upload("STOR a.log", BLOCK).startswith("226")
        event = at.event(Received)
        assert (event.path, event.offset, event.count) == ("/a.log", 0, len(BLOCK))
        assert (at.home / "a.log").read_bytes() == BLOCK
        assert not at.partials()
        assert client.upload("STOR empty", b"").startswith("226")
        assert (at.home / "empty").read_bytes() == b""


def test_a_large_upload_arrives_whole(tmp_path: Path, tls: str) -> None:
    """Many blocks, some written to disk while others arrive."""
    content = os.urandom(1 << 20) * 40
    with serving(tmp_path, tls=tls) as at, _client(at, tls) as client:
        assert client.upload("STOR big", content).startswith("226")
        assert (at.home / "big").read_bytes() == content
        assert client.download("RETR big") == content


def test_a_download_and_its_rest(tmp_path: Path, tls: str) -> None:
    """Whole, from an offset, from the very end, from beyond it."""
    with serving(tmp_path, tls=tls) as at, _client(at, tls) as client:
        (at.home / "a").write_bytes(BLOCK)
        assert client.download("RETR a") == BLOCK
        assert at.event(Sent).count == len(BLOCK)
        client.command("REST 299990")
        assert client.download("RETR a") == BLOCK[-10:]
        client.command(f"REST {len(BLOCK)}")
        assert client.download("RETR a") == b""
        client.command(f"REST {len(BLOCK) + 1}")
        client.port()
        assert client.command("RETR a").startswith("554")
        client.port()
        assert client.command("RETR missing").startswith("550")


def test_listings_show_what_is_there(tmp_path: Path, tls: str) -> None:
    """LIST, NLST and MLSD of a folder, a file, a pattern; the missing is 550 before any data connection."""
    with serving(tmp_path, tls=tls) as at, _client(at, tls) as client:
        (at.home / "sub").mkdir()
        (at.home / "sub" / "one.log").write_text("1")
        (at.home / "two.log").write_text("22")
        assert sorted(client.download("NLST").split()) == [b"sub", b"two.log"]
        assert client.download("NLST *.log").split() == [b"two.log"]
        assert b" 2 " in client.download("LIST -la two.log")
        assert b"one.log" in client.download("LIST sub")
        assert b"type=cdir" in client.download("MLSD sub")
        for verb in ("LIST", "NLST", "MLSD"):
            client.port()
            assert client.command(f"{verb} missing").startswith("550"), verb
        client.port()
        assert client.command("MLSD two.log").startswith("501")


def test_a_reset_is_never_226(tmp_path: Path) -> None:
    """An upload cut by a TCP reset is answered 426, told as incomplete, never published; and it can be continued."""
    with serving(tmp_path) as at, at.client() as client:
        connection = client.data("STOR a.log")
        connection.sendall(BLOCK[:100_000])
        until(lambda: bool(at.partials()) and at.partials()[0].stat().st_size == 100_000, "the bytes have not come")
        reset(connection)
        assert client.code() == "426"
        assert "reset" in at.event(Incomplete).reason
        assert not (at.home / "a.log").exists()
        assert client.download("NLST") == b""
        assert client.command("SIZE a.log") == "213 100000"
        assert client.command("MDTM a.log").startswith("550")
        client.command("REST 100000")
        assert client.upload("STOR a.log", BLOCK[100_000:]).startswith("226")
        assert (at.home / "a.log").read_bytes() == BLOCK
        assert not at.partials()


def test_missing_close_notify_is_never_226(tmp_path: Path) -> None:
    """Over TLS a bare TCP end may be an attacker's."""
    with serving(tmp_path, tls="explicit") as at, at.client(tls=True) as client:
        connection = client.data("STOR a.log")
        connection.sendall(BLOCK)
        connection.close()
        assert client.reply().startswith("426")
        assert "close_notify" in at.event(Incomplete).reason
        assert not (at.home / "a.log").exists()


class _GatedUpload(LocalUpload):
    """Its sync ends when it is told to."""

    __slots__ = ()
    reached = threading.Event()
    go = threading.Event()

    def sync(self) -> None:
        super().sync()
        self.reached.set()
        assert self.go.wait(WAIT_S), "nobody let the sync end"


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> type[_GatedUpload]:
    """Uploads whose sync waits for ``go``, and says so in ``reached``."""
    _GatedUpload.reached.clear()
    _GatedUpload.go.clear()
    monkeypatch.setattr("logferry.ftp.local_upload.LocalUpload", _GatedUpload)
    return _GatedUpload


@pytest.mark.parametrize("quota", [None, 10**9])
def test_a_killed_client_leaves_nothing_published(tmp_path: Path, gate: type[_GatedUpload], quota: int | None) -> None:
    """On plain FTP its data connection ends like a whole file's; its control connection, which ends before the bytes
    are on disk, gives it away. What came is kept to be continued, and no file of the name is there."""
    with serving(tmp_path) as at:
        at.users.change("ann", quota_bytes=quota)
        program = f"""
import time
from tests.ftp.kit import RawClient
client = RawClient({at.port})
client.login()
connection = client.data("STOR a.log")
connection.sendall(bytes(100000))
print("sent", flush=True)
time.sleep(60)
"""
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"sent\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert gate.reached.wait(WAIT_S)
        gate.go.set()
        assert at.event(Incomplete).reason == "The client went away."
        assert not (at.home / "a.log").exists()
        assert [one.stat().st_size for one in at.partials()] == [100000]


def test_a_client_that_goes_while_its_bytes_are_synced_leaves_nothing_published(
    tmp_path: Path, gate: type[_GatedUpload]
) -> None:
    """The order in which a dying client's connections end is nobody's choice: the last look is after the sync."""
    with serving(tmp_path) as at, at.client() as client:
        connection = client.data("STOR a.log")
        connection.sendall(b"half")
        connection.close()
        assert gate.reached.wait(WAIT_S)
        client.close()
        gate.go.set()
        assert at.event(Incomplete).reason == "The client went away."
        assert not (at.home / "a.log").exists()
        assert [one.read_bytes() for one in at.partials()] == [b"half"]


def test_a_client_that_quits_ahead_is_served_to_the_end(tmp_path: Path) -> None:
    """Commands, data and QUIT sent at once, its sending half closed: 226 and 221 come."""
    with serving(tmp_path) as at, at.client() as client:
        port = client.port()
        client.send("STOR a", "QUIT")
        client.socket.shutdown(socket.SHUT_WR)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"x")
        assert [client.code() for _ in range(3)] == ["150", "226", "221"]
        assert (at.home / "a").read_bytes() == b"x"


def test_abor_stops_an_upload_and_a_download(tmp_path: Path, tls: str) -> None:
    """426 for the transfer, 226 for ABOR; the session goes on."""
    with serving(tmp_path, tls=tls) as at, _client(at, tls) as client:
        connection = client.data("STOR a")
        connection.sendall(b"x" * 1000)
        client.send("ABOR")
        assert [client.code(), client.code()] == ["426", "226"]
        connection.close()
        assert not (at.home / "a").exists()
        with (at.home / "big").open("wb") as file:
            file.truncate(1 << 30)
        connection = client.data("RETR big")
        connection.recv(1000)
        client.socket.sendall(b"ABOR\r\n")
        assert [client.code(), client.code()] == ["426", "226"]
        connection.close()
        assert at.event(Incomplete).direction == "in"
        assert at.event(Incomplete).direction == "out"
        assert client.command("NOOP").startswith("200")


def test_abor_with_telnet_signals_is_understood(tmp_path: Path) -> None:
    """IAC IP, then IAC DM as urgent data, as RFC 959 wants it."""
    with serving(tmp_path) as at, at.client() as client:
        connection = client.data("STOR a")
        client.socket.send(b"\xff\xf4\xff", socket.MSG_OOB)
        client.socket.send(b"\xf2ABOR\r\n")
        assert [client.code(), client.code()] == ["426", "226"]
        connection.close()


def test_stat_tells_how_a_transfer_is_doing(tmp_path: Path) -> None:
    """While it runs."""
    with serving(tmp_path) as at, at.client() as client:
        connection = client.data("STOR a")
        assert "STOR /a" in client.command("STAT")
        connection.close()
        assert client.code() == "226"


def test_pipelined_commands_are_answered_in_order(tmp_path: Path, tls: str) -> None:
    """EPSV ahead, STOR and data without waiting for 150, then SIZE, MFMT and EPSV before 226 is read."""
    with serving(tmp_path, tls=tls) as at, _client(at, tls) as client:
        port = client.port()
        for number in range(20):
            content = os.urandom(5_000 + number)
            connection = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
            client.send(f"STOR f{number}")
            if isinstance(client.socket, ssl.SSLSocket):
                connection = client.context.wrap_socket(connection, session=client.socket.session)
            connection.sendall(content)
            client.send(f"SIZE f{number}", f"MFMT 20200102030405 f{number}", "EPSV")
            finish(connection)
            replies = [client.reply() for _ in range(5)]
            assert [reply[:3] for reply in replies] == ["150", "226", "213", "213", "229"]
            assert replies[2] == f"213 {len(content)}"
            assert (at.home / f"f{number}").read_bytes() == content
            assert (at.home / f"f{number}").stat().st_mtime == 1577934245
            port = int(replies[4].split("|")[3])


def test_append_and_rest_write_in_place(tmp_path: Path, tls: str) -> None:
    """To a file that is there: at its end, at an offset; beyond its end is refused."""
    with serving(tmp_path, tls=tls) as at, _client(at, tls) as client:
        (at.home / "log").write_bytes(b"one ")
        inode = (at.home / "log").stat().st_ino
        assert client.upload("APPE log", b"two ").startswith("226")
        client.command("REST 8")
        assert client.upload("STOR log", b"three").startswith("226")
        assert (at.home / "log").read_bytes() == b"one two three"
        assert (at.home / "log").stat().st_ino == inode
        client.command("REST 99")
        client.port()
        assert client.command("STOR log").startswith("550")
        assert client.upload("APPE new", b"x").startswith("226")


def test_an_interrupted_append_keeps_its_true_prefix(tmp_path: Path) -> None:
    """What has come is there, and SIZE says how much."""
    with serving(tmp_path) as at, at.client() as client:
        (at.home / "log").write_bytes(b"one")
        connection = client.data("APPE log")
        connection.sendall(b"two")
        until(lambda: (at.home / "log").stat().st_size == 6, "the bytes have not come")
        reset(connection)
        assert client.code() == "426"
        assert client.command("SIZE log") == "213 6"


def test_stou_finds_a_free_name(tmp_path: Path) -> None:
    """150 and 226 tell it."""
    with serving(tmp_path) as at, at.client() as client:
        connection = socket.create_connection(("127.0.0.1", client.port()))
        opening = client.command("STOU log")
        connection.sendall(b"x")
        connection.close()
        closing = client.reply()
        name = opening.partition("FILE: ")[2]
        assert closing == f"226 FILE: {name}"
        assert (at.home / name[1:]).read_bytes() == b"x"


def test_the_data_port_is_for_the_peer_and_for_one_transfer(tmp_path: Path) -> None:
    """A second EPSV closes the first port, an unused one is closed with the session."""
    with serving(tmp_path) as at, at.client() as client:
        first = client.port()
        second = client.port()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", first))
        client.close()
        until(lambda: not _listens(second), "the port is still open")


def test_somebody_elses_connection_is_not_the_data_connection(tmp_path: Path) -> None:
    """It comes from another address, gets nothing, and the true one is served."""
    with serving(tmp_path) as at, at.client() as client:
        (at.home / "a").write_bytes(b"secret")
        port = client.port()
        thief = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0), timeout=WAIT_S)
        client.send("RETR a")
        assert client.code() == "150"
        with contextlib.suppress(ConnectionResetError):
            assert thief.recv(100) == b""
        thief.close()
        with socket.create_connection(("127.0.0.1", port)) as connection:
            assert connection.recv(100) == b"secret"
        assert client.code() == "226"


def test_it_speaks_ipv6(tmp_path: Path) -> None:
    """EPSV only; PASV cannot tell such an address."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    users = MemoryUsers(User("ann", str(tmp_path / "home"), password_hash=SECRET))
    with FtpServer(("::1", 0), users=users, tls="off") as server, RawClient(server.address[1], host="::1") as client:
        client.login()
        assert client.upload("STOR a", b"six").startswith("226")
        assert client.download("RETR a") == b"six"
        assert client.command("PASV").startswith("522")
        assert client.command("EPSV 1").startswith("522")
        assert client.command("EPSV 2").startswith("229")


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return False
    return True


def test_passive_ports_come_from_the_range(tmp_path: Path) -> None:
    """And when all are taken it is said."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = {"passive_ports": range(port, port + 1), "public_address": "192.0.2.7"}
        with serving(tmp_path, **settings) as at, at.client() as client:
            assert client.command("EPSV").startswith("425")
            taken.close()
            assert client.port() == port
            assert "(192,0,2,7," in client.command("PASV")


def test_no_data_connection_in_time_is_425(tmp_path: Path) -> None:
    """The session goes on."""
    with serving(tmp_path, limits=ServerLimits(data_connect_s=0.1)) as at, at.client() as client:
        client.port()
        assert client.command("STOR a").startswith("150")
        assert client.reply().startswith("425")
        assert client.command("NOOP").startswith("200")
        assert not at.partials()


def test_a_stalled_transfer_is_cut(tmp_path: Path, tls: str) -> None:
    """Up and down."""
    with serving(tmp_path, tls=tls, limits=ServerLimits(data_stall_s=0.3)) as at, _client(at, tls) as client:
        connection = client.data("STOR a")
        connection.sendall(b"x" * 100)
        assert client.reply().startswith("426 No byte for")
        connection.close()
        with (at.home / "big").open("wb") as file:
            file.truncate(1 << 30)
        connection = client.data("RETR big")
        assert client.reply().startswith("426 No byte for")
        connection.close()


def test_a_data_connection_without_reuse_is_told_why(tmp_path: Path) -> None:
    """522 names the option; with the option off it works."""
    with serving(tmp_path, tls="explicit") as at, at.client(tls=True) as client:
        connection = client.data("STOR a", reuse=False)
        assert isinstance(connection, ssl.SSLSocket)
        reply = client.reply()
        assert reply.startswith("522")
        assert "require_data_reuse" in reply
        connection.close()
        assert client.upload("STOR a", b"x").startswith("226")
    with serving(tmp_path, tls="explicit", require_data_reuse=False) as at, at.client(tls=True) as client:
        connection = client.data("STOR b", reuse=False)
        connection.sendall(b"x")
        finish(connection)
        assert client.code() == "226"


def test_somebody_elses_tls_session_does_not_open_the_data_connection(tmp_path: Path) -> None:
    """A ticket of the same server is not enough: it must be one of this user's control connections."""
    with serving(tmp_path, tls="explicit") as at, at.client(tls=True) as client:
        stranger = at.client(login=False, tls=True)
        assert isinstance(stranger.socket, ssl.SSLSocket)
        port = client.port()
        connection = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        assert client.command("STOR a").startswith("150")
        # The same context, as OpenSSL wants it, but the session of the stranger.
        connection = stranger.context.wrap_socket(connection, session=stranger.socket.session)
        stranger.close()
        assert client.reply().startswith("522")
        connection.close()
        assert not (at.home / "a").exists()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_tls_versions_carry_files(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Up and down, the session resumed on each data connection."""
    with serving(tmp_path, tls="required") as at, at.client(login=False) as client:
        client.context.minimum_version = client.context.maximum_version = version
        client.secure()
        client.login()
        for number in range(3):
            assert client.upload(f"STOR f{number}", BLOCK).startswith("226")
        assert client.download("RETR f2") == BLOCK


def test_parallel_clients_do_not_disturb_each_other(tmp_path: Path, tls: str) -> None:
    """Eight at once, each its own files."""
    failures: list[str] = []

    def work(at: Serving, number: int) -> None:
        with _client(at, tls) as client:
            for turn in range(5):
                content = hashlib.sha256(f"{number} {turn}".encode()).digest() * 3_000
                reply = client.upload(f"STOR {number}-{turn}", content)
                if not reply.startswith("226") or client.download(f"RETR {number}-{turn}") != content:
                    failures.append(reply)

    with serving(tmp_path, tls=tls) as at:
        threads = [threading.Thread(target=work, args=(at, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(list(at.home.iterdir())) == 40


def test_two_uploads_of_one_name_do_not_mix(tmp_path: Path) -> None:
    """The last one whole wins."""
    with serving(tmp_path) as at, at.client() as first, at.client() as second:
        one, two = first.data("STOR a"), second.data("STOR a")
        for _ in range(10):
            one.sendall(b"1" * 1000)
            two.sendall(b"2" * 1000)
        one.close()
        assert first.code() == "226"
        assert (at.home / "a").read_bytes() == b"1" * 10_000
        two.close()
        assert second.code() == "226"
        assert (at.home / "a").read_bytes() == b"2" * 10_000
        assert not at.partials()


def test_stop_lets_a_transfer_finish(tmp_path: Path) -> None:
    """Idle sessions get 421, the upload its 226."""
    with serving(tmp_path) as at:
        idle, client = at.client(), at.client()
        connection = client.data("STOR a")
        connection.sendall(BLOCK)
        stopping = threading.Thread(target=at.server.stop)
        stopping.start()
        assert idle.reply().startswith("421")
        connection.close()
        assert client.code() == "226"
        assert client.code() == "421"
        stopping.join()
        assert (at.home / "a").read_bytes() == BLOCK
        idle.close()
        client.close()


def test_stop_cuts_what_does_not_finish(tmp_path: Path) -> None:
    """A transfer cut by the server is not a whole one."""
    with serving(tmp_path) as at, at.client() as client:
        connection = client.data("STOR a")
        connection.sendall(BLOCK)
        at.server.stop(timeout_s=0.1)
        assert not (at.home / "a").exists()
        assert at.event(Incomplete).path == "/a"
        connection.close()


class FullDisk(LocalFilesystem):
    """A home on a disk that gets full in the middle of an upload, or refuses the sync at its end."""

    at_commit = False

    def open_upload(self, path: str, *, offset: int, append: bool) -> LocalUpload:
        upload = super().open_upload(path, offset=offset, append=append)
        return _AtCommit(upload) if self.at_commit else _AtWrite(upload)


class _AtWrite(LocalUpload):
    def __init__(self, upload: LocalUpload) -> None:
        super().__init__(upload._fd, upload._folder, upload._name, upload._partial, upload.position)

    def write(self, data: memoryview | bytes) -> None:
        raise Full("no room for more", hint="make room")


class _AtCommit(_AtWrite):
    def write(self, data: memoryview | bytes) -> None:
        LocalUpload.write(self, data)

    def commit(self) -> None:
        self.abandon()
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize(("at_commit", "code"), [(False, "452"), (True, "451")])
def test_a_disk_that_fails_is_never_226(tmp_path: Path, at_commit: bool, code: str) -> None:
    """452 when full, 451 when the sync fails; the session goes on."""

    def make(user: User) -> FullDisk:
        files = FullDisk(user.home)
        files.at_commit = at_commit
        return files

    with serving(tmp_path, filesystem=make) as at, at.client() as client:
        connection = client.data("STOR a")
        with contextlib.suppress(OSError):
            connection.sendall(b"x")
            connection.close()
        assert client.code() == code
        assert at.event(Incomplete).path == "/a"
        assert not (at.home / "a").exists()
        assert client.command("NOOP").startswith("200")
