"""Counting lines by time: whole granules where they lie inside one bucket, row by row where they do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from logferry.archive.index.compiled import kernel
from logferry.archive.index.kernel import NO_TIME
from logferry.archive.index.timecolumn import Spans
from logferry.archive.index.words import I64

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Buckets:
    """``count`` buckets of ``step_s`` seconds from ``start_s``, seconds since 1970."""

    start_s: int
    step_s: int
    count: int

    def __post_init__(self) -> None:
        assert self.step_s > 0
        assert self.count > 0


def count_spans(lines: I64, spans: Spans, buckets: Buckets, counts: I64) -> I64:
    """Count the granules that lie inside one bucket (or outside all). Returns those that need a closer look.

    Args:
        lines: wanted lines of each granule.
        spans: of all granules.
        buckets: of time.
        counts: added to.
    """
    timed = (spans.first_ns != NO_TIME) & (lines > 0)
    first = (spans.first_ns // _SECOND_NS - buckets.start_s) // buckets.step_s
    last = (spans.last_ns // _SECOND_NS - buckets.start_s) // buckets.step_s
    met = timed & (last >= 0) & (first < buckets.count)
    inside = met & (first == last) & (spans.untimed == 0)
    np.add.at(counts, first[inside], lines[inside])
    return np.flatnonzero(met & ~inside)


@kernel
def _count(
    types: npt.NDArray[np.uint32], seconds: I64, wanted: npt.NDArray[np.bool_], start: int, step: int, counts: I64
) -> None:
    for row in range(len(types)):
        if wanted[types[row]] and seconds[row] != NO_TIME:
            place = (seconds[row] - start) // step
            if 0 <= place < len(counts):
                counts[place] += 1


def count_rows(
    types: npt.NDArray[np.uint32], seconds: I64, wanted: npt.NDArray[np.bool_], buckets: Buckets, counts: I64
) -> None:
    """Count the rows of wanted types, each in the bucket of its time."""
    _count(types, seconds, wanted, buckets.start_s, buckets.step_s, counts)
