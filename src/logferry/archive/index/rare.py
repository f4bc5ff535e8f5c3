"""Where log types explode (prose without digits), lines of rare types post their words instead."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logferry.archive.index.kernel import FIRST_TYPE, GRANULE_BITS
from logferry.archive.index.pairs import Pairs
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


def post_types(table: TypeTable, rare: npt.NDArray[np.bool_], pairs: Pairs, granules_all: int) -> tuple[U64, U64, U64]:
    """The words of the rare types as postings, their trigrams, and per granule their lengths."""
    types, granules = pairs.types, pairs.granules
    wanted = rare[types]
    types, granules = types[wanted], granules[wanted]
    order = np.argsort(granules, kind="stable")
    types, granules = types[order], granules[order]
    starts = np.flatnonzero(np.diff(granules, prepend=-1))
    lengths = np.zeros(granules_all, np.uint64)
    posts, grams = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(types)], strict=False):
        granule = int(granules[start])
        found = table.post(granule, types[start:end])
        posts.append(found.posts)
        lengths[granule] = found.other_lengths
        grams.append((found.grams.astype(np.uint64) << np.uint64(GRANULE_BITS)) | np.uint64(granule))
    return np.concatenate(posts), np.concatenate(grams), lengths
