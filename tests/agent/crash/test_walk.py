"""Agent, server, network and disks fail at every moment of a shipping cycle: nothing is lost, nothing comes twice.

A sample in every run; ``make crash`` (or ``HEAVY=1``) walks every case.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from tests.agent.crash.walk import (
    SAVED_STEPS_MAX,
    SPLIT_STEPS_MAX,
    Case,
    Ground,
    all_cases,
    in_flight,
    moments,
    recorded,
)
from tests.agent.crash.works import WORKS
from tests.security.amounts import amount

SAMPLE = amount("crash_walk", 50, len(all_cases()))
NO_DISK = "needs a tmpfs under the registry: run as root, or inside `unshare -rm`"


def _sample() -> list[Case]:
    """Cases at even distances, so that every kind of work and every fault has some."""
    found = all_cases()
    count = min(SAMPLE, len(found))
    return [found[number * len(found) // count] for number in range(count)]


@pytest.mark.parametrize(("server", "work"), [(server, work) for server, works in recorded().items() for work in works])
def test_the_steps_of_an_undisturbed_cycle_are_those_that_are_walked(
    ground: Callable[[str], Ground], server: str, work: str
) -> None:
    """If a step was added, `python tools/crash_walk.py` records it, and it is walked from then on."""
    steps, durable = ground(server).steps(WORKS[work])
    facts = recorded()[server][work]
    assert steps == facts["steps"]
    walked = facts.get("durable", 0)
    assert walked - SAVED_STEPS_MAX <= durable <= walked + (SPLIT_STEPS_MAX if walked else 0)


@pytest.mark.parametrize("case", _sample(), ids=lambda case: case.id)
def test_broken_at(ground: Callable[[str], Ground], case: Case) -> None:
    """One kind of work, broken at one moment in one way: afterwards every byte is there once, in its place."""
    here = ground(case.server)
    if case.fault == "registry full" and here.disk is None:
        pytest.skip(NO_DISK)
    found = here.walk(case)
    if found is None:
        return
    told = recorded()[case.server][case.work]["found"][case.moment]
    here_and_now = dataclasses.asdict(found)
    if in_flight(case.moment):  # how much of it arrived is chance
        told, here_and_now = (
            {k: v for k, v in d.items() if k not in ("stored", "again")} for d in (told, here_and_now)
        )
    assert here_and_now == told


def test_every_step_is_walked_before_and_after_by_every_fault() -> None:
    """No hole in the enumeration."""
    walked = {(c.server, c.work, c.moment, c.fault) for c in all_cases()}
    for server, works in recorded().items():
        for work, facts in works.items():
            for moment in moments(facts["steps"]):
                assert {(server, work, moment, fault) for fault in ("agent killed", "server killed")} <= walked
    assert len({c.id for c in all_cases()}) == len(all_cases())
