"""The server's end of the crash walk: a small program that forks archive servers, and a disk that fails on order.

Each server is a process of its own with our FTP server on an archive. A few bytes of shared memory (a mapped file) tell
its disk what to do: to count its durable steps, to die by SIGKILL at one of them, or to have no room from one on.
"""

from __future__ import annotations

import errno
import mmap
import os
import signal
import struct
import sys
import threading
import traceback
from pathlib import Path

import structlog

from logferry.archive import Archive, Catalog, rooms
from logferry.archive.durable import Disk
from logferry.ftp import MemoryUsers, User
from logferry.ftp.server import FtpServer
from logferry.server.ingest import AgentFilesystem
from tests.agent.crash.mortal import listen, say
from tests.agent.shelves import AGENT, light_hash

CALM, DIE, FULL = 0, 1, 2
FULL_STEPS = 3
"""So many durable steps fail before there is room again: the agent's first try and some more."""
_MEMORY = struct.Struct("iii")


class Control:
    """The shared memory: ``mode``, steps ``left`` until it happens, steps ``done`` since it was set."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_MEMORY.pack(CALM, 0, 0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _MEMORY.size)
        self._lock = threading.Lock()

    def set(self, mode: int, left: int = 0) -> None:
        """From the next durable step on. ``left`` 1 means the next one."""
        self._memory[:] = _MEMORY.pack(mode, left, 0)

    @property
    def done(self) -> int:
        """How many durable steps there have been since ``set``."""
        return int(_MEMORY.unpack(self._memory[:])[2])

    def step(self, name: str) -> None:
        """A durable step is about to be made."""
        with self._lock:
            mode, left, done = _MEMORY.unpack(self._memory[:])
            self._memory[:] = _MEMORY.pack(mode, left - 1, done + 1)
        if mode == DIE and left == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == FULL and 1 - FULL_STEPS < left <= 1 and name != "committed":  # after the commit nothing can fail
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def serve(base: Path, port: int) -> None:
    """An archive server on ``base`` until it is killed."""
    disk = Disk(Control(base / "control").step)
    data = base / "data"
    catalog = Catalog.open(f"sqlite:///{data}/catalog.db", disk=disk)
    archive = Archive(str(data), catalog, disk=disk)
    users = MemoryUsers(User(name=AGENT, home=AGENT, password_hash=light_hash()))
    server = FtpServer(
        ("127.0.0.1", port),
        users=users,
        filesystem=lambda _user: AgentFilesystem(archive, AGENT, lambda agent, why: None),
        tls="off",
    )
    server.start()
    say({"port": server.address[1], "pid": os.getpid()})
    threading.Event().wait()


def main() -> None:
    """``start PORT`` forks a server, ``reap PID`` waits until one is gone.

    With a second argument servers keep no room in reserve, so that a small disk really gets full under them.
    """
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # standard output is for answers
    base = Path(sys.argv[1])
    if len(sys.argv) > 2:
        rooms.DISK_RESERVE_BYTES = 0  # type: ignore[attr-defined]
    while line := listen():
        word, number = line.split()
        if word == "reap":
            os.waitpid(int(number), 0)
            say({"reaped": int(number)})
            continue
        if os.fork() == 0:
            try:
                serve(base, int(number))
            except BaseException:  # noqa: BLE001 (this process ends here; its log says why)
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)


if __name__ == "__main__":
    main()
