"""Items worked on before their results are needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from logferry.search.indexed.ahead import ahead


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Four threads."""
    with ThreadPoolExecutor(4) as made:
        yield made


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_results_come_in_order_grouped_or_not(pool: ThreadPoolExecutor, size: int) -> None:
    items = list(range(57))
    wanted = [(item, item * item) for item in items]
    assert list(ahead(lambda: pool, lambda item: item * item, items, 8)) == wanted
    assert list(ahead(lambda: pool, lambda item: item * item, items, 8, together=lambda item: item // size)) == wanted
    assert list(ahead(lambda: pool, lambda item: item, [], 8, together=lambda item: item)) == []


def test_neighbours_that_go_together_are_worked_on_in_one_thread_one_after_the_other(pool: ThreadPoolExecutor) -> None:
    seen: dict[int, set[int]] = {}
    busy = [threading.Lock() for _ in range(20)]

    def work(item: int) -> int:
        lock = busy[item // 3]
        assert lock.acquire(blocking=False), "two of a group at once"
        seen.setdefault(item // 3, set()).add(threading.get_ident())
        lock.release()
        return item

    assert [item for item, _ in ahead(lambda: pool, work, range(60), 8, together=lambda item: item // 3)] == list(
        range(60)
    )
    assert all(len(threads) == 1 for threads in seen.values())


def test_whoever_stops_after_the_first_has_had_no_other_item_worked_on(pool: ThreadPoolExecutor) -> None:
    worked: list[int] = []
    steps = ahead(lambda: pool, worked.append, range(100), 8, together=lambda _item: "all alike")
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert worked == [0]


def test_only_some_items_are_worked_on_ahead(pool: ThreadPoolExecutor) -> None:
    worked: list[int] = []
    for item, _ in ahead(lambda: pool, worked.append, range(200), 8, together=lambda item: item // 5):
        assert len(worked) <= item + 1 + 8 + 5
    assert sorted(worked) == list(range(200))


def test_what_the_work_raises_comes_out(pool: ThreadPoolExecutor) -> None:
    def work(item: int) -> int:
        if item == 9:
            raise ValueError("nine")
        return item

    steps = ahead(lambda: pool, work, range(20), 4, together=lambda item: item // 2)
    assert [next(steps) for _ in range(8)] == [(item, item) for item in range(8)]
    with pytest.raises(ValueError, match="nine"):
        next(steps)


def test_the_pool_may_change_meanwhile(pool: ThreadPoolExecutor) -> None:
    """What was ordered of the first one comes, too."""
    with ThreadPoolExecutor(1, thread_name_prefix="other") as other:
        asked = iter([pool] * 3 + [other] * 100)
        found = [name for _, name in ahead(lambda: next(asked), _thread, range(50), 8)]
    assert ["other" in name for name in found] == [False] * 4 + [True] * 46


def _thread(_item: int) -> str:
    return threading.current_thread().name
