"""Every disk that a power cut could leave behind: nothing acknowledged is lost, nothing is there twice or for ever."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logferry.archive.retention import Rule
from logferry.clock import SYSTEM
from logferry.errors import Damaged
from logferry.limits import PARTIAL_S_MAX
from tests.archive.conftest import AGENT, Shelf
from tests.archive.crashing import grow
from tests.archive.recording import Committed, Event, Journal, Names, RecordingDisk, Synced, leave_behind
from tests.archive.test_crashes import STEPS
from tests.security.amounts import HEAVY, amount, seed

STATES = amount("crash_states", 120, 4_000)
OLD = "var/log/old.log"


def _at(shelf: Shelf, later_s: float = 0.0) -> Shelf:
    """With a clock that is ahead of that of the disk, by which objects have their age."""
    shelf.clock.advance(SYSTEM.now_ns() / 1e9 - shelf.clock.now_ns() / 1e9 + later_s)
    return shelf


def _seal(shelf: Shelf) -> None:
    for done in shelf.archive.sealer(level=1, segment_bytes=12).seal(shelf.clock.now_ns() + 1):
        assert done.problems == ()


def _compact(shelf: Shelf) -> None:
    for done in shelf.archive.compactor(level=2, segment_bytes=60).compact(shelf.clock.now_ns()):
        assert done.problems == ()


def _expire(shelf: Shelf) -> None:
    shelf.clock.advance(1)
    for _ in shelf.archive.retention([Rule(f"*/{OLD}", 0)]).run():
        pass


def _sweep(shelf: Shelf) -> None:
    shelf.clock.advance(86400)
    sealer = shelf.archive.sealer(level=1)
    sealer.clean_up()
    sealer.sweep(1)


def _script() -> list[tuple[str, Callable[[Shelf], None]]]:
    """An agent's day, with everything that care does in between. Each step may be repeated when it was cut off."""
    steps: list[tuple[str, Callable[[Shelf], None]]] = []
    for number, (name, step) in enumerate(STEPS):
        steps.append((name, step))
        if number in (1, 4, 6, 9, 12):
            steps.append((f"sealing after {name}", _seal))
        if number in (6, 12):
            steps.append((f"compacting after {name}", _compact))
        if number in (3, 7):
            steps.append(("a file that will expire", lambda shelf: grow(shelf, OLD, b"of no use any more\n", 0)))
        if number in (5, 10):
            steps.append((f"expiring after {name}", _expire))
        if number in (8, 13):
            steps.append((f"sweeping after {name}", _sweep))
    return steps


State = dict[str, list[bytes]]


@pytest.fixture(scope="module")
def recorded(quick_folders: Path) -> tuple[list[Event], list[State]]:
    """The events of the whole script, and what the archive held after each number of steps."""
    folder = quick_folders / "recorded"
    folder.mkdir()
    Shelf(folder).close()
    disk = RecordingDisk(folder)
    shelf = _at(Shelf(folder, disk=disk))
    states: list[State] = [{}]
    for number, (_, step) in enumerate(_script()):
        step(shelf)
        states.append(_held(shelf))
        disk.acknowledge(number + 1)
    shelf.close()
    return disk.events, states


def _held(shelf: Shelf) -> State:
    return {path: held for path, held in shelf.everything().items() if held}


def _contents(state: State) -> list[bytes]:
    return [content for held in state.values() for content in held]


def _check_acknowledged(found: State, before: State, after: State, where: object) -> None:
    """What was there before the step that was cut off is there once, as it was or as the step makes it.

    Only what the step deletes may be gone; only what it adds may have come.
    """
    left = _contents(found)
    coming = _contents(after)
    for content in sorted(_contents(before), key=len, reverse=True):
        match = next((there for there in left if there.startswith(content)), None)
        if match is None:
            assert not any(there.startswith(content) for there in coming), (where, "lost", content, found)
            continue
        left.remove(match)
        assert match == content or any(there.startswith(match) for there in coming), (where, "altered", match)
    assert len(left) <= 1, (where, "twice", left)
    assert all(any(there.startswith(one) for there in coming) for one in left), (where, "from nowhere", left)


def _cases(events: list[Event], drawn: int) -> Iterator[tuple[int, Journal, random.Random | None]]:
    """Where the power is cut, which disk it is, and by what dice (None: only what was synced is there)."""
    dice = random.Random(drawn)
    first = next(place for place, event in enumerate(events) if isinstance(event, Committed)) + 1
    journals: tuple[Journal, Journal] = ("ordered", "free")
    if HEAVY:
        for end in range(first, len(events) + 1):
            for journal in journals:
                yield end, journal, None
    for number in range(STATES):
        end = dice.randrange(first, len(events) + 1)
        yield end, journals[number % 2], random.Random(dice.random()) if number % 4 else None


