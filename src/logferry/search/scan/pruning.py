"""What an index can say about terms that are decided line by line: which stretches of text surely hold no match.

Nothing here decides that a line matches: what is left has to be read.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logferry.archive.timestamps import NO_TIME
from logferry.archive.timestamps.reading import AHEAD_S, DAY_S, SECOND_NS
from logferry.limits import TIME_REACH_BYTES
from logferry.search.query.nodes import Filter, Glob, Literal, Node, Text, all_of, any_of
from logferry.search.query.values import bounds
from logferry.search.scan.fieldtest import number_of

Bools = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]
_SAME_YEAR_NS = 364 * DAY_S * SECOND_NS
"""A date without year that arrives less than so long after it is not taken for one of the year after."""


def needed_texts(wanted: Filter) -> Node | None:
    """Texts that every line has which matches a filter on ``@name``; None where nothing is known, as for other filters.

    They are to be asked with the same case as the filter.
    """
    if not wanted.name.startswith("@"):
        return None
    needed: list[Node] = [Text(Literal(wanted.name.removeprefix("@").rpartition(".")[2]))]
    value = wanted.value
    if wanted.comparison in ("", "="):
        parts: list[str] = []
        if isinstance(value, Literal) and number_of(value.text) is None:
            parts = [value.text]
        elif isinstance(value, Glob):
            parts = [part for part in value.parts if isinstance(part, str)]
        if parts:  # or they are written with a backslash, as JSON does
            needed.append(any_of([all_of([Text(Literal(part)) for part in parts]), Text(Literal("\\"))]))
    return all_of(needed)


def stretches_in_time(
    wanted: Filter,
    now_ns: int,
    *,
    first_ns: I64,
    last_ns: I64,
    untimed: I64,
    sizes: I64,
    told_ns: int,
    arrived_ns: int,
) -> Bools:
    """Which of consecutive stretches of whole lines may hold a line that ``time:`` finds.

    Not for files with dates of three numbers, which an index may have read in another order than the file tells.

    Args:
        wanted: the filter.
        now_ns: what ``now`` means in it.
        first_ns: of each stretch: the earliest time that its lines have of their own, ``NO_TIME`` if none has one.
        last_ns: the latest one.
        untimed: how many lines have none.
        sizes: bytes of each stretch. What stands before the first one is not known.
        told_ns: the last arrival that was known when these times were told.
        arrived_ns: the last arrival that is known now.
    """
    low, end = bounds(wanted, now_ns)
    low = NO_TIME + 1 if low is None else low
    end = np.iinfo(np.int64).max if end is None else min(end, np.iinfo(np.int64).max)
    timed = first_ns != NO_TIME
    found: Bools = timed & (first_ns < end) & (last_ns >= low)
    if arrived_ns > told_ns:
        found |= timed & (first_ns <= arrived_ns - _SAME_YEAR_NS)
    inherits = untimed > 0
    if arrived_ns > told_ns and low <= arrived_ns + AHEAD_S * SECOND_NS and end > told_ns + AHEAD_S * SECOND_NS:
        return found | inherits  # what was too late to be true then may be true now
    return found | (inherits & _near_behind(found, sizes))


def _near_behind(found: Bools, sizes: I64) -> Bools:
    """Stretches whose lines may have the time of a line in a stretch marked in ``found``, or before all of them."""
    ends = np.cumsum(sizes)
    begins = ends - sizes
    # The end of the latest stretch before each one that is marked; before the first one there may be anything.
    marked = np.maximum.accumulate(np.where(found, ends, 0)) if len(found) else ends
    before = np.concatenate((np.zeros(1, np.int64), marked[:-1]))[: len(found)]
    near: Bools = begins - before < TIME_REACH_BYTES
    return near
