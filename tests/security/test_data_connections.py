"""Who may have the data connection: the client it was opened for, and nobody else, however fast or from wherever."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import ssl
import time
from collections import Counter
from pathlib import Path

import pytest

from logferry.errors import BadConfig
from logferry.ftp import Event, FtpServer, MemoryUsers, Received, User
from tests.ftp.kit import SECRET, WAIT_S, RawClient, Serving, finish, serving, trusting_context
from tests.security.amounts import amount, dice

HIJACKS = amount("hijacks", 50, 1000)
TREASURE = b"what only ann may read " * 20
LOOT = b"what the thief would leave"


# Thieves -------------------------------------------------------------------------------------------------------------


def _connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), source_address=(source, 0), timeout=WAIT_S)


def _grab(connection: socket.socket, *, write: bool) -> bytes:
    """Take what comes, or leave something; what was got."""
    got = b""
    try:
        if write:
            connection.sendall(LOOT)
            if isinstance(connection, ssl.SSLSocket):
                connection.unwrap()
        while piece := connection.recv(65536):
            got += piece
    except OSError:
        pass
    connection.close()
    return got


def _shake(connection: socket.socket, context: ssl.SSLContext, session: ssl.SSLSession | None) -> socket.socket | None:
    try:
        return context.wrap_socket(connection, session=session, suppress_ragged_eofs=False)
    except OSError:
        connection.close()
        return None


class _Robbery:
    """Tries of all kinds to be the data connection of a client, over plain FTP or TLS."""

    def __init__(self, at: Serving, source: random.Random, version: ssl.TLSVersion | None) -> None:
        self._at = at
        self._dice = source
        self._tls = version is not None
        self._context = trusting_context()
        if version is not None:
            self._context.minimum_version = self._context.maximum_version = version
        self.victim = self._login("ann")
        self.taken = b""
        self.tries: Counter[str] = Counter()

    def _login(self, name: str) -> RawClient:
        client = self._at.client(login=False)
        client.context = self._context
        if self._tls:
            client.secure()
        if name:
            client.login(name)
        return client

    def once(self) -> None:
        """One transfer of the victim that somebody else comes to first."""
        write = self._dice.random() < 0.5
        kinds = ["plain", "no session", "own session", "stranger's session"] if self._tls else ["other address"]
        # The last one is rare: the server waits a moment for such a stranger to log in, he may be ann.
        kind = self._dice.choices(kinds, [10, 10, 10, 1][: len(kinds)])[0]
        thieves = {"own session": "bob", "stranger's session": ""}
        stranger = self._login(thieves[kind]) if kind in thieves else None
        port = self.victim.port()
        thief = _connect(port, "127.0.0.1" if self._tls else "127.0.0.2")
        assert self.victim.command("STOR target" if write else "RETR treasure").startswith("150")
        if kind in ("no session", "own session", "stranger's session"):
            session = None
            if stranger is not None:
                assert isinstance(stranger.socket, ssl.SSLSocket)
                session = stranger.socket.session
            secured = _shake(thief, self._context, session)
            self.taken += _grab(secured, write=write) if secured is not None else b""
        else:
            if self._tls:
                thief.settimeout(0.05)  # nobody will speak to him: he is waited for, not he for us
            self.taken += _grab(thief, write=write)
        if stranger is not None:
            stranger.close()
        self._finish(port, write=write)
        self.tries[kind] += 1

    def _finish(self, port: int, *, write: bool) -> None:
        """Over TLS the transfer was refused; plain, the thief was turned away and the victim is served."""
        if self._tls:
            assert self.victim.code() in ("425", "522")
            return
        with _connect(port) as connection:
            if write:
                connection.sendall(TREASURE)
            else:
                got = b"".join(iter(lambda: connection.recv(65536), b""))
                assert got == TREASURE
            finish(connection)
        assert self.victim.code() == "226"


@pytest.mark.slow
@pytest.mark.parametrize("version", [None, ssl.TLSVersion.TLSv1_3], ids=["plain", "tls"])
def test_a_thief_gets_no_byte_and_leaves_none(tmp_path: Path, version: ssl.TLSVersion | None) -> None:
    """From another address; without TLS; with TLS but no session, or one of another user, or of nobody."""
    source = dice("hijacks")
    with serving(tmp_path, tls="explicit") as at:
        at.users.add(User("bob", str(tmp_path / "bob"), password_hash=SECRET))
        (at.home / "treasure").write_bytes(TREASURE)
        robbery = _Robbery(at, source, version)
        for _ in range(HIJACKS // 2):
            robbery.once()
        assert robbery.taken == b""
        target = at.home / "target"
        assert not target.exists() or target.read_bytes() == TREASURE
        assert version is None or not target.exists()
        assert all(LOOT not in partial.read_bytes() for partial in at.partials())
        robbery.victim.close()
    print(f"{HIJACKS // 2} attempts, 0 bytes taken, 0 bytes given: {dict(robbery.tries)}")


def test_a_session_of_tls_1_2_from_another_second_is_refused(tmp_path: Path) -> None:
    """In TLS 1.2 the moment of the handshake is all that tells sessions apart (docs/design/ftp-security.md)."""
    context = trusting_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with serving(tmp_path, tls="explicit") as at:
        at.users.add(User("bob", str(tmp_path / "bob"), password_hash=SECRET))
        with at.client(login=False) as bob, at.client(login=False) as ann:
            for client in (bob, ann):
                client.context = context
                client.secure()
                if client is bob:
                    assert isinstance(bob.socket, ssl.SSLSocket)
                    # OpenSSL's clock lags by some milliseconds: well into the next second.
                    began = int(time.time())
                    while time.time() < began + 1.2:
                        time.sleep(0.01)
            ann.login()
            bob.login("bob")
            thief = _connect(ann.port())
            assert ann.command("STOR target").startswith("150")
            assert isinstance(bob.socket, ssl.SSLSocket)
            secured = _shake(thief, context, bob.socket.session)
            if secured is not None:
                _grab(secured, write=True)
            assert ann.code() == "522"
            assert not (at.home / "target").exists()


# Ports ---------------------------------------------------------------------------------------------------------------


def test_a_passive_port_serves_one_transfer_and_cannot_be_foretold(tmp_path: Path) -> None:
    """A second connection finds it closed; a hundred ports in a row follow no pattern."""
    with serving(tmp_path, passive_ports=range(40_000, 45_000)) as at, at.client() as client:
        ports = []
        for _ in range(100):
            port = client.port()
            ports.append(port)
            assert client.command("STOR a").startswith("150")
            with _connect(port) as connection:
                connection.sendall(b"x")
            assert client.code() == "226"
            with pytest.raises(ConnectionRefusedError):
                _connect(port)
        steps = Counter(after - before for before, after in itertools.pairwise(ports))
        assert max(steps.values()) < 10, steps
        assert len(set(ports)) > 80


def test_a_flood_of_thieves_does_not_keep_the_true_one_out(tmp_path: Path) -> None:
    """Connections from another address are closed, and the client's own is taken."""
    with serving(tmp_path) as at, at.client() as client:
        port = client.port()
        client.send("STOR a")
        assert client.code() == "150"
        with contextlib.ExitStack() as thieves:
            for _ in range(6):
                thieves.enter_context(_connect(port, "127.0.0.2"))
            with _connect(port) as connection:
                connection.sendall(b"content")
            assert client.code() == "226"
        assert (at.home / "a").read_bytes() == b"content"


