"""Servers an agent can deliver to, each with a way to read back what it holds."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from logferry.archive import Archive, Catalog
from logferry.ftp import Filesystem, MemoryUsers, User
from logferry.ftp.local import LocalFilesystem
from logferry.ftp.server import FtpServer
from logferry.server.ingest import AgentFilesystem
from tests.ftp.peers import Peer

if TYPE_CHECKING:
    from tests.agent.conftest import Node

AGENT = "web-01"
PASSWORD = "correct horse battery"
_HIDDEN = re.compile(r"\.~gen-|(^|/)\.~up-[0-9a-f]{16}")
_LIGHT_HASH = User.with_password(AGENT, PASSWORD, home="/").password_hash


def light_hash() -> str:
    """The hash of ``PASSWORD``, made once."""
    return _LIGHT_HASH


class Shelf(Protocol):
    """A running server."""

    address: tuple[str, int]

    def current(self) -> dict[str, bytes]:
        """Files under their own names below ``/logs``, unpublished ones included."""
        ...

    def generations(self, name: str) -> list[bytes]:
        """Contents that were kept from ``name`` when it got others, oldest first."""
        ...

    def stop(self) -> None:
        """End the server; what it holds stays."""
        ...

    def start(self) -> None:
        """Start it again on the same port."""
        ...


def _tree(root: Path) -> dict[str, bytes]:
    if not root.is_dir():
        return {}
    found = {}
    for path in sorted(root.rglob("*")):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # renamed while we look
            found[os.fsencode(path.relative_to(root)).decode("utf-8", "surrogateescape")] = path.read_bytes()
    return found


class _FolderShelf:
    """What is on the server is a folder on disk; aside names are files in it."""

    home: Path

    def current(self) -> dict[str, bytes]:
        # What a cut upload has left is invisible to every client, until the next upload of that name continues it.
        return {name: data for name, data in _tree(self.home / "logs").items() if not _HIDDEN.search(name)}

    def generations(self, name: str) -> list[bytes]:
        found = _tree(self.home / "logs").items()
        return [data for path, data in sorted(found) if path.startswith(f"{name}.~gen-")]


class LocalShelf(_FolderShelf):
    """Our server on a plain folder: uploads are atomic and may be pipelined, nothing is compared or kept."""

    def __init__(self, base: Path, tls: str = "off") -> None:
        self.home = base / "home"
        self.home.mkdir()
        self.address = ("127.0.0.1", 0)
        self.start()

    def _filesystem(self, user: User) -> Filesystem:
        return LocalFilesystem(str(self.home))

    def start(self) -> None:
        users = MemoryUsers(User(name=AGENT, home=str(self.home), password_hash=_LIGHT_HASH))
        self.server = FtpServer(self.address, users=users, filesystem=self._filesystem, tls="off")
        self.server.start()
        self.address = self.server.address

    def stop(self) -> None:
        self.server.stop(timeout_s=2.0)


class ArchiveShelf(LocalShelf):
    """Our server on the archive: it keeps generations and compares what is sent again."""

    def __init__(self, base: Path) -> None:
        self.data = base / "data"
        self.data.mkdir()
        self.catalog = Catalog.open(f"sqlite:///{self.data}/catalog.db")
        self.catalog.agents.add(AGENT)
        self.archive = Archive(str(self.data), self.catalog)
        super().__init__(base)

    def _filesystem(self, user: User) -> Filesystem:
        return AgentFilesystem(self.archive, AGENT, lambda agent, why: None)

    def current(self) -> dict[str, bytes]:
        return _tree(self.data / "live" / AGENT / "logs")

    def below(self, folder: str) -> dict[str, bytes]:
        """What is current below another folder than ``logs``."""
        return _tree(self.data / "live" / AGENT / folder)

    def generations(self, name: str) -> list[bytes]:
        return self.generations_at(f"logs/{name}")

    def generations_at(self, path: str) -> list[bytes]:
        """The kept generations of an archive path, oldest first."""
        file = self.catalog.files.at(AGENT, path)
        if file is None:
            return []
        kept = [g for g in self.catalog.files.generations(file.id) if not g.current]
        return [self._read(g.id) for g in sorted(kept, key=lambda g: g.number)]

    def _read(self, generation: int) -> bytes:
        reader = self.archive.open(generation)
        try:
            return reader.read_at(0, reader.size)
        finally:
            reader.close()

    def close(self) -> None:
        self.stop()
        self.catalog.close()


class ForeignShelf(_FolderShelf):
    """pyftpdlib: no atomic uploads, no pipelining, RNTO replaces, REST + STOR overwrites in place."""

    def __init__(self, base: Path) -> None:
        self.home = base / "home"
        self.home.mkdir()
        self.address = ("127.0.0.1", 0)
        self.start()

    def start(self) -> None:
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import FTPHandler
        from pyftpdlib.servers import FTPServer

        logging.getLogger("pyftpdlib").setLevel(logging.ERROR)
        authorizer = DummyAuthorizer()
        authorizer.add_user(AGENT, PASSWORD, str(self.home), perm="elradfmwMT")
        # An upload whose data connection is reset before it was accepted gets no answer until ``timeout`` (300 s by
        # itself): the agent would wait for half a minute.
        own = {"authorizer": authorizer, "auth_failed_timeout": 0.1, "timeout": 3}
        handler = type("Handler", (FTPHandler,), own)
        self.server = FTPServer(self.address, handler)
        self.address = self.server.socket.getsockname()[:2]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self.server.serve_forever(timeout=0.02, blocking=False)
        self.server.close_all()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5)


class PeerShelf(_FolderShelf):
    """A folder of a real server of another make, which runs as long as the tests that use it."""

    def __init__(self, peer: Peer, folder: str) -> None:
        self.peer = peer
        self.address = ("127.0.0.1", peer.port)
        self.home = peer.root / folder
        self._folder = folder

    def node(self, base: Path) -> Node:
        """A node that delivers there."""
        from tests.agent.conftest import Node

        made = Node(base, self)
        made.to = f"{self.peer.base}/{self._folder}/logs"
        made.sign_in(self.peer.user, self.peer.password)
        if self.peer.encrypted:
            made.tls = "required"
            made.server_settings += f'pin = ["{self.peer.pin}"]\n'
        return made

    def start(self) -> None:
        """It runs."""

    def stop(self) -> None:
        """It goes on running."""


KINDS = {"folder": LocalShelf, "archive": ArchiveShelf, "foreign": ForeignShelf}


@contextlib.contextmanager
def shelf(kind: str, base: Path) -> Iterator[Shelf]:
    """A running server of one kind, below ``base``."""
    made: Shelf = KINDS[kind](base)
    try:
        yield made
    finally:
        made.stop()
        if isinstance(made, ArchiveShelf):
            made.catalog.close()
