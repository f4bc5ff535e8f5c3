"""When lines were written that an index says match: whole granules that lie in one bucket, else row by row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logferry.archive.index import YES
from logferry.archive.index.compiled import kernel
from logferry.archive.index.kernel import NO_TIME
from logferry.archive.index.layout import BLOCK_GRANULES
from logferry.search.counters import TimeCounter
from logferry.search.indexed.answers import Answer
from logferry.search.indexed.view import View

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_SECOND_NS = 1_000_000_000


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


def expect_times(counter: TimeCounter, view: View, found: Answer, mine: Bools) -> None:
    """Tell the counter between which times the lines of granules marked in ``mine`` lie. Raises Damaged."""
    with view.lock:
        spans = view.index.spans
    timed = found.hot & mine & (spans.first_ns != NO_TIME)
    if timed.any():
        counter.expect(int(spans.first_ns[timed].min()) // _SECOND_NS, int(spans.last_ns[timed].max()) // _SECOND_NS)


def count_times(counter: TimeCounter, view: View, found: Answer, granules: Bools) -> None:
    """Count the lines that surely match in the granules marked, of which all lines are wanted. Raises Damaged."""
    with view.lock:
        spans = view.index.spans
    low, end = counter.bounds
    step = counter.step_s
    hot = granules & (found.sure > 0)
    times = [_seconds_of(view, found, granule) for granule in np.flatnonzero(hot & found.is_known).tolist()]
    hot &= ~found.is_known
    first, last = spans.first_ns // _SECOND_NS, spans.last_ns // _SECOND_NS
    inside = hot & (spans.untimed == 0) & (first // step == last // step) & (first >= low) & (last < end)
    rest = np.flatnonzero(hot & ~inside)
    timed = rest[spans.first_ns[rest] != NO_TIME]
    begin = int(max(first[timed].min(), low)) // step if len(timed) else 0
    stop = int(min(last[timed].max(), end - 1)) // step if len(timed) else 0
    counts = np.zeros(max(stop - begin, 0) + 1, np.int64)
    missed = np.zeros(2, np.int64)
    types = found.sure_types()
    rows = view.runs.rows[view.runs.granules]
    for number in np.unique(rest // BLOCK_GRANULES).tolist():
        with view.lock:
            row_types, row_seconds = view.index.rows_of_block(number)
        chosen = rest[rest // BLOCK_GRANULES == number] - number * BLOCK_GRANULES
        bounds = rows[number * BLOCK_GRANULES : (number + 1) * BLOCK_GRANULES + 1] - rows[number * BLOCK_GRANULES]
        for some, wanted in _wanted(found, types, chosen, number * BLOCK_GRANULES):
            _count_rows(row_types, row_seconds, bounds, some, wanted, low, end, begin, step, counts, missed)
    if times:
        counter.add_seconds(np.concatenate(times))
    if inside.any():  # nothing is counted before everything was read
        places, where = np.unique(first[inside] // step, return_inverse=True)
        counter.add(places, np.bincount(where, found.sure[inside]).astype(np.int64))
    held = np.flatnonzero(counts)
    counter.add(held + begin, counts[held])
    counter.untimed += int(missed[0])
    counter.outside += int(missed[1])


def _seconds_of(view: View, found: Answer, granule: int) -> I64:
    with view.lock:
        types, seconds = view.index.row_types(granule), view.index.row_seconds(granule)
    chosen: I64 = seconds[found.rows(granule, types) == YES]
    return chosen


def _wanted(found: Answer, types: Bools | None, chosen: I64, before: int) -> list[tuple[I64, Bools]]:
    """Granules, and the types that match there."""
    if types is not None:
        return [(chosen, types)]
    return [(chosen[i : i + 1], found.of_types(int(granule) + before) == YES) for i, granule in enumerate(chosen)]
