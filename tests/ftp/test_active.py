"""Active mode over real sockets: where the server connects to, where it never does, TLS, time-outs."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from logferry.errors import BadConfig
from logferry.ftp import FtpServer, MemoryUsers, ServerLimits, User
from tests.ftp.kit import SECRET, RawClient, finish, serving

CONTENT = b"0123456789" * 50_000


class Waiting:
    """A port of the client that waits for the server's data connection."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.socket = socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=5
        )
        self.socket.settimeout(20)
        self.port = self.socket.getsockname()[1]

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def arguments(self) -> str:
        """For PORT."""
        return f"127,0,0,1,{self.port >> 8},{self.port & 255}"

    def accept(self) -> socket.socket:
        """The server's connection."""
        connection, _ = self.socket.accept()
        return connection


def _read(connection: socket.socket) -> bytes:
    content = b""
    while piece := connection.recv(65536):
        content += piece
    return content


@pytest.mark.parametrize("verb", ["PORT", "EPRT"])
def test_up_and_down(tmp_path: Path, verb: str) -> None:
    """Each transfer wants a PORT of its own."""
    with serving(tmp_path, active=True) as at, at.client() as client, Waiting() as waiting:
        aim = f"PORT {waiting.arguments}" if verb == "PORT" else f"EPRT |1|127.0.0.1|{waiting.port}|"
        assert client.command(aim).startswith("200")
        client.send("STOR f")
        data = waiting.accept()
        assert client.code() == "150"
        data.sendall(CONTENT)
        data.close()
        assert client.code() == "226"
        assert client.command("RETR f").startswith("425")
        client.command(aim)
        client.send("RETR f")
        data = waiting.accept()
        assert _read(data) == CONTENT
        assert [client.code(), client.code()] == ["150", "226"]
        data.close()


def test_over_ipv6(tmp_path: Path) -> None:
    """EPRT |2|; PORT cannot say it."""
    try:
        Waiting("::1").socket.close()
    except OSError:
        pytest.skip("no IPv6 here")
    (tmp_path / "f").write_bytes(CONTENT)
    users = MemoryUsers(User("ann", str(tmp_path), password_hash=SECRET))
    server = FtpServer(("::1", 0), users=users, tls="off", active=True)
    with server, RawClient(server.address[1], host="::1") as client, Waiting("::1") as waiting:
        client.login()
        assert client.command(f"EPRT |1|127.0.0.1|{waiting.port}|").startswith("522")
        assert client.command("PORT 127,0,0,1,200,1").startswith("504")
        assert client.command(f"EPRT |2|::1|{waiting.port}|").startswith("200")
        client.send("RETR f")
        with waiting.accept() as data:
            assert _read(data) == CONTENT
        assert [client.code(), client.code()] == ["150", "226"]


def test_tls_with_the_same_session_rule(tmp_path: Path) -> None:
    """The client is the TLS client here, too; one that resumes nothing is told so with 522."""
    with serving(tmp_path, tls="required", active=True) as at, at.client(tls=True) as client, Waiting() as waiting:
        assert isinstance(client.socket, ssl.SSLSocket)
        (at.home / "f").write_bytes(CONTENT)
        for session, codes in ((client.socket.session, ["150", "226"]), (None, ["150", "522"])):
            client.command(f"PORT {waiting.arguments}")
            client.send("RETR f")
            data = client.context.wrap_socket(waiting.accept(), session=session)
            content = _read(data)
            assert [client.code(), client.code()] == codes
            assert content == (CONTENT if session else b"")
            finish(data) if session else data.close()


def test_it_is_off_unless_wanted(tmp_path: Path) -> None:
    """502 and no EPRT in FEAT."""
    with serving(tmp_path) as at, at.client() as client, Waiting() as waiting:
        assert client.command(f"PORT {waiting.arguments}").startswith("502")
        assert client.command(f"EPRT |1|127.0.0.1|{waiting.port}|").startswith("502")
        assert "EPRT" not in client.command("FEAT")


def test_another_address_is_never_connected_to(tmp_path: Path) -> None:
    """Although it is on this machine and somebody listens there."""
    with serving(tmp_path, active=True) as at, at.client() as client, Waiting("127.0.0.2") as victim:
        (at.home / "f").write_bytes(CONTENT)
        assert client.command(f"PORT 127,0,0,2,{victim.port >> 8},{victim.port & 255}").startswith("504")
        assert client.command("RETR f").startswith("425")
        victim.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            victim.accept()


def test_nobody_there_is_425(tmp_path: Path) -> None:
    """Refused at once; the session goes on."""
    with serving(tmp_path, active=True) as at, at.client() as client:
        with Waiting() as gone:
            arguments = gone.arguments
        client.command(f"PORT {arguments}")
        assert client.command("STOR f").startswith("425 Cannot connect to you: Connection refused")
        assert at.partials() == []
        assert client.command("NOOP").startswith("200")


def _full(waiting: Waiting) -> list[socket.socket]:
    """Connections that fill the backlog, so that the next one gets no answer."""
    waiting.socket.listen(0)
    found = []
    for _ in range(4):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", waiting.port))
        found.append(connection)
    return found


def test_no_answer_is_425_after_a_while_and_abor_ends_it_sooner(tmp_path: Path) -> None:
    """The control connection is looked at while the server waits."""
    limits = ServerLimits(data_connect_s=1.0)
    with serving(tmp_path, active=True, limits=limits) as at, at.client() as client, Waiting() as waiting:
        crowd = _full(waiting)
        client.command(f"PORT {waiting.arguments}")
        assert client.command("STOR f").startswith("425 Cannot connect to you")
        client.command(f"PORT {waiting.arguments}")
        client.send("STOR f", "ABOR")
        assert [client.code(), client.code()] == ["426", "226"]
        for connection in crowd:
            connection.close()


def test_the_source_port_can_be_chosen(tmp_path: Path) -> None:
    """As old firewalls want it; again and again from the same one."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with serving(tmp_path, active=True, active_port=port) as at, at.client() as client:
        for _ in range(2):
            with Waiting() as waiting:
                client.command(f"PORT {waiting.arguments}")
                client.send("NLST")
                connection, peer = waiting.socket.accept()
                with connection:
                    assert peer == ("127.0.0.1", port)
                    _read(connection)
                assert [client.code(), client.code()] == ["150", "226"]
    with pytest.raises(BadConfig):
        FtpServer(users=MemoryUsers(), tls="off", active_port=70_000)
