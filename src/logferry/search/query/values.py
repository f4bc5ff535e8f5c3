"""What the values of ordered fields mean: sizes, levels and times. Pure: the present moment is a parameter.

A time value is a span: ``2026-11-23`` is the whole day, ``T08:15`` the whole minute. Times are of the zone that is
given, by default UTC; one that a clock shows twice means both, one that it skips what lies around.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from logferry.errors import BadConfig, BadQuery
from logferry.search.query.nodes import Filter, Literal, Value
from logferry.settings import size_bytes

LEVELS = ("trace", "debug", "info", "notice", "warn", "error", "critical")
_ALIASES = {
    "trc": "trace", "trce": "trace", "finest": "trace", "finer": "trace", "verbose": "trace", "vrb": "trace",
    "v": "trace", "t": "trace",
    "dbg": "debug", "dbug": "debug", "fine": "debug", "d": "debug",
    "information": "info", "informational": "info", "inf": "info", "i": "info",
    "note": "notice", "n": "notice",
    "warning": "warn", "wrn": "warn", "w": "warn",
    "err": "error", "severe": "error", "e": "error", "failure": "error", "fail": "error",
    "crit": "critical", "fatal": "critical", "ftl": "critical", "alert": "critical", "emerg": "critical",
    "emergency": "critical", "panic": "critical", "f": "critical", "c": "critical",
}  # fmt: skip
LEVEL_RANKS = {name: rank for rank, name in enumerate(LEVELS)} | {a: LEVELS.index(n) for a, n in _ALIASES.items()}

_NS = 1_000_000_000
_STAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2})(?:[Tt]([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?)?)?)?[Zz]?"
)
_CLOCK = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?")
_AGO = re.compile(r"now-([0-9]{1,9})([smhdw])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of numbers: ``low <= x < end`` (nanoseconds since 1970, bytes, or level ranks)."""

    low: int
    end: int


def span(name: str, value: Value, now_ns: int, column: int, zone: tzinfo = UTC) -> Span:
    """What ``value`` means in the ordered field ``name``; ``zone`` is that of times which name none.

    Raises:
        BadQuery: it is no size, time or level; with the field's column.
    """
    if not isinstance(value, Literal):
        raise BadQuery(f"{name}: takes no wildcards or regular expressions", column=column, hint=_EXAMPLES[name])
    if name == "size":
        return _size(value.text, column)
    if name == "level":
        return _level(value.text, column)
    return _time(name, value.text, now_ns, column, zone)


def bounds(wanted: Filter, now_ns: int) -> tuple[int | None, int | None]:
    """What an ordered filter lets through: ``low <= x < end``, None where there is no bound.

    Raises:
        BadQuery: a value is no size, time or level.
    """

    def of(value: Value | None) -> tuple[int | None, int | None]:
        if value is None:
            return None, None
        found = span(wanted.name, value, now_ns, wanted.column)
        return found.low, found.end

    low, end = of(wanted.value)
    if wanted.comparison == "..":
        end = of(wanted.high)[1]
    elif wanted.comparison == ">=":
        end = None
    elif wanted.comparison == ">":
        low, end = end, None
    elif wanted.comparison == "<":
        low, end = None, low
    elif wanted.comparison == "<=":
        low = None
    return low, end


