"""Reading an object of the store from front to back: each byte once, hashed on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from logferry.archive.store import CachedStore, Store
from logferry.limits import COPY_BYTES

Pace = Callable[[int], None]
"""Called with the number of bytes just read: sleeps, or raises to break off."""


def no_pace(_count: int) -> None:
    """As fast as it goes."""


def behind_cache(store: Store) -> Store:
    """The store itself: a copy that is kept locally says nothing about it."""
    return store.store if isinstance(store, CachedStore) else store


class ObjectReader:
    """Reads an object in blocks. Whoever asks for its bytes in order has each read from the store once."""

    def __init__(self, store: Store, name: str, read: Pace = no_pace) -> None:
        """``read``: told of each block, how long it was."""
        self._store = store
        self._name = name
        self._read = read
        self._hash = hashlib.sha256()
        self._at = 0
        self._block = b""
        """The bytes of the object from ``_at`` on that were read last."""
        self.hashed_bytes = 0

    def read(self, offset: int, count: int) -> bytes:
        """As ``segment.ReadAt``."""
        start = offset - self._at
        if not 0 <= start <= len(self._block):
            self._at, self._block, start = offset, b"", 0
        missing = start + count - len(self._block)
        if missing > 0:
            at = self._at + len(self._block)
            more = self._store.read(self._name, at, max(missing, COPY_BYTES))
            self._hash_on(at, more)
            self._at, self._block, start = offset, self._block[start:] + more, 0
            self._read(len(more))
        return self._block[start : start + count]

    def hash_all(self, size: int) -> str:
        """Read what was not read yet of an object of ``size`` bytes; the SHA-256 of all of it, in hexadecimal."""
        while self.hashed_bytes < size:
            self._at, self._block = self.hashed_bytes, b""
            if not self.read(self.hashed_bytes, COPY_BYTES):
                break  # it is shorter
        return self.sha256()

    def _hash_on(self, at: int, data: bytes) -> None:
        skip = self.hashed_bytes - at
        if 0 <= skip < len(data):
            self._hash.update(data[skip:] if skip else data)
            self.hashed_bytes += len(data) - skip

    def sha256(self) -> str:
        """Of what was read without a gap from the beginning."""
        return self._hash.hexdigest()
