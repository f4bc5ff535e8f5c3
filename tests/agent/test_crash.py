"""Agents and servers that die at any moment, connections that break: nothing lost, nothing twice."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from logferry.agent import shipper, slices
from logferry.testing.ledger import Ledger
from logferry.testing.logtree import LogFile, LogTree, Rotation
from tests.agent.conftest import Node, RunningAgent, eventually
from tests.agent.cutting import CuttingProxy
from tests.agent.dying import Nursery
from tests.agent.shelves import ArchiveShelf
from tests.agent.truth import differences
from tests.security.amounts import seed

SMALL_SLICES = (
    "import sys\n"
    "from logferry.agent import shipper, slices\n"
    "slices.SLICE_BYTES = shipper.SLICE_BYTES = 24 * 1024\n"
    "slices.READ_WHOLE_BYTES = shipper.READ_WHOLE_BYTES = 16 * 1024\n"
    "from logferry.agent.__main__ import main\n"
    "sys.exit(main(sys.argv[1:]))\n"
)
"""The agent with slices so small that many steps of a cycle are met."""
KILLS = int(os.environ.get("LOGFERRY_TEST_KILLS", "20"))
"""How often an agent is killed; set the variable for a longer run."""
STEPS = int(os.environ.get("LOGFERRY_TEST_STEPS", "40"))
"""How many agents die at a step of their own."""
STEPS_OF_A_RUN = 75
"""More than an agent that has one small file to send makes."""
STRIDE = int(os.environ.get("LOGFERRY_TEST_STRIDE", "15"))
"""1 = every pair of steps."""
FILES = (
    LogFile(b"app/service.json", "json", Rotation.RENAME, 4),
    LogFile(b"nginx/access.log", "nginx", Rotation.RENAME, 3),
    LogFile(b"api.log", "apache", Rotation.COPYTRUNCATE, 1),
)


class AgentProcess:
    """A real agent in a process of its own."""

    def __init__(self, node: Node, log: Path) -> None:
        self._log = log.open("ab")
        before = log.stat().st_size
        self.process = subprocess.Popen(
            [sys.executable, "-c", SMALL_SLICES, str(node.config_path)], stderr=self._log, stdout=self._log
        )
        eventually(lambda: log.stat().st_size > before)  # it has said that it started

    def kill(self) -> None:
        """End it without notice."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._log.close()


