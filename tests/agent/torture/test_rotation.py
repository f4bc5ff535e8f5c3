"""Rows 1 to 6 and 28: names change, the bytes behind them do not."""

from __future__ import annotations

import time

import pytest

from tests.agent.conftest import lines
from tests.agent.torture.yard import FOLLOWS_RENAMES, Yard
from tests.security.amounts import HEAVY

BRUTAL = pytest.mark.parametrize("naming", ["numbered", "dated"])
"""app.log.1, .2 … where all move up each time; or app.log-0001 once and for all."""
ONLY_THE_LOG = pytest.param(
    '["app.log"]',
    marks=pytest.mark.skipif(
        not FOLLOWS_RENAMES,
        reason="no watcher tells of renames yet: a file that was there for 1 ms is not found under its other name",
    ),
    id="pattern app.log",
)


def _rotate(yard: Yard, naming: str, turn: int) -> None:
    if naming == "numbered":
        yard.rotate("app.log")
    else:
        yard.rename("app.log", f"app.log-{turn:04d}")


def test_row_01_rotation_after_a_quiet_time_loses_nothing_and_sends_nothing_again(yard: Yard, watcher: bool) -> None:
    """Lines are written up to the rename; what the archive has gets the new name."""
    with yard.live(watcher=watcher):
        for turn in range(5):
            yard.write("app.log", lines(turn * 1000, 90))
            yard.wait()
            yard.write("app.log", lines(turn * 1000 + 90, 10))
            yard.rotate("app.log")
        yard.write("app.log", lines(9000, 10))
        yard.wait()
    assert yard.status().sent_bytes == sum(life.size for life in yard.ledger.lives)
    yard.finish()


@BRUTAL
def test_row_02_ten_rotations_in_quick_succession_lose_nothing(yard: Yard, watcher: bool, naming: str) -> None:
    """Each begins a new file at once; 0.4 s apart in a heavy run."""
    with yard.live(watcher=watcher):
        for turn in range(10):
            yard.write("app.log", lines(turn * 1000, 350))
            time.sleep(0.4 if HEAVY else 0.04)
            _rotate(yard, naming, turn)
        yard.wait()
    yard.finish()


@BRUTAL
@pytest.mark.parametrize("include", [pytest.param('["*"]', id="pattern *"), ONLY_THE_LOG])
def test_row_03_a_hundred_rotations_twenty_ms_apart_lose_nothing(yard: Yard, naming: str, include: str) -> None:
    """Each file has its name for about a millisecond."""
    if naming == "numbered" and not HEAVY:
        pytest.skip("five thousand renames: in a heavy run")
    yard.node.include = include
    with yard.live():
        for turn in range(100):
            yard.write("app.log", lines(turn * 30, 30))
            time.sleep(0.001)
            _rotate(yard, naming, turn)
            time.sleep(0.019)
        yard.wait()
    yard.finish()


@pytest.mark.parametrize("include", ['["*"]', '["app.log"]'], ids=["pattern *", "pattern app.log"])
def test_row_04_what_is_written_through_the_old_handle_after_the_rename_arrives(
    yard: Yard, watcher: bool, include: str
) -> None:
    """Soon after it and long after the new file has begun (1 s and 9 s later in a heavy run)."""
    yard.node.include = include
    with yard.live(watcher=watcher), yard.program("app.log") as program:
        program.write(lines(0, 200))
        yard.wait()
        yard.rename("app.log", "app.log.1")
        yard.write("app.log", lines(5000, 100))
        time.sleep(1 if HEAVY else 0)
        program.write(lines(200, 100))
        yard.wait()
        time.sleep(8 if HEAVY else 0.2)
        program.write(lines(300, 100))
        yard.wait()
    yard.finish()


def test_row_05_rotated_while_the_agent_was_away_is_resumed_under_the_new_name(yard: Yard) -> None:
    """Only what is new is sent."""
    yard.write("app.log", lines(0, 500))
    yard.once()
    yard.write("app.log", lines(500, 100))
    yard.rotate("app.log")
    new = yard.write("app.log", lines(5000, 50))
    summary = yard.once()
    assert (summary.renames, summary.sent_bytes) == (1, len(lines(500, 100)) + new.size)
    yard.finish()


@pytest.mark.parametrize("name", ["app.log.1", "app-20261123", "old"])
def test_row_06_rotated_while_away_to_a_name_no_pattern_matches_its_tail_is_found(yard: Yard, name: str) -> None:
    """By inode and content, in its folder; it is followed from then on."""
    yard.node.include = '["app.log"]'
    yard.write("app.log", lines(0, 500))
    yard.once()
    with yard.program("app.log") as program:
        program.write(lines(500, 300))
        yard.rename("app.log", name)
        yard.write("app.log", lines(5000, 200))
        yard.once()
        assert yard.arrived()
        program.write(lines(800, 10))
    yard.finish()


@pytest.mark.parametrize("live", [False, True], ids=["while away", "live"])
def test_row_28_a_renamed_folder_is_a_move_and_nothing_is_sent_again(yard: Yard, live: bool) -> None:
    """With folders below it; what is written afterwards arrives at the new path."""
    for number in range(12):
        yard.write(f"old/{number % 3}/{number}.log", lines(number * 100, 50))
    if live:
        with yard.live():
            yard.wait()
            yard.rename_folder("old", "new")
            yard.wait()
            yard.write("new/0/0.log", lines(5000, 10))
            yard.write("new/fresh.log", lines(6000, 10))
            yard.wait()
        assert yard.status().sent_bytes == sum(life.size for life in yard.ledger.lives)
    else:
        yard.once()
        yard.rename_folder("old", "new")
        assert yard.once().sent_bytes == 0
    yard.finish()
