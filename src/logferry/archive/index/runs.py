"""Runs: the pieces of generations that granules consist of, and the lines in each. A sparse index of line numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from logferry.archive.index.layout import Blocks, Kind
from logferry.archive.index.planes import pack, unpack
from logferry.errors import Damaged

if TYPE_CHECKING:
    from logferry.archive.index.encoding import Encoding
    from logferry.archive.index.words import I64, U8, U64

OPEN, CUT_START, CUT_END, BINARY, UTF16_LE, UTF16_BE = (1 << bit for bit in range(6))
_ENCODINGS: dict[Encoding, int] = {"bytes": 0, "utf-16-le": UTF16_LE, "utf-16-be": UTF16_BE}


class Runs:
    """The runs of all granules while an index is built."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.lines: list[int] = []
        self.flags: list[int] = []
        self.per_granule: list[int] = []
        self._before = 0

    def add(
        self, length: int, lines: int, is_open: bool, cut_start: bool, cut_end: bool, binary: bool, encoding: Encoding
    ) -> None:
        """The next run of the granule. ``is_open``: its last line has no line end."""
        self.lengths.append(length)
        self.lines.append(lines)
        self.flags.append(
            OPEN * is_open + CUT_START * cut_start + CUT_END * cut_end + BINARY * binary + _ENCODINGS[encoding]
        )

    def end_granule(self) -> None:
        """The next run belongs to the next granule."""
        self.per_granule.append(len(self.lengths) - self._before)
        self._before = len(self.lengths)


@dataclass(frozen=True, slots=True)
class RunTable:
    """Run ``r`` holds the content from ``at[r]`` to ``at[r + 1]`` and the rows from ``rows[r]`` to ``rows[r + 1]``.

    A row is a line, or the part of a cut one that lies in the run. Granule ``g`` consists of the runs from
    ``granules[g]`` to ``granules[g + 1]``. Per granule: ``classes`` tells which words of timestamps
    are not posted, the lengths tell how long its posted words are, those of digits alone and the others.
    """

    at: I64
    rows: I64
    flags: U8
    granules: I64
    classes: U64
    digit_lengths: U64
    other_lengths: U64

    def within(self, start: int, end: int) -> tuple[int, int]:
        """The runs that lie wholly between two places of the content: from the first on, before the last."""
        return int(self.at.searchsorted(start)), int(self.at.searchsorted(end, "right")) - 1

    def line_ends(self, start: int, end: int) -> tuple[I64, I64]:
        """A sparse index of lines: places in the content, and how many line ends lie between ``start`` and each.

        ``start`` and ``end`` are places where runs begin or end, such as those of an extent: the first and last place.
        """
        first, last = (int(self.at.searchsorted(place)) for place in (start, end))
        rows = np.diff(self.rows[first : last + 1]) - (self.flags[first:last] & OPEN > 0)
        counts = np.zeros(last - first + 1, np.int64)
        np.cumsum(rows, out=counts[1:])
        return self.at[first : last + 1], counts


def pack_runs(runs: Runs, noted: U64) -> bytes:
    """The block of all granules. ``noted``: classes and the two lengths of each."""
    return pack(
        [
            np.array(runs.per_granule, np.int64),
            np.array(runs.lengths, np.int64),
            np.array(runs.lines, np.int64),
            np.array(runs.flags, np.uint8),
            *noted.T,
        ]
    )


def runs_of(blocks: Blocks) -> RunTable:
    """The runs of an index. Raises Damaged."""
    facts = blocks.facts
    return unpack_runs(blocks.read(Kind.GRANULES), facts.granules, facts.content_bytes, facts.lines, where=blocks.where)


def unpack_runs(data: bytes, granules: int, content_bytes: int, lines: int, *, where: str) -> RunTable:
    """Back from ``pack_runs``. Raises Damaged."""
    per_granule, lengths, line_counts, flags, *noted = unpack(data, 7, where=where)
    table = RunTable(
        _bounds(lengths),
        _bounds(line_counts),
        flags.astype(np.uint8),
        _bounds(per_granule),
        *(bits.astype(np.uint64) for bits in noted),
    )
    fits = (
        all(len(array) == granules for array in (per_granule, *noted))
        and len(lengths) == len(line_counts) == len(flags) == table.granules[-1]
        and (not granules or int(per_granule.min()) > 0)
        and table.at[-1] == content_bytes
        and table.rows[-1] == lines
    )
    if not fits:
        raise Damaged(f"{where}: granules that make no sense", where=where)
    return table


def _bounds(lengths: npt.NDArray[np.unsignedinteger]) -> I64:
    bounds = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths.astype(np.int64), out=bounds[1:])
    return bounds
