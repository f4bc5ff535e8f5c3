"""What bad clients try across connections, and that the others do not notice."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logferry.errors import Conflict, NotFound
from logferry.ftp import (
    Banned,
    DefenderRules,
    FtpServer,
    Incomplete,
    LocalFilesystem,
    LoginFailed,
    MemoryUsers,
    ServerLimits,
    SessionEnded,
    User,
)
from logferry.limits import FTP_CONFLICTS_FREE, FTP_CONFLICTS_MAX
from tests.ftp import kit
from tests.ftp.kit import SECRET, WAIT_S, RawClient, Serving, until

ADDRESSES = int(os.environ.get("LOGFERRY_ATTACK_ADDRESSES", "1000"))
GUESSES = 10
NUMBERS = itertools.count()
"""Makes each wrong password another one."""


def serving(folder: Path, **settings: Any) -> contextlib.AbstractContextManager[Serving]:
    """A server with its defender as it is by default."""
    settings.setdefault("defender", DefenderRules())
    return kit.serving(folder, **settings)


class PlainUsers(MemoryUsers):
    """Checks a password in no time: the attack is on the defender, not on the hash."""

    def verify(self, user: User, password: str) -> bool:
        return password == "secret"


def guess(at: Serving, source: str, *passwords: str) -> bytes:
    """One connection from ``source`` that tries passwords; all that it is told."""
    told = b""
    passwords = tuple(f"{password}{next(NUMBERS)}" if password == "wrong" else password for password in passwords)
    with contextlib.suppress(ConnectionError), socket.socket() as client:
        client.settimeout(WAIT_S)
        client.bind((source, 0))
        client.connect(("127.0.0.1", at.port))
        client.sendall(b"".join(b"USER ann\r\nPASS %s\r\n" % password.encode() for password in passwords) + b"QUIT\r\n")
        while piece := client.recv(65536):
            told += piece
    return told


def ban(at: Serving, source: str = "127.0.0.1") -> None:
    """Have an address banned."""
    while not any(one.address == source for one in at.server.bans()):
        guess(at, source, *["wrong"] * 3)


def test_ten_thousand_guesses_from_a_thousand_addresses(tmp_path: Path) -> None:
    """Each gets banned, the table keeps within its bound, the honest user is served all the while."""
    rules = DefenderRules(threshold=GUESSES - 1, addresses_max=512)
    limits = ServerLimits(login_delay_s=0.0, login_failures=5)
    with serving(tmp_path, users=PlainUsers(), limits=limits, defender=rules) as at:
        sources = [f"127.{1 + n // 250}.0.{1 + n % 250}" for n in range(ADDRESSES)]
        random.Random(42).shuffle(sources)
        defender = at.server._commons.defender
        assert defender is not None
        guessed = [0, 0]

        def attack(mine: list[str]) -> None:
            for source in mine:
                for _ in range(2):
                    told = guess(at, source, *["wrong"] * (GUESSES // 2))
                    guessed[0] += told.count(b"530")

        threads = [threading.Thread(target=attack, args=(sources[part::4],)) for part in range(4)]
        for thread in threads:
            thread.start()
        honest = 0
        while any(thread.is_alive() for thread in threads):
            assert b"230 Logged in." in guess(at, "127.0.0.1", "secret")
            assert len(defender) <= 512
            honest += 1
            time.sleep(0.02)
        for thread in threads:
            thread.join()
        assert honest > 10
        assert guessed[0] >= ADDRESSES * (GUESSES - 1)
        assert len(at.server.bans()) > 300
        assert b"230 Logged in." in guess(at, "127.0.0.1", "secret")
        until(lambda: not at.server.sessions(), "sessions are left over")


def test_a_banned_address_is_refused_before_anything_else(tmp_path: Path) -> None:
    """421 and the end, no banner, no TLS; told once as Banned; others get in; a ban can be lifted."""
    with serving(tmp_path, tls="explicit") as at:
        ban(at, "127.0.0.9")
        event = at.event(Banned)
        assert (event.address, event.user, event.seconds, event.reason) == ("127.0.0.9", "", 1800.0, "wrong passwords")
        for _ in range(3):
            assert guess(at, "127.0.0.9", "secret") == b"421 Your address is banned for a while.\r\n"
        assert at.server.sessions() == []
        at.client(tls=True).close()
        assert [one.address for one in at.server.bans()] == ["127.0.0.9"]
        assert at.server.unban("127.0.0.9")
        assert b"230" in guess(at, "127.0.0.9", "secret")


def test_the_defender_is_on_by_default(tmp_path: Path) -> None:
    """Nobody has to think of it; without one nobody is ended for nonsense either."""
    users = MemoryUsers(User("ann", str(tmp_path), password_hash=SECRET))
    limits = ServerLimits(login_delay_s=0.0)
    with FtpServer(("127.0.0.1", 0), users=users, tls="off", limits=limits) as server:
        for number in range(15):
            assert server.bans() == []
            with RawClient(server.address[1]) as client:
                client.command("USER ann")
                client.command(f"PASS {number}")
        assert len(server.bans()) == 1
    with serving(tmp_path, defender=None) as at, at.client() as client:
        assert {client.command("WHAT") for _ in range(200)} == {"500 WHAT is not understood."}


def test_sessions_that_are_there_survive_the_ban_of_their_address(tmp_path: Path) -> None:
    """Only new connections are refused: many may stand behind one address."""
    with serving(tmp_path, defender=DefenderRules(trusted_factor=1.0)) as at, at.client() as client:
        ban(at)
        assert client.upload("STOR a", b"x").startswith("226")


def test_a_neighbour_who_mistypes_does_not_shut_the_others_out(tmp_path: Path) -> None:
    """Behind one address: 15 mistakes are borne once somebody has logged in well from there."""
    with serving(tmp_path) as at:
        at.client().close()
        for _ in range(8):
            guess(at, "127.0.0.1", *["wrong"] * 3)
        at.client().close()
        assert at.server.bans() == []


def test_an_old_password_tried_again_and_again_bans_nobody(tmp_path: Path) -> None:
    """A program that was forgotten somewhere keeps knocking; the others at its address get in."""
    with serving(tmp_path) as at:
        for _ in range(20):
            assert guess(at, "127.0.0.1", "old", "old", "old").count(b"530") == 3
        assert at.server.bans() == []
        at.client().close()


def test_networks_on_the_list_and_servers_without_a_defender_ban_nobody(tmp_path: Path) -> None:
    """However much they guess."""
    for number, defender in enumerate((DefenderRules(allow=("127.0.0.0/8",)), None)):
        with serving(tmp_path / str(number), defender=defender) as at:
            for _ in range(12):
                guess(at, "127.0.0.1", *["wrong"] * 3)
            assert at.server.bans() == []
            assert not at.server.unban("127.0.0.1")
            at.client().close()


def test_an_unknown_name_costs_twice_as_much(tmp_path: Path) -> None:
    """8 of them; the client is told the same as for a wrong password."""
    with serving(tmp_path) as at:
        count = 0
        while not at.server.bans():
            with at.client(login=False) as client:
                client.command("USER nobody")
                assert client.command(f"PASS {count}") == "530 Wrong user name or password."
            count += 1
        assert count == 8


def test_connections_beyond_the_limit_cost_points_where_nobody_logs_in(tmp_path: Path) -> None:
    """Five refused ones; after a good login they are an honest crowd."""
    limits = ServerLimits(sessions_per_address=1, login_delay_s=0.0)
    with serving(tmp_path, limits=limits) as at:
        with at.client(login=False):
            for _ in range(5):
                assert guess(at, "127.0.0.1").startswith(b"421 Too many")
            assert guess(at, "127.0.0.1").startswith(b"421 Your address is banned")
        assert at.server.unban("127.0.0.1")
        until(lambda: not at.server.sessions(), "the place is not free")
        with at.client():
            for _ in range(50):
                assert guess(at, "127.0.0.1").startswith(b"421 Too many")
        assert at.server.bans() == []


def tls_nonsense(at: Serving) -> None:
    """AUTH TLS and then no TLS."""
    with at.client(login=False) as client:
        client.command("AUTH TLS")
        client.socket.sendall(b"no hello at all\r\n" * 10)
        assert client.reply() == ""


def http(at: Serving) -> None:
    """A browser's header, line after line."""
    with at.client(login=False) as client:
        with contextlib.suppress(OSError):
            client.socket.sendall(b"GET / HTTP/1.1\r\n" + b"X-Header: value\r\n" * 60)
        codes = []
        while code := client.code():
            codes.append(code)
        assert codes[-1] == "421"
        assert len(codes) <= 70


