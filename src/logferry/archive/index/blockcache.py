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
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        """With their bytes as they were counted: some grow a little when they are used."""

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
        if found is None:
            return None
        self._kept.move_to_end(name)
        return found[0]

    def keep(self, name: Hashable, made: Any, beside: int = 0) -> None:
        """Keep it, in place of what was kept under that name, and let others go for it.

        ``beside``: the bytes that its name takes, where those are worth counting.
        """
        before = self._kept.pop(name, None)
        size = made.nbytes + beside
        self._kept[name] = (made, size)
        self.bytes += size - (0 if before is None else before[1])
        while self.bytes > self._bytes_max and len(self._kept) > 1:
            self.bytes -= self._kept.popitem(last=False)[1][1]
