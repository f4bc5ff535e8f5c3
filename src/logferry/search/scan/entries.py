"""Entries: a line with the lines that continue it, such as a stack trace. docs/reference/query.md has the rules.

Whether a line begins an entry depends on what stands at most three times ``ENTRY_BYTES_MAX`` before it, so that it does
not matter where a scan begins.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from logferry.archive.timestamps import NO_TIME
from logferry.limits import ENTRY_BYTES_MAX
from logferry.search.scan.filetimes import FileTimes, line_bounds
from logferry.search.scan.levels import NO_LEVEL, levels_of

CONTINUING: tuple[bytes, ...] = (
    b"Caused by:",
    b"Suppressed:",
    b"Traceback (most recent call last)",
    b"During handling of the above exception",
    b"The above exception was the direct cause",
    b"}",
    b"]",
    b")",
)
"""What a line begins with that continues the line before it, besides blanks."""
STAMP_INDENT_MAX = 4
"""A line whose own timestamp begins within so many bytes begins an entry, though it may be indented."""
_NEVER = -(1 << 62)
_END = 1 << 62
Bools = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]


class Entries:
    """Where the entries of a block begin."""

    __slots__ = ("_heads",)

    def __init__(self, heads: list[int]) -> None:
        self._heads = heads

    @classmethod
    def of(cls, data: bytes, first: int, behind: Callable[[int], bytes], times: FileTimes) -> Entries:
        """The entries that begin in ``data[first:]``, whose first line starts at ``first``.

        ``behind`` gives the whole lines before it, as far back as asked.
        """
        if first >= len(data):
            return cls([])
        before = behind(3 * ENTRY_BYTES_MAX)
        text = before + data[first:]
        shift = first - len(before)
        starts, ends = line_bounds(text, 0, len(text))
        heads = starts[_begins(text, starts, ends, times)] + shift
        return cls(heads[heads >= first].tolist())

    @property
    def heads(self) -> list[int]:
        """Where all of them begin."""
        return self._heads

    def at_or_after(self, at: int) -> int:
        """The start of the first entry at or after ``at``; a place behind every line if there is none."""
        place = bisect_left(self._heads, at)
        return self._heads[place] if place < len(self._heads) else _END

    def of_line(self, at: int) -> int:
        """The start of the entry that the line at ``at`` belongs to; -1 if that begins before the block."""
        place = bisect_right(self._heads, at)
        return self._heads[place - 1] if place else -1


def _begins(text: bytes, starts: Places, ends: Places, times: FileTimes) -> Bools:
    """Which lines begin an entry. Of those near the beginning it is told as if nothing stood before them."""
    stamps = times(text, starts, ends)
    has_time = stamps.times != NO_TIME
    continuing = _continues(text, starts, ends)
    continuing &= ~(has_time & _is_indented(text, starts, ends) & (stamps.starts - starts <= STAMP_INDENT_MAX))
    timed = has_time & ~continuing
    levelled = (levels_of(text, starts, ends) != NO_LEVEL) & ~continuing & ~_is_near(starts, timed)
    told = timed | levelled
    plain = ~continuing & ~_is_near(starts, told)
    begins: Bools = told | plain
    return begins | (continuing & ~_is_near(starts, begins))


def _is_near(starts: Places, which: Bools) -> Bools:
    """Lines that start at most ``ENTRY_BYTES_MAX`` behind one of that kind, or are of that kind."""
    latest = np.maximum.accumulate(np.where(which, starts, _NEVER))
    near: Bools = starts - latest <= ENTRY_BYTES_MAX
    return near


def _is_indented(text: bytes, starts: Places, ends: Places) -> Bools:
    firsts = _bytes_at(text, starts)
    blank: Bools = (firsts == 32) | (firsts == 9) | (firsts == 13) | (starts == ends)
    return blank


def _continues(text: bytes, starts: Places, ends: Places) -> Bools:
    """Lines that are indented, empty, or begin as a continuation does."""
    found = _is_indented(text, starts, ends)
    for beginning in CONTINUING:
        # Few lines begin with the same three letters: only those are looked at one by one.
        like = np.ones(len(starts), np.bool_)
        for offset, byte in enumerate(beginning[:3]):
            like &= _bytes_at(text, starts + offset) == byte
        for line in np.flatnonzero(like & ~found).tolist():
            found[line] = text.startswith(beginning, int(starts[line]))
    return found


def _bytes_at(text: bytes, places: Places) -> npt.NDArray[np.uint8]:
    """The bytes at these places; behind the end of the text stands its last one."""
    taken: npt.NDArray[np.uint8] = np.frombuffer(text, np.uint8)[np.minimum(places, len(text) - 1)]
    return taken


__all__ = ["CONTINUING", "STAMP_INDENT_MAX", "Entries"]
