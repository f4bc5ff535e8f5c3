"""The one pass over a granule's text: log types of its lines, its variables and their trigrams.

A line's *log type* is the line with each variable replaced by ``VARIABLE``. Types live in a hash table that compares
text, so two lines have the same type exactly if that text is the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logferry.archive.index.compiled import inlined, kernel, leading_zeros, load64, mixed, store64, trailing_zeros
from logferry.archive.index.words import (
    HIGH,
    I64,
    POSTED_BYTES_MIN,
    U8,
    U64,
    bytes_before,
    digit_mask,
    first_bytes,
    hash_range,
    word_mask,
)

I32 = npt.NDArray[np.int32]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]

RARE, OPAQUE, FIRST_TYPE = 0, 1, 2
"""Log types that are none: lines that post their words instead, pieces of lines the index says nothing about."""
PADDING = 64
"""Bytes that must be readable behind the text: so many are looked at together."""
TYPE_BYTES_MAX = 16 * 1024
"""A line with more static text posts its words: its like will hardly come again."""

# What the kernel counts, and where.
TYPES, ARENA, POSTS, GRAMS, TOUCHED, CLASSES, DIGIT_LENGTHS, OTHER_LENGTHS = range(8)
STATE = 8
# Columns of the table of log types. SEEN: the last granule it was seen in, from 1, times 2**32, and lines there.
HASH, START, LENGTH, SEEN = range(4)
KEY_BITS_MAX = 40
GRANULE_BITS = 24

# Variables inside a recognised timestamp that are left out of the postings, by length: bit n for digits alone,
# bit n + 32 for others.
STAMP_BYTES_MIN = 5
STAMP_BYTES_MAX = 31
MIXED = 32
LENGTH_BIT_MAX = 63
"""Bit n of a granule's lengths: it has words of n bytes, digits alone or others; the last bit: of so many or more."""
NO_TIME = -(1 << 63)

LENGTH_MAX = 127
"""The *looks* of a variable in a log type: bits 0-6 its length at most, bits 7-13 ``LENGTH_MAX`` less its length at
least, both ``LENGTH_MAX`` where it is longer; bit 14: it is not always digits alone."""
LEAST_SHIFT = 7
NOT_DIGITS = 1 << 14
_MOST_BITS, _LEAST_BITS = LENGTH_MAX, LENGTH_MAX << LEAST_SHIFT

_GRAM_SYMBOLS = 64
UNKNOWN = -1
DOT = 46
_32, _LOW32 = np.uint64(32), np.uint64(0xFFFFFFFF)
_SEVEN, _56, _GATHER = np.uint64(7), np.uint64(56), np.uint64(0x0102040810204080)
GRAMS_ALL = _GRAM_SYMBOLS**3
DIGITS_FROM = 7
"""Of runs of so many digits or more, in any word, each four are noted, too: three say too little of long numbers."""
NOTED_ALL = GRAMS_ALL + 10_000
"""Trigrams, then four digits: what is noted of words."""
_SEEN_TWO = (NOTED_ALL + 63) // 64
_SEEN_TWO_FROM, _LOW16, _SIX, _63 = (np.uint64(number) for number in (_SEEN_TWO, 0xFFFF, 6, 63))
SEEN_WORDS = _SEEN_TWO + (1 << 16) // 64
"""Of 64 bits, in which the kernel remembers trigrams, four digits and words of two bytes of a granule."""
SEEN_BITS = 14

SYMBOL = np.zeros(256, np.uint32)
for _byte in range(256):
    if chr(_byte).isascii() and chr(_byte).isdigit():
        SYMBOL[_byte] = _byte - 48
    elif chr(_byte).isascii() and chr(_byte).isalpha():
        SYMBOL[_byte] = 10 + ord(chr(_byte).lower()) - 97
    elif _byte >= 0x80:
        SYMBOL[_byte] = 36 + _byte % 27
BORDER = 63
"""The symbol for either end of a word."""


@inlined
def set_grams(data: U8, start: int, end: int, bits: U64, grams: U32, state: I64) -> None:
    """Note the trigrams of a word of two bytes or more, its borders included; new ones go to ``grams``."""
    count = state[GRAMS]
    gram = (np.uint32(BORDER) << np.uint32(6)) | SYMBOL[data[start]]
    for i in range(start + 1, end + 1):
        symbol = SYMBOL[data[i]] if i < end else np.uint32(BORDER)
        gram = ((gram << np.uint32(6)) | symbol) & np.uint32(GRAMS_ALL - 1)
        place, bit = gram >> np.uint32(6), np.uint64(1) << np.uint64(gram & np.uint32(63))
        if not bits[place] & bit:
            bits[place] |= bit
            grams[count] = gram
            count += 1
    state[GRAMS] = count


