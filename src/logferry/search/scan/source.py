"""Where the bytes of a scan come from."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """The bytes to scan; they do not change below ``size``."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    def read_at(self, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``, fewer only at the end."""
        ...
