"""More servers to deliver to: ours as a process that can be killed, and those of others."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from logferry.archive import Archive, Catalog
from logferry.ftp import MemoryUsers, User
from logferry.ftp.server import FtpServer
from logferry.server.ingest import AgentFilesystem
from tests.agent.shelves import _LIGHT_HASH, AGENT, ArchiveShelf, Shelf, _FolderShelf
from tests.agent.shelves import KINDS as SHELVES
from tests.ftp.peers import Peer, running, wait_for_port
from tests.ports import free_port

OURS = ("archive",)
FOREIGN = ("vsftpd", "foreign")
"""vsftpd, a process for each session; pyftpdlib, in this process."""


class ProcessShelf(ArchiveShelf):
    """Our server on the archive as a process of its own; ``stop`` and ``kill`` end it by SIGKILL."""

    def start(self) -> None:
        if self.address[1] == 0:
            self.address = ("127.0.0.1", free_port())
        command = [sys.executable, "-m", "tests.agent.torture.servers", str(self.data), str(self.address[1])]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        wait_for_port(self.address[1], self._process)

    def kill(self) -> None:
        """``kill -9``."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process.poll() is None:
            self.kill()


class PeerShelf(_FolderShelf):
    """A server of somebody else, in a process of its own."""

    def __init__(self, kind: str, base: Path) -> None:
        self._kind = kind
        self._base = base
        self.address = ("127.0.0.1", 0)
        self.start()

    def start(self) -> None:
        self._stack = ExitStack()
        self.peer: Peer = self._stack.enter_context(running(self._kind, self._base, port=self.address[1]))
        self.address = ("127.0.0.1", self.peer.port)
        self.home = self.peer.root

    @property
    def user(self) -> str:
        """Who may sign in."""
        return self.peer.user

    @property
    def password(self) -> str:
        """With what."""
        return self.peer.password

    @property
    def root(self) -> str:
        """Where files may be put."""
        return self.peer.base

    def kill(self) -> None:
        """``kill -9``, its sessions too."""
        self.peer.kill()
        self.stop()

    def stop(self) -> None:
        self._stack.close()


@contextlib.contextmanager
def serving(kind: str, base: Path) -> Iterator[Shelf]:
    """A server by its name: one of ``shelves.KINDS``, ``process`` (ours, apart) or a program of ``tests.ftp.peers``."""
    made: Shelf
    if kind in SHELVES:
        made = SHELVES[kind](base)
    elif kind == "process":
        made = ProcessShelf(base)
    else:
        made = PeerShelf(kind, base)
    try:
        yield made
    finally:
        made.stop()
        if isinstance(made, ArchiveShelf):
            made.catalog.close()


def main(data: str, port: str) -> None:
    """Serve the archive in ``data`` to the agent until killed."""
    archive = Archive(data, Catalog.open(f"sqlite:///{data}/catalog.db"))
    users = MemoryUsers(User(name=AGENT, home="/", password_hash=_LIGHT_HASH))

    def filesystem(_: User) -> AgentFilesystem:
        return AgentFilesystem(archive, AGENT, lambda agent, why: None)

    with FtpServer(("127.0.0.1", int(port)), users=users, filesystem=filesystem, tls="off"):
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
