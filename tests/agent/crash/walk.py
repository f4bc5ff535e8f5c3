"""The crash walk: every moment of a shipping cycle, every fault, every kind of work; and what came of each.

``recorded.json`` holds the steps of an undisturbed cycle for each kind of work, and what was found after a kill at each
moment. The cases are made from it, each case compares what it finds with it, and ``docs/design/delivery.md`` shows it.
``python tools/crash_walk.py`` records it anew.
"""

from __future__ import annotations

import functools
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.agent.crash.keepers import Agents, ArchiveTarget, ForeignTarget, Target, Told
from tests.agent.crash.mortal import Order
from tests.agent.crash.network import Cut, Network
from tests.agent.crash.serving import DIE, FULL
from tests.agent.crash.works import MEANWHILE, WORKS, Place, Work

RECORDED = Path(__file__).parent / "recorded.json"
STALL_TIMEOUT_S = 2.0
"""How long an agent of the walk waits for a network that is stalled."""
SAVED_STEPS_MAX = 12
"""So many durable steps fewer may do: the first file of an agent makes folders, and commits may come together."""
SPLIT_STEPS_MAX = 6
"""So many durable steps more it may do where a slow machine does apart what else is done together. Walked as well."""
CUT_WAYS = ("reset", "end", "stall")
SENT = ("STOR", "REST + STOR", "first half of the data", "all data", "end of data")
"""Steps after which bytes may be on their way: how many of them arrived, nobody can say."""


