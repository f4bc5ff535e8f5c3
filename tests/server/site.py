"""A whole FTP part on a temporary folder, and ways to talk to it."""

from __future__ import annotations

import ftplib
import io
import os
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from logferry.archive.catalog import Catalog
from logferry.server import first_run, runfiles
from logferry.server.catalogs import catalog_url
from logferry.server.config import ServerConfig, load_config
from logferry.server.enrolment import Enrolment, Joined
from logferry.server.parts import FtpPart
from logferry.server.people import People
from tests.server.helpers import eventually

PASSWORD = "correct horse"


def config_for(root: Path, **ftp: Any) -> ServerConfig:
    """Settings for a server of ``root`` on free ports of the loopback, without TLS unless asked for."""
    settings = {"listen": "127.0.0.1:0", "tls": "off"} | ftp
    values = {"archive": {"root": str(root), "min_free": "0"}, "ftp": settings, "web": {"listen": "127.0.0.1:0"}}
    return load_config(None, {}, values)


@dataclass
class Site:
    """An archive with its catalog, people and enrolment, as the web part would have them open."""

    config: ServerConfig
    catalog: Catalog
    people: People
    enrolment: Enrolment
    address: tuple[str, int] = ("", 0)

    @classmethod
    def make(cls, root: Path, **ftp: Any) -> Site:
        """Make folder, certificate and catalog."""
        config = config_for(root, **ftp)
        first_run.prepare(config).close()
        catalog = Catalog.open(catalog_url(config.data_dir))
        people = People(catalog)
        return cls(config, catalog, people, Enrolment(catalog, people))

    @property
    def pin(self) -> str:
        """The pin of the server's certificate."""
        return first_run.identity(self.config).pin

    def join(self, agent_id: str) -> Joined:
        """A new agent."""
        return self.enrolment.join(self.enrolment.new_join_token().secret, agent_id=agent_id)

    def ftp(self, user: str, password: str) -> ftplib.FTP:
        """A logged-in connection of Python's own client."""
        client = ftplib.FTP(timeout=20, encoding="utf-8")
        client.connect(*self.address)
        try:
            client.login(user, password)
        except BaseException:
            client.close()
            raise
        return client

    def agent(self, joined: Joined) -> ftplib.FTP:
        """A logged-in connection of an agent."""
        return self.ftp(joined.user, joined.password)

    def ftps(self, user: str, password: str) -> ftplib.FTP_TLS:
        """The same over TLS; data connections resume the session, as the server requires."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client = ResumingFtp(timeout=20, encoding="utf-8", context=context)
        client.connect(*self.address)
        client.login(user, password)
        client.prot_p()
        return client

    def live(self, agent: str, path: str) -> Path:
        """Where the current bytes of a path lie."""
        return Path(self.config.data_dir, "live", agent, path)


class ResumingFtp(ftplib.FTP_TLS):
    """ftplib's TLS client with the one thing it lacks."""

    def ntransfercmd(self, cmd: str, rest: Any = None) -> Any:
        """As in ftplib, but the data connection resumes the control connection's session."""
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        sock = self.sock
        assert isinstance(sock, ssl.SSLSocket)
        return self.context.wrap_socket(connection, server_hostname=self.host, session=sock.session), size


def store(client: ftplib.FTP, path: str, data: bytes, *, rest: int | None = None) -> str:
    """STOR ``data``; the reply."""
    return client.storbinary(f"STOR {path}", io.BytesIO(data), rest=rest)


def fetched(client: ftplib.FTP, path: str) -> bytes:
    """RETR ``path``."""
    parts: list[bytes] = []
    client.retrbinary(f"RETR {path}", parts.append)
    return b"".join(parts)


def partly(client: ftplib.FTP, path: str, data: bytes, *, rest: int | None = None) -> None:
    """STOR ``data`` and cut the data connection with a reset instead of an end; the 4xx is read and dropped."""
    connection, _ = client.ntransfercmd(f"STOR {path}", rest)
    connection.sendall(data)
    eventually(lambda: _sent(connection))
    # Linger zero: close sends a reset.
    connection.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()
    try:
        client.voidresp()
    except ftplib.error_temp:
        return
    raise AssertionError("an upload cut by a reset was acknowledged")


def _sent(connection: Any) -> bool:
    """Whether the peer has acknowledged everything sent (Linux: SIOCOUTQ)."""
    import array
    import fcntl

    waiting = array.array("i", [0])
    fcntl.ioctl(connection, 0x5411, waiting)
    return waiting[0] == 0


class Running:
    """The FTP part inside the test's process."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.part = FtpPart(site.config)

    def __enter__(self) -> Site:
        self.part.start()
        self.site.address = self.part.address
        return self.site

    def __exit__(self, *_: object) -> None:
        self.part.stop()


class Process:
    """The FTP part as a process of its own, started as the supervisor starts it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        path = runfiles.run_path(site.config.data_dir, first_run.CONFIG_FILE)
        runfiles.write_private(path, site.config.to_json())
        runfiles.remove(runfiles.part_file(site.config.data_dir, "ftp"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "logferry.server", path], stderr=subprocess.DEVNULL, env={**os.environ}
        )

    def __enter__(self) -> Process:
        told = eventually(lambda: runfiles.read_json(runfiles.part_file(self.site.config.data_dir, "ftp")))
        self.site.address = (told["host"], told["port"])
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