def endless_line(at: Serving) -> None:
    """A command without end."""
    with at.client(login=False) as client:
        with contextlib.suppress(OSError):
            for _ in range(200):
                client.socket.sendall(b"x" * 1024)
        while client.code():
            pass


@pytest.mark.parametrize(
    ("attack", "times"), [(tls_nonsense, 15), (http, 3), (endless_line, 3)], ids=["tls", "http", "line"]
)
def test_nonsense_gets_an_address_banned(tmp_path: Path, attack: Callable[[Serving], None], times: int) -> None:
    """Failed handshakes, another protocol, lines without end: so many times."""
    with serving(tmp_path, tls="explicit") as at:
        for _ in range(times):
            assert at.server.bans() == []
            attack(at)
        until(lambda: len(at.server.bans()) == 1, "no ban")


# Connections of a user -----------------------------------------------------------------------------------------------


def test_a_user_has_so_many_connections_and_no_more(tmp_path: Path) -> None:
    """Told only to who knows the password; a place gets free with the session, or when it logs in as somebody else."""
    with serving(tmp_path) as at:
        at.users.change("ann", connections=2)
        at.users.add(User.with_password("bob", "secret", str(at.home)))
        first, second = at.client(), at.client()
        with at.client(login=False) as third:
            third.command("USER ann")
            assert third.command("PASS wrong").startswith("530 Wrong")
            third.command("USER ann")
            assert third.command("PASS secret").startswith("421 You have too many connections")
            assert third.reply() == ""
        assert [at.event(LoginFailed).reason for _ in range(2)] == [
            "wrong password",
            "too many connections of the user",
        ]
        first.login("bob")
        third = at.client()
        second.close()
        until(lambda: len(at.server.sessions()) == 2, "the place is not free")
        at.client().close()
        at.users.change("ann", connections=0)
        many = [at.client() for _ in range(5)]
        for client in (first, third, *many):
            client.close()
        until(lambda: not at.server.sessions(), "sessions are left over")
        assert at.server._commons.tally.of_user("ann") == 0
        assert at.server._commons.tally.of_address("127.0.0.1") == 0


