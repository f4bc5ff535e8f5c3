"""Work on the next items while the results of the ones before are used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import groupby, islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    pool: Callable[[], Executor],
    work: Callable[[T], R],
    items: Iterable[T],
    most: int,
    *,
    together: Callable[[T], Hashable] | None = None,
) -> Iterator[tuple[T, R]]:
    """Each item with its result, in order. The first ones are worked on alone, later ones up to ``most`` ahead.

    So whoever soon has enough has wasted little, and waits for no other thread. Neighbours alike in what ``together``
    says of them are worked on one after the other in one thread, at most ``most`` of them: what they need in common is
    made once. What ``work`` raises comes out where its result is due, or that of a neighbour before it.
    ``pool`` is asked anew for each item: a search that goes on for long works elsewhere then.
    """
    left = _groups(items, together, most)
    running: deque[tuple[list[T], Future[list[R]]]] = deque()
    waiting, window = 0, 2
    try:
        for item in next(left, ()):
            yield item, work(item)
        while True:
            while waiting < window and (group := next(left, None)):
                running.append((group, pool().submit(_each, work, group)))
                waiting += len(group)
            if not running:
                return
            group, future = running.popleft()
            waiting -= len(group)
            yield from zip(group, future.result(), strict=True)
            window = min(most, 2 * window)
    finally:
        for _, future in running:
            future.cancel()


def _groups(items: Iterable[T], together: Callable[[T], Hashable] | None, most: int) -> Iterator[list[T]]:
    if together is None:
        yield from ([item] for item in items)
        return
    for _, alike in groupby(items, together):
        while group := list(islice(alike, most)):
            yield group


def _each(work: Callable[[T], R], group: list[T]) -> list[R]:
    return [work(item) for item in group]
