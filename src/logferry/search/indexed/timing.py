"""When lines were written that an index says match: whole granules that lie in one bucket, else row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from logferry.archive.index import YES
from logferry.archive.index.compiled import kernel
from logferry.archive.index.kernel import NO_TIME
from logferry.archive.index.layout import BLOCK_GRANULES
from logferry.limits import HISTOGRAM_BUCKETS_MAX
from logferry.search.counters import TimeCounter
from logferry.search.indexed.answers import Answer
from logferry.search.indexed.view import View

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_SECOND_NS = 1_000_000_000
_PLACES_MAX = 4 * HISTOGRAM_BUCKETS_MAX
"""Buckets to count in at once, be they too many in the end."""


def since(seconds: I64, bound_ns: int | None) -> Bools | None:
    """Which of times that are known to the second lie at ``bound_ns`` (None: long ago) or behind; None where a time
    within the second of the bound could be either."""
    if bound_ns is None:
        return np.ones(len(seconds), np.bool_)
    second, rest = divmod(bound_ns, _SECOND_NS)
    if rest and (seconds == second).any():
        return None
    found: Bools = seconds >= second
    return found


@kernel
def _count_rows(
    types: npt.NDArray[np.uint32],
    seconds: I64,
    bounds: I64,
    chosen: I64,
    wanted: Bools,
    low: int,
    end: int,
    first: int,
    step: int,
    counts: I64,
    missed: I64,
) -> None:
    """Count the rows of wanted types in the chosen granules; untimed ones and those out of bounds in ``missed``."""
    bucket, since, until = 0, 1, 0
    for granule in chosen:
        for row in range(bounds[granule], bounds[granule + 1]):
            if not wanted[types[row]]:
                continue
            second = seconds[row]
            if second < since or second >= until:
                if second == NO_TIME:
                    missed[0] += 1
                    continue
                if second < low or second >= end:
                    missed[1] += 1
                    continue
                bucket = second // step - first
                since, until = max(low, (bucket + first) * step), min(end, (bucket + first + 1) * step)
            counts[bucket] += 1


@kernel
def _find_span(
    types: npt.NDArray[np.uint32],
    seconds: I64,
    bounds: I64,
    chosen: I64,
    wanted: Bools,
    low: int,
    end: int,
    span: I64,
) -> None:
    """Let ``span``, the least and the greatest second, hold those of wanted rows in the chosen granules, too."""
    for granule in chosen:
        for row in range(bounds[granule], bounds[granule + 1]):
            second = seconds[row]
            if second >= low and second < end and wanted[types[row]]:
                span[0] = min(span[0], second)
                span[1] = max(span[1], second)


def expect_times(counter: TimeCounter, view: View, found: Answer, mine: Bools) -> None:
    """Tell the counter of times between which lines surely lie; ``mine`` marks granules of which all lines are wanted.
    Raises Damaged.

    A granule spans more than its lines that match, so what is sure is less: one of them is there no later than the
    granule that ends first, and one no earlier than the granule that begins last.
    """
    with view.lock:
        spans = view.index.spans
    low, end = counter.bounds
    first, last = spans.first_ns // _SECOND_NS, spans.last_ns // _SECOND_NS
    sure = mine & (found.sure > 0) & (spans.untimed == 0) & (first >= low) & (last < end)
    if sure.any():
        counter.expect(int(last[sure].min()), int(first[sure].max()))


def count_times(counter: TimeCounter, view: View, found: Answer, granules: Bools) -> None:
    """Count the lines that surely match in the granules marked, of which all lines are wanted. Raises Damaged."""
    with view.lock:
        spans = view.index.spans
    low, end = counter.bounds
    hot = granules & (found.sure > 0)
    times = [_seconds_of(view, found, granule) for granule in np.flatnonzero(hot & found.is_known).tolist()]
    hot &= ~found.is_known
    types = found.sure_types()
    first, last = spans.first_ns // _SECOND_NS, spans.last_ns // _SECOND_NS
    # At any wider step they lie in one bucket, too.
    step = counter.step_s
    inside = hot & (spans.untimed == 0) & (first // step == last // step) & (first >= low) & (last < end)
    rest = np.flatnonzero(hot & ~inside)
    timed = rest[spans.first_ns[rest] != NO_TIME]
    from_s = int(max(first[timed].min(), low)) if len(timed) else 0
    to_s = int(min(last[timed].max(), end - 1)) if len(timed) else 0
    if to_s // step - from_s // step >= _PLACES_MAX:  # the lines that match may lie closer together
        span = np.array([end, low], np.int64)
        for some in rows_by_type(view, found, types, rest):
            _find_span(some.types, some.seconds, some.bounds, some.granules, some.wanted, low, end, span)
        from_s, to_s = span.tolist() if span[0] <= span[1] else (0, 0)
        counter.expect(from_s, to_s)
        step = counter.step_s
    begin = from_s // step
    counts = np.zeros(max(to_s // step - begin, 0) + 1, np.int64)
    missed = np.zeros(2, np.int64)
    for some in rows_by_type(view, found, types, rest):
        _count_rows(
            some.types, some.seconds, some.bounds, some.granules, some.wanted, low, end, begin, step, counts, missed
        )
    # Nothing is counted before everything was read.
    if inside.any():
        places, where = np.unique(first[inside] // step, return_inverse=True)
        counter.add(places, np.bincount(where, found.sure[inside]).astype(np.int64))
    held = np.flatnonzero(counts)
    if len(held):
        counter.add(held + begin, counts[held])
        counter.expect(int(held[0] + begin) * step, int(held[-1] + begin) * step)
    if times:
        counter.add_seconds(np.concatenate(times))  # the step may become wider
    counter.untimed += int(missed[0])
    counter.outside += int(missed[1])


def _seconds_of(view: View, found: Answer, granule: int) -> I64:
    with view.lock:
        types, seconds = view.index.row_types(granule), view.index.row_seconds(granule)
    chosen: I64 = seconds[found.rows(granule, types) == YES]
    return chosen


class Rows(NamedTuple):
    """Some granules, counted from ``before`` on, in which types alone say what matches: those that are ``wanted``.

    ``types`` and ``seconds`` are of the rows from there on; granule g has those of ``bounds[g]`` to ``bounds[g + 1]``.
    """

    before: int
    types: npt.NDArray[np.uint32]
    seconds: I64
    bounds: I64
    granules: I64
    wanted: Bools


def rows_by_type(view: View, found: Answer, types: Bools | None, granules: I64) -> Iterator[Rows]:
    """Granules whose rows are not told one by one, some at a time, until all had their turn. Raises Damaged.

    ``types``: ``found.sure_types()``.
    """
    rows = view.runs.rows[view.runs.granules]
    for number in np.unique(granules // BLOCK_GRANULES).tolist():
        before = number * BLOCK_GRANULES
        with view.lock:
            row_types, row_seconds = view.index.rows_of_block(number)
        bounds = rows[before : before + BLOCK_GRANULES + 1] - rows[before]
        for some, wanted in _wanted(found, types, granules[granules // BLOCK_GRANULES == number] - before, before):
            yield Rows(before, row_types, row_seconds, bounds, some, wanted)


def _wanted(found: Answer, types: Bools | None, chosen: I64, before: int) -> list[tuple[I64, Bools]]:
    """Granules, and the types that match there. ``chosen`` are counted from granule ``before`` on."""
    if types is not None:
        return [(chosen, types)]
    return [(chosen[i : i + 1], found.of_types(int(granule) + before) == YES) for i, granule in enumerate(chosen)]