def test_a_limit_for_users_without_one_of_their_own(tmp_path: Path) -> None:
    """Of the server; the user's own goes before it."""
    with serving(tmp_path, limits=ServerLimits(sessions_per_user=1)) as at:
        with at.client(), at.client(login=False) as second:
            second.command("USER ann")
            assert second.command("PASS secret").startswith("421")
        until(lambda: not at.server.sessions(), "sessions are left over")
        at.users.change("ann", connections=2)
        with at.client(), at.client():
            assert at.server._commons.tally.of_user("ann") == 2


# Guessing stored bytes -----------------------------------------------------------------------------------------------


class Keeping(LocalFilesystem):
    """Keeps what it has: an upload must agree with it, as in an archive."""

    keeps = True

    def open_upload(self, path: str, *, offset: int, append: bool) -> Any:
        try:
            download = self.open_download(path)
        except NotFound:
            return super().open_upload(path, offset=offset, append=append)
        return _Compared(download.read_at(0, download.size), offset)


class _Compared:
    def __init__(self, stored: bytes, position: int) -> None:
        self._stored = stored
        self.position = position

    def write(self, data: memoryview | bytes) -> None:
        end = self.position + len(data)
        if self._stored[self.position : end] != bytes(data):
            raise Conflict("it differs from what is stored")
        self.position = end

    def commit(self) -> None:
        """It is there already."""

    def abandon(self) -> None:
        """Nothing was kept."""


