"""What open indexes have expanded lately: one bound for all of them, however many are open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from logferry.limits import INDEX_CACHE_BYTES

T = TypeVar("T")


class BlockCache:
    """Arrays by name, what was asked for longest ago leaving first. Thread-safe."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """How much is kept."""
        return self._bytes

    def get(self, name: Hashable, make: Callable[[], T]) -> T:
        """What is kept under a name, or else made: an array, or something with ``nbytes`` as arrays have it."""
        with self._lock:
            found: T | None = self._kept.get(name)
            if found is not None:
                self._kept.move_to_end(name)
                return found
        made = make()  # meanwhile others may ask for other names
        with self._lock:
            if name not in self._kept:
                self._kept[name] = made
                self._bytes += made.nbytes  # type: ignore[attr-defined]
            while self._bytes > self._bytes_max and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return made


SHARED = BlockCache(INDEX_CACHE_BYTES)
"""Of this process."""
