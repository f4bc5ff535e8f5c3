"""SHA-256 of generations, on demand: hashed once per length, then remembered in the catalog."""

from __future__ import annotations

import hashlib

from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.reader import GenerationReader, held, open_generation
from logferry.archive.rooms import Rooms
from logferry.limits import COPY_BYTES


class Remember(Change[None]):
    """The SHA-256 of a generation of ``size`` bytes is known."""

    def __init__(self, rooms: Rooms, generation_id: int, sha256: str, size: int) -> None:
        self._rooms = rooms
        self._facts = (generation_id, sha256, size)

    def apply(self, transaction: Transaction) -> None:
        self._rooms.catalog.filing.set_digest(transaction, *self._facts)


def digest(rooms: Rooms, generation_id: int) -> str:
    """The SHA-256 of a generation as long as it is now, in hexadecimal.

    Raises:
        NotFound: there is no such generation.
        Damaged: its bytes are missing.
    """
    state = held(rooms, generation_id)
    if state.sha256 is not None and state.sha256_size == state.size:
        return state.sha256
    with open_generation(rooms, generation_id) as reader:
        sha256, size = hashed(reader), reader.size
    rooms.catalog.writer.run(Remember(rooms, generation_id, sha256, size))
    return sha256


def hashed(reader: GenerationReader) -> str:
    """The SHA-256 of all bytes of an open generation, in hexadecimal."""
    hashing = hashlib.sha256()
    for offset in range(0, reader.size, COPY_BYTES):
        hashing.update(reader.read_at(offset, COPY_BYTES))
    return hashing.hexdigest()
