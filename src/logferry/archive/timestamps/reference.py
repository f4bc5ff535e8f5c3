"""Times of lines, told slowly and readably: what the kernel must equal.

A line's time is the first timestamp that begins in its first ``REACH`` bytes. In a line of JSON, one that stands behind
a known key is preferred, as far as ``JSON_REACH``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from logferry.archive.timestamps.formats import FORMATS, KEYS, PRIORITY, RELATIVE, WEEKDAY, Format, Place
from logferry.archive.timestamps.orders import PREFERRED, Evidence, Shape, date_of
from logferry.archive.timestamps.reading import (
    DAY_S,
    FIRST_S,
    NO_TIME,
    SECOND_NS,
    YEARLESS_AHEAD_S,
    Reading,
)

REACH = 200
JSON_REACH = 1024
YEARS_BACK = 8
"""A date without year is at most so old; 29 February may have to look as far."""

_BOM = b"\xef\xbb\xbf"
# A timestamp does not begin inside a word, a number, a path or a version. The end of a terminal's colour is no letter.
_INSIDE = re.compile(rb"[0-9A-Za-z_.+\-/\\$%&~^]\Z")
_COLOUR = re.compile(rb"\x1b\[[0-9;]{0,16}m\Z")
_WEEKDAY = re.compile(WEEKDAY.encode())
_KEY = re.compile(rb"(?:^|[^0-9A-Za-z_@.-])(?i:" + b"|".join(map(re.escape, KEYS)) + rb')(?:"?[ \t]?[:=][ \t]?"?|\()\Z')
_START = re.compile(rb'[ \t\["(]*\Z')
_MONTHS = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_KEY_REACH = 40


@dataclass(frozen=True, slots=True)
class Stamp:
    """A timestamp at ``line[start:end]``. ``time_ns`` is None while its order is not known."""

    start: int
    end: int
    time_ns: int | None
    shape: Shape | None = None
    match: re.Match[bytes] | None = None


def times_of(lines: Sequence[bytes], reading: Reading, evidence: Evidence) -> list[tuple[int, int, int]]:
    """Time, start and end of the timestamp of each line of a file, ``(NO_TIME, 0, 0)`` where there is none.

    ``evidence`` is what earlier lines of the same file told; it is added to.
    """
    stamps = [stamp_of(line, reading) for line in lines]
    for stamp in stamps:
        if stamp is not None and stamp.shape is not None and stamp.match is not None:
            dates = {order: date_of(_numbers(stamp.match), order) for order in PREFERRED[stamp.shape]}
            possible = {order: date for order, date in dates.items() if _time(stamp.match, date, reading) is not None}
            latest = max(_whole_year(date[0], 2) for date in possible.values())
            for order, date in possible.items():
                evidence.counts[stamp.shape, order] += (
                    stamp.shape is not Shape.PAIRS or _whole_year(date[0], 2) == latest
                )
    return [_settled(stamp, reading, evidence) for stamp in stamps]


def _settled(stamp: Stamp | None, reading: Reading, evidence: Evidence) -> tuple[int, int, int]:
    if stamp is None:
        return NO_TIME, 0, 0
    time_ns = stamp.time_ns
    if stamp.shape is not None and stamp.match is not None:
        time_ns = _time(stamp.match, date_of(_numbers(stamp.match), evidence.order(stamp.shape)), reading)
    return (NO_TIME, 0, 0) if time_ns is None else (time_ns, stamp.start, stamp.end)


def stamp_of(line: bytes, reading: Reading) -> Stamp | None:
    """The timestamp of a line."""
    begin = len(_BOM) if line.startswith(_BOM) else 0
    if priority := PRIORITY.match(line, begin):
        begin = priority.end()
    if RELATIVE.match(line, begin):
        return None
    if line[begin:].lstrip(b" \t").startswith(b"{"):
        for at in _places(line, begin, JSON_REACH):
            if _KEY.search(line[max(begin, at - _KEY_REACH) : at]) and (found := _at(line, begin, at, reading)):
                return found
    return next((found for at in _places(line, begin, REACH) if (found := _at(line, begin, at, reading))), None)


def _places(line: bytes, begin: int, reach: int) -> Iterator[int]:
    for at in range(begin, min(len(line), reach)):
        before = line[max(begin, at - 20) : at]
        if not _INSIDE.search(before) or _COLOUR.search(before):
            yield at


def _at(line: bytes, begin: int, at: int, reading: Reading) -> Stamp | None:
    weekday = _WEEKDAY.match(line, at)
    first = weekday.end() if weekday else at
    for form in FORMATS:
        match = form.pattern.match(line, first)
        if match is None or not _in_place(form, line, begin, first):
            continue
        shape = _shape(match)
        if shape is None:
            time_ns = _time(match, _date(match), reading)
            if time_ns is not None:
                return Stamp(at, match.end(), time_ns)
        elif any(_time(match, date_of(_numbers(match), order), reading) is not None for order in PREFERRED[shape]):
            return Stamp(at, match.end(), None, shape, match)
    return None


def _in_place(form: Format, line: bytes, begin: int, at: int) -> bool:
    if form.place is Place.ANYWHERE or _START.match(line[begin:at]):
        return True
    return form.place is Place.MARKED and _KEY.search(line[max(begin, at - _KEY_REACH) : at]) is not None


def _shape(match: re.Match[bytes]) -> Shape | None:
    groups = match.groupdict()
    if "a" not in groups:
        return None
    if len(groups["c"]) == 2:
        return Shape.PAIRS
    return Shape.SLASHES if groups["sep"] == b"/" else Shape.DASHES


def _numbers(match: re.Match[bytes]) -> tuple[int, int, int]:
    a, b, c = match.group("a", "b", "c")
    return int(a), int(b), int(c)


def _date(match: re.Match[bytes]) -> tuple[int | None, int, int]:
    groups = match.groupdict()
    if "epoch" in groups:
        return 1970, 1, 1
    month = groups["m"]
    number = int(month) if month.isdigit() else _MONTHS.index(month.lower()) + 1
    year = groups.get("y")
    return None if year is None else _whole_year(int(year), len(year)), number, int(groups["d"])


def _whole_year(year: int, digits: int = 4) -> int:
    return year if digits == 4 else year + (1900 if year >= 90 else 2000)


def _time(match: re.Match[bytes], date: tuple[int | None, int, int], reading: Reading) -> int | None:
    """Nanoseconds since 1970, None if there is no such time or it is not plausible."""
    groups = match.groupdict()
    if "epoch" in groups:
        return _plausible(int(groups["epoch"]), _nanoseconds(groups["f"] or groups["more"]), reading)
    clock = _clock(groups)
    if clock is None:
        return None
    year, month, day = date
    part, offset = _nanoseconds(groups.get("f")), _zone(groups.get("z"))
    if year is not None:
        if groups.get("a") is not None and len(groups["c"]) == 2:
            year = _whole_year(year, 2)
        days = _days(year, month, day)
        return None if days is None else _plausible(_utc(days * DAY_S + clock, offset, reading), part, reading)
    latest = reading.arrival_ns + YEARLESS_AHEAD_S * SECOND_NS
    for guess in range(reading.arrival_year + 1, reading.arrival_year - YEARS_BACK, -1):
        days = _days(guess, month, day)
        if days is not None and (seconds := _utc(days * DAY_S + clock, offset, reading)) * SECOND_NS + part <= latest:
            return _plausible(seconds, part, reading)
    return None


def _clock(groups: dict[str, bytes]) -> int | None:
    hour, minute, second = int(groups["H"]), int(groups["M"]), int(groups.get("S") or 0)
    # A leap second is the first one of the next minute, as for POSIX.
    if hour > 23 or minute > 59 or second > (60 if minute == 59 else 59):
        return None
    if meridiem := groups.get("p"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if meridiem in b"Pp" else 0)
    return hour * 3600 + minute * 60 + second


def _nanoseconds(fraction: bytes | None) -> int:
    return int(fraction.lstrip(b".,:").ljust(9, b"0")) if fraction else 0


def _zone(text: bytes | None) -> int | None:
    """Seconds east of UTC; None: the zone of the file."""
    if text is None:
        return None
    text = text.strip().replace(b":", b"")
    if text[:1] not in b"+-":
        return 0
    seconds = int(text[1:3]) * 3600 + int(text[3:] or 0) * 60
    return -seconds if text[:1] == b"-" else seconds


def _utc(local_s: int, offset: int | None, reading: Reading) -> int:
    return local_s - (reading.zone.offset_s(local_s) if offset is None else offset)


def _plausible(seconds: int, nanoseconds: int, reading: Reading) -> int | None:
    time_ns = seconds * SECOND_NS + nanoseconds
    return time_ns if FIRST_S * SECOND_NS <= time_ns <= reading.last_ns else None


def _days(year: int, month: int, day: int) -> int | None:
    """Days since 1970; None if there is no such date."""
    if not 1 <= month <= 12:
        return None
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= day <= _DAYS[month - 1] + (month == 2 and leap):
        return None
    # Years that begin in March, so that the odd day comes last.
    shifted = year - (month <= 2)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + of_year - 719_468
