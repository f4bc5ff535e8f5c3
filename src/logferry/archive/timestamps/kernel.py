"""The reference as one native pass over lines. Everything compiled stands in this file.

Nothing is compiled at import: numba keeps what it compiled by date and size of a function's file, and the kernel calls
nothing outside this one. The formats are those of ``formats.FORMATS``, told apart by the digits they begin with.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logferry.archive.timestamps.compiled import inlined, kernel, part

U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


NO_TIME = -(1 << 63)
REACH, JSON_REACH = 200, 1024
SECOND_NS, DAY_S, FIRST_S, YEARLESS_AHEAD_S, YEARS_BACK = 1_000_000_000, 86_400, 631_152_000, 86_400, 8
# What was read of a timestamp. SHAPE: -1, or a date of the numbers A, B, C whose order the file tells. OFFSET and
# YEAR: FILE_ZONE and NO_YEAR if there is none. EPOCH: seconds since 1970, -1 for all other formats.
YEAR, MONTH, DAY, CLOCK, PART, OFFSET, SHAPE, A, B, C, EPOCH = range(11)
READ = 11
FILE_ZONE = 1 << 40
NO_YEAR = -1
# What is known besides the lines.
LAST_NS, ARRIVAL_NS, ARRIVAL_YEAR = range(3)

_DIGIT, _WORD, _INSIDE, _LETTER, _LEAD, _KEY = 1, 2, 4, 8, 16, 32


def _classes() -> U8:
    classes = np.zeros(256, np.uint8)
    for bit, members in (
        (_DIGIT, b"0123456789"),
        (_WORD, b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"),
        (_INSIDE, b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.+-/\\$%&~^"),
        (_LETTER, b"ADEFIJMNOSTWadfjmnostw"),  # of names of months and weekdays, and of klog's levels
        (_LEAD, b' \t["('),
        (_KEY, b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_@.-"),
    ):
        for member in members:
            classes[member] |= bit
    return classes


_CLASS = _classes()
_DAYS = np.array((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), np.int64)
_TENS = np.array([10**n for n in range(10)], np.int64)
# Orders of a date's numbers, the preferred one first, by shape; -1: no more.
_ORDERS = np.array(((1, 2, -1), (2, 1, -1), (0, 1, 2)), np.int64)


@inlined
def _peek(data: U8, at: int, end: int) -> int:
    """A byte; behind the end it is 0, which no format has."""
    return np.int64(data[at]) if at < end else np.int64(0)


@inlined
def _is(data: U8, at: int, end: int, bits: int) -> bool:
    return at < end and (_CLASS[data[at]] & bits) != 0


@inlined
def _digits(data: U8, at: int, end: int) -> int:
    """How many digits there are; more than 20 are not counted."""
    stop = min(end, at + 21)
    here = at
    while here < stop and 48 <= data[here] <= 57:
        here += 1
    return here - at


@inlined
def _number(data: U8, at: int, count: int) -> int:
    value = np.int64(0)
    for i in range(at, at + count):
        value = value * 10 + (np.int64(data[i]) - 48)
    return value


@inlined
def _two(data: U8, at: int, end: int) -> int:
    """A number of two digits, -1 if there is none."""
    if at + 1 < end and 48 <= data[at] <= 57 and 48 <= data[at + 1] <= 57:
        return (np.int64(data[at]) - 48) * 10 + (np.int64(data[at + 1]) - 48)
    return np.int64(-1)


@part
def _name(data: U8, at: int, end: int) -> int:
    """Of three letters: a month is 1 to 12, a weekday 13, everything else 0."""
    if at + 2 >= end:
        return np.int64(0)
    first, second, third = data[at] | 32, data[at + 1] | 32, data[at + 2] | 32
    name = (np.int64(first) << 16) | (np.int64(second) << 8) | np.int64(third)
    if first == 106:  # j
        return 1 if name == 0x6A616E else 6 if name == 0x6A756E else 7 if name == 0x6A756C else 0
    if first == 109:  # m
        return 3 if name == 0x6D6172 else 5 if name == 0x6D6179 else 13 if name == 0x6D6F6E else 0
    if first == 97:  # a
        return 4 if name == 0x617072 else 8 if name == 0x617567 else 0
    if first == 115:  # s
        return 9 if name == 0x736570 else 13 if name == 0x736174 or name == 0x73756E else 0
    if first == 102:  # f
        return 2 if name == 0x666562 else 13 if name == 0x667269 else 0
    if first == 116:  # t
        return 13 if name == 0x747565 or name == 0x746875 else 0
    if name == 0x6F6374:
        return 10
    if name == 0x6E6F76:
        return 11
    if name == 0x646563:
        return 12
    return 13 if name == 0x776564 else 0


@inlined
def _separator(data: U8, at: int, end: int) -> int:
    """Behind what may stand between date and time, -1 if nothing does."""
    here = _peek(data, at, end)
    if here == 32 or here == 84 or here == 116 or here == 58 or here == 9 or here == 45:
        return at + 1
    if here == 44:
        return at + 2 if _peek(data, at + 1, end) == 32 else at + 1
    return -1


@inlined
def _fraction(data: U8, at: int, end: int, read: I64) -> int:
    """Behind the fraction of a second, if there is one."""
    mark = _peek(data, at, end)
    if mark != 46 and mark != 44 and mark != 58:
        return at
    count = _digits(data, at + 1, end)
    if count == 0 or count > 9 or (mark == 44 and count % 3 != 0) or (mark == 58 and count != 3):
        return at
    read[PART] = _number(data, at + 1, count) * _TENS[9 - count]
    return at + 1 + count


@inlined
def _seconds_of(hour: int, minute: int, second: int) -> int:
    if hour > 23 or minute > 59 or second > (60 if minute == 59 else 59):
        return -1
    return hour * 3600 + minute * 60 + second


@inlined
def _clock(data: U8, at: int, end: int, short: bool, read: I64) -> int:
    """Behind hours, minutes, seconds (which may be missing if ``short``), fraction, AM or PM; -1 if that is no time."""
    count = _digits(data, at, end)
    if count < 1 or count > 2 or _peek(data, at + count, end) != 58:
        return -1
    hour = _number(data, at, count)
    at += count + 1
    minute = _two(data, at, end)
    if minute < 0:
        return -1
    at += 2
    read[PART] = 0
    second = _two(data, at + 1, end) if _peek(data, at, end) == 58 else np.int64(-1)
    if second >= 0:
        at = _fraction(data, at + 3, end, read)
    elif short:
        second = np.int64(0)
    else:
        return -1
    clock = _seconds_of(hour, minute, second)
    if clock < 0:
        return -1
    behind = at + 1 if _peek(data, at, end) == 32 else at
    half = _peek(data, behind, end) | 32
    if (
        (half == 97 or half == 112)
        and _peek(data, behind + 1, end) | 32 == 109
        and not _is(data, behind + 2, end, _WORD)
    ):
        if hour < 1 or hour > 12:
            return -1
        if half == 112 and hour != 12:
            clock += 43_200
        elif half == 97 and hour == 12:
            clock -= 43_200
        at = behind + 2
    read[CLOCK] = clock
    return at


@inlined
def _zone(data: U8, at: int, end: int, read: I64) -> int:
    """Behind the zone, if there is one."""
    read[OFFSET] = FILE_ZONE
    here = _peek(data, at, end)
    if here | 32 == 122:
        if not _is(data, at + 1, end, _WORD):
            read[OFFSET] = 0
            return at + 1
        return at
    first = at + 1 if here == 32 else at
    sign = _peek(data, first, end)
    if sign == 43 or sign == 45:
        hours = _two(data, first + 1, end)
        if hours < 0 or hours > 15:
            return at
        colon = 1 if _peek(data, first + 3, end) == 58 else 0
        minutes = _two(data, first + 3 + colon, end)
        behind = first + 5 + colon
        if minutes < 0 or minutes > 59 or _is(data, behind, end, _WORD):
            if first != at or _is(data, first + 3, end, _WORD):
                return at
            minutes, behind = np.int64(0), first + 3
        offset = hours * 3600 + minutes * 60
        read[OFFSET] = offset if sign == 43 else -offset
        return behind
    if sign == 85 or sign == 71:
        second, third = _peek(data, first + 1, end), _peek(data, first + 2, end)
        if (sign == 85 and second == 84 and third == 67) or (sign == 71 and second == 77 and third == 84):
            behind = _peek(data, first + 3, end)
            if not _is(data, first + 3, end, _WORD) and behind != 43 and behind != 45:
                read[OFFSET] = 0
                return first + 3
    return at


@part
def _year_behind(data: U8, at: int, end: int, read: I64) -> int:
    """Behind the year that stands behind a time, if one does."""
    here = at
    if _peek(data, here, end) == 32:
        count = 0
        while count < 4 and 65 <= _peek(data, here + 1 + count, end) <= 90:
            count += 1
        if count >= 3:
            here += 1 + count
    if _peek(data, here, end) != 32 or _digits(data, here + 1, end) != 4 or _is(data, here + 5, end, _WORD):
        return at
    year = _number(data, here + 1, 4)
    if year < 1990 or year > 2099:
        return at
    read[YEAR] = year
    return here + 5


@part
def _clock_and_zone(data: U8, at: int, end: int, short: bool, read: I64) -> int:
    behind = _clock(data, at, end, short, read)
    return _zone(data, behind, end, read) if behind >= 0 else -1


@part
def _after_separator(data: U8, at: int, end: int, short: bool, read: I64) -> int:
    behind = _separator(data, at, end)
    return _clock_and_zone(data, behind, end, short, read) if behind >= 0 else -1


@inlined
def _date(read: I64, year: int, month: int, day: int) -> None:
    read[YEAR], read[MONTH], read[DAY] = year, month, day


@part
def _whole_year(year: int) -> int:
    return year + (1900 if year >= 90 else 2000)


@inlined
def _year_first(data: U8, at: int, end: int, read: I64) -> int:
    mark = _peek(data, at + 4, end)
    month, day = _two(data, at + 5, end), _two(data, at + 8, end)
    if (mark != 45 and mark != 47 and mark != 46) or month < 0 or day < 0 or _peek(data, at + 7, end) != mark:
        return -1
    _date(read, _number(data, at, 4), month, day)
    return _after_separator(data, at + 10, end, True, read)


@part
def _eight_digits(data: U8, at: int, end: int, read: I64) -> int:
    _date(read, _number(data, at, 4), _number(data, at + 4, 2), _number(data, at + 6, 2))
    mark = _peek(data, at + 8, end)
    if mark == 84 and _digits(data, at + 9, end) == 6:
        read[PART] = 0
        read[CLOCK] = _seconds_of(_number(data, at + 9, 2), _number(data, at + 11, 2), _number(data, at + 13, 2))
        return _zone(data, _fraction(data, at + 15, end, read), end, read) if read[CLOCK] >= 0 else -1
    if mark == 84 or mark == 32 or mark == 45:
        return _clock_and_zone(data, at + 9, end, False, read)
    return -1


@part
def _six_digits(data: U8, at: int, end: int, read: I64) -> int:
    if _peek(data, at + 6, end) != 32:
        return -1
    _date(read, _whole_year(_number(data, at, 2)), _number(data, at + 2, 2), _number(data, at + 4, 2))
    read[OFFSET] = FILE_ZONE
    if _digits(data, at + 7, end) == 6:
        read[PART] = 0
        read[CLOCK] = _seconds_of(_number(data, at + 7, 2), _number(data, at + 9, 2), _number(data, at + 11, 2))
        return at + 13 if read[CLOCK] >= 0 else -1
    return _clock(data, at + 8 if _peek(data, at + 7, end) == 32 else at + 7, end, False, read)


@inlined
def _named_month(data: U8, at: int, end: int, count: int, mark: int, read: I64) -> int:
    """A day of ``count`` digits, then the name of a month."""
    here = at + count + 1
    month = _name(data, here, end)
    if month < 1 or month > 12 or _peek(data, here + 3, end) != mark:
        return -1
    here += 4
    if _digits(data, here, end) == 4:
        _date(read, _number(data, here, 4), month, _number(data, at, count))
        return _after_separator(data, here + 4, end, False, read)
    if mark != 32:
        return -1
    _date(read, NO_YEAR, month, _number(data, at, count))
    return _clock_and_zone(data, here, end, False, read)


@part
def _short_number(data: U8, at: int, end: int, count: int, read: I64) -> int:
    """What begins with one or two digits."""
    mark = _peek(data, at + count, end)
    if mark != 47 and mark != 45 and mark != 46 and mark != 32:
        return -1
    second = _digits(data, at + count + 1, end)
    if second == 0:
        return _named_month(data, at, end, count, mark, read) if mark != 46 else -1
    if second > 2 or mark == 32:
        return -1
    here = at + count + 1 + second
    a, b = _number(data, at, count), _number(data, at + count + 1, second)
    if _peek(data, here, end) != mark:
        if mark != 45 or count != 2 or second != 2 or _peek(data, here, end) != 32:
            return -1
        _date(read, NO_YEAR, a, b)
        return _clock_and_zone(data, here + 1, end, False, read)
    third = _digits(data, here + 1, end)
    if third == 4 and mark == 46:
        _date(read, _number(data, here + 1, 4), b, a)
        return _after_separator(data, here + 5, end, True, read)
    if mark == 46 or not (third == 4 or (mark == 47 and count == 2 and second == 2 and third == 2)):
        return -1
    read[SHAPE] = 2 if third == 2 else 0 if mark == 47 else 1
    read[A], read[B], read[C] = a, b, _number(data, here + 1, third)
    return _after_separator(data, here + 1 + third, end, third == 4, read)


@part
def _month_first(data: U8, at: int, end: int, month: int, read: I64) -> int:
    here = at + 3
    if _peek(data, here, end) != 32:
        return -1
    here += 2 if _peek(data, here + 1, end) == 32 else 1
    count = _digits(data, here, end)
    if count < 1 or count > 2:
        return -1
    _date(read, NO_YEAR, month, _number(data, here, count))
    here += count
    if _peek(data, here, end) == 44:
        here += 1
    if _peek(data, here, end) != 32:
        return -1
    here += 1
    if _digits(data, here, end) == 4:
        read[YEAR] = _number(data, here, 4)
        here += 4
        if _peek(data, here, end) == 44:
            here += 1
        return _clock_and_zone(data, here + 1, end, False, read) if _peek(data, here, end) == 32 else -1
    behind = _clock_and_zone(data, here, end, False, read)
    return _year_behind(data, behind, end, read) if behind >= 0 else -1


@part
def _klog(data: U8, at: int, end: int, read: I64) -> int:
    level = data[at]
    if (level != 68 and level != 69 and level != 70 and level != 73 and level != 87) or _digits(data, at + 1, end) != 4:
        return -1
    hour, minute, second = _two(data, at + 6, end), _two(data, at + 9, end), _two(data, at + 12, end)
    if _peek(data, at + 5, end) != 32 or hour < 0 or minute < 0 or second < 0 or _peek(data, at + 8, end) != 58:
        return -1
    if _peek(data, at + 11, end) != 58 or _peek(data, at + 14, end) != 46:
        return -1
    _date(read, NO_YEAR, _number(data, at + 1, 2), _number(data, at + 3, 2))
    read[CLOCK], read[OFFSET] = _seconds_of(hour, minute, second), FILE_ZONE
    behind = _fraction(data, at + 14, end, read)
    return behind if behind > at + 14 and read[CLOCK] >= 0 else -1


@part
def _epoch(data: U8, at: int, end: int, count: int, read: I64) -> int:
    read[EPOCH], read[PART] = _number(data, at, 10), 0
    behind = at + count
    if count > 10:
        read[PART] = _number(data, at + 10, count - 10) * _TENS[19 - count]
    elif _peek(data, behind, end) == 46:
        behind = _fraction(data, behind, end, read)
    after = _peek(data, behind, end)
    return -1 if after == 45 or (after == 46 and _is(data, behind + 1, end, _DIGIT)) else behind


@part
def _marked(data: U8, begin: int, at: int, keys: U8, key_ends: I64) -> bool:
    """Whether a known key stands before."""
    here = at - 1
    if here < begin:
        return False
    if data[here] == 40:
        here -= 1
    else:
        if data[here] == 34:
            here -= 1
        if here >= begin and (data[here] == 32 or data[here] == 9):
            here -= 1
        if here < begin or (data[here] != 58 and data[here] != 61):
            return False
        here -= 1
        if here >= begin and (data[here] == 32 or data[here] == 9):
            here -= 1
        if here >= begin and data[here] == 34:
            here -= 1
    last = here
    while here >= begin and last - here <= 32 and (_CLASS[data[here]] & _KEY) != 0:
        here -= 1
    length = last - here
    first = np.int64(0)
    for key in range(len(key_ends)):
        if key_ends[key] - first == length:
            same = True
            for i in range(length):
                byte = data[here + 1 + i]
                if (byte + 32 if 65 <= byte <= 90 else byte) != keys[first + i]:
                    same = False
                    break
            if same:
                return True
        first = key_ends[key]
    return False


@inlined
def _offset_at(local_s: int, breaks_s: I64, offsets_s: I64) -> int:
    low, high = 0, len(breaks_s)
    while low < high:
        middle = (low + high) >> 1
        if breaks_s[middle] <= local_s:
            low = middle + 1
        else:
            high = middle
    return offsets_s[low]


@inlined
def _plausible(seconds: int, part: int, known: I64) -> int:
    if seconds < FIRST_S or seconds > 9_000_000_000:
        return NO_TIME
    time = seconds * SECOND_NS + part
    return time if time <= known[LAST_NS] else NO_TIME


@inlined
def _seconds(year: int, month: int, day: int, read: I64, breaks_s: I64, offsets_s: I64) -> int:
    """Seconds since 1970; NO_TIME if there is no such date."""
    if month < 1 or month > 12 or day < 1:
        return NO_TIME
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if day > _DAYS[month - 1] + (1 if leap else 0):
        return NO_TIME
    shifted = year - 1 if month <= 2 else year
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + of_year - 719_468
    local = days * DAY_S + read[CLOCK]
    return local - (_offset_at(local, breaks_s, offsets_s) if read[OFFSET] == FILE_ZONE else read[OFFSET])


@part
def _time(read: I64, order: int, known: I64, breaks_s: I64, offsets_s: I64) -> int:
    """Of what was read; NO_TIME if there is no such time or it is not plausible."""
    if read[EPOCH] >= 0:
        return _plausible(read[EPOCH], read[PART], known)
    year, month, day = read[YEAR], read[MONTH], read[DAY]
    if order >= 0:
        year, month, day = read[C], read[B], read[A]
        if order == 0:
            year, day = day, year
        elif order == 1:
            month, day = day, month
        if read[SHAPE] == 2:
            year = _whole_year(year)
    elif year == NO_YEAR:
        latest = known[ARRIVAL_NS] + YEARLESS_AHEAD_S * SECOND_NS
        for back in range(-1, YEARS_BACK):
            seconds = _seconds(known[ARRIVAL_YEAR] - back, month, day, read, breaks_s, offsets_s)
            if seconds != NO_TIME and seconds * SECOND_NS + read[PART] <= latest:
                return _plausible(seconds, read[PART], known)
        return NO_TIME
    seconds = _seconds(year, month, day, read, breaks_s, offsets_s)
    return _plausible(seconds, read[PART], known) if seconds != NO_TIME else NO_TIME


@inlined
def _read_at(data: U8, begin: int, lead: int, at: int, end: int, keys: U8, key_ends: I64, read: I64) -> int:
    """Behind the timestamp that begins at ``at``, -1 if none does."""
    read[SHAPE] = read[EPOCH] = -1
    name = np.int64(0)
    if (_CLASS[data[at]] & _DIGIT) == 0:
        name = _name(data, at, end)
        if name == 13:
            here = at + 4 if _peek(data, at + 3, end) == 44 else at + 3
            if _peek(data, here, end) == 32:
                at = here + 1
                name = _name(data, at, end)
    behind = -1
    if 1 <= name <= 12:
        behind = _month_first(data, at, end, name, read)
    elif _is(data, at, end, _DIGIT):
        count = _digits(data, at, end)
        if count <= 2:
            behind = _short_number(data, at, end, count, read)
        elif count == 4:
            behind = _year_first(data, at, end, read)
        elif count == 8:
            behind = _eight_digits(data, at, end, read)
        elif count == 6:
            behind = _six_digits(data, at, end, read) if at <= lead else -1
        elif (count == 10 or count == 13 or count == 16 or count == 19) and (
            at <= lead or _marked(data, begin, at, keys, key_ends)
        ):
            behind = _epoch(data, at, end, count, read)
    elif at < end:
        behind = _klog(data, at, end, read)
    return -1 if behind >= 0 and _is(data, behind, end, _WORD) else behind


@part
def _coloured(data: U8, begin: int, at: int) -> bool:
    """Whether the m at ``at`` ends a terminal's colour."""
    here = at - 1
    while here >= begin and at - 1 - here < 16 and (48 <= data[here] <= 57 or data[here] == 59):
        here -= 1
    return here > begin and data[here] == 91 and data[here - 1] == 27


