"""Work on the next items while the results of the ones before are used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(pool: Executor, work: Callable[[T], R], items: Iterable[T], most: int) -> Iterator[tuple[T, R]]:
    """Each item with its result, in order. The first ones are worked on alone, later ones up to ``most`` ahead.

    So whoever soon has enough has wasted little, and waits for no other thread. What ``work`` raises comes out where
    its result is due.
    """
    left = iter(items)
    running: deque[tuple[T, Future[R]]] = deque()
    window = 2
    try:
        for item in islice(left, 1):
            yield item, work(item)
        while True:
            for item in islice(left, window - len(running)):
                running.append((item, pool.submit(work, item)))
            if not running:
                return
            item, future = running.popleft()
            yield item, future.result()
            window = min(most, 2 * window)
    finally:
        for _, future in running:
            future.cancel()
