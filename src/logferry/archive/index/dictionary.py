"""The static text of log types, and finding types by it."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from logferry.archive.index.compiled import inlined, kernel, load64, store64
from logferry.archive.index.kernel import FIRST_TYPE, GRAMS_ALL, SYMBOL, next_word
from logferry.archive.index.trigrams import grams_of
from logferry.archive.index.words import (
    I64,
    U8,
    U64,
    VARIABLE,
    first_bytes,
    folded,
    hash_range,
    words_of,
)

I32 = npt.NDArray[np.int32]

WHOLE, START, END, INSIDE = range(4)
"""Where in a word something may stand: all of it, its start, its end, anywhere."""


class Dictionary:
    """Log types by their words. Made from the texts when it is first needed: some milliseconds for a segment."""

    def __init__(self, text: U8, starts: I64, key: U64) -> None:
        """``text``: of all types, end to end, padded by 16 bytes; ``starts``: of each, and the end of the last."""
        self._text = text
        self._starts = starts
        self._key = key
        self._lowered = np.zeros(len(text), np.uint8)
        self.has_variable = np.zeros(len(starts) - 1, np.bool_)
        """Per type: whether its lines hold variables."""
        occurrences = int(_fold(text, starts, self._lowered, self.has_variable))
        self._slots = np.zeros(1 << max(4, (2 * occurrences).bit_length()), np.int32)
        places = np.zeros((occurrences, 2), np.int64)
        words_of_types, types = np.zeros(occurrences, np.int32), np.zeros(occurrences, np.int32)
        self.grams = np.zeros(GRAMS_ALL, np.bool_)
        """Which trigrams occur inside of words."""
        words, used = _intern(self._lowered, starts, key, self._slots, places, words_of_types, types, self.grams)
        self._places = places[:words].copy()
        self._first = np.zeros(words + 1, np.int64)
        self._types = np.zeros(used, np.int32)
        _group(words_of_types[:used], types[:used], self._first, self._types)
        self._word_text = np.zeros(int((self._places[:, 1] - self._places[:, 0]).sum()) + words + 16, np.uint8)
        self._word_starts = np.zeros(words + 1, np.int64)
        _join(self._lowered, self._places, self._word_text, self._word_starts)

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        arrays = (
            self._text, self._lowered, self._starts, self._slots, self._places, self._first, self._types,
            self._word_text, self._word_starts, self.grams, self.has_variable,
        )  # fmt: skip
        return sum(array.nbytes for array in arrays)

    @property
    def texts(self) -> tuple[U8, I64]:
        """The texts of all types, end to end and padded, and where each starts (and the last one ends)."""
        return self._text, self._starts

    @cached_property
    def variables_before(self) -> I64:
        """How many variables there are in the texts before each, and in all."""
        counts = np.zeros(len(self._text) + 1, np.int32)
        np.cumsum(self._text == VARIABLE[0], out=counts[1:])
        before: I64 = counts[self._starts].astype(np.int64)
        return before

    def words(self) -> set[bytes]:
        """All static words, in lower case."""
        data = self._lowered.tobytes()
        return {data[start:end] for start, end in self._places.tolist()}

    def text_of(self, number: int) -> bytes:
        """The text of a log type, with ``VARIABLE`` where a variable stands."""
        return self._text[self._starts[number] : self._starts[number + 1]].tobytes()

    def with_word(self, word: bytes) -> I64:
        """The types that hold this static word, in any case; ascending."""
        number = int(_find(self._lowered, self._key, self._slots, self._places, _padded(word.lower()), len(word)))
        if number < 0:
            return self._types[:0].astype(np.int64)
        return self._types[self._first[number] : self._first[number + 1]].astype(np.int64)

    def matching(self, pattern: bytes, *, exact_case: bool, starts_word: bool, ends_word: bool) -> I64:
        """The types whose text holds ``pattern``, ascending.

        Args:
            pattern: any bytes; ``VARIABLE`` stands for a variable. Not empty.
            starts_word, ends_word: whether no word may reach over the pattern's first or last byte.
        """
        words = words_of(pattern, starts_word=starts_word, ends_word=ends_word)
        candidates = np.arange(FIRST_TYPE, len(self._starts) - 1)
        for word in sorted(words, key=lambda w: (not w.is_whole, -len(w.text)))[:2]:
            if word.is_whole:
                found = self.with_word(word.text)
            else:
                found = self._with_part(word.text, START if word.starts else END if word.ends else INSIDE)
            if len(found) < len(candidates):
                candidates = found
            if len(candidates) < _FEW:
                break
        if not len(candidates) or (len(words) == 1 and words[0].text == pattern and not exact_case):
            return candidates
        text = self._text if exact_case else self._lowered
        wanted = _padded(pattern if exact_case else pattern.lower())
        kept = _check(text, self._starts, candidates, wanted, len(pattern), starts_word, ends_word)
        held: I64 = candidates[kept]
        return held

    def _with_part(self, part: bytes, where: int) -> I64:
        if not all(self.grams[gram] for gram in grams_of(part)):
            return self._types[:0].astype(np.int64)
        marks = np.zeros(len(self._starts) - 1, np.bool_)
        _mark_types(
            self._word_text, self._word_starts, _padded(part.lower()), len(part), where, self._first, self._types, marks
        )
        return np.flatnonzero(marks)


_FEW = 16


def _padded(text: bytes) -> U8:
    return np.frombuffer(text + bytes(16), np.uint8)


@kernel
def _fold(text: U8, starts: I64, lowered: U8, has_variable: npt.NDArray[np.bool_]) -> int:
    """Lower the text, mark the types with variables, count the words."""
    words = 0
    end = starts[len(starts) - 1]
    i = 0
    while i < end:
        store64(lowered, i, folded(load64(text, i)))
        i += 8
    for number in range(len(starts) - 1):
        at, stop = starts[number], starts[number + 1]
        for k in range(at, stop):
            if text[k] == 10:
                has_variable[number] = True
                break
        while True:
            begin, at = next_word(text, at, stop)
            if begin == at:
                break
            words += 1
    return words


@inlined
def _equal(left: U8, at: int, right: U8, length: int) -> bool:
    i = 0
    while i + 8 <= length:
        if load64(left, at + i) != load64(right, i):
            return False
        i += 8
    return i >= length or first_bytes(load64(left, at + i) ^ load64(right, i), length - i) == 0


@inlined
def _number(text: U8, key: U64, slots: I32, places: I64, word: U8, start: int, length: int) -> tuple[int, int]:
    """The number of ``word[start:start + length]`` (-1: not known) and its slot."""
    mask = np.uint64(len(slots) - 1)
    slot = hash_range(word, start, start + length, key) & mask
    while slots[slot]:
        number = np.int64(slots[slot]) - 1
        if places[number, 1] - places[number, 0] == length and _equal(text, places[number, 0], word[start:], length):
            return number, np.int64(slot)
        slot = (slot + np.uint64(1)) & mask
    return np.int64(-1), np.int64(slot)


@kernel
def _find(text: U8, key: U64, slots: I32, places: I64, word: U8, length: int) -> int:
    return _number(text, key, slots, places, word, 0, length)[0]


@kernel
def _intern(
    text: U8,
    starts: I64,
    key: U64,
    slots: I32,
    places: I64,
    words: I32,
    types: I32,
    grams: npt.NDArray[np.bool_],
) -> tuple[int, int]:
    """Number the words; list each type's once. Returns how many words and pairs there are."""
    count = used = 0
    last = np.full(len(places), -1, np.int32)
    for number in range(len(starts) - 1):
        at, stop = starts[number], starts[number + 1]
        while True:
            begin, at = next_word(text, at, stop)
            if begin == at:
                break
            word, slot = _number(text, key, slots, places, text, begin, at - begin)
            if word < 0:
                word = count
                count += 1
                slots[slot] = count
                places[word, 0], places[word, 1] = begin, at
                for k in range(begin, at - 2):
                    gram = (SYMBOL[text[k]] << 12) | (SYMBOL[text[k + 1]] << 6) | SYMBOL[text[k + 2]]
                    grams[gram] = True
            if last[word] != number:
                last[word] = number
                words[used], types[used] = word, number
                used += 1
    return count, used


