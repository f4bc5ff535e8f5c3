"""Reading the index of a segment: which lines may match, how many do, and when."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from itertools import chain
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from logferry.archive.index.blockcache import BlockCache
from logferry.archive.index.candidates import YES, Candidates, Mask, Shape, everything, joined, nothing
from logferry.archive.index.dictionary import Dictionary
from logferry.archive.index.histogram import Buckets, count_rows, count_spans
from logferry.archive.index.kernel import (
    BORDER,
    GRAMS_ALL,
    LENGTH_BIT_MAX,
    MIXED,
    NO_TIME,
    NOTED_ALL,
    OPAQUE,
    RARE,
    STAMP_BYTES_MAX,
    STAMP_BYTES_MIN,
    SYMBOL,
)
from logferry.archive.index.layout import BLOCK_GRANULES, Blocks, Facts, Kind
from logferry.archive.index.pairs import unpack_pairs
from logferry.archive.index.planes import unpack
from logferry.archive.index.postings import PostingBlock, unpack_postings
from logferry.archive.index.rarewords import RareWords
from logferry.archive.index.runs import RunTable, runs_of
from logferry.archive.index.sought import noted_of, sought
from logferry.archive.index.timecolumn import Spans, unpack_spans, unpack_times
from logferry.archive.index.trigrams import grams_of, granule_mask, rows_per_block, unpack_ids, unpack_rows
from logferry.archive.index.typetext import unpack_texts
from logferry.archive.index.words import I64, POSTED_BYTES_MIN, VARIABLE, Word, hash_of, key_of
from logferry.errors import Damaged
from logferry.limits import INDEX_CACHE_BYTES

U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
T = TypeVar("T")

_NO_TYPES: I64 = np.zeros(0, np.int64)
_EPOCH_UNITS_NS = {10: 1_000_000_000, 13: 1_000_000, 16: 1_000, 19: 1}


class SegmentIndex:
    """The index of one segment. What is needed of it is expanded when it is asked for, and kept.

    Every method raises Damaged where the bytes it needs are not whole. Answers never leave out a line that matches.
    One thread at a time. Text is matched as the scan does: byte by byte, any case meaning ASCII letters in both.
    """

    def __init__(self, blocks: Blocks, *, cache: BlockCache | None = None) -> None:
        """Use ``open``."""
        self._blocks = blocks
        self._key = key_of(blocks.facts.segment_id)
        self._cache = cache or BlockCache(INDEX_CACHE_BYTES)
        self._own = object()
        """Begins the names of our blocks in the cache."""

    @classmethod
    def open(cls, data: bytes | memoryview, *, where: str, cache: BlockCache | None = None) -> SegmentIndex:
        """The index in ``data``. ``where``: names it in errors.

        Raises:
            Damaged: it is cut, damaged at its beginning, or of another version: build it again.
        """
        view = memoryview(data)

        def read_at(offset: int, count: int) -> bytes:
            return bytes(view[offset : offset + count])

        return cls(Blocks(read_at, len(view), where=where), cache=cache)

    @property
    def facts(self) -> Facts:
        """Segment, and how much of everything there is."""
        return self._blocks.facts

    def verify(self) -> None:
        """Read every byte and compare. Raises Damaged."""
        self._blocks.verify()

    def sizes(self) -> dict[Kind, tuple[int, int]]:
        """Per kind of block: bytes stored and expanded."""
        return self._blocks.sizes()

    # Where things are ------------------------------------------------------------------------------------------------

    @cached_property
    def runs(self) -> RunTable:
        """What each granule consists of."""
        return runs_of(self._blocks)

    def content_of(self, granule: int) -> tuple[int, int]:
        """Where a granule lies in the segment's content."""
        first, last = self.runs.granules[granule], self.runs.granules[granule + 1]
        return int(self.runs.at[first]), int(self.runs.at[last])

    def granule_at(self, offset: int) -> int:
        """The granule that holds this byte of the content."""
        run = int(self.runs.at.searchsorted(offset, "right")) - 1
        return int(self.runs.granules.searchsorted(run, "right")) - 1

    def line_ends(self, start: int, end: int) -> tuple[I64, I64]:
        """A sparse index of lines: places in the content, and how many line ends lie between ``start`` and each.

        ``start`` and ``end`` are those of an extent. The first place is ``start``, the last one ``end``.
        """
        return self.runs.line_ends(start, end)

    # Which lines -----------------------------------------------------------------------------------------------------

    @cached_property
    def shape(self) -> Shape:
        """The pairs of log type and granule."""
        blocks = (self._blocks.read(Kind.PAIRS, n) for n in range(self._blocks.count(Kind.PAIRS)))
        facts = self.facts
        return Shape(unpack_pairs(blocks, facts.types, facts.granules, where=self._blocks.where), facts.granules)

    @cached_property
    def dictionary(self) -> Dictionary:
        """The log types."""
        blocks = (self._blocks.read(Kind.TYPE_TEXT, n) for n in range(self._blocks.count(Kind.TYPE_TEXT)))
        text, starts = unpack_texts(blocks, self.facts.types, where=self._blocks.where)
        return Dictionary(text, starts, self._key)

    @cached_property
    def looks(self) -> U16 | None:
        """How the variables in the texts of all types look, in their order; None: nothing is known of them."""
        if not self._blocks.has(Kind.LOOKS, 0):  # it was built before there were any
            return None
        where = f"{self._blocks.where} looks"
        (looks,) = unpack(self._blocks.read(Kind.LOOKS, 0), 1, where=where)
        if len(looks) != self.dictionary.variables_before[-1] or looks.dtype.itemsize > 2:
            raise Damaged(f"{where}: variables that are not there", where=where)
        return looks.astype(np.uint16)

    def everything(self) -> Candidates:
        """All lines."""
        return everything(self.shape)

    def nothing(self) -> Candidates:
        """No line."""
        return nothing(self.shape)

    def word(self, word: bytes, *, exact_case: bool = False) -> Candidates:
        """Lines that hold a whole word: a run of letters, digits and bytes from 0x80 on."""
        return self.literal(word, exact_case=exact_case, starts_word=True, ends_word=True)

    def words(self, *words: bytes, exact_case: bool = False) -> Candidates:
        """Lines that hold all of these words."""
        found = self.everything()
        for word in words:
            found &= self.word(word, exact_case=exact_case)
            if found.is_empty:
                break
        return found

    def literal(
        self, text: bytes, *, exact_case: bool = False, starts_word: bool = False, ends_word: bool = False
    ) -> Candidates:
        """Lines that hold ``text``.

        Args:
            text: any bytes.
            exact_case: else ASCII letters stand for both cases.
            starts_word, ends_word: no word may reach over the first or last byte of ``text``.
        """
        if not text:
            return self.everything()
        if b"\n" in text:
            return self.nothing()
        wanted = sought(text, starts_word, ends_word)
        sure: I64 = _NO_TYPES
        parts: list[tuple[I64, Mask | None]] = []
        if not len(wanted.grams) or self._occur(wanted.grams):
            for pattern, variables in wanted.readings:
                mask = self._all_of(variables, wanted.dotted)
                if mask is not None and not mask.any():
                    continue
                types = self._types_matching(pattern, exact_case, starts_word, ends_word)
                if not variables:
                    sure = types
                else:
                    parts.append((types, mask))
            if self._has_type(RARE):
                parts.append((np.array([RARE]), self._all_of(wanted.words, wanted.dotted, rare=True)))
        if self._has_type(OPAQUE):
            parts.append((np.array([OPAQUE]), None))
        return joined(self.shape, sure, parts)

    def is_in_variables(self, part: bytes) -> bool:
        """Whether any variable, or word of a rare line, may have this part of a word, of three bytes or more, in it."""
        return self._places_of(np.array(grams_of(part), np.int64)) is not None

    @cached_property
    def has_ascii_variables(self) -> bool:
        """Whether no variable has a byte of 0x80 or more."""
        symbols = self._gram_ids[self._gram_ids < GRAMS_ALL].astype(np.int64) >> 6 & 63
        return not ((symbols >= SYMBOL[0x80:].min()) & (symbols != BORDER)).any()

    def _occur(self, grams: I64) -> bool:
        """Whether the segment has words with all of these trigrams: static ones or posted ones. Else no row has them,
        but for opaque ones."""
        bits = self._all_grams
        return bool((bits[grams >> 3] >> (grams & 7).astype(np.uint8) & 1).all())

    @cached_property
    def _all_grams(self) -> npt.NDArray[np.uint8]:
        """One bit per trigram: whether static or posted words have it."""
        marks = np.zeros((NOTED_ALL + 7) // 8 * 8, np.bool_)
        marks[self._gram_ids] = True
        marks[: len(self.dictionary.grams)] |= self.dictionary.grams
        if (rare := self._rare_words) is not None:
            marks[: len(rare.grams)] |= rare.grams
        return np.packbits(marks, bitorder="little")

    def _types_matching(self, pattern: bytes, exact_case: bool, starts_word: bool, ends_word: bool) -> I64:
        if pattern == VARIABLE:
            return np.flatnonzero(self.dictionary.has_variable)
        return self.dictionary.matching(pattern, exact_case=exact_case, starts_word=starts_word, ends_word=ends_word)

    def _has_type(self, number: int) -> bool:
        starts = self.shape.pairs.starts
        return len(starts) > number + 1 and bool(starts[number] < starts[number + 1])

    # Words that are posted -------------------------------------------------------------------------------------------

    def _all_of(self, words: Sequence[Word], dotted: Sequence[bytes], *, rare: bool = False) -> Mask | None:
        """The granules that may hold all of these words and dotted pairs; None: any may. ``rare``: in rare lines."""
        found: Mask | None = None
        holding = self._holding_rare if rare and self._rare_words is not None else self._holding
        for mask in chain(map(holding, words), map(self._posting, dotted)):
            if mask is not None:
                found = mask if found is None else found & mask
                if not found.any():
                    break
        return found

    def _holding(self, word: Word) -> Mask | None:
        """The granules that may hold a word, or one that it is a part of."""
        text = word.text
        if word.is_whole and len(text) >= POSTED_BYTES_MIN:
            return self._posting(text)
        grams = noted_of(word)
        if len(text) < POSTED_BYTES_MIN:
            return self._with_grams(grams) if len(grams) else None
        places = self._places_of(grams)
        if places is None:  # of the whole word, too, all of that would be noted
            return np.zeros(self.facts.granules, np.bool_)
        whole = self._posting(text)
        longer = self._with_longer(len(text), text.isdigit())
        if longer.any():
            longer &= self._in_rows(places)
        return whole | longer

    def _holding_rare(self, word: Word) -> Mask | None:
        """The same, where the word may be a static one, of which the names alone are noted."""
        rare = self._rare_words
        assert rare is not None
        if len(word.text) < POSTED_BYTES_MIN:
            return None
        found = self._holding(word)
        if word.is_whole or word.has_digit:
            return found
        names = rare.holding(word)
        if names is None or found is None:
            return None
        found |= self._posting(word.text)
        for name in names:
            found |= self._posting(name)
        return found

    @property
    def _rare_words(self) -> RareWords | None:
        """The static words of rare lines by name; None where there are none, or they are noted as variables are."""

        def load() -> RareWords:
            where = f"{self._blocks.where} rare words"
            return RareWords(self._blocks.read(Kind.RARE_WORDS, 0), self._key, where=where)

        if not self._blocks.has(Kind.RARE_WORDS, 0):
            return None
        return self._cache.get((self._own, Kind.RARE_WORDS), load)

    def _with_longer(self, length: int, digits: bool) -> Mask:
        """The granules with words of more than ``length`` bytes that can hold such text."""
        lengths = self.runs.other_lengths
        if digits:
            lengths = lengths | self.runs.digit_lengths
        mask: Mask = lengths >> np.uint64(min(length + 1, LENGTH_BIT_MAX)) != 0
        return mask

    def _posting(self, word: bytes) -> Mask:
        """The granules that may hold a whole word, posted or left out."""
        bits = self.facts.key_bits
        high = (self._blocks.count(Kind.WORDS) - 1).bit_length()
        key = hash_of(word, self._key) >> (64 - bits)
        number = key >> (bits - high)
        block = self._cache.get(
            (self._own, Kind.WORDS, number), partial(self._posting_block, number, number << (bits - high))
        )
        mask = np.zeros(self.facts.granules, np.bool_)
        mask[block.of(key)] = True
        return mask | self._left_out(word) if STAMP_BYTES_MIN <= len(word) <= STAMP_BYTES_MAX else mask

    def _posting_block(self, number: int, base: int) -> PostingBlock:
        where = f"{self._blocks.where} words {number}"
        return unpack_postings(self._blocks.read(Kind.WORDS, number), base, self.facts.granules, where=where)

    def _left_out(self, word: bytes) -> Mask:
        """The granules where the word may be one of a timestamp that was not posted."""
        digits = word.isdigit()
        bit = np.uint64(len(word) + (0 if digits else MIXED))
        mask: Mask = self.runs.classes >> bit & np.uint64(1) != 0
        unit = _EPOCH_UNITS_NS.get(len(word)) if digits else None
        if unit and mask.any():
            spans = self.spans
            value = int(word)
            mask = mask & (spans.first_ns // unit <= value) & (value <= spans.last_ns // unit)
        return mask

    @cached_property
    def _gram_ids(self) -> I64:
        return unpack_ids(self._blocks.read(Kind.GRAM_IDS), where=self._blocks.where)

    def _with_grams(self, grams: I64) -> Mask:
        """The granules that post words with all of these trigrams."""
        places = self._places_of(grams)
        return np.zeros(self.facts.granules, np.bool_) if places is None else self._in_rows(places)

    def _places_of(self, grams: I64) -> I64 | None:
        """The rows of trigrams; None if one of them has none: no granule has it."""
        ids = self._gram_ids
        places = ids.searchsorted(grams)
        if not len(ids) or int(places[-1]) == len(ids) or not np.array_equal(ids[places], grams):
            return None
        return places

    def _in_rows(self, places: I64) -> Mask:
        """The granules that all of these rows mark."""
        granules = self.facts.granules
        step = rows_per_block(granules)
        bits: npt.NDArray[np.uint8] | None = None
        for place in places.tolist():
            number = place // step
            rows = self._cache.get((self._own, Kind.GRAM_ROWS, number), partial(self._gram_block, number))
            if place % step >= len(rows):
                raise Damaged(f"{self._blocks.where}: a trigram has no row", where=self._blocks.where)
            row = rows[place % step]
            bits = row if bits is None else bits & row
        assert bits is not None
        return granule_mask(bits, granules)

    def _gram_block(self, number: int) -> npt.NDArray[np.uint8]:
        where = f"{self._blocks.where} trigrams {number}"
        return unpack_rows(self._blocks.read(Kind.GRAM_ROWS, number), self.facts.granules, where=where)

    # Rows and times --------------------------------------------------------------------------------------------------

    @cached_property
    def spans(self) -> Spans:
        """First and last time of each granule."""
        return unpack_spans(self._blocks.read(Kind.SPANS), self.facts.granules, where=self._blocks.where)

    def row_types(self, granule: int) -> U32:
        """The log type of each row of a granule."""
        first, start, end = self._rows_in_block(granule)
        return self._column(first)[start:end]

    def row_seconds(self, granule: int) -> I64:
        """The time of each row of a granule in seconds since 1970, rounded down; ``NO_TIME`` where there is none."""
        first, start, end = self._rows_in_block(granule)
        return self._times(first)[start:end]

    def rows_of_block(self, number: int) -> tuple[U32, I64]:
        """Types and times of all rows of the granules from ``number * BLOCK_GRANULES`` on, ``BLOCK_GRANULES`` of them.

        As ``row_types`` and ``row_seconds`` have them; for whoever goes through many granules.
        """
        return self._column(number), self._times(number)

    def _rows_in_block(self, granule: int) -> tuple[int, int, int]:
        number = granule // BLOCK_GRANULES
        runs = self.runs
        before = runs.rows[runs.granules[number * BLOCK_GRANULES]]
        return (
            number,
            int(runs.rows[runs.granules[granule]] - before),
            int(runs.rows[runs.granules[granule + 1]] - before),
        )

    def _block_rows(self, number: int) -> int:
        runs = self.runs
        last = min((number + 1) * BLOCK_GRANULES, self.facts.granules)
        return int(runs.rows[runs.granules[last]] - runs.rows[runs.granules[number * BLOCK_GRANULES]])

    def _column(self, number: int) -> U32:
        def load() -> U32:
            where = f"{self._blocks.where} column {number}"
            (types,) = unpack(self._blocks.read(Kind.COLUMN, number), 1, where=where)
            if len(types) != self._block_rows(number) or int(types.max(initial=0)) >= max(1, self.facts.types):
                raise Damaged(f"{where}: log types that are not there", where=where)
            return types.astype(np.uint32, copy=False)

        return self._cache.get((self._own, Kind.COLUMN, number), load)

    def _times(self, number: int) -> I64:
        def load() -> I64:
            rows = self._block_rows(number)
            if not self._blocks.has(Kind.TIMES, number):
                return np.full(rows, NO_TIME, np.int64)
            where = f"{self._blocks.where} times {number}"
            return unpack_times(self._blocks.read(Kind.TIMES, number), rows, where=where)

        return self._cache.get((self._own, Kind.TIMES, number), load)

    def histogram(self, candidates: Candidates, buckets: Buckets) -> I64:
        """How many lines that surely match fall into each bucket of time. Lines without a time fall into none.

        Those in ``candidates.to_verify()`` that only may match are not counted.
        """
        shape = self.shape
        states = candidates.states
        counts = np.zeros(buckets.count, np.int64)
        straddling = count_spans(candidates.lines_per_granule(), self.spans, buckets, counts)
        if not len(straddling):
            return counts
        order, starts = shape.by_granule
        wanted = np.zeros(self.facts.types, np.bool_)
        for granule in straddling.tolist():
            pairs = order[starts[granule] : starts[granule + 1]]
            types = shape.pair_types[pairs[states[pairs] == YES]]
            wanted[types] = True
            count_rows(self.row_types(granule), self.row_seconds(granule), wanted, buckets, counts)
            wanted[types] = False
        return counts