def test_stored_bytes_cannot_be_guessed_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some conflicts are answered at once, some slowly, then the session ends; the next one ends at the first."""
    monkeypatch.setattr("logferry.ftp.commons.FTP_CONFLICT_DELAY_S", 0.05)
    with serving(tmp_path, filesystem=lambda user: Keeping(user.home)) as at:
        (at.home / "secret").write_bytes(b"\xff" * 10)
        client = at.client()
        replies = []
        for value in range(256):
            connection = client.data("STOR secret")
            connection.sendall(bytes([value]))
            connection.close()
            replies.append(client.reply())
            if not replies[-1].startswith("550"):
                break
        assert len(replies) == FTP_CONFLICTS_MAX + 1
        assert replies[-1].startswith("421 Too many uploads that differ")
        assert client.reply() == ""
        client.close()
        assert at.event(SessionEnded).reason == "too many uploads that differ from what is stored"
        with at.client() as client:
            assert client.upload("STOR honest", b"new").startswith("226"), "what fits is taken as ever"
            assert client.upload("STOR secret", b"\x00").startswith("421")
        assert FTP_CONFLICTS_FREE < FTP_CONFLICTS_MAX


def test_pipelined_guesses_wait_like_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow answer holds back what stands behind it, in order, and ABOR is no way around."""
    monkeypatch.setattr("logferry.ftp.commons.FTP_CONFLICT_DELAY_S", 0.2)
    monkeypatch.setattr("logferry.ftp.commons.FTP_CONFLICTS_FREE", 1)
    with serving(tmp_path, filesystem=lambda user: Keeping(user.home)) as at, at.client() as client:
        (at.home / "secret").write_bytes(b"y")
        assert client.upload("STOR secret", b"x").startswith("550")
        connection = client.data("STOR secret")
        connection.sendall(b"x")
        connection.close()
        until(lambda: at.server.sessions()[0].doing == "idle", "the upload is over")
        client.send("ABOR", "NOOP")
        assert [client.code() for _ in range(3)] == ["550", "226", "200"]


# Ending sessions -----------------------------------------------------------------------------------------------------


def test_an_idle_session_is_ended_at_once(tmp_path: Path) -> None:
    """Before and after login; with 421; others stay."""
    with serving(tmp_path) as at, at.client(login=False) as new, at.client() as idle, at.client() as other:
        for info in at.server.sessions()[:2]:
            assert at.server.end(info.id)
        for client in (new, idle):
            assert client.reply() == "421 Your session was ended by the administrator."
            assert client.reply() == ""
        assert at.event(SessionEnded).reason == "ended by the administrator"
        assert other.command("NOOP").startswith("200")
        assert not at.server.end(10**6)


@pytest.mark.parametrize("verb", ["STOR", "RETR"])
def test_a_transfer_is_cut_with_its_session(tmp_path: Path, verb: str) -> None:
    """426, 421, an Incomplete event that says why, and no file under the name."""
    with serving(tmp_path) as at, at.client() as client:
        (at.home / "big").write_bytes(b"x" * 64 * 1024 * 1024)
        connection = client.data("STOR new" if verb == "STOR" else "RETR big")
        if verb == "STOR":
            connection.sendall(b"x" * 100_000)
        until(lambda: at.server.sessions()[0].doing == verb, "the transfer is not seen")
        assert at.server.end(at.server.sessions()[0].id)
        assert client.reply() == "426 Your session was ended by the administrator."
        assert client.reply() == "421 Your session was ended by the administrator."
        assert at.event(Incomplete).reason == "Your session was ended by the administrator."
        connection.close()
        assert not (at.home / "new").exists()


