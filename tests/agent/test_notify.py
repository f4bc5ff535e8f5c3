"""The service manager is told: with a real socket, as systemd's is."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.agent.journal import Journal
from logferry.agent.notify import Notifier
from tests.agent.conftest import Node, eventually
from tests.agent.test_reload import written

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="systemd's protocol")


class Manager:
    """A socket that collects what it is told."""

    def __init__(self, address: str | bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self.told: list[str] = []

    def heard(self, start: str) -> bool:
        """Whether a message that begins so has come."""
        while True:
            try:
                self.told.append(self.socket.recv(65536).decode())
            except BlockingIOError:
                return any(message.startswith(start) for message in self.told)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.socket.close()


def notifier(manager: Manager, now: list[float] | None = None, **environment: str) -> Notifier:
    name = manager.socket.getsockname()
    address = name if isinstance(name, str) else "@" + name[1:].decode()
    times = now or [7.0]
    return Notifier({"NOTIFY_SOCKET": address, **environment}, Journal(), monotonic_s=lambda: times[0], pid=42)


def test_every_state_has_its_message(manager: Manager) -> None:
    """The words of sd_notify(3)."""
    told = notifier(manager)
    told.ready()
    told.reloading()
    told.status("connected,\n12 files")
    told.status("connected,\n12 files")
    told.stopping()
    manager.heard("")
    assert manager.told == [
        "READY=1",
        "RELOADING=1\nMONOTONIC_USEC=7000000",
        "STATUS=connected, 12 files",
        "STOPPING=1",
    ]


def test_the_watchdog_is_fed_twice_as_often_as_it_wants(manager: Manager) -> None:
    """And only if it watches this process."""
    now = [100.0]
    told = notifier(manager, now, WATCHDOG_USEC="10000000", WATCHDOG_PID="42")
    for _ in range(100):
        told.alive()
        now[0] += 1.0
        manager.heard("")
    assert manager.told == ["WATCHDOG=1"] * 20
    notifier(manager, WATCHDOG_USEC="10000000", WATCHDOG_PID="43").alive()
    notifier(manager, WATCHDOG_USEC="nonsense").alive()
    manager.heard("")
    assert len(manager.told) == 20


@pytest.mark.skipif(sys.platform != "linux", reason="names without a file are Linux's")
def test_a_name_in_the_abstract_namespace_works() -> None:
    """systemd may give one."""
    made = Manager(b"\0logferry-test-%d" % os.getpid())
    try:
        notifier(made).ready()
        assert made.heard("READY=1")
    finally:
        made.socket.close()


def test_nobody_there_is_no_trouble(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without the variable nothing is sent; a socket that is gone is said once."""
    silent = Notifier({}, Journal())
    silent.ready()
    assert not silent.listening
    gone = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}, Journal())
    with caplog.at_level(logging.INFO, logger="logferry.agent"):
        gone.ready()
        gone.stopping()
    assert len([r for r in caplog.records if "service manager" in r.getMessage()]) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_running_agent_tells_ready_reloading_and_stopping(plain_node: Node, manager: Manager) -> None:
    """The real program: ready once it works, SIGHUP reloads (ready again), SIGTERM stops with exit 0."""
    node = plain_node
    node.write("a.log", b"one\n")
    written(node)
    environment = os.environ | {"NOTIFY_SOCKET": manager.socket.getsockname(), "WATCHDOG_USEC": "1000000"}
    command = [sys.executable, "-m", "logferry.agent", str(node.config_path)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as agent:
        try:
            eventually(lambda: manager.heard("READY=1"), timeout_s=60)
            eventually(lambda: manager.heard("WATCHDOG=1"), timeout_s=60)
            eventually(lambda: manager.heard("STATUS=connected, 1 file"), lambda: manager.told, timeout_s=60)
            agent.send_signal(signal.SIGHUP)
            eventually(lambda: manager.heard("RELOADING=1"), timeout_s=60)
            eventually(lambda: manager.told.count("READY=1") + manager.heard("x") == 2, timeout_s=60)
        finally:
            agent.terminate()
        _, said = agent.communicate(timeout=60)
        assert agent.returncode == 0, said
        assert manager.heard("STOPPING=1")
        assert "Traceback" not in said
