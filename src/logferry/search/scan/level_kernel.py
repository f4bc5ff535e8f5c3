"""Levels of lines as one native pass. Everything compiled stands in this file; docs/reference/query.md has the rules.

Nothing is compiled at import: numba keeps what it compiled by date and size of a function's file, and the kernel calls
nothing outside this one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logferry.archive.timestamps.compiled import kernel, part

U8 = npt.NDArray[np.uint8]
I8 = npt.NDArray[np.int8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


NO_LEVEL = -1
UPPER, MARKED = 1, 2
"""Where a word is a level: in capital letters; marked as one by what stands around it. Behind a key all are."""
WORD_LETTERS_MAX = 13
TAG_BYTES_MAX = 64

_WORD, _GLUE, _OPEN, _CLOSE, _KEY = 1, 2, 4, 8, 16


def _classes() -> U8:
    classes = np.zeros(256, np.uint8)
    for bit, members in (
        (_WORD, b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"),
        (_GLUE, b"./\\$%&~^+-@="),  # before a word: it is part of a path, a name or a value
        (_OPEN, b"[(<|{"),
        (_CLOSE, b"])>|}"),
        (_KEY, b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.@-"),
    ):
        for member in members:
            classes[member] |= bit
    return classes


_CLASS = _classes()
# What the eight severities of syslog are.
_SEVERITIES = np.array((6, 6, 6, 5, 4, 3, 2, 1), np.int8)


@part
def _peek(data: U8, at: int, end: int) -> int:
    """A byte; behind the end it is a line end, which no rule has."""
    return np.int64(data[at]) if at < end else np.int64(10)


@part
def _is(data: U8, at: int, end: int, bits: int) -> bool:
    return at < end and (_CLASS[data[at]] & bits) != 0


@part
def _is_letter(byte: int) -> bool:
    return 97 <= (byte | 32) <= 122


@part
def _is_digit(byte: int) -> bool:
    return 48 <= byte <= 57


@part
def _is_blank(byte: int) -> bool:
    return byte == 32 or byte == 9


@part
def _letters(data: U8, at: int, end: int) -> int:
    """Behind the run of letters at ``at``; more than a word may have are not counted."""
    stop = min(end, at + WORD_LETTERS_MAX + 1)
    while at < stop and _is_letter(data[at]):
        at += 1
    return at


@part
def _word(data: U8, at: int, end: int, codes: I64, firsts: I32) -> int:
    """The place of the word ``data[at:end]`` in the tables; -1 if it is none."""
    length = end - at
    if length < 1 or length > WORD_LETTERS_MAX or (firsts[(data[at] | 32) - 97] >> length) & 1 == 0:
        return -1
    code = np.int64(length)
    for i in range(at, end):
        code = (code << 5) | (np.int64(data[i] | 32) - 96)
    for place in range(len(codes)):
        if codes[place] == code:
            return place
    return -1


@part
def _is_coloured(data: U8, begin: int, at: int) -> bool:
    """Whether the m before ``at`` ends a terminal's colour."""
    here = at - 1
    if here < begin or data[here] != 109:
        return False
    here -= 1
    while here >= begin and at - here < 18 and (_is_digit(data[here]) or data[here] == 59):
        here -= 1
    return here > begin and data[here] == 91 and data[here - 1] == 27


@part
def _behind_colour(data: U8, at: int, end: int) -> int:
    """Behind a terminal's colour that begins at ``at``, if one does."""
    if _peek(data, at, end) != 27 or _peek(data, at + 1, end) != 91:
        return at
    here = at + 2
    while here - at < 18 and (_is_digit(_peek(data, here, end)) or _peek(data, here, end) == 59):
        here += 1
    return here + 1 if _peek(data, here, end) == 109 else at