@inlined
def set_fours(data: U8, start: int, end: int, bits: U64, grams: U32, state: I64) -> None:
    """Note each four digits of the long runs of digits in a word; new ones go to ``grams``."""
    count = state[GRAMS]
    at = start
    while at < end:
        stop = at
        while stop < end and 48 <= data[stop] <= 57:
            stop += 1
        if stop - at >= DIGITS_FROM:
            four = (np.int64(data[at]) * 10 + np.int64(data[at + 1])) * 10 + np.int64(data[at + 2]) - 48 * 111
            for i in range(at + 3, stop):
                four = (four % 1000) * 10 + np.int64(data[i]) - 48
                gram = GRAMS_ALL + four
                place, bit = gram >> 6, np.uint64(1) << np.uint64(gram & 63)
                if not bits[place] & bit:
                    bits[place] |= bit
                    grams[count] = np.uint32(gram)
                    count += 1
        at = stop + 1
    state[GRAMS] = count


@inlined
def unseen_two(data: U8, start: int, bits: U64) -> bool:
    """Whether a word of these two bytes is new in the granule; it is remembered, behind the bits of the trigrams."""
    two = load64(data, start) & _LOW16
    place, bit = _SEEN_TWO_FROM + (two >> _SIX), np.uint64(1) << (two & _63)
    if bits[place] & bit:
        return False
    bits[place] |= bit
    return True


@inlined
def note_length(length: int, state: I64, column: int) -> None:
    """Note the length of a word."""
    state[column] |= np.int64(1) << np.int64(min(length, LENGTH_BIT_MAX))


@inlined
def note_word(data: U8, start: int, end: int, bits: U64, grams: U32, state: I64) -> bool:
    """Note trigrams, four digits and length of a word. Whether it is digits alone."""
    set_grams(data, start, end, bits, grams, state)
    if end - start >= DIGITS_FROM:
        set_fours(data, start, end, bits, grams, state)
    digits = True
    for i in range(start, end):
        digits = digits and 48 <= data[i] <= 57
    note_length(end - start, state, DIGIT_LENGTHS if digits else OTHER_LENGTHS)
    return digits


@inlined
def unseen(h: np.uint64, seen: U64) -> bool:
    """Whether a hash is not among those remembered of this granule. It is remembered; others may be forgotten."""
    slot = h >> np.uint64(64 - SEEN_BITS)
    if seen[slot] == h:
        return False
    seen[slot] = h
    return True


@inlined
def post(h: np.uint64, granule: int, posts: U64, state: I64) -> None:
    """Say that a word is in this granule."""
    posts[state[POSTS]] = (h >> np.uint64(64 - KEY_BITS_MAX) << np.uint64(GRANULE_BITS)) | np.uint64(granule)
    state[POSTS] += 1


@inlined
def next_word(text: U8, at: int, end: int) -> tuple[int, int]:
    """Start and end of the first word at or behind ``at``; (end, end) if there is none."""
    while at < end:
        gap = bytes_before(word_mask(load64(text, at)))
        at += gap
        if gap < 8:
            break
    if at >= end:
        return end, end
    stop = at
    while stop < end:
        run = bytes_before(~word_mask(load64(text, stop)) & HIGH)
        stop += run
        if run < 8:
            break
    return at, min(stop, end)


@inlined
def post_static(
    text: U8, start: int, end: int, granule: int, key: U64, seen: U64, bits: U64, posts: U64, grams: U32, state: I64
) -> None:
    """Post the static words in the text of a log type."""
    stop = start
    while stop < end:
        begin, stop = next_word(text, stop, end)
        if stop - begin == 2:
            if unseen_two(text, begin, bits):
                set_grams(text, begin, stop, bits, grams, state)
        elif stop - begin >= POSTED_BYTES_MIN:
            h = hash_range(text, begin, stop, key)
            if unseen(h, seen):
                note_word(text, begin, stop, bits, grams, state)
                post(h, granule, posts, state)


