"""What was counted once is added to later counts, as if its lines were counted again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from logferry.search.counters import NO_TIME, TimeCounter
from logferry.search.tally import Buckets

_SECONDS = st.lists(
    st.one_of(
        st.integers(0, 100), st.integers(1_700_000_000, 1_700_090_000), st.integers(-(10**9), 10**9), st.just(NO_TIME)
    ),
    max_size=12,
)
_BUCKETS = st.builds(
    Buckets,
    step_s=st.sampled_from([0, 1, 60, 3600]),
    start_s=st.none() | st.integers(-(10**6), 1_700_000_100),
    end_s=st.none() | st.integers(0, 1_700_050_000),
    shown=st.integers(1, 50) | st.just(1),
)


def _array(seconds: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(seconds, np.int64)


@given(_BUCKETS, _SECONDS, _SECONDS, _SECONDS, _SECONDS)
def test_what_was_counted_apart_is_told_as_if_it_were_counted_here(
    wanted: Buckets, before: list[int], apart: list[int], others: list[int], behind: list[int]
) -> None:
    """Whatever came before and behind, then and now: where it may not be added, buckets would become too wide."""
    then = TimeCounter(wanted)
    then.add_seconds(_array(before))
    own = then.apart()
    own.add_seconds(_array(apart))
    found = own.counted(then.step_s)
    then.join(found)
    then.add_seconds(_array(behind))
    assert then.told() == _told(wanted, before + apart + behind)
    now = TimeCounter(wanted)
    now.add_seconds(_array(others))
    if not now.may_join(found):
        assert now.step_s < found.from_step_s
        return
    now.join(found)
    now.add_seconds(_array(behind))
    assert now.told() == _told(wanted, others + apart + behind)


def test_lines_from_before_and_behind_1970_take_two_bars() -> None:
    """However few are wanted: where one was, a search for them never ended."""
    histogram = TimeCounter(Buckets(shown=1))
    histogram.add_seconds(_array([-1, 0, 1_700_000_000]))
    told = histogram.told()
    assert [count for _, count in told.counts] == [1, 2]


@given(_SECONDS)
def test_what_was_counted_for_other_buckets_is_not_added(seconds: list[int]) -> None:
    """Their bounds may leave out other lines."""
    apart = TimeCounter(Buckets(60))
    apart.add_seconds(_array(seconds))
    found = apart.counted(60)
    assert TimeCounter(Buckets(60)).may_join(found)
    for other in (Buckets(3600), Buckets(60, start_s=0), Buckets(60, end_s=10), Buckets(0)):
        assert not TimeCounter(other).may_join(found)


def _told(wanted: Buckets, seconds: list[int]) -> object:
    counter = TimeCounter(wanted)
    counter.add_seconds(_array(seconds))
    return counter.told()
