"""Trying again: how long to wait after a failure, and which failures deserve it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol, TypeVar

from logferry.errors import Busy, Later
from logferry.ftp.cut import Aborted
from logferry.limits import BACKOFF_S_MAX, BACKOFF_S_MIN

T = TypeVar("T")


class Dice(Protocol):
    """Where randomness comes from: ``random.Random`` and the like."""

    def uniform(self, a: float, b: float) -> float: ...


class Backoff:
    """Full jitter: each wait is drawn from [0, ceiling], and the ceiling doubles up to ``max_s``.

    A thousand clients that lost the same server thus come back evenly spread instead of all at once.
    """

    def __init__(self, *, min_s: float = BACKOFF_S_MIN, max_s: float = BACKOFF_S_MAX, dice: Dice | None = None) -> None:
        assert 0 < min_s <= max_s, (min_s, max_s)
        self._min_s, self._max_s = min_s, max_s
        self._dice: Dice = dice if dice is not None else random.SystemRandom()
        self._ceiling_s = min_s

    def next_s(self) -> float:
        """Seconds to wait after one more failure."""
        wait_s = self._dice.uniform(0.0, self._ceiling_s)
        self._ceiling_s = min(self._max_s, self._ceiling_s * 2)
        return wait_s

    def reset(self) -> None:
        """It worked: the next failure begins with the short wait again."""
        self._ceiling_s = self._min_s


def retrying(
    work: Callable[[], T],
    *,
    attempts: int,
    backoff: Backoff,
    sleep: Callable[[float], None],
    on_failure: Callable[[Later, float], None] | None = None,
) -> T:
    """Return ``work()``, called up to ``attempts`` times with jittered waits between.

    Only ``Later`` errors (network, time-outs, 4yz replies) are worth another try; anything else is raised at once, as
    is the last failure. ``on_failure`` hears each failure and the seconds until the next try.
    """
    assert attempts >= 1, attempts
    for left in range(attempts - 1, -1, -1):
        try:
            return work()
        except Aborted:
            raise
        except Later as error:
            if left == 0:
                raise
            wait_s = backoff.next_s()
            if isinstance(error, Busy):
                wait_s = max(wait_s, error.retry_after_s)
            if on_failure is not None:
                on_failure(error, wait_s)
            sleep(wait_s)
    raise AssertionError("unreachable")
