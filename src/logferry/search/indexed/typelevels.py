"""The levels of lines, told by log types: most programs write them as a word that stands in the type itself.

What the rules of levels (``scan/level_kernel.py``) say of a line depends on its variables by little. Each is a word of
letters and digits with a digit in it, so none is a level; but it may be a number behind ``level=``, and whether it has
letters tells whether the word behind it is the first one of the line. So each type is read twice: as if all variables
that may have letters had none, and as if all had some, after which no word is the first one any more. More words are
levels in the first reading than in the second, never less: where both agree, so do all lines of the type. Types in
which a variable could do anything else are left to the text, and so is what may lie beyond the reach of the rules.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from logferry.archive.index import SegmentIndex
from logferry.archive.index.kernel import LENGTH_MAX, NOT_DIGITS, OPAQUE, RARE, U16
from logferry.archive.index.words import VARIABLE
from logferry.limits import LEVEL_JSON_REACH_BYTES, LEVEL_REACH_BYTES
from logferry.search.scan.level_kernel import I8, I64, NO_LEVEL, U8
from logferry.search.scan.levels import KEYS, MARKED_WORDS, levels_of

UNTOLD = -2
"""Nobody knows without the text."""

Bools = npt.NDArray[np.bool_]

_FAR = 1 << 20
"""How long a variable is that may have any length."""


def _one_of(members: bytes) -> Bools:
    """By byte: whether it is one of some."""
    marks = np.zeros(256, np.bool_)
    marks[list(members)] = True
    return marks


_BLANKS, _QUOTES, _SIGNS, _LETTERS = _one_of(b" \t"), _one_of(b"\"'"), _one_of(b":="), _one_of(b"VDIWEF")
# A word before one of these is followed by nothing that could change what it is.
_ENDS = _one_of(b",;])>}|")
_KEY_ENDS = _one_of(b"".join(key[-1:] + key[-1:].upper() for key in KEYS))
_KEY_BYTES_MAX = max(map(len, KEYS))
_CLAUSE = re.compile(rb"\n[ \t]+([A-Za-z]{2,13}):")
_MARKED = {word.encode() for word in MARKED_WORDS}
_TAG = re.compile(rb"/[^(\n]{1,60}\( *(\n)\):")
_ESC, _BOM, _LESS, _BRACKET, _BLANK, _BRACE, _SLASH, _AT, _L = 27, 0xEF, 60, 91, 32, 123, 47, 64, 108
_LETTER = _one_of(bytes(byte for byte in range(128) if chr(byte).isalpha()))
_BEGINNINGS = [*MARKED_WORDS, *(key.decode() for key in KEYS if key[:1].isalpha())]
_BEGINS = re.compile("|".join(map(re.escape, _BEGINNINGS)).encode(), re.IGNORECASE)
_STEMS = np.zeros(1 << 15, np.bool_)
for _a, _b, _c in {word[:3].encode() for word in _BEGINNINGS}:
    _STEMS[(_a & 31) << 10 | (_b & 31) << 5 | _c & 31] = True


def levels_told(index: SegmentIndex) -> I8:
    """The level that all lines of a type have, ``UNTOLD`` where they may differ, by type. Raises Damaged."""
    text, starts = index.dictionary.texts
    is_free = not any(index.is_in_variables(word) for word in _MARKED)
    return levels_of_types(text, starts, index.looks, is_ascii=index.has_ascii_variables, is_free=is_free)


def levels_of_types(text: U8, starts: I64, looks: U16 | None, *, is_ascii: bool, is_free: bool) -> I8:
    """The level that all lines of a type have, ``UNTOLD`` where they may differ, ``NO_LEVEL`` where none has one.

    Args:
        text: of all types, end to end; a variable is a line end.
        starts: where each type begins, and the last one ends.
        looks: of all variables, in the order of the text; None: nothing is known of them.
        is_ascii: whether no variable has bytes of 0x80 or more.
        is_free: whether no variable has a word in it that is a level elsewhere.
    """
    count = len(starts) - 1
    text = text[: int(starts[-1])]
    if not len(text):
        return np.full(count, UNTOLD, np.int8)
    variables = np.flatnonzero(text == VARIABLE[0])
    if looks is None:
        looks = np.full(len(variables), NOT_DIGITS | LENGTH_MAX, np.uint16)
    has_letters = (looks & NOT_DIGITS) > 0
    ends = _ends(text, starts, variables, looks)
    bare = text.copy()
    bare[variables] = ord("1")
    lettered = bare.copy()
    lettered[variables[has_letters]] = ord("a")
    found = levels_of(bare, starts[:-1], ends)
    found[found != levels_of(lettered, starts[:-1], ends)] = UNTOLD
    cut = np.flatnonzero((ends < starts[1:]) & (found == NO_LEVEL))
    is_never = _never(text, starts, cut, bare, lettered)
    if not is_free:  # the reach may leave no more of a variable than that word
        is_never &= ~np.isin(cut, starts.searchsorted(variables[has_letters], "right") - 1)
    found[cut[~is_never]] = UNTOLD
    at = _doubtful(text, starts[:-1], variables, has_letters, is_ascii=is_ascii)
    found[starts.searchsorted(at, "right") - 1] = UNTOLD
    found[[RARE, OPAQUE][:count]] = UNTOLD
    return found


def _ends(text: U8, starts: I64, variables: I64, looks: U16) -> I64:
    """How far each type is read: to its end, if that is within reach in all of its lines; else to the last place
    that is and behind which nothing changes what stands before it."""
    longest = (looks & LENGTH_MAX).astype(np.int64)
    longest[longest == LENGTH_MAX] = _FAR
    lengths = np.ones(len(text), np.int64)
    lengths[variables] = longest
    behind = np.zeros(len(text) + 1, np.int64)
    np.cumsum(lengths, out=behind[1:])
    filled = np.flatnonzero(~_BLANKS[text])
    first = filled.searchsorted(starts[:-1])
    first = filled[np.minimum(first, len(filled) - 1)] if len(filled) else starts[:-1]
    is_json = (first < starts[1:]) & (first >= starts[:-1]) & (text[np.minimum(first, len(text) - 1)] == _BRACE)
    reach = behind[starts[:-1]] + np.where(is_json, LEVEL_JSON_REACH_BYTES, LEVEL_REACH_BYTES)
    is_place = _ENDS[text]
    is_place[variables] = True
    is_place &= behind[1:] <= np.repeat(reach, np.diff(starts))
    places = np.flatnonzero(is_place) + 1
    last = places.searchsorted(starts[1:], "right") - 1
    near = np.where(last >= 0, places[np.maximum(last, 0)], 0) if len(places) else np.zeros(len(starts) - 1, np.int64)
    return np.where(behind[starts[1:]] <= reach, starts[1:], np.maximum(near, starts[:-1]))


def _never(text: U8, starts: I64, some: I64, *readings: U8) -> Bools:
    """Whether no line of some types has a level, wherever the reach of the rules ends in it: neither reading has one,
    nor is there a word that begins as a level does, or as a key, of which the reach could leave as much as it takes."""
    never = np.ones(len(some), np.bool_)
    for reading in readings:
        never &= levels_of(reading, starts[some], starts[some + 1]) == NO_LEVEL
    letters = _LETTER[text]
    begins = letters[:-2].copy()
    begins[1:] &= ~letters[:-3]
    at = np.flatnonzero(begins & letters[1:-1] & letters[2:])
    stem = (text[at] & 31).astype(np.int64) << 10 | (text[at + 1] & 31).astype(np.int64) << 5 | text[at + 2] & 31
    at = at[_STEMS[stem]]
    told = [place for place in at.tolist() if _BEGINS.match(text[place : place + 16].tobytes())]
    told += (np.flatnonzero((text[:-1] == _AT) & (text[1:] | 32 == _L))).tolist()
    types = starts.searchsorted(np.array(told, np.int64), "right") - 1
    return never & ~np.isin(some, types)


def _doubtful(text: U8, starts: I64, variables: I64, has_letters: Bools, *, is_ascii: bool) -> I64:
    """Places in types whose level may depend on what stands in a variable."""
    lettered = variables[has_letters]
    padded = np.concatenate([text, np.zeros(4, np.uint8)])
    first, second = padded[starts], padded[starts + 1]
    is_lettered = np.zeros(len(padded), np.bool_)
    is_lettered[lettered] = True
    is_klog = is_lettered[starts] & (second == _BLANK)
    is_tornado = (first == _BRACKET) & (padded[starts + 2] == _BLANK) & is_lettered[starts + 3]
    is_syslog = (first == _LESS) & (second == VARIABLE[0])
    return np.concatenate(
        [
            starts[is_klog | is_tornado | is_syslog | (first == _BOM)],
            np.flatnonzero(text == _ESC),  # a terminal's colours end in a letter, right before a word
            lettered[:0] if is_ascii else lettered,
            _valued(text, variables),
            _clauses(text, is_lettered),
            _tags(text, is_lettered),
        ]
    )


def _valued(text: U8, variables: I64) -> I64:
    """Variables behind a name of a field that holds a level."""
    # Of each place, that of the last byte up to there which is no blank: lines may have blanks without end.
    filled = np.maximum.accumulate(np.where(_BLANKS[text], -1, np.arange(len(text))))
    at = _before(filled, _unquoted(text, variables - 1))
    is_sign = _SIGNS[text[at]] & (at >= 0)
    some, at = variables[is_sign], at[is_sign]
    at = _unquoted(text, _before(filled, at - 1))
    is_key = _KEY_ENDS[text[at]] & (at >= 0)
    found = [
        variable
        for variable, last in zip(some[is_key].tolist(), at[is_key].tolist(), strict=True)
        if text[max(0, last + 1 - _KEY_BYTES_MAX) : last + 1].tobytes().lower().endswith(KEYS)
    ]
    return np.array(found, np.int64)


def _before(filled: I64, at: I64) -> I64:
    """Places, or where no blank is before them; -1: nowhere."""
    return np.where(at >= 0, filled[at], -1)


def _unquoted(text: U8, at: I64) -> I64:
    """Places, or those before them where a quote stands."""
    return at - (_QUOTES[text[at]] & (at >= 0))


def _clauses(text: U8, is_lettered: Bools) -> I64:
    """Words with a colon right behind a variable with letters, whose end tells whether a clause begins there."""
    found = [
        match.start()
        for match in _CLAUSE.finditer(text.tobytes())
        if is_lettered[match.start()] and match[1].lower() in _MARKED
    ]
    return np.array(found, np.int64)


def _tags(text: U8, is_lettered: Bools) -> I64:
    """Letters with a slash behind them, unless what follows is a tag of Android's log in all lines."""
    slashes = np.flatnonzero((text[1:] == _SLASH) & _LETTERS[text[:-1]]) + 1
    found = []
    for slash in slashes.tolist():
        tag = _TAG.match(text[slash : slash + 100].tobytes())
        if tag is None or is_lettered[slash + tag.start(1)]:
            found.append(slash)
    return np.array(found, np.int64)
