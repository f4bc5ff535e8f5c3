"""Who goes first: long work rests while short work is in hand, and never for ever."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator

import pytest

from logferry.clock import ManualClock
from logferry.limits import (
    SEARCH_REST_S_MAX,
    SEARCH_TURN_S,
    SHORT_WORK_PAUSE_S,
    SHORT_WORK_S_MAX,
    STAND_BACK_S_MAX,
    STAND_BACK_TURN_S,
)
from logferry.search.precedence import Precedence

REST_S, TURN_S, SHORT_S = 1.01 * SEARCH_REST_S_MAX, 1.01 * SEARCH_TURN_S, 1.01 * SHORT_WORK_S_MAX
"""A little more: sums of such numbers are not exact."""
WAIT_S = 60.0
"""What must happen happens within this."""
QUIET_S = 0.1
"""So long it is watched that something does not."""


class Long:
    """A thread that does one step of long work when it may."""

    def __init__(
        self,
        precedence: Precedence,
        over: threading.Event,
        until_s: float = math.inf,
        *,
        in_python: bool = False,
        also_in_python: bool = False,
    ) -> None:
        """``also_in_python``: behind a native step."""
        self._went_on = threading.Event()
        self._over = over
        self._precedence = precedence
        self._until_s = until_s
        self._in_python = in_python
        self._also_in_python = also_in_python
        threading.Thread(target=self._step, daemon=True).start()

    def _step(self) -> None:
        self._precedence.give_way(self._until_s, in_python=self._in_python)
        if self._also_in_python:
            self._precedence.give_way(self._until_s, in_python=True)
        self._went_on.set()
        self._over.wait(WAIT_S)  # another thread could have its number then

    @property
    def rests(self) -> bool:
        """Whether it does not go on."""
        return not self._went_on.wait(QUIET_S)

    def goes_on(self) -> bool:
        """Whether it does, soon."""
        return self._went_on.wait(WAIT_S)


@pytest.fixture
def clock() -> ManualClock:
    """Moved by hand: however busy the machine is, no time passes."""
    return ManualClock()


@pytest.fixture
def precedence(clock: ManualClock) -> Precedence:
    """With all of its rest."""
    return Precedence(clock, at_once=1)


@pytest.fixture
def begin(precedence: Precedence) -> Iterator[Callable[..., Long]]:
    """Begins long work, which may have to end at a time."""
    over = threading.Event()
    yield lambda until_s=math.inf, **how: Long(precedence, over, until_s, **how)
    over.set()


def test_nobody_rests_where_nothing_short_is_in_hand(precedence: Precedence) -> None:
    """Neither before nor behind it."""
    precedence.give_way()
    with precedence.short():
        pass
    precedence.give_way()


def test_long_work_rests_until_all_that_is_short_is_over(precedence: Precedence, begin: Callable[[], Long]) -> None:
    """Two requests, two searches: those go on behind the last of these."""
    with precedence.short():
        with precedence.short() as second:
            long = [begin(), begin()]
            assert all(one.rests for one in long)
            second.end()
            second.end()
        assert all(one.rests for one in long)
    assert all(one.goes_on() for one in long)


def test_behind_its_rest_long_work_goes_on_one_at_a_time(
    precedence: Precedence, clock: ManualClock, begin: Callable[[], Long]
) -> None:
    """In turn, however long something short is in hand."""
    with precedence.short():
        first = begin()
        assert first.rests
        clock.advance(REST_S)
        assert first.goes_on()
        second = begin()
        assert second.rests
        clock.advance(TURN_S)
        assert second.goes_on()


def test_with_more_processors_more_of_it_goes_on(clock: ManualClock) -> None:
    """All but one: here two threads go on, the third waits for the turn of one of them."""
    precedence, over = Precedence(clock, at_once=2), threading.Event()
    with precedence.short():
        clock.advance(REST_S)
        first, second = Long(precedence, over), Long(precedence, over)
        assert first.goes_on()
        assert second.goes_on()
        third = Long(precedence, over)
        assert third.rests
        clock.advance(TURN_S)
        assert third.goes_on()
    over.set()


def test_work_in_python_goes_on_one_at_a_time_for_half_of_the_time(clock: ManualClock) -> None:
    """However many processors there are: short work waits for it at each turn of its own. What is native goes on."""
    precedence, over = Precedence(clock, at_once=3), threading.Event()
    with precedence.short():
        clock.advance(REST_S)
        first = Long(precedence, over, in_python=True)
        assert first.goes_on()
        second = Long(precedence, over, in_python=True)
        clock.advance(TURN_S)
        assert second.rests
        assert Long(precedence, over).goes_on()
        clock.advance(TURN_S)
        assert second.goes_on()
    over.set()


def test_the_turn_of_a_native_step_is_none_for_work_in_python(clock: ManualClock) -> None:
    """A search does both in turn: of threads that do, one works in Python."""
    precedence, over = Precedence(clock, at_once=3), threading.Event()
    with precedence.short():
        clock.advance(REST_S)
        first = Long(precedence, over, in_python=True)
        assert first.goes_on()
        precedence.give_way()
        second = Long(precedence, over, also_in_python=True)
        assert second.rests
        clock.advance(2 * TURN_S)
        assert second.goes_on()
    over.set()


def test_native_work_does_not_wait_behind_work_in_python_that_rests(
    precedence: Precedence, clock: ManualClock, begin: Callable[..., Long]
) -> None:
    """Its half of the time is over; the processor is free for the other half."""
    with precedence.short():
        clock.advance(REST_S)
        assert begin(in_python=True).goes_on()
        second = begin(in_python=True)
        assert second.rests
        clock.advance(TURN_S)
        assert begin().goes_on()
        assert second.rests


def test_whoever_goes_on_does_so_until_the_turn_of_the_next(
    precedence: Precedence, clock: ManualClock, begin: Callable[[], Long]
) -> None:
    """A turn has many steps; behind it the others, who have waited, are first."""
    with precedence.short():
        clock.advance(REST_S)
        precedence.give_way()
        precedence.give_way()
        other = begin()
        assert other.rests
        clock.advance(TURN_S)
        assert other.goes_on()
        again = begin()
        assert again.rests
        clock.advance(TURN_S)
        assert again.goes_on()


def test_rest_is_won_back_while_nothing_short_is_in_hand(
    precedence: Precedence, clock: ManualClock, begin: Callable[[], Long]
) -> None:
    """As long as that takes."""
    with precedence.short():
        clock.advance(REST_S)
        precedence.give_way()
    clock.advance(REST_S)
    with precedence.short():
        long = begin()
        assert long.rests
        clock.advance(SEARCH_REST_S_MAX / 2)
        assert long.rests
    assert long.goes_on()


def test_what_has_to_end_does_not_rest_any_longer(
    precedence: Precedence, clock: ManualClock, begin: Callable[..., Long]
) -> None:
    """However long something short is in hand, and whoever's turn it is."""
    with precedence.short():
        late = begin(clock.monotonic_s() + SEARCH_TURN_S)
        assert late.rests
        clock.advance(TURN_S)
        assert late.goes_on()
        precedence.give_way(clock.monotonic_s())


