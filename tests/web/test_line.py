"""Who goes first of those who go on for long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from logferry.limits import LINE_FAIR_TURN
from logferry.web.line import STEPS_S, Line, Place

A_LONG_TIME_S = 60.0


class Counter:
    """A line with one thread, which is busy until it is told to go on."""

    def __init__(self) -> None:
        self.line = Line(1, "counter", lambda: None)
        self.done: list[str] = []
        self._go_on = threading.Event()
        self._first = self.line.submit(lambda: self._go_on.wait(A_LONG_TIME_S), self.line.place())
        self._given: list[Future[None]] = []

    def give(self, name: str, place: Place) -> Future[None]:
        """Something to do."""
        future = self.line.submit(lambda: self.done.append(name), place)
        self._given.append(future)
        return future

    def order(self) -> list[str]:
        """In which it was done."""
        self._go_on.set()
        for future in self._given:
            if not future.cancelled():
                future.result(A_LONG_TIME_S)
        return self.done

    def close(self) -> None:
        """Let go of its thread."""
        self._go_on.set()
        self.line.close()


@pytest.fixture
def counter() -> Iterator[Counter]:
    """Nobody waits yet."""
    made = Counter()
    yield made
    made.close()


def test_who_came_first_goes_first_and_goes_on_first(counter: Counter) -> None:
    """The next piece of what was begun comes before the first piece of what is younger."""
    first, second = counter.line.place(), counter.line.place()
    counter.give("second", second)
    counter.give("first", first)
    assert counter.order() == ["first", "second"]


def test_who_has_worked_much_goes_behind_those_who_have_not(counter: Counter) -> None:
    """Not behind who has worked as much."""
    long, short, longest = (counter.line.place() for _ in range(3))
    long.worked_s, longest.worked_s = STEPS_S[0], STEPS_S[-1]
    for name, place in (("longest", longest), ("long", long), ("short", short)):
        counter.give(name, place)
    assert counter.order()[:2] == ["short", "long"]


def test_nobody_waits_for_ever(counter: Counter) -> None:
    """However many come that have worked less."""
    old = counter.line.place()
    old.worked_s = STEPS_S[-1]
    counter.give("old", old)
    for number in range(3 * LINE_FAIR_TURN):
        counter.give(str(number), counter.line.place())
    assert counter.order().index("old") < LINE_FAIR_TURN


def test_what_is_given_up_is_not_done(counter: Counter) -> None:
    """Its turn goes to nobody."""
    gone = counter.give("gone", counter.line.place())
    counter.give("there", counter.line.place())
    assert gone.cancel()
    assert counter.order() == ["there"]


def test_an_error_is_for_who_waits_and_the_thread_goes_on(counter: Counter) -> None:
    """The next one has its turn."""

    def fail() -> None:
        raise OSError("no")

    work: Callable[[], None] = fail
    failed = counter.line.submit(work, counter.line.place())
    counter.give("next", counter.line.place())
    assert counter.order() == ["next"]
    with pytest.raises(OSError, match="no"):
        failed.result(A_LONG_TIME_S)


def test_a_line_that_is_closed_lets_go_of_who_waits(counter: Counter) -> None:
    """They are told that nothing comes."""
    waits = counter.give("waits", counter.line.place())
    counter.line.close()
    assert waits.cancelled()
