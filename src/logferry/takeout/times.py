"""The time that a line tells, where nothing has to be guessed: ISO 8601 and the common log format.

A time without a zone is in that of its file; where the clock changes, as the archive's own times are told: a skipped
time with the offset before the change, one that is shown twice as the first of both. Dates without a year are no times.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

_WITHIN_BYTES = 256
"""How far into a line its time may begin: behind an address, a level, a name."""
_ISO = re.compile(
    rb"(?<![0-9])([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.,]([0-9]{1,9}))?"
    rb"(?: ?(Z|[+-][0-9]{2}:?[0-9]{2})(?![0-9:]))?"
)
_CLF = re.compile(rb"\[([0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}):([0-9]{2}:[0-9]{2}:[0-9]{2}) ([+-][0-9]{4})\]")
_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_of(line: bytes, zone: tzinfo = UTC) -> int | None:
    """The first time in a line, in nanoseconds since 1970 (UTC); None where there is none, or no such date.

    Args:
        zone: of a time that names none.
    """
    found = _ISO.search(line, 0, _WITHIN_BYTES)
    if found:
        second = _iso_second(found[1], found[2], _zone(found[4]) if found[4] else zone)
        fraction = found[3] or b""
        return None if second is None else second * 10**9 + int(fraction.ljust(9, b"0"))
    found = _CLF.search(line, 0, _WITHIN_BYTES)
    if found:
        day, month, year = found[1].split(b"/")
        second = _second(int(year), _MONTHS.get(month, 0), int(day), found[2], _zone(found[3]))
        return None if second is None else second * 10**9
    return None


@lru_cache(maxsize=4096)  # lines of the same second follow each other
def _iso_second(date: bytes, clock: bytes, zone: tzinfo | None) -> int | None:
    year, month, day = date.split(b"-")
    return _second(int(year), int(month), int(day), clock, zone)


@lru_cache(maxsize=4096)
def _second(year: int, month: int, day: int, clock: bytes, zone: tzinfo | None) -> int | None:
    if zone is None:
        return None
    hour, minute, second = (int(part) for part in clock.split(b":"))
    try:
        # A leap second is the last second of its minute here.
        # In UTC, as it is written: a zone may lead out of the years there are.
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):  # the 31st of June, the last hour of the year 9999
        return None
    return (moment - _EPOCH) // timedelta(seconds=1)


@lru_cache(maxsize=64)
def _zone(text: bytes) -> timezone | None:
    """None: there is no such one."""
    if text == b"Z":
        return UTC
    digits = text[1:].replace(b":", b"")
    away = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    try:
        return timezone(-away if text[:1] == b"-" else away)
    except ValueError:
        return None
