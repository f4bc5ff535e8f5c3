"""Static words told by name while an index is built: each once, case folded."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from logferry.archive.index.compiled import inlined, kernel, load64, store64
from logferry.archive.index.kernel import (
    I32,
    LENGTH,
    OTHER_LENGTHS,
    PADDING,
    START,
    U32,
    next_word,
    note_length,
    post,
    unseen,
)
from logferry.archive.index.words import I64, POSTED_BYTES_MIN, U8, U64, first_bytes, folded, hash_range

_T = TypeVar("_T", bound=np.generic)
_WORDS = 0
"""The only thing that is counted."""


class WordSet:
    """Words in a hash table that compares text."""

    def __init__(self) -> None:
        self._slots = np.zeros(1 << 13, np.uint32)
        self._hashes = np.zeros(1 << 12, np.uint64)
        self._ends = np.zeros((1 << 12) + 1, np.int32)
        self._text = np.zeros(32 * 1024, np.uint8)
        self._state = np.zeros(1, np.int64)

    def __len__(self) -> int:
        return int(self._state[_WORDS])

    @property
    def text_bytes(self) -> int:
        """Bytes of all words."""
        return int(self._ends[len(self)])

    def words(self) -> list[bytes]:
        """The words in order."""
        text, ends = self._text.tobytes(), self._ends[: len(self) + 1].tolist()
        return sorted(text[start:end] for start, end in pairwise(ends))

    def post(
        self,
        types: U32,
        granule: int,
        key: U64,
        table: I64,
        arena: U8,
        seen: U64,
        posts: U64,
        state: I64,
        text_bytes: int,
    ) -> None:
        """Post the static words of log types, and learn them. ``text_bytes``: of the types; else see the kernel."""
        self._make_room(text_bytes)
        _post_types(
            types, granule, key, table, arena, seen, posts, state,
            self._slots, self._hashes, self._text, self._ends, self._state,
        )  # fmt: skip

    def _make_room(self, text_bytes: int) -> None:
        """For the words of a text of so many bytes."""
        words = len(self) + text_bytes // (POSTED_BYTES_MIN + 1) + 1
        if words > len(self._hashes):
            most = 1 << words.bit_length()
            self._hashes = _longer(self._hashes, most)
            self._ends = _longer(self._ends, most + 1)
            self._slots = np.zeros(2 * most, np.uint32)
            _place_again(len(self), self._slots, self._hashes)
        text_bytes += self.text_bytes + PADDING
        if text_bytes > len(self._text):
            self._text = _longer(self._text, 1 << text_bytes.bit_length())


def _longer(array: npt.NDArray[_T], length: int) -> npt.NDArray[_T]:
    longer = np.zeros(length, array.dtype)
    longer[: len(array)] = array
    return longer


@inlined
def _is_same(text: U8, begin: int, length: int, known: U8, start: int) -> bool:
    i = 0
    while i < length:
        if first_bytes(folded(load64(text, begin + i)) ^ load64(known, start + i), min(8, length - i)) != 0:
            return False
        i += 8
    return True


@inlined
def _learn(
    text: U8, begin: int, length: int, h: np.uint64, slots: U32, hashes: U64, known: U8, ends: I32, state: I64
) -> None:
    mask = np.uint64(len(slots) - 1)
    slot = h & mask
    while slots[slot]:
        word = int(slots[slot]) - 1
        start = int(ends[word])
        if hashes[word] == h and ends[word + 1] - start == length and _is_same(text, begin, length, known, start):
            return
        slot = (slot + np.uint64(1)) & mask
    word = state[_WORDS]
    start = int(ends[word])
    for i in range(0, length, 8):
        store64(known, start + i, folded(load64(text, begin + i)))
    slots[slot], hashes[word], ends[word + 1] = word + 1, h, start + length
    state[_WORDS] = word + 1


@kernel
def _place_again(words: int, slots: U32, hashes: U64) -> None:
    mask = np.uint64(len(slots) - 1)
    for word in range(words):
        slot = hashes[word] & mask
        while slots[slot]:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = word + 1


@kernel
def _post_types(
    types: U32,
    granule: int,
    key: U64,
    table: I64,
    arena: U8,
    seen: U64,
    posts: U64,
    state: I64,
    slots: U32,
    hashes: U64,
    known: U8,
    ends: I32,
    words: I64,
) -> None:
    """Like the kernel's, but that words are learnt and their trigrams are not noted."""
    for number in types:
        stop = table[number, START]
        end = stop + table[number, LENGTH]
        while stop < end:
            begin, stop = next_word(arena, stop, end)
            length = stop - begin
            if length >= POSTED_BYTES_MIN:
                h = hash_range(arena, begin, stop, key)
                if unseen(h, seen):
                    note_length(length, state, OTHER_LENGTHS)
                    post(h, granule, posts, state)
                    _learn(arena, begin, length, h, slots, hashes, known, ends, words)
