"""Sessions against a running server: login, rights that change, limits and deadlines, names, abuse."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from logferry.errors import BadConfig
from logferry.ftp import (
    Deleted,
    Event,
    FtpServer,
    LoggedIn,
    LoginFailed,
    MemoryUsers,
    Renamed,
    ServerLimits,
    SessionEnded,
    TlsIdentity,
    User,
    hash_password,
)
from tests.ftp.kit import SECRET, RawClient, serving, until


def test_a_login_is_told(tmp_path: Path) -> None:
    """Who, from where, over TLS or not; and the end with its reason."""
    with serving(tmp_path, tls="explicit") as at:
        with at.client() as client:
            client.command("QUIT")
        event = at.event(LoggedIn)
        assert (event.user, event.address, event.secure) == ("ann", "127.0.0.1", False)
        assert at.event(SessionEnded).reason == "the client quit"
        with at.client(tls=True):
            assert at.event(LoggedIn).secure
        assert at.event(SessionEnded).reason == "closed by the client"


@pytest.mark.parametrize(
    ("name", "password", "reason"), [("ann", "no", "wrong password"), ("bob", "x", "no such user")]
)
def test_a_wrong_login_is_refused_alike(tmp_path: Path, name: str, password: str, reason: str) -> None:
    """The client cannot tell an unknown name from a wrong password; the operator can."""
    with serving(tmp_path) as at, at.client(login=False) as client:
        client.command(f"USER {name}")
        assert client.command(f"PASS {password}") == "530 Wrong user name or password."
        assert at.event(LoginFailed).reason == reason
        client.login()


def test_the_third_failure_ends_the_connection(tmp_path: Path) -> None:
    """So guessing costs a connection every three tries."""
    with serving(tmp_path) as at, at.client(login=False) as client:
        for code in ("530", "530", "530"):
            client.command("USER ann")
            assert client.command("PASS wrong").startswith(code)
        assert client.reply() == ""


def test_a_refusal_takes_its_time_and_no_thread(tmp_path: Path) -> None:
    """The delay is waited for by the loop; other clients are served meanwhile."""
    limits = ServerLimits(login_delay_s=0.3, threads=1)
    with serving(tmp_path, limits=limits) as at, at.client(login=False) as slow:
        slow.send("USER ann", "PASS wrong", "NOOP")
        assert slow.code() == "331"
        with at.client() as client:
            assert client.command("NOOP").startswith("200")
        assert slow.code() == "530"
        assert slow.code() == "200"


def test_a_refusal_comes_after_the_same_time_whatever_the_check_took(tmp_path: Path) -> None:
    """A quick hash and a slow one, a name that nobody has: the wait counts from the PASS, so time tells nothing."""
    with serving(tmp_path, limits=ServerLimits(login_delay_s=30.0)) as at:
        at.users.add(User("slow", str(at.home), password_hash=hash_password("secret")))
        clients = [at.client(login=False) for _ in range(3)]
        for name, client in zip(("ann", "slow", "nobody"), clients, strict=True):
            client.send(f"USER {name}", "PASS wrong")
        sessions = at.server._sessions.values()
        until(lambda: all(session.paused for session in list(sessions)), "no pause")
        assert [session.deadline_s for session in sessions] == [session._asked_s + 30.0 for session in sessions]
        for client in clients:
            client.close()


def test_a_disabled_user_cannot_log_in(tmp_path: Path) -> None:
    """With the right password."""
    with serving(tmp_path) as at, at.client(login=False) as client:
        at.users.change("ann", enabled=False)
        client.command("USER ann")
        assert client.command("PASS secret").startswith("530")
        assert at.event(LoginFailed).reason == "user is disabled"


def test_a_home_that_cannot_be_opened_refuses_the_login(tmp_path: Path) -> None:
    """The session goes on, the operator is told."""
    (tmp_path / "file").write_text("in the way")
    with serving(tmp_path) as at, at.client(login=False) as client:
        at.users.add(User("bob", str(tmp_path / "file" / "home"), password_hash=SECRET))
        client.command("USER bob")
        assert client.command("PASS secret").startswith("530")
        assert at.event(LoginFailed).reason.startswith("home:")
        client.login()


def test_changes_take_effect_on_the_next_command(tmp_path: Path) -> None:
    """Rights taken and given, another home, a new user."""
    with serving(tmp_path) as at, at.client() as client:
        assert client.command("MKD one").startswith("257")
        at.users.change("ann", permissions="elr")
        assert client.command("MKD two").startswith("550 Permission denied")
        other = tmp_path / "other"
        at.users.change("ann", permissions="elradfmwMT", home=str(other))
        assert client.command("CWD one").startswith("550")
        assert client.upload("STOR here", b"x").startswith("226")
        assert (other / "here").read_bytes() == b"x"
        at.users.add(User("bob", str(other), password_hash=SECRET))
        with at.client(login=False) as second:
            second.login("bob")


@pytest.mark.parametrize("what", ["removed", "disabled", "password"])
def test_a_user_who_lost_access_is_sent_away(tmp_path: Path, what: str) -> None:
    """With the next command, not at the next login."""
    with serving(tmp_path) as at, at.client() as client:
        if what == "removed":
            at.users.remove("ann")
        elif what == "disabled":
            at.users.change("ann", enabled=False)
        else:
            at.users.change("ann", password_hash="$scrypt$other")
        assert client.command("DELE x").startswith("421")
        assert client.reply() == ""


def test_the_permission_letters_hold_over_the_wire(tmp_path: Path) -> None:
    """An agent's set: it delivers, it cannot read or delete."""
    with serving(tmp_path) as at:
        at.users.change("ann", permissions="elafmwT")
        with at.client() as client:
            assert client.upload("STOR a", b"12").startswith("226")
            assert client.upload("APPE a", b"34").startswith("226")
            client.port()
            assert client.command("RETR a").startswith("550")
            assert client.command("DELE a").startswith("550")
            assert client.command("RNFR a").startswith("350")
            assert client.command("RNTO b").startswith("250")
            assert client.command("SITE CHMOD 600 b").startswith("550")
        assert (at.home / "b").read_bytes() == b"1234"


