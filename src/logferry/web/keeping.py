"""What is dear to find out and may be some minutes old."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Values by key, each for ``seconds``, the latest ``most`` of them. Thread-safe; one at a time is found out."""

    def __init__(self, *, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()

    def get(self, key: Hashable, now_s: float, find: Callable[[], T]) -> T:
        """The value of ``key`` at ``now_s`` of the monotonic clock, from ``find`` where none is kept.

        What ``find`` raises is not kept.
        """
        with self._lock:
            known = self._values.get(key)
            if known is not None and now_s - known[0] < self._seconds:
                return known[1]
            value = find()
            self._values[key] = (now_s, value)
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
            return value
