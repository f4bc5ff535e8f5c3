"""Agent and server are killed at random moments while logs grow and rotate: nothing is lost, nothing comes twice."""

from __future__ import annotations

import random
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.agent.config import load_config
from logferry.agent.runner import Agent
from tests.security.amounts import amount, seed
from tests.server.helpers import eventually
from tests.server.site import Process
from tests.voyage.journey import Journey

AGENT_KILLS = amount("agent_kills", 20, 1000)
SERVER_KILLS = amount("server_kills", 20, 300)
KILLS_OF_A_JOURNEY = 50
"""Then a new one begins with new files, so that the last kill hits as much work as the first."""


class _Totals:
    """What all journeys of a test came to."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.seed = seed(what)
        self.dice = random.Random(self.seed)
        self.kills = self.lives = self.bytes = self.rotations = self.unsaved = 0

    def add(self, kills: int, journey: Journey) -> None:
        """Deliver the rest of a journey and compare everything."""
        journey.tree.settle()
        with Process(journey.site):
            journey.deliver_the_rest()
        found = journey.reckon()
        assert not found.different, (self.seed, found)
        assert not found.twice, (self.seed, found)
        self.kills += kills
        self.lives += found.lives
        self.bytes += sum(life.size for life in journey.ledger.lives)
        self.rotations += journey.writers.rotations
        self.unsaved += found.unsaved_lives
        print(
            f"{self.what}: seed {self.seed}: {self.kills} kills; {self.lives} generations of {self.bytes:,} bytes "
            f"compared, {self.rotations} rotations; 0 lost, 0 twice; {self.unsaved} were truncated or replaced by the "
            "node before their last bytes could be sent"
        )


def _journeys(kills: int) -> Iterator[tuple[int, int]]:
    """Number and kills of each journey."""
    for number, done in enumerate(range(0, kills, KILLS_OF_A_JOURNEY)):
        yield number, min(KILLS_OF_A_JOURNEY, kills - done)


@pytest.mark.slow
@pytest.mark.timeout(2 * 3600)
def test_an_agent_killed_again_and_again_under_load_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    """SIGKILL between starting up and delivering; every byte still on the node is archived once."""
    totals = _Totals("agent kills")
    for number, kills in _journeys(AGENT_KILLS):
        journey = Journey(tmp_path / str(number), totals.dice.randrange(1 << 30))
        journey.writers.start()
        try:
            with Process(journey.site):
                for _ in range(kills):
                    _kill_in_the_middle(journey, totals.dice)
        finally:
            journey.writers.stop()
        totals.add(kills, journey)
        shutil.rmtree(tmp_path / str(number))
    assert totals.kills == AGENT_KILLS


@pytest.mark.slow
@pytest.mark.timeout(2 * 3600)
def test_a_server_killed_again_and_again_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    """SIGKILL while one agent keeps delivering through it all."""
    totals = _Totals("server kills")
    for number, kills in _journeys(SERVER_KILLS):
        journey = Journey(tmp_path / str(number), totals.dice.randrange(1 << 30))
        journey.writers.start()
        agent = Agent(load_config(journey.config, {}), dice=_Impatient(), config_path=str(journey.config))
        running = threading.Thread(target=agent.run)
        running.start()
        try:
            for _ in range(kills):
                before = journey.stored_bytes()
                with Process(journey.site) as server:
                    eventually(lambda before=before, on=journey: on.stored_bytes() > before, within_s=120)  # type: ignore[misc]
                    _sleep(totals.dice.uniform(0.0, 0.3), server.process)
            assert running.is_alive(), "the agent gave up"
        finally:
            agent.stop()
            running.join(30)
            journey.writers.stop()
        totals.add(kills, journey)
        shutil.rmtree(tmp_path / str(number))


def _kill_in_the_middle(journey: Journey, dice: random.Random) -> None:
    agent = journey.agent()
    try:
        before = journey.stored_bytes()
        if dice.random() < 0.8:  # usually in the middle of the work, sometimes while it starts
            eventually(lambda: journey.stored_bytes() > before, within_s=60)
        _sleep(dice.uniform(0.0, 0.4), agent)
    finally:
        agent.kill()
        agent.wait()


class _Impatient:
    """Dice that make the agent come back soon after each kill: the pauses themselves are tested elsewhere."""

    def uniform(self, a: float, b: float) -> float:
        return min(b, a + 0.1)


def _sleep(seconds: float, process: subprocess.Popen[bytes]) -> None:
    """Wait for the moment of the kill, unless the process ends by itself, which it must not."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
    raise AssertionError(f"ended by itself with {process.returncode}")