def test_deleting_and_renaming_are_told(tmp_path: Path) -> None:
    """With the paths the user sees."""
    with serving(tmp_path) as at, at.client() as client:
        (at.home / "a").write_text("x")
        client.command("MKD d")
        client.command("RNFR a")
        client.command("RNTO d/b")
        renamed = at.event(Renamed)
        assert (renamed.path, renamed.target) == ("/a", "/d/b")
        client.command("DELE d/b")
        client.command("RMD d")
        assert [(e.path, e.is_folder) for e in (at.event(Deleted), at.event(Deleted))] == [
            ("/d/b", False),
            ("/d", True),
        ]


def test_a_handler_that_fails_hurts_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, the session goes on."""

    def fail(_event: Event) -> None:
        raise RuntimeError("handler")

    users = MemoryUsers(User("ann", str(tmp_path), password_hash=SECRET))
    server = FtpServer(("127.0.0.1", 0), users=users, tls="off", on_event=fail)
    with server, RawClient(server.address[1]) as client:
        client.login()
        assert client.command("NOOP").startswith("200")
    assert "handler of FTP events failed" in caplog.text


# Limits and deadlines --------------------------------------------------------------------------------------------


def test_idle_sessions_are_ended_with_421(tmp_path: Path) -> None:
    """Also those that never log in."""
    with serving(tmp_path, limits=ServerLimits(idle_s=0.2, login_s=0.2)) as at:
        with at.client() as client:
            assert client.reply().startswith("421 Too long without a command")
        with at.client(login=False) as client:
            assert client.reply().startswith("421 Too long without a login")


def test_a_command_that_never_ends_is_cut(tmp_path: Path) -> None:
    """However its bytes drip, and before the idle deadline."""
    with serving(tmp_path, limits=ServerLimits(line_s=0.3)) as at, at.client() as client:
        client.socket.sendall(b"NOO")
        assert client.reply().startswith("421")


def test_a_command_of_megabytes_is_cut(tmp_path: Path) -> None:
    """500 once, 421 after, never an ever-growing buffer."""
    with serving(tmp_path) as at, at.client() as client:
        sender = threading.Thread(target=_pour, args=(client.socket,))
        sender.start()
        codes = [client.code(), client.code()]
        client.close()
        sender.join()
        assert codes == ["500", "421"]


def _pour(connection: socket.socket) -> None:
    try:
        for _ in range(20_000):
            connection.sendall(b"x" * 1024)
    except OSError:
        return  # cut, as it should be


def test_too_many_sessions_are_told_so(tmp_path: Path) -> None:
    """Per address and in all, and a place gets free again."""
    with serving(tmp_path, limits=ServerLimits(sessions_per_address=2)) as at:
        first, second = at.client(), at.client()
        with socket.create_connection(("127.0.0.1", at.port)) as third:
            assert third.recv(100).startswith(b"421 Too many connections from your address")
        first.close()
        until(lambda: len(at.server.sessions()) == 1, "the place is not free")
        at.client().close()
        second.close()
    with (
        serving(tmp_path, limits=ServerLimits(sessions=1)) as at,
        at.client(),
        socket.create_connection(("127.0.0.1", at.port)) as third,
    ):
        assert third.recv(100).startswith(b"421 Too many connections;")


def test_a_thousand_idle_sessions_cost_no_thread(tmp_path: Path) -> None:
    """They wait in one loop; each still answers, and all leave."""
    with serving(tmp_path, limits=ServerLimits(sessions_per_address=2_000)) as at:
        clients = [at.client(login=False) for _ in range(1_000)]
        assert len(at.server.sessions()) == 1_000
        assert at.server.threads == 0
        for client in clients[::100]:
            assert client.command("NOOP").startswith("200")
        for client in clients:
            client.close()
        until(lambda: not at.server.sessions(), "sessions are left over")


def test_more_clients_than_threads_are_all_served(tmp_path: Path) -> None:
    """Those that went quiet make room."""
    with serving(tmp_path, limits=ServerLimits(threads=2)) as at:
        clients = [at.client() for _ in range(8)]
        for client in clients:
            client.send("NOOP")
        assert [client.code() for client in clients] == ["200"] * 8
        assert at.server.threads <= 2
        for client in clients:
            client.close()


def test_sessions_shows_who_is_there(tmp_path: Path) -> None:
    """Name, address and what goes on."""
    with serving(tmp_path) as at, at.client() as client:
        connection = client.data("STOR big")
        connection.sendall(b"x" * 100_000)
        until(lambda: at.server.sessions()[0].doing == "STOR", "the upload is not seen")
        info = at.server.sessions()[0]
        assert (info.user, info.address, info.secure, info.path) == ("ann", "127.0.0.1", False, "/big")
        connection.close()
        assert client.code() == "226"
        assert at.server.sessions()[0].doing == "idle"


# TLS -----------------------------------------------------------------------------------------------------------------


def test_tls_required_refuses_a_name_in_clear(tmp_path: Path) -> None:
    """With the way out."""
    with serving(tmp_path, tls="required") as at, at.client(login=False) as client:
        assert "AUTH TLS" in client.command("USER ann")
        client.secure()
        client.login()
        assert client.upload("STOR a", b"x").startswith("226")


def test_a_user_may_be_bound_to_tls_or_freed(tmp_path: Path) -> None:
    """``require_tls`` of the user comes before the server's setting."""
    with serving(tmp_path, tls="explicit") as at:
        at.users.change("ann", require_tls=True)
        with at.client(login=False) as client:
            client.command("USER ann")
            assert client.command("PASS secret").startswith("530")
            assert at.event(LoginFailed).reason == "TLS is required for this user"
            client.secure()
            client.login()


