"""What open indexes have expanded lately, up to so many bytes. Pure: one thread at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class BlockCache:
    """Arrays by name, what was asked for longest ago leaving first. Several indexes may share one."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes = 0
        """How much is kept."""
        self._bytes_max = bytes_max
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, name: Hashable, make: Callable[[], T]) -> T:
        """What is kept under a name, or else made: an array, or something with ``nbytes`` as arrays have it."""
        found: T | None = self.known(name)
        if found is None:
            found = make()
            self.keep(name, found)
        return found

    def known(self, name: Hashable) -> Any:
        """What is kept under a name, or None."""
        found = self._kept.get(name)
        if found is not None:
            self._kept.move_to_end(name)
        return found

    def keep(self, name: Hashable, made: Any) -> None:
        """Keep it, and let others go for it."""
        if name not in self._kept:
            self._kept[name] = made
            self.bytes += made.nbytes
        while self.bytes > self._bytes_max and len(self._kept) > 1:
            self.bytes -= self._kept.popitem(last=False)[1].nbytes
