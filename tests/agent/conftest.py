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
from tests.agent.shelves import AGENT, KINDS, PASSWORD, LocalShelf, Shelf, shelf


class Node:
    """A folder with logs, an agent's settings for it, and the server that it delivers to."""

    def __init__(self, base: Path, server: Shelf) -> None:
        self.base = base
        self.logs = base / "logs"
        self.logs.mkdir(parents=True)
        self.server = server
        self.address = server.address
        self.include = '["*"]'
        self.extra = ""
        self.limits = ""
        self.connections = 3
        self.server_settings = ""
        self.to = "/logs"
        self.tls = "off"
        self.scan_interval = "50ms"
        (base / "agent.secret").write_text(PASSWORD + "\n")
        (base / "agent.secret").chmod(0o600)

    def sign_in(self, user: str, password: str) -> None:
        """Use another account than the agent's own."""
        self.server_settings += f'user = "{user}"\n'
        (self.base / "agent.secret").write_text(password + "\n")

    @property
    def config_path(self) -> Path:
        return self.base / "agent.toml"

    def config(self) -> AgentConfig:
        """Write ``agent.toml`` and read it."""
        host, port = self.address
        self.config_path.write_text(
            f"limits.connections = {self.connections}\n{self.limits}"
            f'[agent]\nid = "{AGENT}"\nscan_interval = "{self.scan_interval}"\n'
            f'[server]\naddress = "{host}:{port}"\ntls = "{self.tls}"\n{self.server_settings}'
            f'[[sources]]\npath = "{self.logs}"\nto = "{self.to}"\ninclude = {self.include}\n{self.extra}'
        )
        return load_config(self.config_path)

    def write(self, name: str | bytes, data: bytes) -> None:
        """Append ``data`` to a log."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "ab") as file:
            file.write(data)

    def path(self, name: str | bytes) -> bytes:
        """Where a log lies on the node."""
        return os.path.join(os.fsencode(self.logs), os.fsencode(name))

    def read(self, name: str | bytes) -> bytes:
        """What a log holds on the node."""
        with open(self.path(name), "rb") as file:
            return file.read()

    def once(self) -> Summary:
        """Run the agent until everything is sent."""
        return Agent(self.config()).once()

    def current(self) -> dict[str, bytes]:
        """What the server shows under its own name."""
        return self.server.current()

    def generations(self, name: str) -> list[bytes]:
        """What the server keeps of earlier contents of ``name``."""
        return self.server.generations(name)


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


def lines(start: int, count: int, width: int = 40) -> bytes:
    """Distinct lines."""
    return b"".join(b"%08d %s\n" % (n, b"x" * (n % width)) for n in range(start, start + count))


@pytest.fixture(params=list(KINDS))
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    """A server of each kind."""
    base = tmp_path / "server"
    base.mkdir()
    with shelf(request.param, base) as running:
        yield running


@pytest.fixture
def node(tmp_path: Path, server: Shelf) -> Node:
    """A node that delivers to each kind of server."""
    return Node(tmp_path / "node", server)


@pytest.fixture
def plain_node(tmp_path: Path) -> Iterator[Node]:
    """A node that delivers to our server on a folder."""
    base = tmp_path / "server"
    base.mkdir()
    running = LocalShelf(base)
    try:
        yield Node(tmp_path / "node", running)
    finally:
        running.stop()
