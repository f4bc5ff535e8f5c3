"""Python's other FTP clients against our server: ftplib and aioftp."""

from __future__ import annotations

import asyncio
import ftplib
import io
import socket
import ssl
from pathlib import Path

import aioftp
import pytest

from tests.ftp.kit import Serving, serving, trusting_context
from tests.ftp.programs.running import CONTENT, PLAIN, Way, contents, each_way, tree


class ReusingFtpTls(ftplib.FTP_TLS):
    """``ftplib.FTP_TLS`` as its users patch it: data connections resume the control connection's session."""

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[ssl.SSLSocket, int | None]:
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.context.wrap_socket(connection, session=self.sock.session), size


class ImplicitFtpTls(ReusingFtpTls):
    """And as they patch it for implicit TLS: every control socket begins with the handshake."""

    _wrapped: ssl.SSLSocket | None = None

    @property
    def sock(self) -> ssl.SSLSocket | None:
        return self._wrapped

    @sock.setter
    def sock(self, plain: socket.socket | None) -> None:
        if plain is not None and not isinstance(plain, ssl.SSLSocket):
            plain = self.context.wrap_socket(plain)
        self._wrapped = plain


def context_for(way: Way) -> ssl.SSLContext:
    """A client context with the newest version of ``way``."""
    context = trusting_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2 if way.version == "1.2" else ssl.TLSVersion.TLSv1_3
    return context


def connected(at: Serving, way: Way, kind: type[ftplib.FTP_TLS] = ReusingFtpTls) -> ftplib.FTP:
    """A client that is logged in."""
    if way == PLAIN:
        client = ftplib.FTP(timeout=20)
    else:
        client = (ImplicitFtpTls if way.implicit else kind)(timeout=20, context=context_for(way))
    client.connect("127.0.0.1", at.port)
    if isinstance(client, ImplicitFtpTls):
        ftplib.FTP.login(client, "ann", "secret")
    else:
        client.login("ann", "secret")
    if isinstance(client, ftplib.FTP_TLS):
        client.prot_p()
    return client


@each_way
def test_ftplib(tmp_path: Path, way: Way) -> None:
    """Everything it has methods for."""
    with serving(tmp_path, tls=way.tls) as at, connected(at, way) as client:
        assert client.mkd("d") == "/d"
        client.cwd("d")
        assert client.pwd() == "/d"
        assert client.storbinary("STOR a.bin", io.BytesIO(CONTENT)).startswith("226")
        assert client.size("a.bin") == len(CONTENT)
        assert client.storbinary("STOR a.bin", io.BytesIO(CONTENT[1000:]), rest=1000).startswith("226")
        assert client.storbinary("APPE a.bin", io.BytesIO(b"tail")).startswith("226")
        got = io.BytesIO()
        client.retrbinary("RETR a.bin", got.write, rest=10)
        assert got.getvalue() == CONTENT[10:] + b"tail"
        assert client.storlines("STOR lines.txt", io.BytesIO(b"one\ntwo\n")).startswith("226")
        lines: list[str] = []
        client.retrlines("RETR lines.txt", lines.append)
        assert lines == ["one", "two"]
        assert sorted(client.nlst()) == ["a.bin", "lines.txt"]
        assert {name for name, facts in client.mlsd() if facts["type"] == "file"} == {"a.bin", "lines.txt"}
        client.rename("lines.txt", "/moved.txt")
        client.delete("/moved.txt")
        client.delete("a.bin")
        client.cwd("..")
        client.rmd("d")
        assert list(at.home.iterdir()) == []
        with pytest.raises(ftplib.error_perm, match="550"):
            client.retrbinary("RETR missing", got.write)


def test_ftplib_in_active_mode(tmp_path: Path) -> None:
    """``set_pasv(False)``; without the server's consent it hears 502."""
    with serving(tmp_path, active=True) as at, connected(at, PLAIN) as client:
        client.set_pasv(False)
        assert client.storbinary("STOR a.bin", io.BytesIO(CONTENT)).startswith("226")
        assert client.nlst() == ["a.bin"]
    with serving(tmp_path) as at, connected(at, PLAIN) as client, pytest.raises(ftplib.error_perm, match="502"):
        client.sendport("127.0.0.1", 50_000)


def test_ftplib_without_session_reuse_is_told_what_to_do(tmp_path: Path) -> None:
    """As it comes it resumes no session: 522 names the option, and with the option it works."""
    way = Way("required")
    with serving(tmp_path, tls="required") as at, connected(at, way, ftplib.FTP_TLS) as client:
        with pytest.raises(ftplib.error_perm, match=r"522.*require_data_reuse=False"):
            client.storbinary("STOR a", io.BytesIO(b"x"))
        assert client.pwd() == "/"
    with (
        serving(tmp_path, tls="required", require_data_reuse=False) as at,
        connected(at, way, ftplib.FTP_TLS) as client,
    ):
        assert client.storbinary("STOR a", io.BytesIO(CONTENT)).startswith("226")
        got = io.BytesIO()
        client.retrbinary("RETR a", got.write)
        assert got.getvalue() == CONTENT


@each_way
def test_aioftp(tmp_path: Path, way: Way) -> None:
    """A tree up and down, list, stat, rename, append, restart, remove.

    It resumes no TLS session, so none is required, and shakes hands before it sends the command.
    """
    made = tree(tmp_path / "tree")

    async def visit(at: Serving) -> None:
        client = aioftp.Client(socket_timeout=20, ssl=context_for(way) if way.implicit else None)
        await client.connect("127.0.0.1", at.port)
        if way.explicit:
            await client.upgrade_to_tls(sslcontext=context_for(way))
        await client.login("ann", "secret")
        await client.upload(made, "copy", write_into=True)
        assert contents(at.home / "copy") == contents(made)
        await client.download("copy", str(tmp_path / "back"), write_into=True)
        assert contents(tmp_path / "back") == contents(made)
        assert len(await client.list("copy", recursive=True)) == 28
        assert int((await client.stat("copy/sub 1/fi'le ä 1.log"))["size"]) == 1000
        assert not await client.exists("missing")
        await client.rename("copy/sub 1/fi'le ä 1.log", "moved.log")
        async with client.append_stream("moved.log") as stream:
            await stream.write(b"tail")
        async with client.download_stream("moved.log", offset=990) as stream:
            assert await stream.read() == CONTENT[990:1000] + b"tail"
        await client.remove("copy")
        await client.remove("moved.log")
        await client.quit()

    with serving(tmp_path, tls=way.tls, require_data_reuse=False) as at:
        asyncio.run(visit(at))
        assert list(at.home.iterdir()) == []