@pytest.fixture
def tree(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogTree:
    """Logs on the node with a record of every byte written; agents of this process have small slices too."""
    for module in (slices, shipper):
        monkeypatch.setattr(module, "SLICE_BYTES", 24 * 1024)
        monkeypatch.setattr(module, "READ_WHOLE_BYTES", 16 * 1024)
    node.config()
    return LogTree(node.logs, FILES, seed=seed("tree"), ledger=Ledger(tmp_path / "ledger"), keep=50)


def finish(node: Node, tree: LogTree) -> None:
    """Let an agent send the rest, then compare everything."""
    assert tree.ledger is not None
    deadline = time.monotonic() + 60
    while not (summary := node.once()).complete:
        assert time.monotonic() < deadline, summary
        time.sleep(0.2)
    assert differences(tree.ledger, node.server) == []


def live_a_little(tree: LogTree, rng: random.Random, seconds: float) -> None:
    """Grow and rotate by rename for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        tree.grow(rng.randrange(1, 400))
        if rng.random() < 0.15:
            path = rng.choice([b"app/service.json", b"nginx/access.log"])
            if os.path.exists(tree.absolute(path)):
                tree.rotate(path)
        time.sleep(rng.uniform(0, 0.03))


@pytest.mark.slow
def test_an_agent_killed_at_twenty_random_moments_loses_and_doubles_nothing(
    node: Node, tree: LogTree, tmp_path: Path
) -> None:
    """Files grow and rotate all the time, also while the agent is dead."""
    rng = random.Random(seed("kills"))
    tree.grow(2000)
    for _ in range(KILLS if isinstance(node.server, ArchiveShelf) else KILLS // 3):
        agent = AgentProcess(node, tmp_path / "agent.log")
        live_a_little(tree, rng, rng.uniform(0, 0.7))
        agent.kill()
        live_a_little(tree, rng, rng.uniform(0, 0.1))
    finish(node, tree)


@pytest.mark.slow
def test_a_server_restarted_again_and_again_loses_and_doubles_nothing(node: Node, tree: LogTree) -> None:
    """The agent finds it again by itself."""
    rng = random.Random(seed("kills"))
    tree.grow(500)
    with RunningAgent(node):
        for _ in range(5):
            live_a_little(tree, rng, 0.3)
            node.server.stop()
            live_a_little(tree, rng, 0.2)
            node.server.start()
    finish(node, tree)


@pytest.mark.parametrize("verb", ["STOR", "SIZE", "RNFR", "RNTO"])
def test_replies_that_get_lost_double_nothing(node: Node, tree: LogTree, verb: str) -> None:
    """Every third reply to one command never arrives, although the server did what it says."""
    counter = itertools.count(1)
    lock = threading.Lock()

    def cut(command: bytes, reply: bytes) -> bool:
        with lock:
            return command.startswith(verb.encode()) and reply[:1] in b"23" and next(counter) % 3 == 0

    rng = random.Random(7)
    proxy = CuttingProxy(node.server.address, cut)
    node.address = proxy.address
    tree.grow(300)
    with RunningAgent(node) as running:
        for _ in range(60):
            live_a_little(tree, rng, 0.1)
            running.agent.hurry()
            if proxy.cuts >= 3:
                break
    assert proxy.cuts >= 3
    proxy.close()
    node.address = node.server.address
    finish(node, tree)


@pytest.mark.slow
def test_agents_killed_at_any_step_with_rotations_in_between_lose_and_double_nothing(
    node: Node, tree: LogTree, tmp_path: Path
) -> None:
    """Each dies at a step drawn by chance; until the next one starts, logs grow and are rotated several times."""
    rng = random.Random(seed("steps"))
    nursery = Nursery(tmp_path / "agents.log")
    try:
        for _ in range(STEPS if isinstance(node.server, ArchiveShelf) else STEPS // 4):
            for _ in range(rng.randrange(3)):
                tree.grow(rng.randrange(1, 200))
                for path in (b"app/service.json", b"nginx/access.log"):
                    if rng.random() < 0.5 and os.path.exists(tree.absolute(path)):
                        tree.rotate(path)
            nursery.run(node.config_path, rng.choice([rng.randrange(1, 20), rng.randrange(1, 120)]))
    finally:
        nursery.close()
    finish(node, tree)


@pytest.mark.slow
def test_a_first_upload_killed_at_every_step_twice_and_rotated_in_between_is_there_once(
    node: Node, tree: LogTree, tmp_path: Path
) -> None:
    """All pairs of steps (with a stride): the second agent dies while it finds out what became of the first upload."""
    nursery = Nursery(tmp_path / "agents.log")
    assert tree.ledger is not None
    try:
        for first in range(1, STEPS_OF_A_RUN, STRIDE):
            for second in range(1, STEPS_OF_A_RUN, STRIDE):
                path = b"pair/%d-%d.log" % (first, second)
                for steps in (first, second):
                    tree.append(path, b"%s, to be killed at step %d\n" % (path, steps))
                    nursery.run(node.config_path, steps)
                    tree.rotate(path, Rotation.RENAME)
                nursery.run(node.config_path, 10**9)
    finally:
        nursery.close()
    finish(node, tree)


@pytest.mark.slow
def test_bundles_killed_at_many_steps_are_there_once(node: Node, tree: LogTree, tmp_path: Path) -> None:
    """Forty new files at a time; until the next agent comes some of them have grown or got another name."""
    rng = random.Random(seed("bundles"))
    nursery = Nursery(tmp_path / "agents.log")
    try:
        for steps in range(1, STEPS_OF_A_RUN, STRIDE // 3):
            paths = [b"many/%d/%d.log" % (steps, number) for number in range(40)]
            for path in paths:
                tree.append(path, b"%s is new\n" % path * rng.randrange(1, 200))
            nursery.run(node.config_path, steps)
            for path in rng.sample(paths, 10):
                tree.append(path, b"%s has grown\n" % path)
            for path in rng.sample(paths, 10):
                tree.rotate(path, Rotation.RENAME)
    finally:
        nursery.close()
    finish(node, tree)
