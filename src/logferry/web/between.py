"""``from`` and ``to`` of a page of search: typed by people in the zone that they are shown. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from logferry.errors import Refused
from logferry.search.moments import moment
from logferry.zones import zone_named

TIMES = (
    ("now-15m", "Last 15 minutes"),
    ("now-1h", "Last hour"),
    ("now-24h", "Last 24 hours"),
    ("now-7d", "Last 7 days"),
    ("now-30d", "Last 30 days"),
    ("today", "Today"),
)
TIMES_ANY = "Any time"
_SECOND_NS = 1_000_000_000
_SAME_EVERYWHERE = re.compile(r"now(-.*)?|.*[0-9](Z|[+-][0-9]{2}:[0-9]{2})", re.IGNORECASE)
_EXACT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]+([Zz]|[+-][0-9]{2}:[0-9]{2})")


@dataclass(frozen=True, slots=True)
class Between:
    """``from`` and ``to`` as the form has them, with words for them; ``problem``: one of them is no time.

    Times in them that name no zone are of the zone that is shown.
    """

    since: str
    until: str
    words: str = TIMES_ANY
    problem: str = ""


def between(since: str, until: str, now_ns: int, written: str, shown: str) -> Between:
    """What an address asks for whose times are of the zone ``written``, for somebody who is shown ``shown``.

    ``written`` and ``shown`` are names of zones. What means another time in the other zone gets one that does not.
    """
    since, until = since.strip(), until.strip()
    try:
        zone = zone_named(written)
        low = moment(since, "from", now_ns, zone) if since else None
        end = moment(until, "to", now_ns, zone) if until else None
    except Refused as error:
        return Between(since, until, problem=str(error))
    if written != shown:
        since = since if low is None or _SAME_EVERYWHERE.fullmatch(since) else _exactly(low.low)
        until = until if end is None or _SAME_EVERYWHERE.fullmatch(until) else _exactly(end.end - _SECOND_NS)
    words = _words(since, until, zone_named(shown))
    if low is not None and end is not None and low.low >= end.end:
        return Between(since, until, words, "The time begins behind its end: exchange them.")
    return Between(since, until, words)


def _exactly(ns: int) -> str:
    """``2026-11-23T08:00:00Z``, which means the whole second."""
    return f"{datetime.fromtimestamp(ns // _SECOND_NS, UTC):%Y-%m-%dT%H:%M:%S}Z"


def _words(since: str, until: str, zone: tzinfo) -> str:
    """``Last 24 hours``, ``Since 08:15``, ``2026-11-23 08:00 – 09:00``."""
    known = dict(TIMES).get(since)
    if known and not until:
        return known
    since, until = _short(since, zone), _short(until, zone)
    if since and until:
        same_day = since[:10] == until[:10] and " " in since and " " in until
        return f"{since} – {until[11:] if same_day else until}"
    if since:
        return f"Since {since}"
    return f"Until {until}" if until else TIMES_ANY


def _short(text: str, zone: tzinfo) -> str:
    """A time of the address for people: ``2026-11-23T08:00:00Z`` is ``2026-11-23 08:00``, or what it is in the zone."""
    if not _EXACT.fullmatch(text):
        return text
    try:
        at = datetime.fromisoformat(text.upper().replace(" ", "T").replace("Z", "+00:00"))
        here = at.astimezone(UTC).astimezone(zone)
    except (ValueError, OverflowError):
        return text
    return f"{here:%Y-%m-%d %H:%M:%S}".removesuffix(":00")
