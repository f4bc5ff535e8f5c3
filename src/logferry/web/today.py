"""What arrived today, beside what usually has by this time of the day; for pages and API alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from logferry.archive.catalog.counting import HOUR_NS
from logferry.archive.catalog.intake import Arrived
from logferry.limits import USUAL_DAYS, USUAL_DAYS_MIN
from logferry.server.people import Identity
from logferry.web.context import WebContext

_ODD_ONES = 2
"""The lowest and the highest of the days before say nothing of what is usual."""


@dataclass(frozen=True, slots=True)
class Usual:
    """Bytes that had arrived by this time of the day on most of the last ``days`` days: from ``least`` to ``most``."""

    least: int
    most: int
    days: int


@dataclass(frozen=True, slots=True)
class Today:
    """``since_ns``: when the day began, in the zone that was asked for, or later where nobody counted before.

    ``usual`` is None where too few days are known.
    """

    since_ns: int
    is_whole: bool
    bytes: int
    files: int
    errors: int
    usual: Usual | None


def today(context: WebContext, who: Identity, zone: tzinfo) -> Today | None:
    """Of all agents that ``who`` sees whole: what arrives below a path alone is not counted. None: there are none."""
    agents: tuple[str, ...] | None = None
    if not who.scope.everything:
        agents = tuple(agent for agent in context.catalog.agents.ids() if who.scope.covers(agent, ""))
        if not agents:
            return None
    now_ns = context.clock.now_ns()
    days = beginnings(now_ns, zone)
    first, begin, now = days[-1] // HOUR_NS, days[0] // HOUR_NS, now_ns // HOUR_NS
    intake = context.catalog.intake
    before = context.past_intake.get(
        (agents, first, begin), context.clock.monotonic_s(), lambda: intake.hours(first, begin, agents)
    )
    came = intake.hours(begin, now + 1, agents).values()
    counted = intake.since()
    counted_ns = now_ns if counted is None else counted * HOUR_NS
    since_ns = begin * HOUR_NS
    return Today(
        max(since_ns, counted_ns),
        counted_ns <= since_ns,
        sum(one.bytes for one in came),
        sum(one.files for one in came),
        sum(one.errors for one in came),
        usual([day for day in days[1:] if day >= counted_ns], now_ns - days[0], before),
    )


def beginnings(now_ns: int, zone: tzinfo) -> list[int]:
    """When today began, and so many days before it as may be looked at, the latest first. A day is as long as it is."""
    midnight = datetime.fromtimestamp(now_ns // 10**9, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    naive = midnight.replace(tzinfo=None)
    days = ((naive - timedelta(days=back)).replace(tzinfo=zone) for back in range(USUAL_DAYS + 1))
    return [int(day.timestamp()) * 10**9 for day in days]


def usual(days: Sequence[int], length_ns: int, hours: Mapping[int, Arrived]) -> Usual | None:
    """What came within ``length_ns`` from the beginning of each of ``days``; None where these are too few.

    Of an hour that is cut, as much as of its time is within.
    """
    if len(days) < USUAL_DAYS_MIN:
        return None
    sums = sorted(_within(day, length_ns, hours) for day in days)
    kept = sums[_ODD_ONES // 2 : len(sums) - _ODD_ONES // 2]
    return Usual(kept[0], kept[-1], len(days))


def _within(begin_ns: int, length_ns: int, hours: Mapping[int, Arrived]) -> int:
    first, (whole, rest_ns) = begin_ns // HOUR_NS, divmod(length_ns, HOUR_NS)
    came = sum(hours[hour].bytes for hour in range(first, first + whole) if hour in hours)
    last = hours.get(first + whole)
    return came + (last.bytes * rest_ns // HOUR_NS if last else 0)
