"""Merging by time, from any places on, in both directions. Pure.

Lines of one track never change their order. Of all tracks the one goes on whose next line is the earliest; of equal
times the first track. Where the times of every track never decrease, this is the order of a stable sort by time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

P = TypeVar("P")
T = TypeVar("T")

STICKS = None
"""Instead of a time: the line stays with its neighbours of the same track."""


@dataclass(frozen=True, slots=True)
class Item(Generic[P, T]):
    """A line: ``time`` orders it, ``start`` and ``end`` are the places before and behind it."""

    time: int | None
    start: P
    end: P
    line: T
    bytes: int = 0


class Track(Protocol[P, T]):
    """Lines in their order."""

    def forward(self, place: P, /) -> Iterator[Item[P, T]]:
        """The lines behind ``place``, the next one first."""

    def backward(self, place: P, /) -> Iterator[Item[P, T]]:
        """The lines before ``place``, the nearest first."""


@dataclass(frozen=True, slots=True)
class Merged(Generic[P, T]):
    """Lines with the number of their track; the places of all tracks before and behind them; ``more`` follow."""

    items: list[tuple[int, Item[P, T]]]
    start: tuple[P, ...]
    end: tuple[P, ...]
    more: bool


def after(tracks: Sequence[Track[P, T]], places: Sequence[P], count: int, bytes_max: int = 1 << 62) -> Merged[P, T]:
    """The next ``count`` lines behind ``places``, one of each track. At least one, whatever its length."""
    runs = [track.forward(place) for track, place in zip(tracks, places, strict=True)]
    items, more = _taken(runs, count, bytes_max, forward=True)
    ends = list(places)
    for track, item in items:
        ends[track] = item.end
    return Merged(items, tuple(places), tuple(ends), more)


def before(tracks: Sequence[Track[P, T]], places: Sequence[P], count: int, bytes_max: int = 1 << 62) -> Merged[P, T]:
    """The last ``count`` lines before ``places``, in the order of ``after``."""
    runs = [track.backward(place) for track, place in zip(tracks, places, strict=True)]
    items, more = _taken(runs, count, bytes_max, forward=False)
    starts = list(places)
    for track, item in items:
        starts[track] = item.start
    return Merged(items[::-1], tuple(starts), tuple(places), more)


def _taken(
    runs: Sequence[Iterator[Item[P, T]]], count: int, bytes_max: int, *, forward: bool
) -> tuple[list[tuple[int, Item[P, T]]], bool]:
    sign = 1 if forward else -1
    heap: list[tuple[int, int, int, Item[P, T]]] = []

    def push(track: int) -> None:
        item = next(runs[track], None)
        if item is not None:
            time = (0, 0) if item.time is STICKS else (1, sign * item.time)
            heapq.heappush(heap, (*time, sign * track, item))

    for track in range(len(runs)):
        push(track)
    taken: list[tuple[int, Item[P, T]]] = []
    used = 0
    while heap and len(taken) < count and (not taken or used + heap[0][3].bytes <= bytes_max):
        _, _, signed, item = heapq.heappop(heap)
        taken.append((sign * signed, item))
        used += item.bytes
        push(sign * signed)
    return taken, bool(heap)