@kernel
def _group(words: I32, types: I32, first: I64, grouped: I32) -> None:
    """Order pairs by word; the types of each stay in order."""
    for word in words:
        first[word + 1] += 1
    for word in range(1, len(first)):
        first[word] += first[word - 1]
    at = first.copy()
    for i in range(len(words)):
        grouped[at[words[i]]] = types[i]
        at[words[i]] += 1


@kernel
def _join(text: U8, places: I64, joined: U8, starts: I64) -> None:
    """Write the words end to end, a line end behind each."""
    at = 0
    for word in range(len(places)):
        starts[word] = at
        for k in range(places[word, 0], places[word, 1]):
            joined[at] = text[k]
            at += 1
        joined[at] = 10
        at += 1
    starts[len(places)] = at


@kernel
def _mark_types(
    text: U8, starts: I64, part: U8, length: int, where: int, first: I64, types: I32, marks: npt.NDArray[np.bool_]
) -> None:
    """Mark the types that have a word which begins with, ends with or holds ``part``."""
    head = min(length, 8)
    wanted = first_bytes(load64(part, 0), head)
    mask = first_bytes(~np.uint64(0), head)
    end = starts[len(starts) - 1]
    word = 0
    i = 0
    while i + length < end:
        if load64(text, i) & mask == wanted and (length <= 8 or _equal(text, i, part, length)):
            while starts[word + 1] <= i:
                word += 1
            fits = True
            if where == START:
                fits = i == starts[word]
            elif where == END:
                fits = text[i + length] == 10
            if fits:
                for k in range(first[word], first[word + 1]):
                    marks[types[k]] = True
                i = starts[word + 1]
                continue
        i += 1


@inlined
def _is_word_byte(byte: int) -> bool:
    return byte >= 128 or 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122


@kernel
def _check(
    text: U8, starts: I64, candidates: I64, pattern: U8, length: int, starts_word: bool, ends_word: bool
) -> npt.NDArray[np.bool_]:
    """Which of the candidates' texts hold the pattern."""
    kept = np.zeros(len(candidates), np.bool_)
    head = min(length, 8)
    wanted = first_bytes(load64(pattern, 0), head)
    mask = first_bytes(~np.uint64(0), head)
    is_bound_left = starts_word and _is_word_byte(pattern[0])
    is_bound_right = ends_word and _is_word_byte(pattern[length - 1])
    for c in range(len(candidates)):
        start, end = starts[candidates[c]], starts[candidates[c] + 1]
        for i in range(start, end - length + 1):
            if load64(text, i) & mask != wanted or not (length <= 8 or _equal(text, i, pattern, length)):
                continue
            if is_bound_left and i > start and _is_word_byte(text[i - 1]):
                continue
            if is_bound_right and i + length < end and _is_word_byte(text[i + length]):
                continue
            kept[c] = True
            break
    return kept
