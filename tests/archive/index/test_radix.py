"""Sorting by bits, and numbers in pieces."""

from __future__ import annotations

import numpy as np
import pytest

from logferry.archive.index import radix
from logferry.archive.index.radix import Numbers, sorted_by

SEED = 20261126


@pytest.mark.parametrize(("low", "high"), [(0, 0), (3, 14), (20, 64), (5, 64)])
def test_numbers_are_sorted_by_their_bits_and_else_stay_in_order(low: int, high: int) -> None:
    values = np.random.default_rng(SEED).integers(0, 1 << 63, 5_000, np.uint64)
    bits = (values >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
    expected = values[np.argsort(bits, kind="stable")]
    assert np.array_equal(sorted_by(values.copy(), low, high), expected)


@pytest.mark.parametrize("bits", [0, 1, 7, 10, 13])
@pytest.mark.parametrize("pieces", [1, 40])
def test_numbers_in_pieces_are_grouped_and_equal_ones_stay_in_order(
    bits: int, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radix, "_CHUNK", 100)
    random = np.random.default_rng(SEED)
    numbers, given = Numbers(), []
    for _ in range(pieces):
        values = random.integers(0, 1 << 63, int(random.integers(0, 150)), np.uint64) * np.uint64(2)
        room = numbers.room(len(values) + 20)
        room[: len(values)] = values
        numbers.take(len(values))
        given.append(values)
    together = np.concatenate(given)
    assert len(numbers) == len(together)
    expected: list[list[int]] = [[] for _ in range(1 << bits)]
    for value in together.tolist():
        expected[value >> 64 - bits].append(value)
    found = [group.tolist() for group in numbers.groups(bits)]
    assert len(found) == 1 << bits
    for one, other in zip(found, expected, strict=True):
        assert sorted(one, key=_highest) == sorted(other, key=_highest)
    assert len(numbers) == 0


def _highest(value: int) -> int:
    return value >> 54
