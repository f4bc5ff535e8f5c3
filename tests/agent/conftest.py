"""A node with logs, servers to deliver to, and the question that every test ends with: is every byte there, once?"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logferry.agent.config import AgentConfig, load_config
from logferry.agent.runner import Agent, Summary
from logferry.agent.watch import NoWatcher
from logferry.ftp import MemoryUsers, User
from logferry.ftp.server import FtpServer

PASSWORD = "correct horse battery"


class Node:
    """A folder with logs, an agent's settings for it, and the folder of an FTP server that it delivers to."""

    def __init__(self, base: Path, address: tuple[str, int], home: Path) -> None:
        self.base = base
        self.logs = base / "logs"
        self.logs.mkdir(parents=True)
        self.home = home
        self.address = address
        self.include = '["*"]'
        self.extra = ""
        self.scan_interval = "50ms"
        (base / "agent.secret").write_text(PASSWORD + "\n")
        (base / "agent.secret").chmod(0o600)

    @property
    def config_path(self) -> Path:
        return self.base / "agent.toml"

    def config(self) -> AgentConfig:
        """Write ``agent.toml`` and read it."""
        host, port = self.address
        self.config_path.write_text(
            f'limits.connections = 3\n[agent]\nid = "web-01"\nscan_interval = "{self.scan_interval}"\n'
            f'[server]\naddress = "{host}:{port}"\ntls = "off"\n'
            f'[[sources]]\npath = "{self.logs}"\nto = "/logs"\ninclude = {self.include}\n{self.extra}'
        )
        return load_config(self.config_path)

    def write(self, name: str | bytes, data: bytes) -> None:
        """Append ``data`` to a log."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "ab") as file:
            file.write(data)

    def path(self, name: str | bytes) -> bytes:
        return os.path.join(os.fsencode(self.logs), os.fsencode(name))

    def once(self) -> Summary:
        """Run the agent until everything is sent."""
        return Agent(self.config()).once()

    def arrived(self) -> dict[str, bytes]:
        """What the server has: path below ``/logs`` -> bytes, partials and temporary files included."""
        root = self.home / "logs"
        return {
            os.fsencode(path.relative_to(root)).decode("utf-8", "surrogateescape"): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }

    def current(self) -> dict[str, bytes]:
        """Of these, the files under their own names."""
        return {name: data for name, data in self.arrived().items() if ".~gen-" not in name}

    def generations(self, name: str) -> list[bytes]:
        """The contents that were moved aside from ``name``."""
        return [data for path, data in self.arrived().items() if path.startswith(f"{name}.~gen-")]


class RunningAgent:
    """An agent on a thread of this process."""

    def __init__(self, node: Node, *, watcher: bool = False) -> None:
        config = node.config()
        self.agent = Agent(config) if watcher else Agent(config, watcher=lambda _: NoWatcher())
        self._thread = threading.Thread(target=self.agent.run)

    def __enter__(self) -> RunningAgent:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.agent.stop()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the agent did not stop"


def eventually(check: Callable[[], bool], what: object = "", timeout_s: float = 20.0) -> None:
    """Wait until ``check()`` is true."""
    end = time.monotonic() + timeout_s
    while not check():
        assert time.monotonic() < end, f"not within {timeout_s} s: {what() if callable(what) else what}"
        time.sleep(0.01)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "server"
    folder.mkdir()
    return folder


@pytest.fixture
def ftp(home: Path) -> Iterator[FtpServer]:
    """Our server on a folder."""
    users = MemoryUsers(User.with_password("web-01", PASSWORD, home=str(home)))
    with FtpServer(("127.0.0.1", 0), users=users, tls="off") as server:
        yield server


@pytest.fixture
def node(tmp_path: Path, ftp: FtpServer, home: Path) -> Node:
    return Node(tmp_path / "node", ftp.address, home)