@pytest.mark.parametrize("together", [True, False])
def test_nothing_injected_before_the_handshake_runs_after_it(tmp_path: Path, together: bool) -> None:
    """CVE-2011-1575: a command put behind AUTH TLS by somebody in the middle is never obeyed."""
    with serving(tmp_path, tls="explicit") as at, at.client(login=False) as client:
        if together:
            client.send("AUTH TLS", "USER ann", "PASS secret", "MKD injected")
            assert client.code() == "234"
            client.socket = client.context.wrap_socket(client.socket)
            assert client.command("PWD").startswith("530")
        else:
            client.send("AUTH TLS")
            assert client.code() == "234"
            client.send("USER ann", "PASS secret", "MKD injected")
            with pytest.raises((ssl.SSLError, OSError)):
                client.context.wrap_socket(client.socket)
        assert list(at.home.iterdir()) == []


def test_a_handshake_that_hangs_holds_no_thread(tmp_path: Path) -> None:
    """It is parked like an idle session and given up in the end."""
    with serving(tmp_path, tls="explicit", limits=ServerLimits(threads=1, login_s=1.5)) as at:
        hanging = at.client(login=False)
        assert hanging.command("AUTH TLS").startswith("234")
        with at.client(tls=True) as client:
            assert client.command("NOOP").startswith("200")
        assert hanging.reply() == ""
        hanging.close()