@inlined
def _times(read: I64, known: I64, breaks_s: I64, offsets_s: I64, found: I64) -> bool:
    """Whether what was read may be a time; ``found[2]`` is that, or ``found[2:5]`` the time in each order."""
    if read[SHAPE] < 0:
        found[2] = _time(read, -1, known, breaks_s, offsets_s)
        return found[2] != NO_TIME
    some = False
    for order in range(3):
        # There is no date of four digits for a year that begins with it here: those have a format of their own.
        possible = order > 0 or read[SHAPE] == 2
        found[2 + order] = _time(read, order, known, breaks_s, offsets_s) if possible else NO_TIME
        some |= found[2 + order] != NO_TIME
    return some


@inlined
def _find(
    data: U8,
    begin: int,
    lead: int,
    stop: int,
    end: int,
    marked: int,
    keys: U8,
    key_ends: I64,
    known: I64,
    breaks_s: I64,
    offsets_s: I64,
    read: I64,
    found: I64,
) -> bool:
    """Whether a timestamp begins before ``stop``; ``found``: start and end of the first one, then its times."""
    outside = True
    for at in range(begin, stop):
        of = _CLASS[data[at]]
        if outside and (of & (_DIGIT | _LETTER)) != 0 and (marked == 0 or _marked(data, begin, at, keys, key_ends)):
            behind = _read_at(data, begin, lead, at, end, keys, key_ends, read)
            if behind >= 0:
                found[0], found[1] = at, behind
                if _times(read, known, breaks_s, offsets_s, found):
                    return True
        outside = (of & _INSIDE) == 0 or (data[at] == 109 and _coloured(data, begin, at))
    return False