def test_what_takes_long_is_not_short(precedence: Precedence, clock: ManualClock, begin: Callable[[], Long]) -> None:
    """A request whose body never comes holds nobody up."""
    slow = precedence.short()
    long = [begin(), begin()]
    assert all(one.rests for one in long)
    clock.advance(SHORT_S)
    assert all(one.goes_on() for one in long)
    slow.end()


def _stands_back(precedence: Precedence) -> threading.Event:
    """A thread that does one step of what nobody waits for when it may: set when it did."""
    went_on = threading.Event()

    def step() -> None:
        precedence.stand_back()
        went_on.set()

    threading.Thread(target=step, daemon=True).start()
    return went_on


def test_what_nobody_waits_for_begins_when_no_more_parts_of_a_page_are_asked_for(
    precedence: Precedence, clock: ManualClock
) -> None:
    """A pause behind the last request, not at its end."""
    clock.advance(1.01 * SHORT_WORK_PAUSE_S)
    precedence.stand_back()
    with precedence.short():
        went_on = _stands_back(precedence)
        assert not went_on.wait(QUIET_S)
    assert not went_on.wait(QUIET_S)
    clock.advance(1.01 * SHORT_WORK_PAUSE_S)
    assert went_on.wait(WAIT_S)


def test_what_nobody_waits_for_goes_on_at_last_for_a_moment(precedence: Precedence, clock: ManualClock) -> None:
    """Also where there is always something in hand."""
    with precedence.short():
        went_on = _stands_back(precedence)
        assert not went_on.wait(QUIET_S)
        clock.advance(1.01 * STAND_BACK_S_MAX)
        assert went_on.wait(WAIT_S)
        precedence.stand_back()  # its turn is not over
        clock.advance(1.01 * STAND_BACK_TURN_S)
        assert not _stands_back(precedence).wait(QUIET_S)


def test_what_is_to_end_does_not_rest(precedence: Precedence) -> None:
    """Though something is in hand and no time passes."""
    over = threading.Event()
    ended = threading.Event()

    def step() -> None:
        precedence.stand_back(over.is_set)
        ended.set()

    with precedence.short():
        threading.Thread(target=step, daemon=True).start()
        assert not ended.wait(QUIET_S)
        over.set()
        assert ended.wait(WAIT_S)
