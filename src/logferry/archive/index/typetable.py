"""The log types of a segment while its index is built: a table that grows, filled by the kernel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from logferry.archive.index import kernel
from logferry.archive.index.kernel import FIRST_TYPE, I32, NOTED_ALL, SEEN_BITS, SEEN_WORDS, STATE, U16, U32
from logferry.archive.index.radix import Numbers
from logferry.archive.index.words import I64, U8, U64, VARIABLE
from logferry.archive.index.wordset import WordSet
from logferry.limits import INDEX_TYPE_BYTES_CROWD, INDEX_TYPE_BYTES_MAX, INDEX_TYPES_CROWD, INDEX_TYPES_MAX

_LOW32 = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Found:
    """What one granule holds: its log types with their lines; trigrams, until the next one is looked at; which words of
    timestamps were left out, and the lengths of words, digits alone and others (bits, see the kernel)."""

    types: U32
    lines: U32
    grams: U32
    classes: int
    digit_lengths: int
    other_lengths: int


class TypeTable:
    """Log types by number, from ``FIRST_TYPE`` on."""

    def __init__(self, key: U64, *, types_max: int = INDEX_TYPES_MAX, bytes_max: int = INDEX_TYPE_BYTES_MAX) -> None:
        """``key``: of the segment's hashes. The maxima are where it stops to grow."""
        self._key = key
        self._types_max = types_max
        self._bytes_max = bytes_max
        self._types_crowd, self._bytes_crowd = INDEX_TYPES_CROWD, INDEX_TYPE_BYTES_CROWD
        self._table = np.zeros((min(4096, types_max + FIRST_TYPE), 4), np.int64)
        self._slots = np.zeros(16_384, np.uint64)
        self._arena = np.zeros(min(512 * 1024, bytes_max + kernel.PADDING), np.uint8)
        self._looks = np.zeros(len(self._arena), np.uint16)
        """Of each variable, where it stands in the text."""
        self._state = np.zeros(STATE, np.int64)
        self._state[kernel.TYPES] = FIRST_TYPE
        self._seen = np.zeros(1 << SEEN_BITS, np.uint64)
        self._bits = np.zeros(SEEN_WORDS, np.uint64)
        self._grams = np.zeros(NOTED_ALL, np.uint32)
        self._room = -1

    @property
    def count(self) -> int:
        """Types known, the special ones included."""
        return int(self._state[kernel.TYPES])

    @property
    def lengths(self) -> I64:
        """Bytes of each type's text; 0 for the special ones."""
        return self._table[: self.count, kernel.LENGTH]

    @property
    def text(self) -> U8:
        """The texts of all types, end to end."""
        return self._arena[: self._state[kernel.ARENA]]

    @property
    def looks(self) -> U16:
        """How the variables of all types look, in the order of their texts: see ``LENGTH_MAX`` of the kernel."""
        looks: U16 = self._looks[: self._state[kernel.ARENA]][self.text == VARIABLE[0]]
        return looks

    @property
    def is_crowded(self) -> bool:
        """Whether it has become so large that rare types have to go."""
        return self.count > self._types_crowd or len(self.text) > self._bytes_crowd

    def goal(self) -> tuple[int, int]:
        """How many types may stay then, and how many bytes of their text."""
        return self._types_crowd // 2, self._bytes_crowd // 2

    def bear(self) -> None:
        """The types that are left are of many lines each: it is crowded only with twice as many."""
        self._types_crowd *= 2
        self._bytes_crowd *= 2

    def split(
        self,
        granule: int,
        data: U8,
        lines: tuple[I32, I32],
        stamps: tuple[I32, I32, I64],
        row_types: U32,
        posts: Numbers,
    ) -> Found:
        """Index the lines of one granule.

        Args:
            granule: its number.
            data: its text, with ``kernel.PADDING`` readable bytes behind the last line.
            lines: where each line starts and ends.
            stamps: where each line's timestamp starts and ends, and its time.
            row_types: gets the type of each line; those that are OPAQUE stay so.
            posts: gets the posted words.
        """
        self._make_room(len(data), len(row_types))
        self._forget()
        row = 0
        is_full = False
        while True:
            # A line whose type did not fit is looked at twice, and may post its words twice.
            room = posts.room(self._posts_max)
            row = kernel.split(
                data, lines[0], lines[1], stamps[0], stamps[1], stamps[2], row, granule, self._key, self._slots,
                self._table, self._arena, self._looks, is_full,
                self._scratch, self._places, self._found_looks, self._in_word, self._is_digit, self._seen, self._bits,
                row_types, room, self._grams, self._touched, self._state,
            )  # fmt: skip
            posts.take(int(self._state[kernel.POSTS]))
            self._state[kernel.POSTS] = 0
            if row == len(row_types):
                break
            is_full = not self._grow()
        types = self._touched[: self._state[kernel.TOUCHED]].copy()
        return self._found(types, (self._table[types, kernel.SEEN] & _LOW32).astype(np.uint32))

    def _found(self, types: U32, lines: U32) -> Found:
        return Found(types, lines, self._grams[: self._state[kernel.GRAMS]], *self._bits_noted())

    def _forget(self) -> None:
        """What was seen in the granule before."""
        self._seen.fill(0)
        self._bits.fill(0)
        self._state[kernel.POSTS :] = 0

    def _bits_noted(self) -> tuple[int, int, int]:
        noted = self._state.view(np.uint64)
        return int(noted[kernel.CLASSES]), int(noted[kernel.DIGIT_LENGTHS]), int(noted[kernel.OTHER_LENGTHS])

    def post(self, granule: int, types: U32, posts: Numbers, words: WordSet | None) -> Found:
        """Post the words of log types in this granule. ``words`` learns them by name, else trigrams are noted."""
        text_bytes = int(self._table[types, kernel.LENGTH].sum())
        self._make_room(text_bytes, 0)
        self._forget()
        room = posts.room(self._posts_max)
        if words is not None:
            words.post(types, granule, self._key, self._table, self._arena, self._seen, room, self._state, text_bytes)
        else:
            kernel.post_types(
                types, granule, self._key, self._table, self._arena, self._seen, self._bits, room, self._grams,
                self._state,
            )  # fmt: skip
        posts.take(int(self._state[kernel.POSTS]))
        none = np.zeros(0, np.uint32)
        return self._found(none, none)

    def drop(self, rare: npt.NDArray[np.bool_]) -> U32:
        """Forget the types that are ``rare``. Returns the new number of each type, RARE for them."""
        numbers = np.empty(self.count, np.uint32)
        kernel.drop_types(rare, self._table, self._arena, self._looks, self._slots, numbers, self._state)
        return numbers

    def _make_room(self, data_bytes: int, rows: int) -> None:
        room = max(data_bytes, rows) + 64
        if room > self._room:
            self._room = room
            self._scratch = np.zeros(room + 64, np.uint8)
            self._in_word, self._is_digit = np.zeros(room // 64 + 2, np.uint64), np.zeros(room // 64 + 2, np.uint64)
            self._posts_max = room // 2 + 64
            self._touched = np.zeros(room + FIRST_TYPE, np.uint32)
            # A variable and what separates it from the next one are two bytes, at least.
            self._places = np.zeros(room // 2 + 64, np.int32)
            self._found_looks = np.zeros(room // 2 + 64, np.uint16)

    def _grow(self) -> bool:
        """Twice the room for what there is no more room for: types or, else, their text. False if there is none."""
        count = self.count
        if count >= len(self._table) or 2 * count > len(self._slots):
            most = min(2 * len(self._table), self._types_max + FIRST_TYPE)
            if most <= len(self._table):
                return False
            wider = np.zeros((most, 4), np.int64)
            wider[:count] = self._table[:count]
            self._table = wider
            self._slots = np.zeros(1 << (4 * most - 1).bit_length(), np.uint64)
            kernel.place_again(FIRST_TYPE, count, self._slots, self._table)
        else:
            most = min(2 * len(self._arena), self._bytes_max + kernel.PADDING)
            if most <= len(self._arena):
                return False
            arena, looks = np.zeros(most, np.uint8), np.zeros(most, np.uint16)
            arena[: len(self.text)] = self.text
            looks[: len(self.text)] = self._looks[: len(self.text)]
            self._arena, self._looks = arena, looks
        return True