@inlined
def is_epoch(data: U8, start: int, end: int, time: int) -> bool:
    """Whether digits are ``time`` (ns since 1970) in s, ms, us or ns, as their number of digits says."""
    length = end - start
    unit = 1_000_000_000
    if length == 13:
        unit = 1_000_000
    elif length == 16:
        unit = 1_000
    elif length == 19:
        unit = 1
    value = 0
    for i in range(start, end):
        value = value * 10 + (int(data[i]) - 48)
    return time != NO_TIME and value == time // unit


@inlined
def is_left_out(data: U8, start: int, end: int, digits: bool, time: int, state: I64) -> bool:
    """Whether a variable of a timestamp need not be posted, because the classes of the granule tell of it."""
    length = end - start
    if length < STAMP_BYTES_MIN or length > STAMP_BYTES_MAX:
        return False
    if not digits:
        if length == STAMP_BYTES_MIN:
            return False  # "26T07": few in a granule
        state[CLASSES] |= np.int64(1) << np.int64(length + MIXED)
        return True
    if (length == 10 or length == 13 or length == 16 or length == 19) and not is_epoch(data, start, end, time):
        return False
    state[CLASSES] |= np.int64(1) << np.int64(length)
    return True


@inlined
def same(left: U8, at: int, right: U8, length: int) -> bool:
    """Whether ``length`` bytes of ``left`` from ``at`` are the first ones of ``right``."""
    i = 0
    while i + 8 <= length:
        if load64(left, at + i) != load64(right, i):
            return False
        i += 8
    if i < length:
        return first_bytes(load64(left, at + i) ^ load64(right, i), length - i) == 0
    return True


@inlined
def mark(data: U8, end: int, in_word: U64, is_digit: U64) -> None:
    """One bit per byte of ``data[:end]``: whether it belongs to a word, whether it is a digit."""
    for group in range((end + 63) >> 6):
        words = np.uint64(0)
        digits = np.uint64(0)
        for part in range(8):
            eight = load64(data, (group << 6) + (part << 3))
            shift = np.uint64(part << 3)
            words |= (((word_mask(eight) >> _SEVEN) * _GATHER) >> _56) << shift
            digits |= (((digit_mask(eight) >> _SEVEN) * _GATHER) >> _56) << shift
        in_word[group] = words
        is_digit[group] = digits


@inlined
def next_digit(is_digit: U64, at: int, end: int) -> int:
    """The first digit at or behind ``at``; ``end`` or more if there is none before it."""
    group = at >> 6
    bits = is_digit[np.uint64(group)] >> np.uint64(at & 63)
    if bits:
        return at + trailing_zeros(bits)
    group += 1
    while group << 6 < end:
        bits = is_digit[np.uint64(group)]
        if bits:
            return (group << 6) + trailing_zeros(bits)
        group += 1
    return end


@inlined
def word_start(in_word: U64, at: int, first: int) -> int:
    """Where the word begins that the byte ``at`` belongs to, ``first`` at the earliest."""
    group = at >> 6
    gaps = ~in_word[np.uint64(group)] << np.uint64(63 - (at & 63))
    begin = at - leading_zeros(gaps) + 1
    if not gaps:
        begin = group << 6
        while begin > first:
            group -= 1
            zeros = leading_zeros(~in_word[group])
            begin -= zeros
            if zeros < 64:
                break
    return max(begin, first)


@inlined
def word_end(in_word: U64, at: int, end: int) -> int:
    """Where the word ends that the byte ``at`` belongs to, ``end`` at the latest."""
    group = at >> 6
    gaps = ~in_word[np.uint64(group)] >> np.uint64(at & 63)
    if gaps:
        return min(at + trailing_zeros(gaps), end)
    stop = (group + 1) << 6
    while stop < end:
        group += 1
        ones = trailing_zeros(~in_word[group])
        stop += ones
        if ones < 64:
            break
    return min(stop, end)


@inlined
def copy(data: U8, start: int, end: int, to: U8, at: int) -> int:
    """Copy ``data[start:end]`` to ``to`` from ``at``, and a few bytes more; returns where it ends there."""
    # Two steps for whatever it is: how short it is would be guessed wrongly too often.
    store64(to, at, load64(data, start))
    store64(to, at + 8, load64(data, start + 8))
    i = start + 16
    while i < end:
        store64(to, at + i - start, load64(data, i))
        i += 8
    return at + end - start


