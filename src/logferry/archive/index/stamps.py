"""What the index has to be told of the timestamps in its lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from logferry.archive.index.kernel import NO_TIME
from logferry.archive.index.words import I64, U8

I32 = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Stamps:
    """One item per line. A line's timestamp lies at ``starts <= x < ends`` of the data (equal: none was recognised).

    ``times``: nanoseconds since 1970, ``NO_TIME`` where there is none. Lines may have a time without a timestamp of
    their own (that of the entry they belong to).
    """

    starts: I32
    ends: I32
    times: I64


class StampFinder(Protocol):
    """Recognises timestamps. It may remember what it saw of each generation: it is asked in order."""

    def __call__(self, uid: str, data: U8, starts: I32, ends: I32, /) -> Stamps:
        """The timestamps of consecutive lines ``data[starts[i]:ends[i]]`` of one generation."""
        ...


def no_stamps(_uid: str, _data: U8, starts: I32, _ends: I32) -> Stamps:
    """Recognises nothing."""
    nowhere = np.zeros(len(starts), np.int32)
    return Stamps(nowhere, nowhere, np.full(len(starts), NO_TIME, np.int64))
