"""What arrived today beside what usually has: days of any zone and length, and only where enough of them are known."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from logferry.archive.catalog.counting import HOUR_NS
from logferry.archive.catalog.intake import Arrived
from logferry.limits import USUAL_DAYS, USUAL_DAYS_MIN
from logferry.web.today import Usual, beginnings, usual

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = [day * 24 * HOUR_NS for day in range(100, 100 - USUAL_DAYS, -1)]


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


def test_days_begin_at_midnight_of_the_zone() -> None:
    """Also where a day has 23 or 25 hours."""
    days = beginnings(ns("2026-10-26T08:30:00+01:00"), BERLIN)
    assert days[:3] == [ns("2026-10-26T00:00+01:00"), ns("2026-10-25T00:00+02:00"), ns("2026-10-24T00:00+02:00")]
    assert (days[0] - days[1]) // HOUR_NS == 25
    assert len(days) == USUAL_DAYS + 1
    assert beginnings(ns("2026-10-26T00:00:00+00:00"), UTC)[0] == ns("2026-10-26T00:00+00:00")


def test_as_much_of_each_day_counts_as_has_passed_of_this_one() -> None:
    """Of an hour that is cut, its share."""
    hours = {day // HOUR_NS + hour: Arrived(100, 1, 0) for day in DAYS for hour in range(24)}
    assert usual(DAYS, 8 * HOUR_NS + HOUR_NS // 2, hours) == Usual(850, 850, USUAL_DAYS)
    assert usual(DAYS, 0, hours) == Usual(0, 0, USUAL_DAYS)


def test_the_oddest_days_say_nothing() -> None:
    """One day on which nothing came, one on which an old archive was taken over."""
    hours = {day // HOUR_NS: Arrived(100 + number, 1, 0) for number, day in enumerate(DAYS)}
    hours[DAYS[3] // HOUR_NS] = Arrived(10**12, 1, 0)
    del hours[DAYS[5] // HOUR_NS]
    assert usual(DAYS, HOUR_NS, hours) == Usual(100, 99 + USUAL_DAYS, USUAL_DAYS)


@pytest.mark.parametrize("count", [0, USUAL_DAYS_MIN - 1])
def test_too_few_days_tell_nothing(count: int) -> None:
    assert usual(DAYS[:count], HOUR_NS, {}) is None