@inlined
def looks_of(length: int, digits: bool) -> int:
    """The looks of a variable that was seen once."""
    length = min(length, LENGTH_MAX)
    return length | (LENGTH_MAX - length) << LEAST_SHIFT | (0 if digits else NOT_DIGITS)


@inlined
def note_looks(start: int, count: int, places: I32, found: U16, is_new: bool, looks: U16) -> None:
    """Note how the variables of a line look, whose type begins at ``start``."""
    for i in range(count):
        at, new = start + places[i], np.int64(found[i])
        if not is_new:
            old = np.int64(looks[at])
            most = max(old & _MOST_BITS, new & _MOST_BITS)
            new = most | max(old & _LEAST_BITS, new & _LEAST_BITS) | ((old | new) & NOT_DIGITS)
            if new == old:
                continue
        looks[at] = np.uint16(new)


@inlined
def hash_text(text: U8, length: int, key: U64) -> np.uint64:
    """The hash of a log type: two lanes, so that the processor need not wait for one product to begin the next."""
    g, h = key[2], key[0]
    i = 0
    while i + 16 <= length:
        g = mixed(g ^ load64(text, i), key[3])
        h = mixed(h ^ load64(text, i + 8), key[1])
        i += 16
    if i + 8 <= length:
        g = mixed(g ^ load64(text, i), key[3])
        i += 8
    if i < length:
        h = mixed(h ^ first_bytes(load64(text, i), length - i), key[1])
    return mixed(g ^ np.uint64(length), h | np.uint64(1))


@inlined
def number_of(text: U8, length: int, h: np.uint64, slots: U64, table: I64, arena: U8) -> int:
    """The number of the log type with this text, or UNKNOWN."""
    mask = np.uint64(len(slots) - 1)
    slot = h & mask
    while slots[slot]:
        if (slots[slot] ^ h) >> _32 == 0:
            known = np.int64(slots[slot] & _LOW32) - 1
            if table[known, LENGTH] == length and same(arena, table[known, START], text, length):
                return known
        slot = (slot + np.uint64(1)) & mask
    return UNKNOWN


@inlined
def place(number: int, h: np.uint64, slots: U64) -> None:
    """Enter a type into the hash table. A slot holds the high half of the hash and the number, counted from 1."""
    mask = np.uint64(len(slots) - 1)
    slot = h & mask
    while slots[slot]:
        slot = (slot + np.uint64(1)) & mask
    slots[slot] = (h >> _32 << _32) | np.uint64(number + 1)


@inlined
def add_type(text: U8, length: int, h: np.uint64, slots: U64, table: I64, arena: U8, state: I64) -> int:
    """Give a new log type its number; there is room."""
    number, start = state[TYPES], state[ARENA]
    place(number, h, slots)
    table[number, HASH], table[number, START], table[number, LENGTH] = np.int64(h), start, length
    state[ARENA] = copy(text, 0, length, arena, start)
    state[TYPES] += 1
    return number


@kernel
def place_again(first: int, types: int, slots: U64, table: I64) -> None:
    """Fill the empty hash table with the types that are known."""
    for number in range(first, types):
        place(number, np.uint64(table[number, HASH]), slots)


@kernel
def drop_types(
    rare: npt.NDArray[np.bool_], table: I64, arena: U8, looks: U16, slots: U64, numbers: U32, state: I64
) -> None:
    """Forget the types that are ``rare`` and close the gaps. ``numbers``: gets the new one of each, or RARE."""
    count, at = FIRST_TYPE, np.int64(0)
    for number in range(FIRST_TYPE):
        numbers[number] = number
    for number in range(FIRST_TYPE, len(rare)):
        numbers[number] = RARE
        if rare[number]:
            continue
        numbers[number] = count
        start, length = table[number, START], table[number, LENGTH]
        for i in range(length):
            arena[at + i] = arena[start + i]
            looks[at + i] = looks[start + i]
        for column in range(4):
            table[count, column] = table[number, column]
        table[count, START] = at
        at += length
        count += 1
    state[TYPES], state[ARENA] = count, at
    slots[:] = 0
    for number in range(FIRST_TYPE, count):
        place(number, np.uint64(table[number, HASH]), slots)