# Active mode ---------------------------------------------------------------------------------------------------------

TARGETS = [
    *("PORT 127,0,0,2,{high},{low}", "PORT 10,0,0,1,{high},{low}", "PORT 0,0,0,0,{high},{low}", "PORT 224,0,0,1,4,1"),
    *(
        "PORT 255,255,255,255,4,1",
        "PORT 127,0,0,1,0,22",
        "PORT 127,0,0,1,3,255",
        "PORT 127,0,0,1,0,0",
        "PORT 256,0,0,1,4,1",
    ),
    *(
        "PORT 127,0,0,1,256,1",
        "PORT 127,0,0,1,4",
        "PORT 127,0,0,1,4,1,1",
        "PORT -1,0,0,1,4,1",
        "PORT 127.0.0.1,4,1",
        "PORT",
    ),
    *("EPRT |1|127.0.0.2|{port}|", "EPRT |1|10.0.0.1|{port}|", "EPRT |1|127.0.0.1|22|", "EPRT |1|127.0.0.1|1023|"),
    *("EPRT |1|127.0.0.1|0|", "EPRT |1|127.0.0.1|65536|", "EPRT |2|::1|{port}|", "EPRT |2|::ffff:127.0.0.2|{port}|"),
    *(
        "EPRT |2|::ffff:10.0.0.1|{port}|",
        "EPRT |3|127.0.0.1|{port}|",
        "EPRT |1|localhost|{port}|",
        "EPRT |1|127.1|{port}|",
    ),
    *(
        "EPRT |1|0x7f.0.0.1|{port}|",
        "EPRT |1|2130706433|{port}|",
        "EPRT |1|127.0.0.1|{port}",
        "EPRT |1|127.0.0.1|+{port}|",
    ),
    *("EPRT ||127.0.0.1|{port}|", "EPRT |1|127.0.0.1 |{port}|", "EPRT", "EPRT |2|fe80::1%lo|{port}|"),
]
"""Where a data connection must never go: other machines, other addresses of this one, ports below 1024, no address."""


@pytest.mark.parametrize("active", [False, True], ids=["passive only", "active offered"])
@pytest.mark.parametrize("target", TARGETS)
def test_nobody_can_be_made_a_target(tmp_path: Path, target: str, active: bool) -> None:
    """FTP bounce (RFC 2577): refused at once, no connection arrives, and the next transfer does not go there either."""
    with (
        serving(tmp_path, active=active) as at,
        at.client() as client,
        socket.create_server(("0.0.0.0", 0)) as listener,
    ):
        listener.settimeout(0.05)
        port: int = listener.getsockname()[1]
        line = target.format(port=port, high=port >> 8, low=port & 255)
        (at.home / "a").write_bytes(TREASURE)
        reply = client.command(line)
        assert reply[:1] == "5", (line, reply)
        assert client.command("RETR a").startswith("425")
        with pytest.raises(TimeoutError):
            listener.accept()


def test_ports_below_1024_are_no_passive_ports() -> None:
    """Configuration is checked when the server is made."""
    for ports in (range(1000, 1100), range(20, 21), range(0)):
        with pytest.raises(BadConfig):
            FtpServer(users=MemoryUsers(), tls="off", passive_ports=ports)


def test_an_upload_of_a_thief_is_never_told_as_received(tmp_path: Path) -> None:
    """The refused ones end as incomplete, with nothing counted."""
    with serving(tmp_path, tls="explicit") as at, at.client(tls=True) as client:
        for _ in range(5):
            thief = _connect(client.port())
            assert client.command("STOR target").startswith("150")
            secured = _shake(thief, client.context, None)
            if secured is not None:
                _grab(secured, write=True)
            assert client.code() in ("425", "522")
        kinds: list[type[Event]] = [type(event) for event in _events(at)]
        assert Received not in kinds


def _events(at: Serving) -> list[Event]:
    found = []
    while not at._events.empty():
        found.append(at._events.get())
    return found
