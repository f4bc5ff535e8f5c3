"""Merging by time: the order of a stable sort, from every place on, in both directions; nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from logferry.search.merge.order import Item, after, before

Times = list[list[int | None]]


@dataclass
class Rows:
    """A track in memory: a place is the number of a line."""

    name: int
    times: list[int | None]

    def _item(self, at: int) -> Item[int, tuple[int, int]]:
        return Item(self.times[at], at, at + 1, (self.name, at), 1)

    def forward(self, place: int) -> Iterator[Item[int, tuple[int, int]]]:
        """As ``Track``."""
        return (self._item(at) for at in range(place, len(self.times)))

    def backward(self, place: int) -> Iterator[Item[int, tuple[int, int]]]:
        """As ``Track``."""
        return (self._item(at) for at in range(place - 1, -1, -1))


ANY = st.lists(st.lists(st.none() | st.integers(0, 30), max_size=25), min_size=1, max_size=8)
ORDERED = st.lists(st.lists(st.integers(0, 30), max_size=25).map(sorted), min_size=1, max_size=8)


def _tracks(times: Times) -> list[Rows]:
    return [Rows(name, own) for name, own in enumerate(times)]


def _oracle(times: Times) -> list[tuple[int, int]]:
    """All lines by time, then track, then place."""
    lines = [(time, name, at) for name, own in enumerate(times) for at, time in enumerate(own)]
    return [(name, at) for _, name, at in sorted(lines)]


def _pages_forward(times: Times, count: int) -> list[tuple[int, int]]:
    tracks = _tracks(times)
    found: list[tuple[int, int]] = []
    places: tuple[int, ...] = tuple(0 for _ in tracks)
    while True:
        page = after(tracks, places, count)
        found += [item.line for _, item in page.items]
        assert page.start == places
        assert len(page.items) == count or not page.more
        places = page.end
        if not page.more:
            assert places == tuple(len(own) for own in times)
            return found


def _pages_backward(times: Times, count: int) -> list[tuple[int, int]]:
    tracks = _tracks(times)
    found: list[tuple[int, int]] = []
    places = tuple(len(own) for own in times)
    while True:
        page = before(tracks, places, count)
        found = [item.line for _, item in page.items] + found
        assert page.end == places
        places = page.start
        if not page.more:
            assert places == tuple(0 for _ in times)
            return found


@given(ORDERED, st.integers(1, 9))
@settings(deadline=None)
def test_ordered_times_come_out_as_a_stable_sort_has_them(times: Times, count: int) -> None:
    """Page by page, whatever their size, downwards and upwards."""
    assert _pages_forward(times, count) == _oracle(times)
    assert _pages_backward(times, count) == _oracle(times)


@given(ANY, st.integers(1, 9))
@settings(deadline=None)
def test_every_line_comes_once_and_in_the_order_of_its_file(times: Times, count: int) -> None:
    """Also with clocks that jump and lines without times."""
    for found in (_pages_forward(times, count), _pages_backward(times, count)):
        assert sorted(found) == [(name, at) for name, own in enumerate(times) for at in range(len(own))]
        for name in range(len(times)):
            own = [at for track, at in found if track == name]
            assert own == sorted(own)


@given(ORDERED, st.integers(1, 9), st.data())
@settings(deadline=None)
def test_up_again_shows_what_was_above(times: Times, count: int, data: st.DataObject) -> None:
    """From any place of the merged order."""
    tracks = _tracks(times)
    total = sum(len(own) for own in times)
    top = after(tracks, [0] * len(tracks), data.draw(st.integers(1, max(1, total))))
    below = after(tracks, top.end, count)
    above = before(tracks, below.end, len(below.items)) if below.items else below
    assert above.items == below.items
    assert above.start == below.start


def test_a_line_without_a_time_stays_with_its_neighbour() -> None:
    """Whatever waits in the other file: downwards with the line before it, upwards with the one behind."""
    tracks = _tracks([[5, None, None, 9], [5, 6, 7]])
    down = [item.line for _, item in after(tracks, [0, 0], 9).items]
    assert down == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3)]
    up = [item.line for _, item in before(tracks, [4, 3], 4).items]
    assert up == [(1, 2), (0, 1), (0, 2), (0, 3)]


@given(ANY, st.integers(1, 40))
@settings(deadline=None)
def test_a_page_is_bounded_in_bytes_and_never_empty(times: Times, most: int) -> None:
    """One line at least, else nobody got past it."""
    page = after(_tracks(times), [0] * len(times), 1000, bytes_max=most)
    total = sum(len(own) for own in times)
    assert len(page.items) == min(total, most)
    assert page.more == (total > most)