@part
def _value(data: U8, at: int, end: int, codes: I64, ranks: I8, firsts: I32) -> int:
    """The level that stands behind a key: a word or a number, perhaps in quotes."""
    here = _peek(data, at, end)
    if here == 34 or here == 39:
        at += 1
        here = _peek(data, at, end)
    if _is_digit(here):
        behind = at + 1
        number = here - 48
        if _is_digit(_peek(data, behind, end)):
            number = number * 10 + _peek(data, behind, end) - 48
            behind += 1
        if _is(data, behind, end, _WORD) or _peek(data, behind, end) == 46:
            return NO_LEVEL
        if number < 8:
            return np.int64(_SEVERITIES[number])
        return _TENS[number // 10] if number < 70 else NO_LEVEL
    behind = _letters(data, at, end)
    if _is(data, behind, end, _WORD):
        return NO_LEVEL
    place = _word(data, at, behind, codes, firsts)
    return np.int64(ranks[place]) if place >= 0 else NO_LEVEL


# What tens are for pino and bunyan: 10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal.
_TENS = np.array((NO_LEVEL, 0, 1, 2, 4, 5, 6), np.int64)


@part
def _is_key(data: U8, at: int, end: int, keys: U8, key_ends: I64) -> bool:
    """Whether ``data[at:end]`` is one of the keys, in any case."""
    first = np.int64(0)
    for key in range(len(key_ends)):
        if key_ends[key] - first == end - at:
            same = True
            for i in range(end - at):
                byte = data[at + i]
                if (byte + 32 if 65 <= byte <= 90 else byte) != keys[first + i]:
                    same = False
                    break
            if same:
                return True
        first = key_ends[key]
    return False


@part
def _blanks(data: U8, at: int, end: int) -> int:
    while at < end and _is_blank(data[at]):
        at += 1
    return at


@part
def _json(data: U8, at: int, end: int, keys: U8, key_ends: I64, codes: I64, ranks: I8, firsts: I32) -> int:
    """The level that an object tells: by a key of its own, or of the object it holds as ``log``."""
    depth = 0
    opens_log = in_log = False
    while at < end:
        here = data[at]
        if here == 34:
            first = at + 1
            at = first
            while at < end and data[at] != 34:
                at += 2 if data[at] == 92 else 1
            last = min(at, end)
            behind = _blanks(data, last + 1, end)
            at = last + 1
            if _peek(data, behind, end) == 58:
                at = _blanks(data, behind + 1, end)
                if depth == 1 or (depth == 2 and in_log):
                    if _is_key(data, first, last, keys, key_ends):
                        found = _value(data, at, end, codes, ranks, firsts)
                        if found != NO_LEVEL:
                            return found
                    opens_log = (
                        depth == 1
                        and last - first == 3
                        and data[first] | 32 == 108
                        and data[first + 1] | 32 == 111
                        and data[first + 2] | 32 == 103
                    )
            continue
        if here == 123 or here == 91:
            depth += 1
            if depth == 2:
                in_log = opens_log and here == 123
        elif here == 125 or here == 93:
            depth -= 1
            if depth <= 0:
                break
        elif here == 44:
            opens_log = False
        at += 1
    return NO_LEVEL


@part
def _letter_rank(byte: int) -> int:
    if byte == 86:  # V
        return 0
    if byte == 68:  # D
        return 1
    if byte == 73:  # I
        return 2
    if byte == 87:  # W
        return 4
    if byte == 69:  # E
        return 5
    return 6 if byte == 70 else NO_LEVEL  # F


@part
def _at_start(data: U8, at: int, end: int) -> int:
    """The level of a line that begins as klog (``E1126 07:15``) or Tornado (``[E 261126 07:15``) write it."""
    if _peek(data, at, end) == 91:
        if _peek(data, at + 2, end) == 32 and _is_digit(_peek(data, at + 3, end)):
            return _letter_rank(_peek(data, at + 1, end))
        return NO_LEVEL
    rank = _letter_rank(_peek(data, at, end))
    if rank == NO_LEVEL or _peek(data, at + 5, end) != 32 or _peek(data, at + 8, end) != 58:
        return NO_LEVEL
    for i in (1, 2, 3, 4, 6, 7, 9, 10):
        if not _is_digit(_peek(data, at + i, end)):
            return NO_LEVEL
    return rank


@part
def _is_tag(data: U8, at: int, end: int) -> bool:
    """Whether a tag of Android's log and its process stand there: ``ActivityManager(  585):``."""
    stop = min(end, at + TAG_BYTES_MAX + 1)
    first = at
    while at < stop and data[at] != 40:
        at += 1
    if at >= stop or at == first:
        return False
    at += 1
    while _peek(data, at, end) == 32:
        at += 1
    digits = 0
    while _is_digit(_peek(data, at, end)):
        at += 1
        digits += 1
    return digits > 0 and _peek(data, at, end) == 41 and _peek(data, at + 1, end) == 58


@part
def _begins_clause(data: U8, begin: int, at: int) -> bool:
    """Whether no word stands right before ``at``, but one of at most four capital letters."""
    last = at - 1
    while last >= begin and _is_blank(data[last]):
        last -= 1
    first = last
    while first >= begin and last - first < 5 and 65 <= data[first] <= 90:
        first -= 1
    if last - first > 4:
        return False
    return first < begin or not (_is_letter(data[first]) or data[first] == 95) or _is_coloured(data, begin, first + 1)


@part
def _is_marked(data: U8, begin: int, at: int, behind: int, end: int) -> bool:
    """Whether what stands around ``data[at:behind]`` says that this is a level."""
    behind = _behind_colour(data, behind, end)
    after = _peek(data, behind, end)
    if after == 58:
        follows = _peek(data, behind + 1, end)
        if (_is_blank(follows) or follows == 10 or follows == 13) and _begins_clause(data, begin, at):
            return True
    before = data[at - 1] if at > begin else np.uint8(10)
    if before == 9 and after == 9:
        return True
    if before == 58 and after == 93:
        return True
    left = at - 1
    while left >= begin and data[left] == 32:
        left -= 1
    right = behind
    while _peek(data, right, end) == 32:
        right += 1
    return left >= begin and _is(data, left, end, _OPEN) and _is(data, right, end, _CLOSE)


@part
def _is_preceded(data: U8, begin: int, at: int) -> bool:
    """Whether what stands before ``at`` makes what follows part of something longer."""
    return at > begin and (_CLASS[data[at - 1]] & (_WORD | _GLUE)) != 0 and not _is_coloured(data, begin, at)


@part
def _is_glued(data: U8, begin: int, at: int, behind: int, end: int) -> bool:
    """Whether ``data[at:behind]`` is part of something longer: a name, a path, a value."""
    if _is_preceded(data, begin, at):
        return True
    after = _peek(data, behind, end)
    if _is(data, behind, end, _WORD) or after == 61 or after == 47 or after == 92:
        return True
    return (after == 46 or after == 45) and _is(data, behind + 1, end, _WORD)


@part
def _text(
    data: U8, begin: int, end: int, keys: U8, key_ends: I64, codes: I64, kinds: I8, ranks: I8, firsts: I32
) -> int:
    """The level of a line of text: that of the first thing in it that tells one."""
    found = _at_start(data, begin, end)
    if found != NO_LEVEL:
        return found
    # Whether nothing but numbers stood in the line so far, as before the first word behind a timestamp.
    first_word, digits = True, False
    at = begin
    while at < end:
        here = data[at]
        if here == 27:
            at = max(at + 1, _behind_colour(data, at, end))
            continue
        if (_CLASS[here] & _KEY) == 0:
            at += 1
            continue
        if here == 46 or here == 45 or _is_digit(here) or here == 95:
            digits |= _is_digit(here)
            at += 1
            continue
        # A letter or @. Names of keys are longer than words.
        if at == begin or (_CLASS[data[at - 1]] & _KEY) == 0 or _is_coloured(data, begin, at):
            last = at + 1
            while _is(data, last, end, _KEY):
                last += 1
            if last - at <= 16 and _is_key(data, at, last, keys, key_ends):
                quote = _peek(data, last, end)
                sign = last + 1 if quote == 34 or quote == 39 else last
                sign = _blanks(data, sign, end)
                if _peek(data, sign, end) == 61 or _peek(data, sign, end) == 58:
                    found = _value(data, _blanks(data, sign + 1, end), end, codes, ranks, firsts)
                    if found != NO_LEVEL:
                        return found
        if here == 64:
            at += 1
            continue
        behind = at
        while behind < end and _is_letter(data[behind]):
            behind += 1
        if behind - at <= WORD_LETTERS_MAX:
            is_first = first_word and digits
            after = _peek(data, behind, end)
            if behind - at == 1:
                rank = _letter_rank(here)
                if rank != NO_LEVEL and not _is_preceded(data, begin, at):
                    if is_first and _is_blank(after):
                        return rank
                    if after == 93 and at > begin and data[at - 1] == 91:
                        return rank
                    if after == 47 and (is_first or at == begin) and _is_tag(data, behind + 1, end):
                        return rank
            elif not _is_glued(data, begin, at, behind, end):
                place = _word(data, at, behind, codes, firsts)
                if place >= 0:
                    if (kinds[place] & UPPER) != 0:
                        capitals = True
                        for i in range(at, behind):
                            capitals &= data[i] <= 90
                        if capitals:
                            return np.int64(ranks[place])
                    if (kinds[place] & MARKED) != 0 and (
                        _is_marked(data, begin, at, behind, end) or (is_first and _is_blank(after))
                    ):
                        return np.int64(ranks[place])
        # T and Z belong to timestamps.
        if not (behind - at == 1 and (here == 84 or here == 90)):
            first_word = False
        at = behind
    return NO_LEVEL


@kernel
def read_levels(
    data: U8,
    starts: I32,
    ends: I32,
    reach: int,
    json_reach: int,
    keys: U8,
    key_ends: I64,
    codes: I64,
    kinds: I8,
    ranks: I8,
    firsts: I32,
    levels: I8,
) -> None:
    """Levels of the lines ``data[starts[i]:ends[i]]``. All bounds must lie inside ``data``: nothing is checked here."""
    for line in range(len(starts)):
        start, end = np.int64(starts[line]), np.int64(ends[line])
        begin = start
        if (
            _peek(data, begin, end) == 0xEF
            and _peek(data, begin + 1, end) == 0xBB
            and _peek(data, begin + 2, end) == 0xBF
        ):
            begin += 3
        severity = np.int64(NO_LEVEL)
        if _peek(data, begin, end) == 60:
            number, at = np.int64(0), begin + 1
            while at - begin <= 3 and _is_digit(_peek(data, at, end)):
                number = number * 10 + np.int64(data[at]) - 48
                at += 1
            if at > begin + 1 and number <= 191 and _peek(data, at, end) == 62:
                severity, begin = np.int64(_SEVERITIES[number & 7]), at + 1
        first = _blanks(data, begin, end)
        if _peek(data, first, end) == 123:
            stop = min(end, start + json_reach)
            found = _json(data, first, stop, keys, key_ends, codes, ranks, firsts)
        else:
            stop = min(end, start + reach)
            found = _text(data, begin, stop, keys, key_ends, codes, kinds, ranks, firsts)
        levels[line] = severity if found == NO_LEVEL else found
