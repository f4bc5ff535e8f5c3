"""Agent and server are killed at random moments while logs grow and rotate: nothing is lost, nothing comes twice."""

from __future__ import annotations

import os
import random
import subprocess
import threading
from pathlib import Path

import pytest

from logferry.agent.config import load_config
from logferry.agent.runner import Agent
from tests.server.helpers import eventually
from tests.server.site import Process
from tests.voyage.journey import Journey

KILLS = 50


def _seed() -> int:
    return int(os.environ.get("LOGFERRY_SEED") or random.SystemRandom().randrange(1 << 30))


def _check(journey: Journey, seed: int) -> None:
    journey.tree.settle()
    with Process(journey.site):
        journey.deliver_the_rest()
    found = journey.reckon()
    print(f"seed {seed}: {found.lives} lives, {journey.writers.rotations} rotations, {found.unsaved_lives} unsaved")
    assert not found.different, (seed, found)
    assert not found.twice, (seed, found)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_agent_killed_fifty_times_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    """SIGKILL between starting up and delivering; every byte still on the node is archived once."""
    seed = _seed()
    dice = random.Random(seed)
    journey = Journey(tmp_path, seed)
    journey.writers.start()
    try:
        with Process(journey.site):
            for _ in range(KILLS):
                _kill_in_the_middle(journey, dice)
    finally:
        journey.writers.stop()
    _check(journey, seed)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_killed_fifty_times_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    """SIGKILL while one agent keeps delivering through it all."""
    seed = _seed()
    dice = random.Random(seed)
    journey = Journey(tmp_path, seed)
    journey.writers.start()
    agent = Agent(load_config(journey.config, {}), dice=_Impatient(), config_path=str(journey.config))
    running = threading.Thread(target=agent.run)
    running.start()
    try:
        for _ in range(KILLS):
            before = journey.stored_bytes()
            with Process(journey.site) as server:
                eventually(lambda before=before: journey.stored_bytes() > before, within_s=120)  # type: ignore[misc]
                _sleep(dice.uniform(0.0, 0.3), server.process)
        assert running.is_alive(), "the agent gave up"
    finally:
        agent.stop()
        running.join(30)
        journey.writers.stop()
    _check(journey, seed)


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
