"""Which log type occurs in which granule, and in how many lines: pairs, ordered by type, then granule."""

from __future__ import annotations

from collections.abc import Iterator
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


def pack_pairs(starts: I64, granules: U32, lines: U32) -> Iterator[bytes]:
    """Blocks of the pairs of consecutive types: see ``Pairs``."""
    types = len(starts) - 1
    first = 0
    while first < types:
        last = int(np.searchsorted(starts, starts[first] + _BLOCK_PAIRS, "right")) - 1
        last = min(max(last, first + 1), types)
        start, end = int(starts[first]), int(starts[last])
        begins = starts[first : last + 1] - start
        yield pack([np.diff(begins), gaps(granules[start:end].astype(np.int64), begins[:-1]), lines[start:end] - 1])
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
