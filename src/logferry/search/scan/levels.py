"""Which level each line has. Pure: bytes in, numbers out. The rules: docs/reference/query.md."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from logferry.limits import LEVEL_JSON_REACH_BYTES, LEVEL_REACH_BYTES
from logferry.search.query.values import LEVEL_RANKS
from logferry.search.scan.level_kernel import I8, I32, I64, MARKED, NO_LEVEL, U8, UPPER, read_levels

KEYS: tuple[bytes, ...] = (
    b"level",
    b"lvl",
    b"severity",
    b"loglevel",
    b"log_level",
    b"log.level",
    b"levelname",
    b"severity_text",
    b"severitytext",
    b"@l",
    b"@level",
)
"""Names of fields that hold a line's level, in lower case."""

UPPER_WORDS = [
    "trace",
    "trc",
    "finest",
    "finer",
    "verbose",
    "vrb",
    "debug",
    "dbg",
    "fine",
    "info",
    "inf",
    "information",
    "informational",
    "notice",
    "warn",
    "warning",
    "wrn",
    "error",
    "err",
    "severe",
    "critical",
    "crit",
    "fatal",
    "ftl",
    "alert",
    "emerg",
    "emergency",
    "panic",
]
"""Words that are a level wherever they stand as a word of their own in capital letters; marked ones in any case."""
MARKED_WORDS = (*UPPER_WORDS, "note", "dbug", "trce", "fail")
"""Words that are a level in any case where something marks them as one."""


def _code(word: str) -> int:
    code = len(word)
    for letter in word:
        code = (code << 5) | (ord(letter) - 96)
    return (code + (1 << 63)) % (1 << 64) - (1 << 63)


def _tables() -> tuple[I64, I8, I8, I32]:
    words = [word for word in LEVEL_RANKS if word.isascii() and word.isalpha()]
    firsts = np.zeros(26, np.int32)
    for word in words:
        firsts[ord(word[0]) - 97] |= 1 << len(word)
    kinds = [(MARKED if word in MARKED_WORDS else 0) | (UPPER if word in UPPER_WORDS else 0) for word in words]
    return (
        np.array([_code(word) for word in words], np.int64),
        np.array(kinds, np.int8),
        np.array([LEVEL_RANKS[word] for word in words], np.int8),
        firsts,
    )


_CODES, _KINDS, _RANK_OF, _FIRSTS = _tables()
_KEYS = np.frombuffer(b"".join(KEYS), np.uint8)
_KEY_ENDS = np.cumsum([len(key) for key in KEYS], dtype=np.int64)


def levels_of(data: bytes | U8, starts: npt.ArrayLike, ends: npt.ArrayLike) -> I8:
    """The ranks (``values.LEVELS``) of the lines ``data[starts[i]:ends[i]]``, ``NO_LEVEL`` for those without a level.

    Raises ValueError where a line does not lie in the data.
    """
    text = np.frombuffer(data, np.uint8)
    text.flags.writeable = False  # one kind of array, one compiled kernel
    first = np.ascontiguousarray(starts, np.int32)
    last = np.ascontiguousarray(ends, np.int32)
    if len(first) != len(last) or (len(first) and (first.min() < 0 or last.max() > len(text) or (first > last).any())):
        raise ValueError("a line lies outside its data")
    found = np.empty(len(first), np.int8)
    read_levels(
        text, first, last, LEVEL_REACH_BYTES, LEVEL_JSON_REACH_BYTES,
        _KEYS, _KEY_ENDS, _CODES, _KINDS, _RANK_OF, _FIRSTS, found,
    )  # fmt: skip
    return found


__all__ = ["KEYS", "MARKED_WORDS", "NO_LEVEL", "UPPER_WORDS", "levels_of"]