def test_sessions_may_be_ended_at_any_moment(tmp_path: Path) -> None:
    """While clients come, work and go: each that is ended hears 421 or finds the connection closed; none is left."""
    with serving(tmp_path, defender=None) as at:
        stop = threading.Event()
        failures: list[str] = []

        def work(name: str) -> None:
            while not stop.is_set():
                with contextlib.suppress(OSError, AssertionError), at.client(login=False) as client:
                    client.login()
                    while not stop.is_set():
                        reply = client.upload(f"STOR {name}", b"x" * 50_000)
                        if reply[:3] not in ("226", "426", "421", "425", ""):
                            failures.append(reply)

        threads = [threading.Thread(target=work, args=(f"f{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        dice = random.Random(7)
        ended = 0
        while ended < 60:
            for info in at.server.sessions():
                if dice.random() < 0.3:
                    ended += at.server.end(info.id)
            time.sleep(0.005)
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []
        until(lambda: not at.server.sessions(), "sessions are left over")


# Slow clients --------------------------------------------------------------------------------------------------------


def drip(client: RawClient, text: bytes, pause_s: float) -> bytes:
    """Send byte by byte, over and over, until the server has had enough; what it said."""
    client.socket.settimeout(pause_s)
    end = time.monotonic() + WAIT_S
    told = b""
    while time.monotonic() < end:
        for number in range(len(text)):
            try:
                client.socket.sendall(text[number : number + 1])
                piece = client.socket.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                return told
            if not piece:
                return told
            told += piece
    raise AssertionError("the server has endless patience")


@pytest.mark.parametrize("login", [True, False])
def test_a_command_that_drips_in_is_cut_in_time(tmp_path: Path, login: bool) -> None:
    """Each byte comes well within every pause, the line never ends."""
    limits = ServerLimits(line_s=0.4, login_s=20, login_delay_s=0.0)
    with serving(tmp_path, limits=limits) as at, at.client(login=login) as client:
        assert b"421 This command has no end" in drip(client, b"X", 0.05)
        assert at.event(SessionEnded).reason == "a command without end"


@pytest.mark.parametrize("text", [b"NOOP\r\n", b"\r\n", b"FEAT\r\nUSER x\r\n"])
def test_being_busy_is_no_login(tmp_path: Path, text: bytes) -> None:
    """Whoever sends commands without ever logging in is ended like one who sends none."""
    with serving(tmp_path, limits=ServerLimits(login_s=0.4)) as at, at.client(login=False) as client:
        assert b"421 Too long without a login" in drip(client, text, 0.02)
        assert at.event(SessionEnded).reason == "no login in time"


def test_empty_lines_keep_no_session_alive(tmp_path: Path) -> None:
    """They are answered, and counted as what they are."""
    with serving(tmp_path) as at, at.client() as client:
        assert b"421 Too many commands that mean nothing" in drip(client, b"\r\n", 0.01)
        assert at.event(SessionEnded).reason == "too many commands that mean nothing"


def test_a_handshake_that_drips_in_is_cut_in_time(tmp_path: Path) -> None:
    """A hello whose bytes come one by one holds neither a thread nor a session for long."""
    limits = ServerLimits(threads=2, login_s=3.0)
    with serving(tmp_path, tls="explicit", limits=limits) as at, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(at.client(login=False)) for _ in range(3)]
        for client in slow:
            assert client.command("AUTH TLS").startswith("234")
        stop = threading.Event()

        def trickle() -> None:
            hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500
            for number in range(len(hello)):
                if stop.is_set():
                    return
                for client in slow:
                    with contextlib.suppress(OSError):
                        client.socket.sendall(hello[number : number + 1])
                time.sleep(0.05)

        thread = threading.Thread(target=trickle)
        thread.start()
        # Before the sockets are closed, whatever goes wrong.
        stack.callback(thread.join)
        stack.callback(stop.set)
        with at.client(tls=True) as honest:
            assert honest.command("NOOP").startswith("200")
        until(lambda: not at.server.sessions(), "the slow ones are still there")


def test_many_who_never_send_a_byte_are_all_ended(tmp_path: Path) -> None:
    """300 of them cost no thread, and an honest client is served meanwhile."""
    limits = ServerLimits(login_s=1.0, sessions_per_address=1000)
    with serving(tmp_path, limits=limits) as at:
        silent = [socket.create_connection(("127.0.0.1", at.port)) for _ in range(300)]
        with at.client() as client:
            assert client.upload("STOR a", b"x").startswith("226")
            assert at.server.threads <= 3
            until(lambda: len(at.server.sessions()) == 1, "they are still there")
            assert client.command("NOOP").startswith("200")
        for one in silent:
            assert one.recv(4096).startswith(b"220")
            one.close()
