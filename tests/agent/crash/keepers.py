"""Whoever starts agents and servers for the crash walk, and ends them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from logferry.archive import Archive, Catalog
from tests.agent.crash.mortal import Order
from tests.agent.crash.serving import CALM, Control
from tests.agent.shelves import AGENT, PASSWORD
from tests.ftp.peers import Peer, vsftpd
from tests.ports import free_port

ROOT = Path(__file__).parent.parent.parent.parent
STALLED_S = 4
"""vsftpd locks a file while an upload to it stalls: what grows there waits so long until that one is given up."""


class _Program:
    """A program of the test's own that takes orders line by line and answers with lines of JSON."""

    def __init__(self, module: str, log: Path, *arguments: str) -> None:
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders: IO[bytes] = self._process.stdin
        self._answers = self._process.stdout
        self._rest = b""

    def order(self, line: str) -> None:
        self._orders.write(line.encode())

    def answer(self) -> dict[str, Any]:
        """The next line it or one of its children says."""
        while b"\n" not in self._rest:
            data = os.read(self._answers.fileno(), 65536)
            assert data, "the program ended; see its log"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        self._orders.close()
        self._process.wait()
        self._answers.close()
        self._log.close()


@dataclass(slots=True)
class Told:
    """What became of one agent: how it ended (-9: killed), whether all was sent, its steps."""

    code: int
    complete: bool = False
    sent: int = 0
    problems: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    came: bool = False
    """Whether the ordered moment came (for ``wait``)."""


class Agents(_Program):
    """Starts agents that meet their fate at a named moment."""

    def __init__(self, log: Path) -> None:
        super().__init__("tests.agent.crash.mortal", log)

    def run(self, order: Order, meanwhile: Callable[[], object] = lambda: None) -> Told:
        """Run one agent to its end; ``meanwhile`` is called when it waits."""
        self.order(order.line())
        told = Told(0)
        while True:
            answer = self.answer()
            if "at" in answer:
                told.came = True
                meanwhile()
                self.order("go\n")
            elif "ended" in answer:
                told.code = answer["ended"]
                return told
            else:
                told.complete, told.sent = answer["complete"], answer["sent"]
                told.problems, told.steps = tuple(answer["problems"]), tuple(answer["steps"])


class Target(Protocol):
    """A server that agents of the walk deliver to. Everything of one case is below a folder of its own."""

    @property
    def address(self) -> tuple[str, int]: ...

    @property
    def user(self) -> str: ...

    @property
    def password(self) -> str: ...

    @property
    def home(self) -> str:
        """What stands before every path on the wire, without slashes at its ends."""
        ...

    def kill(self) -> None:
        """SIGKILL, then start it again at the same address."""
        ...

    def current(self, folder: str) -> dict[str, bytes]:
        """Files below ``folder`` under their own names."""
        ...

    def generations(self, folder: str, name: str) -> list[bytes]:
        """Contents that were kept from ``name``, oldest first."""
        ...


class ArchiveTarget(_Program):
    """Our server on an archive, in a process of its own."""

    user, password, home = AGENT, PASSWORD, ""

    def __init__(self, base: Path, *, reserve: bool = True) -> None:
        """Without a ``reserve`` its disk may get full to the last byte."""
        self.data = base / "data"
        self.data.mkdir(parents=True)
        self.control = Control(base / "control")
        self.catalog = Catalog.open(f"sqlite:///{self.data}/catalog.db")
        self.catalog.agents.add(AGENT)
        self.archive = Archive(str(self.data), self.catalog)
        super().__init__(
            "tests.agent.crash.serving", base / "server.log", str(base), *([] if reserve else ["no-reserve"])
        )
        self.address = ("127.0.0.1", free_port())
        self._pid = self.deaths = 0
        self.start()

    def start(self) -> None:
        """Start it at the same address."""
        self.order(f"start {self.address[1]}\n")
        answer = self.answer()
        self.address, self._pid = ("127.0.0.1", answer["port"]), answer["pid"]

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        self.reap()
        self.start()

    @contextmanager
    def restarting(self) -> Iterator[None]:
        """While in here, a server that dies is started again at once; ``deaths`` counts it. Else it dies at the end."""
        pid, self.deaths = self._pid, 0
        thread = threading.Thread(target=self._start_when_dead)
        thread.start()
        try:
            yield
        finally:
            self.deaths = int(self._pid != pid or not _alive(pid))
            if not self.deaths:
                with contextlib.suppress(ProcessLookupError):  # it died at its very last step
                    os.kill(pid, signal.SIGKILL)
            thread.join()

    def _start_when_dead(self) -> None:
        self.reap()
        self.start()

    def reap(self) -> None:
        """Wait until the server is gone."""
        self.order(f"reap {self._pid}\n")
        assert self.answer() == {"reaped": self._pid}
        self.control.set(CALM)

    def current(self, folder: str) -> dict[str, bytes]:
        return tree(self.data / "live" / AGENT / folder)

    def generations(self, folder: str, name: str) -> list[bytes]:
        file = self.catalog.files.at(AGENT, f"{folder}/{name}")
        if file is None:
            return []
        kept = [g for g in self.catalog.files.generations(file.id) if not g.current]
        found = []
        for generation in sorted(kept, key=lambda g: g.number):
            with self.archive.open(generation.id) as reader:
                found.append(reader.read_at(0, reader.size))
        return found

    def close(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        self.reap()
        super().close()
        self.archive.close()
        self.catalog.close()


@dataclass(slots=True)
class ForeignTarget:
    """vsftpd: nothing is atomic, compared or kept, and REST + STOR overwrites in place."""

    base: Path
    address: tuple[str, int] = ("127.0.0.1", 0)
    user: str = "anonymous"
    password: str = "me@example.org"
    home: str = "in"
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _peer: Peer | None = None

    def __post_init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._peer = self._stack.enter_context(vsftpd(self.base, port=self.address[1], stalled_s=STALLED_S))
        self.address = ("127.0.0.1", self._peer.port)

    def kill(self) -> None:
        assert self._peer is not None
        self._peer.kill()
        self._stack.close()
        self._start()

    def current(self, folder: str) -> dict[str, bytes]:
        assert self._peer is not None
        return {name: data for name, data in tree(self._peer.root / folder).items() if not _hidden(name)}

    def generations(self, folder: str, name: str) -> list[bytes]:
        assert self._peer is not None
        return [d for path, d in tree(self._peer.root / folder).items() if path.startswith(f"{name}.~gen-")]

    @property
    def sessions(self) -> list[int]:
        """Processes of the server that serve somebody."""
        assert self._peer is not None
        children = Path(f"/proc/{self._peer.pid}/task/{self._peer.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def close(self) -> None:
        """End it."""
        self._stack.close()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _hidden(name: str) -> bool:
    """An earlier generation, or a first upload that was broken off and is nobody's by now."""
    return ".~gen-" in name or name.rpartition("/")[2].startswith(".~lf-")


def tree(root: Path) -> dict[str, bytes]:
    """All files below ``root``."""
    if not root.is_dir():
        return {}
    return {
        os.fsencode(path.relative_to(root)).decode("utf-8", "surrogateescape"): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A tmpfs of its own at ``folder``. Raises OSError where none can be mounted, saying what would help."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, text=True)
    except FileNotFoundError as error:
        raise OSError("there is no program mount") from error
    if done.returncode != 0:
        raise OSError(f"no tmpfs can be mounted here ({done.stderr.strip()}); run as root, or in: unshare -rm")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
