"""Counts of connections over all processes, against a plain Counter."""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logferry.ftp.board import Board
from logferry.ftp.tally import Tally

MANY = 10**9


def enter(tally: Tally, slot: int, address: str) -> int:
    """A connection that is let in wherever it goes; the slot."""
    place = tally.enter(slot, address, sessions_max=MANY, per_address_max=MANY)
    assert not place.refused
    return place.slot


def test_limits_hold_and_places_get_free() -> None:
    """In all, per address, per user; numbers are never given twice."""
    tally = Tally(Board(), 10)
    first = tally.enter(0, "a", sessions_max=2, per_address_max=1)
    assert (first.number, first.slot, first.refused) == (1, 0, "")
    second = tally.enter(0, "a", sessions_max=2, per_address_max=1)
    assert second.over_address
    assert "address" in second.refused
    assert tally.enter(0, "b", sessions_max=2, per_address_max=1).number == 2
    full = tally.enter(0, "c", sessions_max=2, per_address_max=1)
    assert "Too many connections;" in full.refused
    assert not full.over_address
    tally.leave(0, "a")
    assert tally.enter(0, "c", sessions_max=2, per_address_max=1).number == 3
    assert tally.log_in(0, "ann", 1)
    assert not tally.log_in(0, "ann", 1)
    assert tally.log_in(0, "bob", 1)
    tally.log_out(0, "ann")
    assert tally.log_in(0, "ann", 1)


def test_a_user_is_no_address() -> None:
    """Of the same name."""
    tally = Tally(Board(), 10)
    enter(tally, 0, "x")
    assert (tally.of_address("x"), tally.of_user("x")) == (1, 0)


def test_connections_go_where_fewest_are() -> None:
    """Among the processes that serve; alone, or when all have as many, they stay where they came."""
    tally = Tally(Board(3), 100)
    assert enter(tally, 0, "a") == 0
    for slot in (0, 1):
        tally.serve(slot, 100 + slot)
    assert enter(tally, 0, "a") == 1
    assert [enter(tally, 0, "a") for _ in range(4)] == [0, 1, 0, 1]
    tally.serve(2, 102)
    assert [enter(tally, 0, "a") for _ in range(3)] == [2, 2, 2]
    tally.retire(1)
    assert sorted(enter(tally, 0, "a") for _ in range(4)) == [0, 0, 2, 2]
    assert tally.of_address("a") == 13


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_coming_and_going_counts_right(seed: int) -> None:
    """Three processes, crowded rows, one of them dies now and then."""
    dice = random.Random(seed)
    tally = Tally(Board(3), 60)
    inside: list[Counter[str]] = [Counter(), Counter(), Counter()]
    for _ in range(3_000):
        slot = dice.randrange(3)
        mine = inside[slot]
        what = dice.random()
        if what < 0.01:
            tally.wipe(slot)
            mine.clear()
        elif what < 0.55 and mine.total() < 60:
            address = f"10.0.0.{dice.randrange(100)}"
            assert enter(tally, slot, address) == slot
            mine[address] += 1
        elif what < 0.6 and mine and inside[(slot + 1) % 3].total() < 60:
            address = dice.choice(list(mine))
            tally.move(slot, (slot + 1) % 3, address)
            mine[address] -= 1
            inside[(slot + 1) % 3][address] += 1
        elif mine:
            address = dice.choice(list(mine))
            tally.leave(slot, address)
            mine[address] -= 1
        inside[slot] = +inside[slot]
        address = f"10.0.0.{dice.randrange(100)}"
        assert tally.of_address(address) == sum(one[address] for one in inside)
        assert tally.loads() == [one.total() for one in inside]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=300))
def test_a_region_is_never_searched_in_vain(steps: list[tuple[int, bool]]) -> None:
    """Rows that were freed in the middle of a run leave no gap that hides others."""
    tally = Tally(Board(), 8)
    users: Counter[str] = Counter()
    for number, come in steps:
        user = f"u{number}"
        if come and users.total() < 16:
            assert tally.log_in(0, user, MANY)
            users[user] += 1
        elif users[user]:
            tally.log_out(0, user)
            users[user] -= 1
        for name, count in users.items():
            assert tally.of_user(name) == count


def test_a_connection_moved_from_a_dead_process_is_counted_once() -> None:
    """It was wiped with the process; now it counts where it is."""
    tally = Tally(Board(2), 10)
    tally.serve(0, 1)
    tally.serve(1, 2)
    assert [enter(tally, 0, "a"), enter(tally, 0, "a")] == [0, 1]
    tally.wipe(1)
    tally.move(1, 0, "a")
    assert tally.loads() == [2, 0]
    assert tally.of_address("a") == 2


def test_processes_count_together_and_a_killed_holder_frees_the_lock() -> None:
    """Children that add and die in the middle of it, holding the lock: the rest goes on and counts right."""
    board = Board(4)
    tally = Tally(board, 1000)
    children = []
    for slot in range(4):
        pid = os.fork()
        if pid == 0:
            for number in range(200):
                tally.enter(slot, f"10.0.0.{number % 7}", sessions_max=MANY, per_address_max=MANY)
            if slot == 3:
                board.lock.__enter__()
                os.kill(os.getpid(), 9)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    assert tally.loads() == [200] * 4
    assert sum(tally.of_address(f"10.0.0.{number}") for number in range(7)) == 800
    tally.wipe(3)
    assert sum(tally.of_address(f"10.0.0.{number}") for number in range(7)) == 600
    assert enter(tally, 0, "x") == 0
