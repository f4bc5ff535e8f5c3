"""One bound for what all open indexes have expanded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from logferry.archive.index.blockcache import BlockCache
from logferry.archive.shared_blocks import SharedBlocks


def block(value: int) -> npt.NDArray[np.uint8]:
    """100 bytes."""
    return np.full(100, value, np.uint8)


@pytest.mark.parametrize("kind", [BlockCache, SharedBlocks])
def test_what_was_asked_for_longest_ago_leaves_first(kind: type[BlockCache]) -> None:
    """However many owners there are."""
    cache, made = kind(300), list[int]()

    def ask(number: int) -> int:
        def make() -> npt.NDArray[np.uint8]:
            made.append(number)
            return block(number)

        return int(cache.get(("owner", number % 2, number), make)[0])

    assert [ask(number) for number in (1, 2, 3, 1, 4, 1, 3, 2)] == [1, 2, 3, 1, 4, 1, 3, 2]
    assert made == [1, 2, 3, 4, 2]  # 4 took the place of 2, asked for longest ago
    assert cache.bytes == 300


def test_a_block_larger_than_the_bound_is_kept_alone() -> None:
    """It is used at once; the next one takes its place."""
    cache = BlockCache(50)
    assert cache.get("a", lambda: block(1))[0] == 1
    assert cache.bytes == 100
    assert cache.get("b", lambda: block(2))[0] == 2
    assert cache.bytes == 100


def test_what_takes_the_place_of_another_is_counted_once() -> None:
    """Under the same name."""
    cache = BlockCache(1000)
    cache.keep("a", block(1))
    cache.keep("a", block(2)[:50])
    assert cache.bytes == 50
    assert cache.known("a")[0] == 2
    assert cache.known("b") is None