@dataclass(frozen=True, slots=True)
class Case:
    """One walk: ``fault`` at ``moment`` of ``work``, and what happens to the source ``meanwhile``."""

    server: str
    work: str
    fault: str
    moment: str
    meanwhile: str = "nothing"

    @property
    def id(self) -> str:
        """As pytest names it."""
        parts = [self.server, self.work, self.fault, self.moment]
        parts += [self.meanwhile] if self.meanwhile != "nothing" else []
        return "-".join(part.replace(" ", "_") for part in parts)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is after a kill, and what the next agent sends."""

    rows: int
    """Generations that the registry knows."""
    confirmed: int
    """Bytes that it says are on the server."""
    moves: int
    """Renames that it knows are to be made or to be looked after."""
    stored: int
    """Bytes that the server shows under their names and as kept generations."""
    again: int
    """Bytes the next agent sends."""


def recorded() -> dict[str, Any]:
    """``{server: {work: {"steps": [...], "found": {moment: {...}}, "durable": n}}}``."""
    found: dict[str, Any] = json.loads(RECORDED.read_text())
    return found


def moments(steps: list[str]) -> list[str]:
    """Before and after every step, in order."""
    return [f"{when} {step}" for step in steps for when in ("before", "after")]


def in_flight(moment: str) -> bool:
    """Whether bytes may be on their way at that moment."""
    when, _, step = moment.partition(" ")
    step = step.rstrip(" 0123456789")
    return (step in SENT and not (when == "before" and "STOR" in step)) or moment.startswith("before 226")


# Cases ---------------------------------------------------------------------------------------------------------------


def cases() -> Iterator[Case]:
    """All of them."""
    for server, works in recorded().items():
        for work, facts in works.items():
            yield from _cases(server, work, facts)


def _cases(server: str, work: str, facts: dict[str, Any]) -> Iterator[Case]:
    for moment in moments(facts["steps"]):
        for meanwhile in _meanwhile(server, moment, facts["steps"][0]):
            yield Case(server, work, "agent killed", moment, meanwhile)
        yield Case(server, work, "server killed", moment)
        if server == "archive":
            yield Case(server, work, "registry full", moment)
    for moment in _cuts(facts["steps"]):
        for way in CUT_WAYS:
            yield Case(server, work, f"network {way}", moment)
    for number in range(1, facts["durable"] + SPLIT_STEPS_MAX + 1 if "durable" in facts else 1):
        for fault in ("server killed", "server full"):
            yield Case(server, work, fault, f"durable step {number}")


def _meanwhile(server: str, moment: str, first: str) -> list[str]:
    """What may happen to the source: walked once between two steps, and less on other servers."""
    if moment.startswith("before") and moment != f"before {first}":
        return ["nothing"]
    return list(MEANWHILE) if server == "archive" else ["nothing", "rotated"]


def _cuts(steps: list[str]) -> Iterator[str]:
    """Places where the network may break: each command and each reply, and four within the data."""
    seen: dict[str, int] = {}
    for step in steps:
        if not step.split()[0].isupper():  # no command
            continue
        for verb in (command.split()[0] for command in step.split(" + ")):
            nth = seen[verb] = seen.get(verb, 0) + 1
            for where in ("command", "reply"):
                yield f"{where} {verb} {nth}"
            if verb == "STOR":
                yield from (f"data {part}" for part in ("begun", "half", "end") if nth == 1)


# Walking -------------------------------------------------------------------------------------------------------------


class Ground:
    """Server, agents and network of one walk, shared by many cases, each of which has a place of its own."""

    def __init__(self, base: Path, server: str, *, disk: Path | None = None) -> None:
        """``disk``: a small disk for registries, which cases fill."""
        base.mkdir(parents=True, exist_ok=True)
        self.base = base
        self.disk = disk
        self.target: Target = ArchiveTarget(base / "server") if server == "archive" else _foreign(base / "server")
        self.agents = Agents(base / "agents.log")
        self.network = Network(self.target.address)
        self._number = 0

    def close(self) -> None:
        """End everything."""
        self.agents.close()
        self.network.close()
        assert isinstance(self.target, ArchiveTarget | ForeignTarget)
        self.target.close()

    def place(self, *, through_network: bool = False, on_disk: bool = False) -> Place:
        """A new node."""
        self._number += 1
        name = f"place{self._number}"
        state = (self.disk if on_disk and self.disk is not None else self.base) / f"{name}-state"
        address = self.network.address if through_network else self.target.address
        return Place(self.base / name, name, self.target, address=address, state=state)

    def ready(self, work: Work, place: Place) -> None:
        """Deliver what comes before, then make the work."""
        work.before(place)
        if place.ledger.lives:
            self.deliver(place)
        work.do(place)

    def deliver(self, place: Place) -> Told:
        """An agent that nothing happens to."""
        told = self.agents.run(Order(str(place.config)))
        assert told.code == 0, told
        assert told.complete, told.problems
        return told

    def walk(self, case: Case) -> Found | None:
        """One case, from the work to the truth. What was found, where an agent was killed."""
        network, full = case.fault.startswith("network"), case.fault == "registry full"
        place = self.place(through_network=network, on_disk=full)
        work = WORKS[case.work]
        self.ready(work, place)
        found: Found | None = None
        if case.fault == "agent killed":
            found = self._kill_agent(place, case)
        elif network:
            self._break_network(place, case)
        elif full:
            self._fill_registry(place, case)
        elif case.moment.startswith("durable step"):
            self._fail_server(place, case)
        else:
            self._kill_server(place, case)
        self.deliver(place)
        wrong = place.wrong()
        assert wrong == [], wrong
        shutil.rmtree(place.base)
        shutil.rmtree(place.state)
        return found

    def steps(self, work: Work) -> tuple[list[str], int]:
        """The steps of an undisturbed cycle, and how many durable ones the server makes for it."""
        place = self.place()
        self.ready(work, place)
        if isinstance(self.target, ArchiveTarget):
            self.target.control.set(0)
        told = self.deliver(place)
        durable = self.target.control.done if isinstance(self.target, ArchiveTarget) else 0
        wrong = place.wrong()
        assert wrong == [], wrong
        return list(told.steps), durable

    # Faults ---------------------------------------------------------------------------------------------------------

    def _kill_agent(self, place: Place, case: Case) -> Found | None:
        told = self.agents.run(Order(str(place.config), case.moment, "die"))
        assert told.code == -9, f"{case.moment} never came: {told.steps}"
        rows, confirmed, moves = _registry(place.state)
        stored = _stored(place)
        MEANWHILE[case.meanwhile](place)
        again = self.deliver(place).sent
        return Found(rows, confirmed, moves, stored, again) if case.meanwhile == "nothing" else None

    def _kill_server(self, place: Place, case: Case) -> None:
        told = self.agents.run(Order(str(place.config), case.moment, "wait"), self.target.kill)
        assert told.came, f"{case.moment} never came: {told.steps}"
        assert told.complete, told.problems

    def _fail_server(self, place: Place, case: Case) -> None:
        assert isinstance(self.target, ArchiveTarget)
        number = int(case.moment.rpartition(" ")[2])
        dies = case.fault == "server killed"
        self.target.control.set(DIE if dies else FULL, number)
        order = Order(str(place.config))
        if not dies:
            told = self.agents.run(order)
            assert self.target.control.done >= number - SAVED_STEPS_MAX - SPLIT_STEPS_MAX, (
                "the server made fewer durable steps"
            )
            self.target.control.set(0)
        else:
            with self.target.restarting():
                told = self.agents.run(order)
                done = self.target.control.done
            assert self.target.deaths or done >= number - SAVED_STEPS_MAX - SPLIT_STEPS_MAX, "the server lived on"
        assert told.complete, told.problems

    def _break_network(self, place: Place, case: Case) -> None:
        where, what, *number = case.moment.split()
        how = case.fault.removeprefix("network ")
        if where == "data":
            whole = sum(life.size for life in place.ledger.current().values())
            cut = Cut("end", how) if what == "end" else Cut("data", how, count=1 if what == "begun" else whole // 4)
        else:
            cut = Cut(where, how, what, int(number[0]))
        self.network.arm(cut)
        timeout_s = STALL_TIMEOUT_S if how == "stall" else 20.0
        told = self.agents.run(Order(str(place.config), timeout_s=timeout_s))
        assert self.network.cuts == 1, f"{case.moment} never came: {told.steps}"
        self.network.arm(None)
        self.network.forget()
        assert told.complete, told.problems

    def _fill_registry(self, place: Place, case: Case) -> None:
        """The disk is full from that moment on. The agent dies before there is room, so what it knew is gone."""
        assert self.disk is not None
        filler = self.disk / "filler"
        try:
            told = self.agents.run(Order(str(place.config), case.moment, "fill", str(self.disk)))
            assert filler.exists(), f"{case.moment} never came: {told.steps}"
        finally:
            filler.unlink(missing_ok=True)


def _foreign(base: Path) -> ForeignTarget:
    base.mkdir(parents=True)
    return ForeignTarget(base)


def _registry(state: Path) -> tuple[int, int, int]:
    """Rows, bytes confirmed and renames open, as a killed agent left them."""
    path = state / "registry.db"
    if not path.exists():
        return 0, 0, 0
    with closing(sqlite3.connect(path)) as db:
        try:
            rows = db.execute("SELECT offset, going <> '' OR (remote <> '' AND remote <> want) FROM files").fetchall()
        except sqlite3.OperationalError:  # it was killed before there was a table
            return 0, 0, 0
    return len(rows), sum(row[0] for row in rows), sum(row[1] for row in rows)


def _stored(place: Place) -> int:
    names = {path.decode() for life in place.ledger.lives for path in life.paths}
    kept = sum(len(data) for name in names for data in place.generations(name))
    return kept + sum(len(data) for data in place.current().values())


@functools.cache
def all_cases() -> tuple[Case, ...]:
    """All cases, made once."""
    return tuple(cases())