@inlined
def _begin(data: U8, start: int, end: int) -> int:
    """Where a line begins, behind a byte order mark and a priority."""
    begin = start
    if _peek(data, start, end) == 0xEF and _peek(data, start + 1, end) == 0xBB and _peek(data, start + 2, end) == 0xBF:
        begin += 3
    if _peek(data, begin, end) == 60:
        count = _digits(data, begin + 1, end)
        if 1 <= count <= 3 and _peek(data, begin + 1 + count, end) == 62:
            begin += count + 2
    return begin


@inlined
def _relative(data: U8, at: int, end: int) -> bool:
    """Whether a time since a machine's start stands there."""
    if _peek(data, at, end) != 91:
        return False
    at += 1
    while _peek(data, at, end) == 32:
        at += 1
    count = _digits(data, at, end)
    if count < 1 or count > 9 or _peek(data, at + count, end) != 46:
        return False
    at += count + 1
    count = _digits(data, at, end)
    return 1 <= count <= 9 and _peek(data, at + count, end) == 93


@kernel
def read_lines(
    data: U8,
    starts: I32,
    ends: I32,
    keys: U8,
    key_ends: I64,
    known: I64,
    breaks_s: I64,
    offsets_s: I64,
    evidence: I64,
    times: I64,
    stamp_starts: I32,
    stamp_ends: I32,
) -> None:
    """Times of the lines ``data[starts[i]:ends[i]]`` of one file, and where their timestamps lie in ``data``.

    ``evidence`` (shape, order) is added to. All bounds must lie inside ``data``: nothing is checked here.
    """
    read, found = np.zeros(READ, np.int64), np.zeros(5, np.int64)
    shapes, kept = np.zeros(0, np.int8), np.zeros((0, 3), np.int64)
    for line in range(len(starts)):
        start, end = np.int64(starts[line]), np.int64(ends[line])
        times[line], stamp_starts[line], stamp_ends[line] = NO_TIME, 0, 0
        begin = _begin(data, start, end)
        if _relative(data, begin, end):
            continue
        lead = begin
        while lead < end and (_CLASS[data[lead]] & _LEAD) != 0:
            lead += 1
        blank = begin
        while blank < end and (data[blank] == 32 or data[blank] == 9):
            blank += 1
        ok = False
        # JSON is searched twice: first behind known keys alone.
        for marked in range(1 if blank < end and data[blank] == 123 else 0, -1, -1):
            stop = min(end, start + (JSON_REACH if marked else REACH))
            ok = _find(data, begin, lead, stop, end, marked, keys, key_ends, known, breaks_s, offsets_s, read, found)
            if ok:
                break
        if not ok:
            continue
        stamp_starts[line], stamp_ends[line], times[line] = found[0], found[1], found[2]
        if read[SHAPE] >= 0:
            if len(shapes) == 0:
                shapes, kept = np.full(len(starts), -1, np.int8), np.zeros((len(starts), 3), np.int64)
            shapes[line] = read[SHAPE]
            year_first = _whole_year(read[A]) if found[2] != NO_TIME else 0
            year_last = _whole_year(read[C]) if found[3] != NO_TIME or found[4] != NO_TIME else 0
            for order in range(3):
                kept[line, order] = found[2 + order]
                latest = year_first >= year_last if order == 0 else year_last >= year_first
                if found[2 + order] != NO_TIME and (read[SHAPE] != 2 or latest):
                    evidence[read[SHAPE], order] += 1
    for line in range(len(shapes)):
        if shapes[line] < 0:
            continue
        best = _ORDERS[shapes[line], 0]
        for place in range(1, 3):
            order = _ORDERS[shapes[line], place]
            if order >= 0 and evidence[shapes[line], order] > evidence[shapes[line], best]:
                best = order
        times[line] = kept[line, best]
        if times[line] == NO_TIME:
            stamp_starts[line], stamp_ends[line] = 0, 0
