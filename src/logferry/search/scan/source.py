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


class BytesSource:
    """Bytes in memory as a source."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self._data)

    def read_at(self, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``, fewer only at the end."""
        return self._data[offset : offset + count]


def preceding_lines(source: Source, at: int, count: int) -> bytes:
    """The whole lines before the one that starts at ``at`` that start in the last ``count`` bytes, or a few more."""
    first = max(0, at - count - 1)
    data = source.read_at(first, at - first)
    return data[data.find(b"\n") + 1 :] if first else data