@kernel
def post_types(
    types: U32, granule: int, key: U64, table: I64, arena: U8, seen: U64, bits: U64, posts: U64, grams: U32, state: I64
) -> None:
    """Post the static words of log types."""
    for number in types:
        start = table[number, START]
        post_static(arena, start, start + table[number, LENGTH], granule, key, seen, bits, posts, grams, state)


@kernel
def split(
    data: U8,
    starts: I32,
    ends: I32,
    stamp_starts: I32,
    stamp_ends: I32,
    times: I64,
    row: int,
    granule: int,
    key: U64,
    slots: U64,
    table: I64,
    arena: U8,
    looks: U16,
    is_full: bool,
    scratch: U8,
    places: I32,
    found: U16,
    in_word: U64,
    is_digit: U64,
    seen: U64,
    bits: U64,
    row_types: U32,
    posts: U64,
    grams: U32,
    touched: U32,
    state: I64,
) -> int:
    """Index the lines ``data[starts[r]:ends[r]]`` from ``row`` on.

    Returns the number of the first line that was not done: all are, or the tables have to grow first (``is_full``:
    they may not, and new types become RARE). Lines whose type is set to OPAQUE are left alone.
    """
    rows = len(starts)
    if row == 0 and rows:
        mark(data, ends[rows - 1], in_word, is_digit)
    while row < rows:
        number = OPAQUE
        if row_types[row] != OPAQUE:
            end = np.int64(ends[row])
            stamp_start, stamp_end = np.int64(stamp_starts[row]), np.int64(stamp_ends[row])
            at = first = np.int64(starts[row])
            dotted = end  # where the last variable begins, if a dot stands before it
            length = np.int64(0)
            variables = 0
            while True:
                digit = next_digit(is_digit, at, end)
                if digit >= end:
                    break
                begin, stop = word_start(in_word, digit, first), word_end(in_word, digit, end)
                length = copy(data, at, begin, scratch, length)
                scratch[np.uint64(length)] = 10
                places[variables] = length
                is_digits = digit == begin and word_end(is_digit, begin, stop) == stop
                found[variables] = looks_of(stop - begin, is_digits)
                variables += 1
                length += 1
                if stop - begin == 2:
                    if unseen_two(data, begin, bits):
                        set_grams(data, begin, stop, bits, grams, state)
                elif stop - begin >= POSTED_BYTES_MIN:
                    word = hash_range(data, begin, stop, key)
                    if unseen(word, seen):
                        digits = note_word(data, begin, stop, bits, grams, state)
                        inside = stamp_start <= begin and stop <= stamp_end
                        if inside and is_left_out(data, begin, stop, digits, times[row], state):
                            seen[word >> np.uint64(64 - SEEN_BITS)] = np.uint64(0)  # elsewhere it is posted
                        else:
                            post(word, granule, posts, state)
                if (
                    stop < end
                    and data[np.uint64(stop)] == DOT
                    and begin == at + 1
                    and at > dotted
                    and data[np.uint64(at)] == DOT
                ):
                    word = hash_range(data, dotted, stop, key)  # ".b.c.": the middle of an address
                    if unseen(word, seen):
                        post(word, granule, posts, state)
                dotted = begin if begin > first and data[np.uint64(begin - 1)] == DOT else end
                at = stop
                if at >= end:
                    break
            length = copy(data, at, end, scratch, length)
            h = hash_text(scratch, length, key)
            if length <= TYPE_BYTES_MAX:
                number = number_of(scratch, length, h, slots, table, arena)
            else:
                number = UNKNOWN
            is_new = number == UNKNOWN
            if is_new:
                is_kept = length <= TYPE_BYTES_MAX
                if is_kept and (
                    state[ARENA] + length + PADDING > len(arena)
                    or state[TYPES] >= len(table)
                    or 2 * state[TYPES] > len(slots)
                ):
                    if not is_full:
                        return row
                    is_kept = False
                if is_kept:
                    number = add_type(scratch, length, h, slots, table, arena, state)
                else:
                    number = RARE
                    post_static(scratch, 0, length, granule, key, seen, bits, posts, grams, state)
            if number != RARE:
                note_looks(table[number, START], variables, places, found, is_new, looks)
        row_types[row] = number
        if table[number, SEEN] >> 32 != granule + 1:
            table[number, SEEN] = (granule + 1) << 32
            touched[state[TOUCHED]] = number
            state[TOUCHED] += 1
        table[number, SEEN] += 1
        row += 1
    return row
