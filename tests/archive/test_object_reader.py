"""An object is read once from front to back, whatever pieces are asked for, and its digest is that of its bytes."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import pytest

import logferry.archive.object_reader as object_reader_module
from logferry.archive.object_reader import ObjectReader
from logferry.archive.store import LocalStore

SEED = int(os.environ.get("LOGFERRY_SEED", "0")) or random.SystemRandom().randrange(1 << 32)


class Counting(LocalStore):
    """Remembers what was read: (offset, bytes)."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.reads: list[tuple[int, int]] = []

    def read(self, name: str, offset: int, count: int) -> bytes:
        data = super().read(name, offset, count)
        self.reads.append((offset, len(data)))
        return data


@pytest.fixture
def store(tmp_path: Path) -> Counting:
    return Counting(str(tmp_path / "store"))


@pytest.mark.parametrize("turn", range(20))
def test_any_pieces_are_the_objects_bytes(store: Counting, monkeypatch: pytest.MonkeyPatch, turn: int) -> None:
    """In order, back and forth, again, beyond the end; then the digest is that of all of it."""
    dice = random.Random(f"{SEED} {turn}")
    print(f"LOGFERRY_SEED={SEED}")
    monkeypatch.setattr(object_reader_module, "COPY_BYTES", dice.choice([1, 7, 100, 5_000]))
    whole = dice.randbytes(dice.randrange(1, 3_000))
    store.put("one", [whole])
    paced: list[int] = []
    reading = ObjectReader(store, "one", paced.append)
    at = 0
    for _ in range(60):
        at = dice.choice([at, at, at, dice.randrange(len(whole) + 5), 0])
        count = dice.randrange(1, 300)
        assert reading.read(at, count) == whole[at : at + count]
        at += count
    assert reading.hash_all(len(whole)) == hashlib.sha256(whole).hexdigest()
    assert sum(paced) == sum(count for _, count in store.reads)


def test_forward_each_byte_is_read_once(store: Counting) -> None:
    whole = random.Random(5).randbytes(5_000_000)
    store.put("one", [whole])
    reading = ObjectReader(store, "one")
    dice, at = random.Random(6), 0
    while at < len(whole):
        count = dice.randrange(1, 70_000)
        for _ in range(2):
            assert reading.read(at, count) == whole[at : at + count]
        at += count
    assert reading.hash_all(len(whole)) == hashlib.sha256(whole).hexdigest()
    assert sum(count for _, count in store.reads) == len(whole)
    assert len(store.reads) <= 8


def test_one_that_is_shorter_than_it_was_has_another_digest(store: Counting) -> None:
    store.put("one", [b"short"])
    assert ObjectReader(store, "one").hash_all(6) == hashlib.sha256(b"short").hexdigest()
