"""Times of a file's lines, whichever part of it is looked at first: the same for live and for sealed bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from logferry.archive.timestamps import NO_TIME, Evidence, LineTimes, Reading, Times
from logferry.archive.timestamps.orders import Shape
from logferry.limits import TIME_ORDER_BYTES, TIME_REACH_BYTES

I64 = npt.NDArray[np.int64]

_DECIDED = 1 << 40
"""More lines than can ever vote otherwise."""


class FileTimes:
    """Tells the times of one file's lines.

    Dates of three numbers are read in the order that the first ``TIME_ORDER_BYTES`` of the file tell, so that it does
    not matter where a scan begins. These bytes are looked at only once such a date is met.
    """

    def __init__(self, reading: Reading, head: Callable[[int], bytes]) -> None:
        """``head``: gives the file's first bytes as text, fewer only where the file is shorter."""
        self._lines = LineTimes(reading)
        self._head = head
        self._decided: Evidence | None = None

    def __call__(self, data: bytes, starts: npt.ArrayLike, ends: npt.ArrayLike) -> Times:
        """The times of the lines ``data[starts[i]:ends[i]]``, line ends left out."""
        found = self._read(data, starts, ends)
        if self._decided is None and self._lines.evidence.counts.any():
            self._decided = self._decide()
            found = self._read(data, starts, ends)
        return found

    def _read(self, data: bytes, starts: npt.ArrayLike, ends: npt.ArrayLike) -> Times:
        known = self._decided
        self._lines.evidence = Evidence.none() if known is None else Evidence(known.counts.copy())
        return self._lines(data, starts, ends)

    def _decide(self) -> Evidence:
        head = self._head(TIME_ORDER_BYTES)
        stop = len(head) if len(head) < TIME_ORDER_BYTES else head.rfind(b"\n") + 1
        evidence = self._lines.evidence = Evidence.none()
        if stop:
            starts, ends = line_bounds(head, 0, stop)
            self._lines(head, starts, ends)
        decided = Evidence.none()
        for shape in Shape:
            decided.counts[shape, evidence.order(shape)] = _DECIDED
        return decided


def inherited(starts: I64, own: I64, before: tuple[int, int]) -> I64:
    """The times of consecutive lines that start at ``starts``: their own, or that of the nearest line before that has
    one, if it starts at most ``TIME_REACH_BYTES`` before; else ``NO_TIME``.

    ``before``: where the nearest line before all of them that has a time starts, and that time (``NO_TIME`` if there
    is none).
    """
    timed = own != NO_TIME
    if timed.all():
        return own
    places = np.maximum.accumulate(np.where(timed, np.arange(len(own)), -1))
    at = np.where(places >= 0, starts[places], before[0])
    times = np.where(places >= 0, own[places], before[1])
    found: I64 = np.where(starts - at <= TIME_REACH_BYTES, times, NO_TIME)
    return found


def line_bounds(data: bytes, at: int, stop: int) -> tuple[I64, I64]:
    """Starts and ends (without line ends) of the lines that start in ``at <= x < stop``; one starts at ``at``."""
    text = np.frombuffer(data, np.uint8)
    breaks = np.flatnonzero(text[at:stop] == 10) + at
    starts = np.concatenate((np.array([at], np.int64), breaks + 1))
    if starts[-1] >= stop:
        return starts[:-1], breaks
    last = data.find(b"\n", int(starts[-1]))
    return starts, np.concatenate((breaks, np.array([len(data) if last < 0 else last], np.int64)))
