"""Times of a search as people type them: in the zone they are shown, whatever zone the address is of."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from logferry.search.moments import moment
from logferry.web.between import between
from logferry.zones import zone_named

NOW = int(datetime(2026, 11, 23, 8, 31, 7, tzinfo=UTC).timestamp()) * 10**9
TEXTS = (
    "2026-11-23", "2026-11-23T08", "2026-11-23T08:15", "2026-10-25", "08:15", "today", "yesterday", "now-2h", "now",
    "2026-11-23T08:15:00Z", "2026-11-23T08:15:00+05:30", "2026-11",
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("written", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("shown", ["UTC", "Europe/Berlin", "Asia/Kolkata"])
def test_an_address_means_the_same_to_everybody(text: str, written: str, shown: str) -> None:
    """Opened by somebody with another zone, the boxes hold what means the same there."""
    found = between(text, text, NOW, written, shown)
    meant = moment(text, "from", NOW, zone_named(written))
    assert not found.problem
    assert moment(found.since, "from", NOW, zone_named(shown)).low == meant.low
    assert moment(found.until, "to", NOW, zone_named(shown)).end == meant.end


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        ("now-24h", "", "Last 24 hours"),
        ("", "", "Any time"),
        ("08:15", "", "Since 08:15"),
        ("2026-11-23T08:00:00Z", "2026-11-23T08:59:59Z", "2026-11-23 09:00 – 09:59:59"),
        ("", "2026-11-23T23:30:00Z", "Until 2026-11-24 00:30"),
    ],
)
def test_times_are_told_in_the_zone(since: str, until: str, words: str) -> None:
    """Also those that name another."""
    assert between(since, until, NOW, "Europe/Berlin", "Europe/Berlin").words == words


@pytest.mark.parametrize(
    ("since", "until", "zone"), [("soon", "", "UTC"), ("now", "now-1h", "UTC"), ("now", "", "Mars/Base")]
)
def test_what_is_no_time_is_said(since: str, until: str, zone: str) -> None:
    """And a zone that there is not."""
    assert between(since, until, NOW, zone, "UTC").problem
