"""A line before a few threads: who has worked least so far goes first, and among those who came first.

So what is nearly done is done before something else is begun: under load answers are late by what stands before them,
and only a few are half made, where turns for all would make all of them late and keep all of them in memory. One
turn in a few is for who has waited longest, so that nobody waits for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, TypeVar

from logferry.limits import LINE_FAIR_TURN, LINE_STEP_S, LINE_STEPS

T = TypeVar("T")
STEPS_S = tuple(LINE_STEP_S * 4**step for step in range(LINE_STEPS))


@dataclass(slots=True)
class Place:
    """In the line, of work that comes back for the next piece of it. ``worked_s``: how long it has worked so far."""

    arrived: int
    worked_s: float = 0.0

    @property
    def rank(self) -> tuple[int, int]:
        """Least first."""
        return sum(self.worked_s >= bound_s for bound_s in STEPS_S), self.arrived


class Line:
    """Thread-safe. Close it."""

    def __init__(self, threads: int, name: str, initializer: Callable[[], None]) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=initializer)
        self._lock = threading.Lock()
        self._numbers = count()
        self._waiting: list[tuple[tuple[int, int], int, Callable[[], Any], Future[Any]]] = []
        self._turns = 0

    def place(self) -> Place:
        """Behind all who came before."""
        with self._lock:
            return Place(next(self._numbers))

    def submit(self, work: Callable[[], T], place: Place) -> Future[T]:
        """Have a piece of work done when it is its turn. Raises RuntimeError where the line is closed."""
        future: Future[T] = Future()
        with self._lock:
            heappush(self._waiting, (place.rank, next(self._numbers), work, future))
        self._pool.submit(self._one)
        return future

    def close(self) -> None:
        """Nothing is begun any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for _, _, _, future in waiting:
            future.cancel()

    def _one(self) -> None:
        """There is one turn for each that was submitted."""
        with self._lock:
            if not self._waiting:
                return
            self._turns += 1
            if self._turns % LINE_FAIR_TURN:
                *_, work, future = heappop(self._waiting)
            else:
                oldest = min(range(len(self._waiting)), key=lambda i: self._waiting[i][0][1])
                *_, work, future = self._waiting[oldest]
                self._waiting[oldest] = self._waiting[-1]
                self._waiting.pop()
                heapify(self._waiting)
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it
            future.set_exception(error)