def time_text(ns: int) -> str:
    """A time (nanoseconds since 1970) as a value of the query language that means this very nanosecond.

    Raises:
        BadQuery: it is before 1970 or behind the year 9999.
    """
    if not 0 <= ns < _LAST_S * _NS:
        raise BadQuery("that time is before 1970 or behind the year 9999", hint=_TIME_EXAMPLE)
    whole = datetime.fromtimestamp(ns // _NS, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ns % _NS:09d}Z"


_LAST_S = 253_402_300_800
TIMES_END_NS = _LAST_S * _NS
"""Times of the language lie before this: the end of the year 9999, in nanoseconds since 1970."""
_TIME_EXAMPLE = "write 2026-11-23, 2026-11-23T08:15, 08:15, now-15m, today or yesterday"
_EXAMPLES = {
    "size": "write for example 10k, 2MB or 1GiB",
    "level": f"one of {', '.join(LEVELS)}",
    "time": _TIME_EXAMPLE,
    "modified": _TIME_EXAMPLE,
    "received": _TIME_EXAMPLE,
}


def _size(text: str, column: int) -> Span:
    try:
        count = size_bytes(text) if text.isascii() and len(text) <= 32 else -1
    except BadConfig:
        count = -1
    if count < 0:
        raise BadQuery(f"{text[:40]!r} is not a size", column=column, hint=_EXAMPLES["size"])
    return Span(count, count + 1)


def _level(text: str, column: int) -> Span:
    rank = LEVEL_RANKS.get(text.lower())
    if rank is None:
        raise BadQuery(f"{text[:40]!r} is not a level", column=column, hint=_EXAMPLES["level"])
    return Span(rank, rank + 1)


def _time(name: str, text: str, now_ns: int, column: int, zone: tzinfo) -> Span:
    found = _relative(text, now_ns, zone) or _clock(text, now_ns, zone) or _stamp(text, zone)
    if found is None:
        raise BadQuery(f"{text[:40]!r} is not a time", column=column, hint=_EXAMPLES[name])
    return found


def _relative(text: str, now_ns: int, zone: tzinfo) -> Span | None:
    if text == "now":
        return Span(now_ns, now_ns + 1)
    if text in ("today", "yesterday"):
        day = datetime.fromtimestamp(now_ns // _NS, zone).date() - timedelta(days=text == "yesterday")
        return _part((day.year, day.month, day.day), zone)
    ago = _AGO.fullmatch(text)
    if ago is None:
        return None
    low = now_ns - int(ago[1]) * _UNIT_S[ago[2]] * _NS
    return Span(low, low + 1)


def _clock(text: str, now_ns: int, zone: tzinfo) -> Span | None:
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    today = datetime.fromtimestamp(now_ns // _NS, zone)
    clock = [int(part) for part in found.groups() if part]
    return _part((today.year, today.month, today.day, *clock), zone)


def _stamp(text: str, zone: tzinfo) -> Span | None:
    found = _STAMP.fullmatch(text)
    if found is None:
        return None
    *parts, fraction = found.groups()
    named = [int(part) for part in parts if part]
    whole = _part(tuple(named), UTC if text[-1] in "Zz" else zone)
    if whole is None or not fraction:
        return whole
    low, length = whole.low + int(fraction.ljust(9, "0")), 10 ** (9 - len(fraction))
    return Span(low, low + length)


_LENGTHS_S = (86_400, 3600, 60, 1)
"""Of what is named last, from the day on."""
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local time of whatever zone


def _part(named: tuple[int, ...], zone: tzinfo) -> Span | None:
    """The span of the finest part given, from year and month on; None if there is no such day or time."""
    year, month, *finer = named
    try:
        start = datetime(year, month, *(finer or (1,)))  # noqa: DTZ001 - the zone comes below
        length_s = _LENGTHS_S[len(finer) - 1] if finer else 86_400 * calendar.monthrange(year, month)[1]
    except (ValueError, calendar.IllegalMonthError):
        return None
    local_s = (start - _EPOCH) // timedelta(seconds=1)
    return Span(min(_utc_s(local_s, zone)) * _NS, max(_utc_s(local_s + length_s, zone)) * _NS)


def _utc_s(local_s: int, zone: tzinfo) -> list[int]:
    """Seconds since 1970 of a local time: two where clocks show it twice, or skip it."""
    local = _EPOCH + timedelta(seconds=min(local_s, _LAST_S - 1))  # no date is behind the year 9999
    offsets = (local.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return [local_s - offset // timedelta(seconds=1) for offset in offsets]
