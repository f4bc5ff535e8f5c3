"""Code of other libraries beside ours: both sides are run, and a client (a server) sees the same on both."""

from __future__ import annotations

import ftplib
import io
import json
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from logferry.ftp import FtpServer, MemoryUsers, TlsIdentity, User
from tests.docs.pages import WAIT_S, blocks
from tests.ports import free_port

PAGE = Path(__file__).parents[2] / "docs" / "ftp" / "coming-from.md"
CODE = {tuple(block.kind.split()): block.text for block in blocks(PAGE.read_text())}
CONTENT = b"one line\n" * 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the programs run: a home, an identity, a file to send."""
    (tmp_path / "files").mkdir()
    identity = TlsIdentity.ensure(str(tmp_path / "identity"))
    both = Path(identity.key_path).read_text() + Path(identity.certificate_path).read_text()
    (tmp_path / "identity" / "both.pem").write_text(both)
    (tmp_path / "app.log").write_bytes(CONTENT)
    (tmp_path / "large.log").write_bytes(CONTENT)
    agent = {"passwd": "a long secret", "perm": "elr", "dirpath": "files"}
    (tmp_path / "users.json").write_text(json.dumps({"agent": agent}))
    return tmp_path


@contextmanager
def serving(folder: Path, code: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The server program ``code``: its port."""
    port = free_port()
    (folder / "program.py").write_text(code.replace("2121", str(port)))
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "program.py"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            end = time.monotonic() + WAIT_S
            while not _listening(port):
                assert process.poll() is None, process.communicate()[1]
                assert time.monotonic() < end, "it does not listen"
                time.sleep(0.02)
            yield port, process
        finally:
            process.kill()


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def login(port: int, user: str = "ann", password: str = "a long secret") -> ftplib.FTP:
    """A plain client."""
    ftp = ftplib.FTP(timeout=WAIT_S)
    ftp.connect("127.0.0.1", port)
    try:
        ftp.login(user, password)
    except ftplib.Error:
        ftp.close()
        raise
    return ftp


def round_trip(ftp: ftplib.FTP) -> None:
    """A file goes up and comes back."""
    ftp.storbinary("STOR x.log", io.BytesIO(CONTENT))
    back = io.BytesIO()
    ftp.retrbinary("RETR x.log", back.write)
    assert back.getvalue() == CONTENT


def users(port: int) -> None:
    """Ann may do all, bob may read."""
    with login(port) as ann:
        round_trip(ann)
    with login(port, "bob", "another secret") as bob:
        assert bob.nlst() == ["x.log"]
        with pytest.raises(ftplib.error_perm, match="550"):
            bob.storbinary("STOR y.log", io.BytesIO(CONTENT))


def tls(port: int) -> None:
    """Nobody logs in without TLS; with it files travel."""
    with pytest.raises(ftplib.error_perm):
        login(port)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    class Reusing(ftplib.FTP_TLS):
        def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
            conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
            assert isinstance(self.sock, ssl.SSLSocket)
            return self.context.wrap_socket(conn, session=self.sock.session), size

    with Reusing(context=context, timeout=WAIT_S) as ftp:
        ftp.connect("127.0.0.1", port)
        ftp.login("ann", "a long secret")
        ftp.prot_p()
        ftp.storbinary("STOR x.log", io.BytesIO(CONTENT))
        assert ftp.size("x.log") == len(CONTENT)


def simple(port: int) -> None:
    """A file goes up and comes back."""
    with login(port) as ann:
        round_trip(ann)


def ports(port: int) -> None:
    """The banner, and a passive port of the range."""
    with login(port) as ann:
        assert ann.welcome is not None and "Welcome." in ann.welcome
        ann.sendcmd("TYPE I")
        host, passive = ftplib.parse227(ann.sendcmd("PASV"))
        assert host == "127.0.0.1"
        assert 50000 <= passive < 50100


def authorizer(port: int) -> None:
    """The table decides."""
    simple(port)
    with pytest.raises(ftplib.error_perm, match="530"):
        login(port, "ann", "wrong")


def filesystem(port: int) -> None:
    """Nothing is deleted."""
    with login(port) as ann:
        round_trip(ann)
        with pytest.raises(ftplib.error_perm, match=r"550.*nothing is deleted here"):
            ann.delete("x.log")


SERVERS: dict[str, Callable[[int], None]] = {
    "users": users,
    "tls": tls,
    "callbacks": simple,
    "throttle": simple,
    "ports": ports,
    "authorizer": authorizer,
    "filesystem": filesystem,
    "beside": simple,
    "ftpcomm-server": simple,
}
CLIENTS = {
    "client": f"['app.log']\n{len(CONTENT)}\n",
    "resume": f"{len(CONTENT)}\n",
    "client-tls": f"{len(CONTENT)}\n",
    "ftpcomm-client": "['app.log']\n",
}


def test_every_example_is_run() -> None:
    """What stands on the page has a check here; theirs that cannot be run are Python at least."""
    assert {name for _, name in CODE} == {*SERVERS, *CLIENTS}
    for (side, name), code in CODE.items():
        assert side in ("ours", "theirs", "theirs-not-here"), name
        compile(code, name, "exec")
    assert {name for side, name in CODE if side == "ours"} == {*SERVERS, *CLIENTS}


def test_lines_fit_side_by_side() -> None:
    """Two columns of at most 58 characters: nobody scrolls."""
    for name, code in CODE.items():
        assert max(len(line) for line in code.splitlines()) <= 58, name


@pytest.mark.parametrize(("side", "name"), [key for key in CODE if key[0] != "theirs-not-here" and key[1] in SERVERS])
def test_a_server_on_either_side_does_the_same(folder: Path, side: str, name: str) -> None:
    """Asked by one client."""
    with serving(folder, CODE[side, name]) as (port, process):
        SERVERS[name](port)
        if side == "ours":
            out, errors = process.communicate("\n", timeout=WAIT_S)
            assert process.returncode == 0, errors
            assert "Traceback" not in errors
        else:
            process.kill()
            out, _ = process.communicate()
        if name == "callbacks":
            assert out.splitlines() == ["login ann", "received"]


@pytest.mark.parametrize(("side", "name"), [key for key in CODE if key[0] != "theirs-not-here" and key[1] in CLIENTS])
def test_a_client_on_either_side_does_the_same(folder: Path, side: str, name: str) -> None:
    """Against one server; for resuming, with the first part there."""
    home = folder / "files"
    encrypted = name == "client-tls"
    users = MemoryUsers(User.with_password("ann", "a long secret", str(home)))
    identity = TlsIdentity.ensure(str(folder / "identity")) if encrypted else None
    with FtpServer(
        ("127.0.0.1", 0),
        users=users,
        tls="required" if encrypted else "off",
        identity=identity,
    ) as server:
        if name == "resume":
            (home / "large.log").write_bytes(CONTENT[:4000])
        (folder / "program.py").write_text(re.sub(r"\b2121\b", str(server.address[1]), CODE[side, name]))
        done = subprocess.run(
            [sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, timeout=WAIT_S, check=False
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == CLIENTS[name]
    if name == "resume":
        assert (home / "large.log").read_bytes() == CONTENT
    if name in ("client", "ftpcomm-client"):
        assert (folder / "back.log").read_bytes() == CONTENT
