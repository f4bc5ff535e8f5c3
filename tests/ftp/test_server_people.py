"""Users against a running server: folder rules, and what is taken from a user while they are busy."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from logferry.errors import Later
from logferry.ftp import FtpServer, Incomplete, MemoryUsers, Received, SessionEnded, User
from tests.ftp.kit import SECRET, RawClient, Serving, finish, reset, serving, until

RULES = {"/incoming": "elw", "/incoming/done/**": "elr", "/secret": "", "/**/*.key": "l"}


def facts(listing: bytes) -> dict[str, str]:
    """The perm fact of each name in an MLSD listing."""
    rows = [line.partition(" ") for line in listing.decode().splitlines()]
    return {name: row.partition("perm=")[2].partition(";")[0] for row, _, name in rows}


@pytest.fixture
def at(tmp_path: Path) -> Serving:
    """A server, not started, whose user has folder rules, and a home with something in it."""
    made = Serving(tmp_path)
    made.users.change("ann", permissions="elrf", folders=RULES)
    for name in ("incoming/done", "secret", "open/deep"):
        (made.home / name).mkdir(parents=True)
    for name in ("a", "incoming/old", "incoming/done/b", "secret/s", "open/x.key", "open/deep/c"):
        (made.home / name).write_text(name)
    return made


def test_letters_hold_where_the_rules_say(at: Serving) -> None:
    """Uploading only into one folder, reading what is done, nothing at all in another; real transfers."""
    with at.server, at.client() as client:
        assert client.upload("STOR incoming/new", b"1").startswith("226")
        assert client.upload("STOU incoming/any", b"1").startswith("226")
        assert client.download("RETR incoming/done/b") == b"incoming/done/b"
        assert client.download("RETR a") == b"a"
        assert client.download("RETR open/deep/c") == b"open/deep/c"
        for line in (
            "STOR a",
            "STOR incoming/done/x",
            "RETR incoming/old",
            "RETR secret/s",
            "RETR open/x.key",
            "LIST secret",
            "NLST secret/*",
            "MLSD secret",
            "STOU secret/x",
        ):
            client.port()
            assert client.command(line) == "550 Permission denied.", line
        for line in ("CWD secret", "SIZE secret/s", "MLST secret/s", "STAT secret", "MKD incoming/d", "DELE a"):
            assert client.command(line) == "550 Permission denied.", line
        assert client.command("SIZE open/x.key").startswith("213")
        assert client.command("CWD incoming/done").startswith("250")
        assert client.download("NLST") == b"b\r\n"
        assert client.download("RETR b") == b"incoming/done/b"


def test_listings_show_everything_with_the_letters_that_hold(at: Serving) -> None:
    """Nothing is hidden; the perm fact says what may be tried (RFC 3659 7.5.5)."""
    with at.server, at.client() as client:
        assert facts(client.download("MLSD")) == {
            ".": "efl",
            "a": "fr",
            "incoming": "cel",
            "open": "efl",
            "secret": "",
        }
        assert facts(client.download("MLSD open")) == {".": "efl", "deep": "efl", "x.key": ""}
        assert facts(client.download("MLSD incoming")) == {".": "cel", "done": "cel", "old": "w"}
        assert "perm=r;" in client.command("MLST incoming/done/b")
        assert {line.split()[-1] for line in client.download("LIST").decode().splitlines()} == {
            "a",
            "incoming",
            "open",
            "secret",
        }


def test_a_folder_with_rules_beneath_is_not_moved_as_a_whole(at: Serving) -> None:
    """Else what is closed would open under another name; a file, or a folder without rules, is moved."""
    with at.server, at.client() as client:
        at.users.change("ann", permissions="elrf", folders={"/open/deep": "elf", "/new/closed": ""})
        for source, target, code in [
            ("open", "other", "550"),
            ("secret", "new", "550"),
            ("open/deep", "open/deeper", "250"),
            ("a", "b", "250"),
            ("secret", "public", "250"),
        ]:
            assert client.command(f"RNFR {source}").startswith("350")
            assert client.command(f"RNTO {target}").startswith(code), (source, target)
        assert (at.home / "open").is_dir()


def test_rules_changed_while_connected_count_from_the_next_command(at: Serving) -> None:
    """Given, changed, taken off."""
    with at.server, at.client() as client:
        assert client.command("SIZE secret/s").startswith("550")
        at.users.change("ann", folders={"/secret": "l"})
        assert client.command("SIZE secret/s").startswith("213")
        at.users.change("ann", folders={"/": ""})
        assert client.command("SIZE a").startswith("550")
        at.users.change("ann", folders=None)
        assert client.command("SIZE a").startswith("213")


def test_transfers_of_who_lost_the_right_end_within_seconds(tmp_path: Path) -> None:
    """Removed, disabled, another password, the letter taken, a rule put there: 426 and incomplete; others go on."""
    with serving(tmp_path) as at:
        (at.home / "big").write_bytes(b"\0" * 50_000_000)
        names = ["removed", "disabled", "password", "letter", "rule", "reader", "stays"]
        clients: dict[str, RawClient] = {}
        datas: dict[str, socket.socket] = {}
        for name in names:
            at.users.add(User(name, str(at.home), password_hash=SECRET))
            clients[name] = at.client(login=False)
            clients[name].login(name)
            if name == "reader":
                datas[name] = clients[name].data("RETR big")
            else:
                datas[name] = clients[name].data(f"STOR {name}")
                datas[name].sendall(b"x" * 1000)
        at.users.remove("removed")
        at.users.remove("reader")
        at.users.change("disabled", enabled=False)
        at.users.change("password", password_hash="$scrypt$other")
        at.users.change("letter", permissions="elradfmMT")
        at.users.change("rule", folders={"/rule": "elr"})
        at.users.change("stays", permissions="w")
        for name in names[:-1]:
            assert clients[name].reply() == "426 Your account has changed.", name
        incomplete = {at.event(Incomplete).user for _ in names[:-1]}
        assert incomplete == set(names[:-1])
        assert not [name for name in names[:-2] if (at.home / name).exists()]
        finish(datas["stays"])
        assert clients["stays"].code() == "226"
        assert at.event(Received).user == "stays"
        for name in names:
            expected = "200" if name in ("letter", "rule", "stays") else "421"
            assert clients[name].command("NOOP").startswith(expected), name
            clients[name].close()
            if name != "stays":
                datas[name].close()


def test_an_upload_that_never_rests_is_ended_too(tmp_path: Path) -> None:
    """It is looked at now and then while bytes pour in."""
    with serving(tmp_path) as at, at.client() as client:
        data = client.data("STOR a")
        data.sendall(b"x" * 65536)
        at.users.remove("ann")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            _pour(data)
        assert client.reply() == "426 Your account has changed."
        data.close()
        assert at.event(Incomplete).direction == "in"
        assert not (at.home / "a").exists()


def _pour(data: socket.socket) -> None:
    while True:
        data.sendall(b"x" * 65536)


def test_another_home_waits_for_the_next_command(tmp_path: Path) -> None:
    """An upload under way ends where it began."""
    with serving(tmp_path) as at, at.client() as client:
        data = client.data("STOR a")
        at.users.change("ann", home=str(tmp_path / "other"))
        data.sendall(b"x")
        finish(data)
        assert client.code() == "226"
        assert (at.home / "a").read_bytes() == b"x"
        assert client.upload("STOR b", b"y").startswith("226")
        assert (tmp_path / "other" / "b").read_bytes() == b"y"
        until(lambda: not at.partials(), "partials left")
        data = client.data("STOR c")
        reset(data)
        assert client.code() == "426"


def test_a_new_home_that_cannot_be_opened_ends_the_session(tmp_path: Path) -> None:
    """With the reason in the event, not with an internal error."""
    (tmp_path / "file").write_text("in the way")
    with serving(tmp_path) as at, at.client() as client:
        at.users.change("ann", home=str(tmp_path / "file" / "home"))
        assert client.command("NOOP") == "421 Your home cannot be opened."
        assert client.reply() == ""
        assert at.event(SessionEnded).reason.startswith("home:")


class FailingUsers(MemoryUsers):
    """A store that cannot be asked for a while."""

    fails = False

    def find(self, name: str) -> User | None:
        if self.fails:
            raise Later("the catalog is busy")
        return super().find(name)


def test_a_store_that_fails_for_a_moment_breaks_no_upload(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is asked again; what it says then counts."""
    users = FailingUsers(User("ann", str(tmp_path), password_hash=SECRET))
    server = FtpServer(("127.0.0.1", 0), users=users, tls="off")
    with server, RawClient(server.address[1]) as client:
        client.login()
        data = client.data("STOR a")
        data.sendall(b"x")
        users.fails = True
        until(lambda: "cannot be looked up" in caplog.text, "never asked")
        users.fails = False
        finish(data)
        assert client.code() == "226"
    assert (tmp_path / "a").read_bytes() == b"x"