def test_tls_1_1_is_not_spoken(tmp_path: Path) -> None:
    """The client may want it as much as it likes."""
    with serving(tmp_path, tls="required") as at, at.client(login=False) as client:
        client.command("AUTH TLS")
        context = client.context
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, OSError)):
            context.wrap_socket(client.socket)


# Names and settings ---------------------------------------------------------------------------------------------------


def test_no_name_leads_out_of_the_home(tmp_path: Path) -> None:
    """Dots, absolute paths, links: the file beside the home is never seen, read or written."""
    with serving(tmp_path) as at, at.client() as client:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret").write_text("secret")
        (at.home / "link").symlink_to(outside)
        (at.home / "file").symlink_to(outside / "secret")
        (at.home / "up").symlink_to("../outside")
        (at.home / "proc").symlink_to("/proc/self/root")
        names = ["../outside/secret", f"{outside}/secret", "link/secret", "file", "up/secret", "proc/etc/passwd"]
        for name in names:
            verbs = ("SIZE", "MDTM", "DELE", "MLST", "CWD", "RNFR", "RMD", "MFMT 19700101000000", "SITE CHMOD 777")
            for verb in verbs:
                if verb in ("DELE", "RNFR") and name == "file":
                    continue  # the link itself may go
                assert client.command(f"{verb} {name}")[:1] == "5", (verb, name)
            for verb in ("STOR", "APPE", "RETR", "LIST", "MLSD"):
                if verb in ("STOR", "APPE") and name == "file":
                    continue  # puts a new file in the link's place
                client.port()
                assert client.command(f"{verb} {name}")[:1] == "5", (verb, name)
        assert client.upload("STOR file", b"new").startswith("226")
        assert (outside / "secret").read_text() == "secret"
        assert [path.name for path in outside.iterdir()] == ["secret"]
        assert (at.home / "file").read_bytes() == b"new"


def test_names_keep_every_byte(tmp_path: Path) -> None:
    """Blanks at the ends, UTF-8, Latin-1 bytes, things that look like options or patterns."""
    with serving(tmp_path) as at, at.client() as client:
        names = [" a ", "ä.log", "\udce4", "-la", "a*b?", "[x]", "a\\b", "~", "%41", 'q"q', "x" * 255]
        for name in names:
            assert client.upload(f"STOR {name}", name.encode("utf-8", "surrogateescape")).startswith("226"), name
        listed = client.download("MLSD").decode("utf-8", "surrogateescape").split("\r\n")
        assert {line.partition("; ")[2] for line in listed if "type=file" in line} == set(names)
        for name in names:
            assert client.download(f"RETR {name}") == name.encode("utf-8", "surrogateescape")
            assert client.command(f"SIZE {name}").startswith("213")


def test_what_does_not_go_together_is_said_at_once(tmp_path: Path) -> None:
    """Before anything listens."""
    users = MemoryUsers()
    identity = TlsIdentity.ensure(str(tmp_path))
    with pytest.raises(BadConfig, match="certificate"):
        FtpServer(users=users)
    with pytest.raises(BadConfig, match="tls"):
        FtpServer(users=users, tls="maybe", identity=identity)  # type: ignore[arg-type]
    with pytest.raises(BadConfig, match="passive_ports"):
        FtpServer(users=users, tls="off", passive_ports=range(20, 30))
    with pytest.raises(BadConfig, match="public_address"):
        FtpServer(users=users, tls="off", public_address="example.org")
    with pytest.raises(BadConfig, match="idle_s"):
        ServerLimits(idle_s=0)
