"""What a word is, and its hash. Whoever changes it counts up ``version.TOKENIZER``.

A *word* is a run of ASCII letters, digits and bytes from 0x80 on; everything else separates. A word without a digit
is *static*; one with a digit is a *variable*. Case is folded for ASCII letters alone: the case of a single byte
beyond ASCII means nothing. Hashes are keyed by the segment's id, which nobody knows while lines are written: no line
can be made to collide with another.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from logferry.archive.index.compiled import inlined, kernel, load64, mixed, trailing_zeros

POSTED_BYTES_MIN = 3
"""Shorter words stand in nearly every granule: they are not posted."""
VARIABLE = b"\n"
"""What stands for a variable in the text of a log type: no line holds it."""

U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

_DIGITS = frozenset(b"0123456789")
_WORD_BYTES = frozenset(range(0x80, 0x100)) | _DIGITS | frozenset(range(65, 91)) | frozenset(range(97, 123))

HIGH = np.uint64(0x8080808080808080)
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_CASE = np.uint64(0x2020202020202020)
_FROM_0 = np.uint64(0x5050505050505050)  # 0x80 - "0"
_FROM_9 = np.uint64(0x4646464646464646)  # 0x80 - ("9" + 1)
_FROM_a = np.uint64(0x1F1F1F1F1F1F1F1F)  # 0x80 - "a"
_FROM_z = np.uint64(0x0505050505050505)  # 0x80 - ("z" + 1)
_FROM_A = np.uint64(0x3F3F3F3F3F3F3F3F)  # 0x80 - "A"
_FROM_Z = np.uint64(0x2525252525252525)  # 0x80 - ("Z" + 1)
_TWO = np.uint64(2)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_EIGHT = np.uint64(8)
_64 = np.uint64(64)


@inlined
def digit_mask(eight: np.uint64) -> np.uint64:
    """The high bit of each of eight bytes that is a digit."""
    x = eight & _LOW7
    return (x + _FROM_0) & ~(x + _FROM_9) & ~eight & HIGH


@inlined
def word_mask(eight: np.uint64) -> np.uint64:
    """The high bit of each of eight bytes that belongs to a word."""
    x = eight & _LOW7
    y = x | _CASE
    digits = (x + _FROM_0) & ~(x + _FROM_9)
    letters = (y + _FROM_a) & ~(y + _FROM_z)
    return (digits | letters | eight) & HIGH


@inlined
def folded(eight: np.uint64) -> np.uint64:
    """Eight bytes with ASCII capitals made small."""
    x = eight & _LOW7
    capitals = (x + _FROM_A) & ~(x + _FROM_Z) & ~eight & HIGH
    return eight | (capitals >> _TWO)


@inlined
def first_bytes(eight: np.uint64, count: int) -> np.uint64:
    """The first ``count`` of eight bytes (1 to 8), the others 0."""
    return eight & (_ALL >> (_64 - _EIGHT * np.uint64(count)))


@inlined
def bytes_before(mask: np.uint64) -> int:
    """How many bytes come before the first one marked in ``mask``; 8 if none is."""
    return trailing_zeros(mask) >> 3


@inlined
def hash_range(data: U8, start: int, end: int, key: U64) -> np.uint64:
    """The hash of ``data[start:end]``, case folded. Eight more bytes of ``data`` are readable behind ``end``."""
    h = key[2]
    i = start
    while i < end:
        h = mixed(h ^ first_bytes(folded(load64(data, i)), min(8, end - i)), key[3])
        i += 8
    return mixed(h ^ np.uint64(end - start), key[3])


@kernel
def _hash(data: U8, length: int, key: U64) -> np.uint64:
    return hash_range(data, 0, length, key)


def hash_of(word: bytes, key: U64) -> int:
    """The 64-bit hash of a word, case folded."""
    return int(_hash(np.frombuffer(word + bytes(8), np.uint8), len(word), key))


def key_of(segment_id: bytes) -> U64:
    """The key of a segment's hashes: four odd 64-bit numbers."""
    digest = hashlib.blake2b(segment_id, digest_size=32, person=b"logferry index").digest()
    return np.frombuffer(digest, "<u8").astype(np.uint64) | np.uint64(1)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a literal. ``starts`` and ``ends``: whether it is known to begin and end there in a line, too."""

    text: bytes
    start: int
    end: int
    starts: bool
    ends: bool

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole word wherever the literal stands."""
        return self.starts and self.ends

    @property
    def has_digit(self) -> bool:
        """Whether it lies in a variable wherever it stands."""
        return not _DIGITS.isdisjoint(self.text)


def words_of(literal: bytes, *, starts_word: bool = False, ends_word: bool = False) -> list[Word]:
    """The words in a literal, in order.

    Args:
        literal: what is looked for, any bytes.
        starts_word, ends_word: whether a word may not reach over its first or last byte.
    """
    found: list[Word] = []
    at = 0
    while at < len(literal):
        end = at
        while end < len(literal) and literal[end] in _WORD_BYTES:
            end += 1
        if end > at:
            found.append(Word(literal[at:end], at, end, at > 0 or starts_word, end < len(literal) or ends_word))
        at = end + 1
    return found


def dotted_pairs(literal: bytes, words: list[Word]) -> list[bytes]:
    """Two variables with a dot before, between and behind them: the middles of addresses, which are posted."""
    return [
        literal[a.start : b.end]
        for a, b in pairwise(words)
        if a.has_digit
        and b.has_digit
        and b.start == a.end + 1
        and literal[a.start - 1 : a.start] == literal[a.end : b.start] == literal[b.end : b.end + 1] == b"."
    ]
