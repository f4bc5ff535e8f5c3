"""Blocks of a remote store's objects, kept in a local directory."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from logferry.archive.store.store import Store, StoredObject
from logferry.limits import STORE_BLOCK_BYTES


class CachedStore:
    """A ``Store`` that reads another one by blocks and keeps the blocks read lately.

    Objects never change, so a block once read is right for ever; whoever reads segments verifies them in any case, so
    a block that rots here is found like one that rots there.
    """

    def __init__(self, store: Store, folder: str, bytes_max: int) -> None:
        """``folder`` is the cache's alone: made when missing, and what is in it is used again."""
        self.store = store
        self._folder = folder
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._blocks: OrderedDict[str, int] = OrderedDict()
        self._bytes = 0
        os.makedirs(folder, mode=0o700, exist_ok=True)
        for entry in sorted(os.scandir(folder), key=lambda e: e.stat().st_mtime_ns):
            if entry.name.endswith(".part"):
                os.unlink(entry.path)
            else:
                self._note(entry.name, entry.stat().st_size)

    def put(self, name: str, parts: Iterable[bytes]) -> int:
        """See ``Store.put``."""
        return self.store.put(name, parts)

    def read(self, name: str, offset: int, count: int) -> bytes:
        """See ``Store.read``."""
        parts: list[bytes] = []
        while count > 0:
            number, start = divmod(offset, STORE_BLOCK_BYTES)
            part = self._block(name, number)[start : start + count]
            if not part:
                break
            parts.append(part)
            offset += len(part)
            count -= len(part)
        return b"".join(parts)

    def forget(self, name: str) -> None:
        """Drop the blocks of an object, for whoever found them damaged: they are read from the store again."""
        start = _key(name, 0).partition("-")[0] + "-"
        with self._lock:
            for key in [key for key in self._blocks if key.startswith(start)]:
                self._drop(key)

    def _block(self, name: str, number: int) -> bytes:
        key = _key(name, number)
        with self._lock:
            known = key in self._blocks
            if known:
                self._blocks.move_to_end(key)
        if known:
            with contextlib.suppress(OSError), open(os.path.join(self._folder, key), "rb") as file:
                return file.read()
        data = self.store.read(name, number * STORE_BLOCK_BYTES, STORE_BLOCK_BYTES)
        if data:
            self._keep(key, data)
        return data

    def _keep(self, key: str, data: bytes) -> None:
        temporary = os.path.join(self._folder, f"{secrets.token_hex(8)}.part")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
            os.replace(temporary, os.path.join(self._folder, key))
        except OSError:  # no room for a cache is no error: the store has the bytes
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            return
        with self._lock:
            self._note(key, len(data))

    def _note(self, key: str, size: int) -> None:
        self._bytes += size - self._blocks.pop(key, 0)
        self._blocks[key] = size
        while self._bytes > self._bytes_max and len(self._blocks) > 1:
            self._drop(next(iter(self._blocks)))

    def _drop(self, key: str) -> None:
        self._bytes -= self._blocks.pop(key)
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self._folder, key))

    @property
    def cached_bytes(self) -> int:
        """How much is kept now."""
        return self._bytes

    def size(self, name: str) -> int | None:
        """See ``Store.size``."""
        return self.store.size(name)

    def objects(self, prefix: str = "") -> Iterator[StoredObject]:
        """See ``Store.objects``."""
        return self.store.objects(prefix)

    def remove(self, name: str) -> None:
        """See ``Store.remove``."""
        self.forget(name)
        self.store.remove(name)

    def sweep(self, before_ns: int) -> int:
        """See ``Store.sweep``."""
        return self.store.sweep(before_ns)

    def close(self) -> None:
        """See ``Store.close``."""
        self.store.close()


def _key(name: str, number: int) -> str:
    return f"{hashlib.sha256(name.encode()).hexdigest()[:40]}-{number}"
