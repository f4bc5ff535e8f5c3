"""Who goes first: what is over soon, before what goes on for long.

Short work says so while it is *in hand*. Long work asks before each of its steps whether it has to give way: then it
rests. Where short work never ends it does not rest for ever: it goes on, on all processors but one.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from logferry.clock import SYSTEM, Clock
from logferry.limits import (
    SEARCH_REST_S_MAX,
    SEARCH_TURN_S,
    SHORT_WORK_PAUSE_S,
    SHORT_WORK_S_MAX,
    STAND_BACK_S_MAX,
    STAND_BACK_TURN_S,
)


def _never() -> bool:
    return False


@dataclass(eq=False, slots=True)
class InHand:
    """Short work, until it ends; after ``SHORT_WORK_S_MAX`` it is none any more, whatever it says."""

    of: Precedence
    until_s: float

    def end(self) -> None:
        """It is over, or not short after all. Again does nothing."""
        self.of._ended(self)

    def __enter__(self) -> InHand:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Precedence:
    """Of all work in one process. Thread-safe."""

    def __init__(self, clock: Clock = SYSTEM, at_once: int = max(1, (os.cpu_count() or 1) - 1)) -> None:
        """``at_once``: so many threads of long work go on while short work is in hand."""
        self._clock = clock
        self._at_once = at_once
        self._changed = threading.Condition()
        self._in_hand: set[InHand] = set()
        self._rest_s = SEARCH_REST_S_MAX
        """How much longer long work would rest altogether: less with every moment it does, more with every other."""
        self._seen_s = clock.monotonic_s()
        """When that was right."""
        self._waiting: deque[int] = deque()
        """Threads that rest, in the order in which they go on."""
        self._turns: dict[int, float] = {}
        """Those that go on, and until when."""
        self._python = (0, self._seen_s)
        """The one of them that works in Python, and until when."""
        self._python_s = self._seen_s
        """When the next one may that does."""
        self._paused: set[int] = set()
        """Threads that rest until then: others need not wait behind them."""
        self._idle_s = self._seen_s
        """Since when nothing is in hand, if nothing is."""
        self._free_s = self._seen_s
        """Until when work that nobody waits for goes on whatever is in hand: it has stood back for long enough."""

    def short(self) -> InHand:
        """Something short is in hand from now on: end it."""
        now_s = self._clock.monotonic_s()
        made = InHand(self, now_s + SHORT_WORK_S_MAX)
        with self._changed:
            self._account(now_s)
            self._in_hand.add(made)
        return made

    def _ended(self, one: InHand) -> None:
        with self._changed:
            if one in self._in_hand:
                self._account(self._clock.monotonic_s())
                self._in_hand.remove(one)
                if not self._in_hand:
                    self._idle_s = self._seen_s
                    self._changed.notify_all()

    def _account(self, now_s: float) -> None:
        """Holding the lock."""
        passed_s = now_s - self._seen_s
        self._seen_s = now_s
        rest_s = self._rest_s + (-passed_s if self._in_hand else passed_s)
        self._rest_s = min(max(rest_s, 0.0), SEARCH_REST_S_MAX)

    def give_way(self, until_s: float = math.inf, *, in_python: bool = False) -> None:
        """For long work, before each step of a few milliseconds: rests while short work is in hand, until it is this
        thread's turn. Whoever calls it holds no lock that short work waits for.

        Args:
            until_s: by the clock; work that has to end then does not rest any longer.
            in_python: the step holds Python's lock throughout, for which all that is short would wait at each turn of
                its own: of such work one thread at most goes on, half of the time.
        """
        if not self._in_hand:
            return
        me = threading.get_ident()
        with self._changed:
            try:
                while (left_s := min(self._left_s(me, in_python=in_python), until_s - self._clock.monotonic_s())) > 0:
                    if me not in self._waiting:
                        self._waiting.append(me)
                    self._changed.wait(left_s)
            finally:
                self._paused.discard(me)
                if me in self._waiting:
                    self._waiting.remove(me)

    def stand_back(self, is_over: Callable[[], bool] = _never) -> None:
        """For work that nobody waits for, before each step of a few milliseconds: rests until nothing was in hand for
        ``SHORT_WORK_PAUSE_S``, for the parts of a page are asked for one after the other. At most ``STAND_BACK_S_MAX``:
        then it goes on for ``STAND_BACK_TURN_S``. Whoever calls it holds no lock that short work waits for.
        ``is_over``: whether it is to end now, and need not rest for that.
        """
        with self._changed:
            now_s = begun_s = self._clock.monotonic_s()
            while now_s >= self._free_s and not is_over():
                quiet_s = self._idle_s + SHORT_WORK_PAUSE_S - now_s if not self._in_hand else STAND_BACK_S_MAX
                left_s = begun_s + STAND_BACK_S_MAX - now_s
                if quiet_s <= 0:
                    return
                if left_s <= 0:
                    self._free_s = now_s + STAND_BACK_TURN_S
                    return
                self._changed.wait(min(quiet_s, left_s, STAND_BACK_TURN_S))
                now_s = self._clock.monotonic_s()

    def _left_s(self, me: int, *, in_python: bool) -> float:
        """How long a thread has to wait before it asks again, 0: it goes on. Holding the lock."""
        now_s = self._clock.monotonic_s()
        self._account(now_s)
        stale = [one for one in self._in_hand if one.until_s <= now_s]
        self._in_hand.difference_update(stale)
        if not self._in_hand:
            if stale:
                self._changed.notify_all()
            return 0.0
        self._turns = {thread: until_s for thread, until_s in self._turns.items() if until_s > now_s}
        next_s = min(self._turns.values()) - now_s if len(self._turns) >= self._at_once else 0.0
        if self._rest_s > 0:
            return max(self._rest_s, next_s)
        if in_python and not self._may_in_python(me, now_s):
            self._turns.pop(me, None)
            self._paused.add(me)
            return self._python_s - now_s
        self._paused.discard(me)
        if me not in self._turns:
            if next_s > 0:
                return next_s
            ahead = [thread for thread in self._waiting if thread not in self._paused]
            if ahead and me not in ahead[: self._at_once - len(self._turns)]:
                return SEARCH_TURN_S
            self._turns[me] = now_s + SEARCH_TURN_S
        if in_python and self._python_s <= now_s:
            self._python = me, now_s + SEARCH_TURN_S
            self._python_s = now_s + 2 * SEARCH_TURN_S
        return 0.0

    def _may_in_python(self, me: int, now_s: float) -> bool:
        thread, until_s = self._python
        return self._python_s <= now_s or (thread == me and now_s < until_s)
