"""Anything may happen in any order; whenever all is sent, every byte that could be saved is there once.

A few thousand steps in every run; ``make crash`` (or ``HEAVY=1``) makes 10^5.
"""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.agent.crash.machine import ArchivePlaceTarget, Fate, Machine, World, dying_quietly
from tests.agent.crash.mortal import SLICE_BYTES, Order, watched
from tests.agent.shelves import PASSWORD, ArchiveShelf
from tests.security.amounts import amount, dice

STEPS = amount("machine_steps", 600, 100_000)
STEPS_OF_A_LIFE = 50
LIVES_OF_A_ROUND = 200
_SETTINGS = settings(
    stateful_step_count=STEPS_OF_A_LIFE,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
    phases=(Phase.generate,),
)


Life = list[tuple[str, dict[str, object]]]
FOUND: dict[str, list[Life]] = {
    "an empty log comes back under its old name with other content": [
        [
            ("write", {"name": b"app.log.2", "size": 0}),
            ("all_is_sent", {}),
            ("rename", {"old": b"app.log.2", "new": b"app.log.1"}),
            ("truncate", {"name": b"app.log.1", "size": 70_000}),
            ("all_is_sent", {}),
            ("rotate", {"size": 5_000}),
        ]
    ],
    "an empty log gets its first bytes, the agent dies, the log is rotated": [
        [
            ("rotate", {"size": 0}),
            ("all_is_sent", {}),
            ("rotate" if renamed else "write", {"size": 900} if renamed else {"name": b"app.log", "size": 900}),
            ("kill", {"moments": moments}),
            ("rotate", {"size": 900}),
        ]
        for renamed in (False, True)
        for moments in range(8, 22, 2)
    ],
}
"""Lives that the machine found: things go wrong in them no more."""


@pytest.mark.parametrize("lives", FOUND.values(), ids=FOUND)
def test_what_it_found_once_is_right_now(tmp_path: Path, lives: list[Life]) -> None:
    """Nothing is lost, nothing comes twice."""
    (tmp_path / "machine").mkdir()
    shelf = ArchiveShelf(tmp_path / "machine")
    fate = Fate(Order(""))
    Machine.world = World(tmp_path / "nodes", ArchivePlaceTarget(shelf, PASSWORD), fate)
    try:
        with dying_quietly(), watched(fate, read_whole_bytes=SLICE_BYTES):
            for life in lives:
                machine = Machine()
                machine.begin()
                for name, given in life:
                    getattr(machine, name)(**given)
                machine.teardown()
    finally:
        shelf.close()


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_whatever_happens_nothing_is_lost_and_nothing_comes_twice(memory: Path) -> None:
    """Write, rotate, truncate, rename, delete, replace; the agent stops, dies, is cut off; the server restarts."""
    (memory / "machine").mkdir()
    shelf = ArchiveShelf(memory / "machine")
    fate = Fate(Order(""))
    world = World(memory / "nodes", ArchivePlaceTarget(shelf, PASSWORD), fate)
    Machine.world = world
    seeds = dice("machine")
    try:
        # What is sent straight from a file that is truncated and filled anew in that very moment is beyond knowing.
        with dying_quietly(), watched(fate, read_whole_bytes=SLICE_BYTES):
            while world.steps < STEPS:
                lives = min(LIVES_OF_A_ROUND, -(-(STEPS - world.steps) // STEPS_OF_A_LIFE))
                machine = hypothesis.seed(seeds.randrange(2**32))(type("Life", (Machine,), {}))
                run_state_machine_as_test(machine, settings=settings(_SETTINGS, max_examples=lives))
    finally:
        shelf.close()
        print(
            f"{world.steps} steps in {world.number} lives: {world.kills} kills, {world.cuts} cuts, "
            f"{world.truths} times everything was compared"
        )