@pytest.mark.slow
@pytest.mark.timeout(2 * 3600)
def test_whatever_a_power_cut_leaves_nothing_is_lost_doubled_or_left_over(
    recorded: tuple[list[Event], list[State]], folder: Path
) -> None:
    """Each state is opened, compared, cared for, or worked on to the end of the script and cared for then."""
    events, states = recorded
    drawn = seed("crash states")
    steps = _script()
    seen = 0
    for end, journal, dice in _cases(events, drawn):
        place = folder / "state"
        place.mkdir()
        done = leave_behind(events[:end], place, journal=journal, dice=dice)
        where = (drawn, end, journal, dice is not None, steps[done][0] if done < len(steps) else "the end")
        # Whoever comes first after the cut: the sender, who goes on, or care (and then, now and then, the sender).
        if seen % 3 == 0:
            _go_on(place, done, states, where, 10)
            _care(place, where, 20)
        else:
            _care(place, where, 10, lambda found, done=done, where=where: _check_cut(found, states, done, where))  # type: ignore[misc]
            if HEAVY or seen % 6 == 1:
                _go_on(place, done, states, where, 20)
                _care(place, where, 30)
        shutil.rmtree(place)
        seen += 1
    print(f"{seen} states of {len(events)} events in {len(steps)} steps: 0 lost, 0 twice, 0 left over")


def _check_cut(found: State, states: list[State], done: int, where: object) -> None:
    _check_acknowledged(found, states[done], states[min(done + 1, len(states) - 1)], where)


_TURN_S = 2 * PARTIAL_S_MAX


def _go_on(place: Path, done: int, states: list[State], where: object, turn: int) -> None:
    """The sender repeats what it has no answer for, and goes on to the end of the script."""
    shelf = _at(Shelf(place), turn * _TURN_S)
    assert [finding for finding in shelf.archive.check(digests=True) if finding.is_damage] == [], where
    _check_cut(_held(shelf), states, done, where)
    for _, step in _script()[done:]:
        step(shelf)
    assert _held(shelf) == states[-1], where
    shelf.close()


def _care(place: Path, where: object, turn: int, check: Callable[[State], None] | None = None) -> None:
    """All duties of care, long after: nothing is left that nothing refers to, and nothing was changed by it."""
    shelf = _at(Shelf(place), turn * _TURN_S)
    assert [finding for finding in shelf.archive.check(digests=True) if finding.is_damage] == [], where
    before = _held(shelf)
    if check is not None:
        check(before)
    for _ in shelf.archive.check(repair=True):
        pass
    _seal(shelf)
    _sweep(shelf)
    found = _held(shelf)
    if check is None:
        assert found == before, where
    else:
        check(found)
    assert list(shelf.archive.check(digests=True)) == [], where
    store = place / "store"
    objects = {str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()}
    assert objects == {record.name for record in shelf.catalog.sealing.segments(limit=1_000)}, where
    for tree in ("live", "generations", "tails", "incoming"):
        assert [path for path in (place / tree / AGENT).rglob("*") if path.is_file()] == [], (where, tree)
    shelf.close()


@pytest.mark.slow
@pytest.mark.parametrize("left_out", ["files", "folders"])
def test_a_step_that_were_not_synced_would_be_found(
    recorded: tuple[list[Event], list[State]], folder: Path, left_out: str
) -> None:
    """The same events without the syncs of files or of folders: some of the states have lost something."""
    events, states = recorded
    folders = {one[2] for event in events if isinstance(event, Names) for one in event.added if one[3]}
    kept = [
        event
        for event in events
        if not isinstance(event, Synced) or event.what is None or (event.what in folders) != (left_out == "folders")
    ]
    lost = 0
    for end in range(len(kept), 0, -len(kept) // 40):
        place = folder / f"state-{end}"
        place.mkdir()
        if not any(isinstance(event, Committed) for event in kept[:end]):
            break
        done = leave_behind(kept[:end], place, journal="free", dice=None)
        shelf = _at(Shelf(place), 10 * 86400)
        try:
            found = _held(shelf)
        except Damaged:
            lost += 1
        else:
            lost += sum(map(len, _contents(found))) < sum(map(len, _contents(states[done])))
        shelf.close()
    assert lost > 10, f"only {lost} states have lost anything"
