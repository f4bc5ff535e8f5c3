"""Where log types explode (prose without digits), lines of rare types post their words instead."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logferry.archive.index.kernel import FIRST_TYPE
from logferry.archive.index.pairs import Pairs
from logferry.archive.index.radix import Numbers
from logferry.archive.index.trigrams import Grams
from logferry.archive.index.typetable import TypeTable
from logferry.archive.index.words import I64, U64

_RARE_LINES_MAX = 8


def rare_types(lines: I64, lengths: I64, budget_bytes: int) -> npt.NDArray[np.bool_]:
    """Which types give up their text so that the others' fits the budget: those seen in the fewest lines.

    Types of more than a few lines never do: they save more than they cost.
    """
    rare = np.zeros(len(lines), np.bool_)
    for most in range(1, _RARE_LINES_MAX + 1):
        if int(lengths[~rare].sum()) <= budget_bytes:
            break
        rare = lines <= most
        rare[:FIRST_TYPE] = False
    return rare


def post_types(
    table: TypeTable, rare: npt.NDArray[np.bool_], pairs: Pairs, granules_all: int, posts: Numbers, grams: Grams | None
) -> U64:
    """Post the words of the rare types, and note their trigrams if they are wanted. Per granule their lengths."""
    types, granules = pairs.types, pairs.granules
    wanted = rare[types]
    types, granules = types[wanted], granules[wanted]
    order = np.argsort(granules, kind="stable")
    types, granules = types[order], granules[order]
    starts = np.flatnonzero(np.diff(granules, prepend=-1))
    lengths = np.zeros(granules_all, np.uint64)
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(types)], strict=False):
        granule = int(granules[start])
        found = table.post(granule, types[start:end], posts)
        lengths[granule] = found.other_lengths
        if grams is not None:
            grams.add(found.grams, granule)
    return lengths
