"""Which log type occurs in which granule, and in how many lines: pairs, ordered by type, then granule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from logferry.archive.index.kernel import U32
from logferry.archive.index.planes import gaps, pack, ungaps, unpack
from logferry.archive.index.words import I64
from logferry.errors import Damaged

_BLOCK_PAIRS = 1 << 18


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of type ``t`` are those from ``starts[t]`` to ``starts[t + 1]``. ``lines``: how many each has."""

    starts: I64
    granules: I64
    lines: I64

    @classmethod
    def of(cls, types: Sequence[U32], lines: Sequence[U32], count: int) -> Pairs:
        """From the types of each granule (each once), and their lines. ``count``: of types."""
        granules = np.repeat(np.arange(len(types), dtype=np.int64), [len(part) for part in types])
        return cls._ordered(_joined(types), granules, _joined(lines), count)

    @classmethod
    def _ordered(cls, types: I64, granules: I64, lines: I64, count: int) -> Pairs:
        order = np.argsort(types, kind="stable")
        starts = np.searchsorted(types[order], np.arange(count + 1))
        return cls(starts.astype(np.int64), granules[order], lines[order])

    @property
    def types(self) -> I64:
        """The type of each pair."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def totals(self) -> I64:
        """Lines of each type."""
        sums = np.zeros(len(self.lines) + 1, np.int64)
        np.cumsum(self.lines, out=sums[1:])
        totals: I64 = sums[self.starts[1:]] - sums[self.starts[:-1]]
        return totals

    def renumbered(self, numbers: U32) -> Pairs:
        """The same with other numbers of types. Several may become one."""
        types = numbers[self.types].astype(np.int64)
        keys = types * (int(self.granules.max(initial=0)) + 1) + self.granules
        unique, inverse = np.unique(keys, return_inverse=True)
        lines = np.bincount(inverse, self.lines, len(unique)).astype(np.int64)
        width = int(self.granules.max(initial=0)) + 1
        return self._ordered(unique // width, unique % width, lines, int(numbers.max(initial=0)) + 1)


def _joined(arrays: Sequence[U32]) -> I64:
    return np.concatenate([np.zeros(0, np.int64), *arrays]).astype(np.int64)


def pack_pairs(pairs: Pairs) -> Iterator[bytes]:
    """Blocks of the pairs of consecutive types."""
    types = len(pairs.starts) - 1
    first = 0
    while first < types:
        last = int(np.searchsorted(pairs.starts, pairs.starts[first] + _BLOCK_PAIRS, "right")) - 1
        last = min(max(last, first + 1), types)
        start, end = int(pairs.starts[first]), int(pairs.starts[last])
        starts = pairs.starts[first : last + 1] - start
        yield pack([np.diff(starts), gaps(pairs.granules[start:end], starts[:-1]), pairs.lines[start:end] - 1])
        first = last


def unpack_pairs(blocks: Iterator[bytes], types: int, granules: int, *, where: str) -> Pairs:
    """Back from ``pack_pairs``. Raises Damaged."""
    counts_of, granules_of, lines_of = [], [], []
    for block in blocks:
        counts, found, lines = unpack(block, 3, where=where)
        counts = counts.astype(np.int64)
        ends = np.cumsum(counts)
        if len(found) != len(lines) or len(found) != (int(ends[-1]) if len(ends) else 0):
            raise Damaged(f"{where}: log types that make no sense", where=where)
        counts_of.append(counts)
        granules_of.append(ungaps(found, (ends - counts)[counts > 0]))
        lines_of.append(lines.astype(np.int64) + 1)
    starts = np.zeros(sum(map(len, counts_of)) + 1, np.int64)
    np.cumsum(np.concatenate([np.zeros(0, np.int64), *counts_of]), out=starts[1:])
    pairs = Pairs(
        starts,
        np.concatenate([np.zeros(0, np.int64), *granules_of]),
        np.concatenate([np.zeros(0, np.int64), *lines_of]),
    )
    if len(starts) != types + 1 or (
        len(pairs.granules) and not 0 <= int(pairs.granules.min()) <= int(pairs.granules.max()) < granules
    ):
        raise Damaged(f"{where}: log types that make no sense", where=where)
    return pairs
