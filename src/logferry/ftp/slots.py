"""A table of fixed size in shared memory: rows in sets of a few, a key belongs to one set.

Which set follows from a keyed hash, so nobody can choose keys that crowd one. Looking up reads one set; so does finding
the row to give up when a set is full, which is the user's choice by ``rank``. Callers hold the board's lock.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from typing import Any

from logferry.ftp.board import Board

KEY_BYTES = 16
_EMPTY = bytes(KEY_BYTES)

Row = tuple[Any, ...]


class Slots:
    """Rows of a 16-byte key and the fields of ``layout`` (as ``struct`` writes them); all zeros is an empty row."""

    def __init__(self, board: Board, layout: str, rows: int, *, ways: int = 8) -> None:
        self._struct = struct.Struct(f"={KEY_BYTES}s{layout}")
        self._ways = ways
        self._sets = max(1, rows // ways)
        self._secret = board.secret
        self._set_bytes = self._struct.size * ways
        self._memory = board.memory(self._set_bytes * self._sets)
        self.rows_max = self._sets * ways
        """How many rows there can ever be."""

    def key(self, *parts: bytes) -> bytes:
        """A key for things that are not 16 bytes long themselves; collisions do not happen."""
        digest = hashlib.blake2b(key=self._secret, digest_size=KEY_BYTES, person=b"slots")
        for part in parts:
            digest.update(len(part).to_bytes(4, "little") + part)
        return digest.digest()

    def _set(self, key: bytes) -> int:
        digest = hashlib.blake2b(key, key=self._secret, digest_size=8).digest()
        return int.from_bytes(digest, "little") % self._sets * self._set_bytes

    def get(self, key: bytes) -> Row | None:
        """The fields of ``key``, or None."""
        at = self._set(key)
        for row in self._struct.iter_unpack(self._memory[at : at + self._set_bytes]):
            if row[0] == key:
                return row[1:]
        return None

    def put(self, key: bytes, fields: Row, rank: Callable[[Row], Any]) -> bool:
        """Write ``key``; a full set gives up its row of lowest ``rank``, None meaning never. Whether it was written."""
        at = self._set(key)
        rows = list(self._struct.iter_unpack(self._memory[at : at + self._set_bytes]))
        index = self._index(rows, key, rank)
        if index is None:
            return False
        self._struct.pack_into(self._memory, at + index * self._struct.size, key, *fields)
        return True

    @staticmethod
    def _index(rows: list[Row], key: bytes, rank: Callable[[Row], Any]) -> int | None:
        empty: int | None = None
        for index, row in enumerate(rows):
            if row[0] == key:
                return index
            if empty is None and row[0] == _EMPTY:
                empty = index
        if empty is not None:
            return empty
        ranks = [(value, index) for index, row in enumerate(rows) if (value := rank(row[1:])) is not None]
        return min(ranks)[1] if ranks else None

    def remove(self, key: bytes) -> bool:
        """Empty the row of ``key``; whether there was one."""
        at = self._set(key)
        for index, row in enumerate(self._struct.iter_unpack(self._memory[at : at + self._set_bytes])):
            if row[0] == key:
                start = at + index * self._struct.size
                self._memory[start : start + self._struct.size] = bytes(self._struct.size)
                return True
        return False

    def __iter__(self) -> Iterator[tuple[bytes, Row]]:
        """All rows: (key, fields)."""
        for row in self._struct.iter_unpack(self._memory):
            if row[0] != _EMPTY:
                yield row[0], row[1:]
