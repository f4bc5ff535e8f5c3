"""Where things are sent: a bare FTP server on a folder, or our own server with its archive."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.ftp.servers import running
from logferry.ftp import TlsIdentity
from logferry.testing.demo.nodes import Node
from logferry.testing.demo.programs import Programs

ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class Place:
    """An FTP account. What is sent to ``remote`` there lies in ``folder`` on this disk."""

    kind: str
    port: int
    user: str
    password: str
    remote: str
    folder: Path
    host: str = "127.0.0.1"
    tls: bool = False
    pin: str = ""

    def seen_from(self, host: str, port: int) -> Place:
        """The same behind a proxy."""
        return replace(self, host=host, port=port)


@contextmanager
def bare(kind: str, folder: Path, *, tls: bool = False) -> Iterator[Place]:
    """A bare FTP server of ``kind`` (see ``bench.ftp.servers``) whose home is below ``folder``; it holds ``up/``."""
    with running(kind, folder, tls=tls) as server:
        pin = TlsIdentity.ensure(str(folder / "identity")).pin
        there = server.folder / "tree"
        if kind == "pyftpdlib":
            there.mkdir()  # it answers 501 where there is no folder, and rclone knows only 550
        yield Place(kind, server.port, server.user, server.password, "/up/tree", there, tls=tls, pin=pin)


class ArchiveServer:
    """``logferry serve``: every way of sending gets a user of its own, with an empty home."""

    def __init__(self, folder: Path) -> None:
        self._programs = Programs(folder, "--tls", "explicit")
        self._count = 0

    def place(self, tree: Path, *, tls: bool = False) -> Place:
        """A new agent's account."""
        self._count += 1
        node = Node(f"bench-{self._count}", "bench", [tree])
        self._programs.join(node)
        config = self._programs.agent_file(node)
        password = (config.parent / "agent.secret").read_text().strip()
        pin = tomllib.loads(config.read_text())["server"].get("pin", [""])[0]
        port = int(self._programs.ftp.rpartition(":")[2])
        folder = self._programs.data / "live" / node.agent / "tree"
        return Place(ARCHIVE, port, node.agent, password, "/tree", folder, tls=tls, pin=pin)

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> Iterator[ArchiveServer]:
        """Start one with its data below ``folder``; it is stopped with the block."""
        folder.mkdir(parents=True, exist_ok=True)
        server = cls(folder)
        try:
            server._programs.start_server()
            yield server
        finally:
            server._programs.stop_all()
