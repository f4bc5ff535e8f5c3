"""How many lines match, when they were written, and where: what a tally asks for and what it tells. Plain values."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

from logferry.limits import HISTOGRAM_BUCKETS_MAX, HISTOGRAM_BUCKETS_SHOWN
from logferry.search.events import Account, Progress

FacetField: TypeAlias = Literal["agent", "path", "file", "ext", "level"]
FACETS: tuple[FacetField, ...] = ("agent", "path", "file", "ext", "level")
"""What lines can be counted by. ``path`` is ``agent/path``, ``file`` the last component of the path; ``ext`` and
``level`` may be empty: none."""

STEPS_S = (
    1, 5, 15, 60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_419_200, 29_030_400,
    290_304_000, 2_903_040_000,
)  # fmt: skip
"""Widths of buckets that are chosen from: each divides the next, so counts can always be made coarser."""
assert all(after % before == 0 for before, after in pairwise(STEPS_S))


@dataclass(frozen=True, slots=True)
class Buckets:
    """How a histogram is wanted: ``step_s`` seconds a bucket, 0: as wide as shows at most ``shown`` of them.

    Buckets begin at multiples of the width since 1970, so lines from before and behind that take two at least.
    ``start_s <= time < end_s`` bounds what is counted in them (None: no bound). Where there would be more than
    ``HISTOGRAM_BUCKETS_MAX`` buckets they are made wider.
    """

    step_s: int = 0
    start_s: int | None = None
    end_s: int | None = None
    shown: int = HISTOGRAM_BUCKETS_SHOWN

    def __post_init__(self) -> None:
        assert self.step_s >= 0
        assert 0 < self.shown <= HISTOGRAM_BUCKETS_MAX


@dataclass(frozen=True, slots=True)
class Histogram:
    """Matching lines by their time. ``counts``: (first second of a bucket since 1970, lines), no empty ones, in order.

    ``untimed`` is how many have no time that was recognised, ``outside`` how many lie out of the bounds asked for.
    """

    step_s: int
    counts: tuple[tuple[int, int], ...]
    untimed: int
    outside: int = 0


@dataclass(frozen=True, slots=True)
class Facet:
    """Matching lines by one of ``FACETS``: the values with the most lines, most first, and the lines of all others."""

    field: FacetField
    top: tuple[tuple[str, int], ...]
    other: int
    values: int
    """How many different values there are."""


@dataclass(frozen=True, slots=True)
class Tally(Account):
    """What was counted, and of what; with ``reason`` "running" what was so far.

    ``lines`` is how many lines match; if not ``exact`` at least so many do: it was cut short (``reason``) or something
    could not be read (``errors``). ``histogram`` and ``facets`` tell of those lines.
    """

    lines: int
    exact: bool
    histogram: Histogram | None
    facets: tuple[Facet, ...]


TallyEvent: TypeAlias = Progress | Tally
