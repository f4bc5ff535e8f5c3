"""Building the index of a segment: its frames go in, in order, the index comes out as bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from logferry.archive.index.encoding import as_utf8
from logferry.archive.index.granules import Cutter, Part, Stretch
from logferry.archive.index.kernel import FIRST_TYPE, NO_TIME, OPAQUE, PADDING, RARE, U32
from logferry.archive.index.layout import BLOCK_GRANULES, Block, Facts, Kind, Writer
from logferry.archive.index.lines import find_lines
from logferry.archive.index.pairs import pack_pairs
from logferry.archive.index.planes import pack, unpack
from logferry.archive.index.postings import key_bits, pack_postings
from logferry.archive.index.radix import Numbers
from logferry.archive.index.rare import RareLines, rare_up_to
from logferry.archive.index.rarewords import pack_rare_words
from logferry.archive.index.runs import Runs, pack_runs
from logferry.archive.index.stamps import StampFinder, no_stamps
from logferry.archive.index.text import is_binary
from logferry.archive.index.timecolumn import Spans, pack_spans, pack_times, seconds_of, span_of
from logferry.archive.index.trigrams import Grams
from logferry.archive.index.typecounts import TypeCounts
from logferry.archive.index.typetable import Found, TypeTable
from logferry.archive.index.typetext import pack_texts
from logferry.archive.index.words import I64, U8, key_of
from logferry.archive.segment.frames import expand
from logferry.limits import GRANULE_BYTES, INDEX_TYPE_SHARE

_LEVEL = 1
"""Of zstd. Most of an index are hashes and bits, which no level makes smaller; 6 would save 1 to 2 % of it."""


class IndexBuilder:
    """The index of one segment."""

    def __init__(
        self,
        segment_id: bytes,
        *,
        stamps: StampFinder = no_stamps,
        granule_bytes: int = GRANULE_BYTES,
        level: int = _LEVEL,
        table: TypeTable | None = None,
    ) -> None:
        """``segment_id``: 16 bytes. ``level``: of zstd. ``table``: one with other limits, of the segment's key."""
        assert len(segment_id) == 16
        self._id = segment_id
        self._key = key_of(segment_id)
        self._stamps = stamps
        self._cutter = Cutter(granule_bytes)
        self._table = table or TypeTable(self._key)
        self._writer = Writer(level)
        self._column = _Column(self._writer)
        self._runs = Runs()
        self._counts = TypeCounts()
        self._rare = RareLines()
        self._rare_lines = 0
        self._posts = Numbers()
        self._posts_in_order = True
        self._grams = Grams()
        self._noted: list[tuple[int, int, int]] = []
        self._spans: list[tuple[int, int, int]] = []
        self._data = np.zeros(0, np.uint8)
        self._content_bytes = 0

    @property
    def granules(self) -> int:
        """Granules so far."""
        return len(self._noted)

    def add(self, content: bytes, stretches: Sequence[Stretch]) -> None:
        """Take the content of the next frame, which consists of ``stretches``."""
        self._content_bytes += len(content)
        for parts in self._cutter.cut(content, stretches):
            self._granule(parts)

    def finish(self) -> bytes:
        """The index. Nothing can be added any more."""
        for parts in self._cutter.rest():
            self._granule(parts)
        writer = self._writer
        self._drop(max(self._content_bytes // INDEX_TYPE_SHARE, 64 * 1024))
        types = self._pack_types(writer)
        self._column.write()
        bits = self._pack_words(writer)
        self._pack_grams(writer)
        spans = np.array(self._spans, np.int64).reshape(-1, 3)
        writer.add(Kind.SPANS, 0, pack_spans(Spans(spans[:, 0], spans[:, 1], spans[:, 2])))
        facts = Facts(self._id, self._content_bytes, self.granules, types, self._column.lines, bits)
        return writer.finish(facts)

    # One granule -----------------------------------------------------------------------------------------------------

    def _granule(self, parts: Sequence[Part]) -> None:
        data, breaks = self._text(parts)
        starts, ends, rows = find_lines(data, breaks)
        row_types = np.full(len(starts), RARE, np.uint32)
        row = place = 0
        stamp_starts, stamp_ends = np.zeros(len(starts), np.int32), np.zeros(len(starts), np.int32)
        times = np.full(len(starts), NO_TIME, np.int64)
        for part, stop, last in zip(parts, breaks, rows.tolist(), strict=True):
            opaque = self._note(part, data, (place, stop), row_types[row:last])
            if not opaque and self._stamps is not no_stamps:
                found = self._stamps(part.stretch.uid, data, starts[row:last], ends[row:last])
                stamp_starts[row:last], stamp_ends[row:last], times[row:last] = found.starts, found.ends, found.times
            row, place = last, stop
        split = self._table.split(
            self.granules,
            data[: breaks[-1] + PADDING],
            (starts, ends),
            (stamp_starts, stamp_ends, times),
            row_types,
            self._posts,
        )
        self._spans.append(span_of(times))
        self._column.add(row_types, times)
        self._keep(split)
        if self._table.is_crowded:
            self._relieve()

    def _text(self, parts: Sequence[Part]) -> tuple[U8, list[int]]:
        """The granule's text, padded, and where each part ends in it."""
        texts: list[bytes | memoryview] = []
        breaks: list[int] = []
        end = 0
        for part in parts:
            if part.stretch.encoding == "bytes":
                text: bytes | memoryview = memoryview(part.data)[part.start : part.end]
            else:
                text = as_utf8(part.content, part.stretch.offset, part.stretch.encoding)
            texts.append(text)
            end += len(text)
            breaks.append(end)
        if end + PADDING > len(self._data):
            self._data = np.zeros(end + end // 2 + PADDING, np.uint8)
        start = 0
        for text, stop in zip(texts, breaks, strict=True):
            self._data[start:stop] = np.frombuffer(text, np.uint8)
            start = stop
        self._data[end : end + PADDING] = 10
        return self._data, breaks

    def _note(self, part: Part, data: U8, place: tuple[int, int], row_types: U32) -> bool:
        """Remember a run, and mark the lines that the index can say nothing about. Whether those are all."""
        start, stop = place
        stretch = part.stretch
        is_open = stop > start and data[stop - 1] != 10
        is_cut_start = not stretch.begins_line and stretch.offset > 0
        is_cut_end = not part.has_line_end and not stretch.ends_line
        binary = is_binary(data, start, stop)
        self._runs.add(stretch.length, len(row_types), is_open, is_cut_start, is_cut_end, binary, stretch.encoding)
        if binary:
            row_types[:] = OPAQUE
        elif len(row_types):
            if is_cut_start:
                row_types[0] = OPAQUE
            if is_cut_end:
                row_types[-1] = OPAQUE
        return binary

    def _keep(self, found: Found) -> None:
        self._counts.add(found.types, found.lines)
        if RARE in found.types:
            self._rare.give_up_names(self._grams)
        self._grams.add(found.grams, self.granules)
        self._noted.append((found.classes, found.digit_lengths, found.other_lengths))
        self._runs.end_granule()

    # All of them -----------------------------------------------------------------------------------------------------

    def _relieve(self) -> None:
        """Log types explode: those that are rare so far go already."""
        types, text_bytes = self._table.goal()
        self._drop(text_bytes, types)
        if self._table.count > types or len(self._table.text) > text_bytes:
            self._table.bear()

    def _drop(self, text_bytes: int, types_max: int | None = None) -> None:
        """Rare types post their words instead, so that no more is left of the others."""
        table = self._table
        lines = self._counts.totals(table.count)
        self._rare_lines = rare_up_to(lines, table.lengths, text_bytes, types_max=types_max, least=self._rare_lines)
        rare = lines <= self._rare_lines
        rare[:FIRST_TYPE] = False
        if not rare.any():
            return
        self._rare.post(table, *self._counts.of(rare), self._posts, self._grams)
        self._posts_in_order = False
        numbers = table.drop(rare)
        self._counts.renumber(numbers)
        self._column.renumber(numbers)

    def _pack_types(self, writer: Writer) -> int:
        """Write what is known of types and granules. Returns how many types there are."""
        words = self._rare.words
        if words is not None:
            writer.add(Kind.RARE_WORDS, 0, pack_rare_words(words))
        for number, block in enumerate(pack_texts(self._table.text, self._table.lengths)):
            writer.add(Kind.TYPE_TEXT, number, block)
        writer.add(Kind.LOOKS, 0, pack([self._table.looks]))
        noted = np.array(self._noted, np.uint64).reshape(-1, 3)
        self._rare.note_lengths(noted[:, 2])
        writer.add(Kind.GRANULES, 0, pack_runs(self._runs, noted))
        for number, block in enumerate(pack_pairs(*self._counts.by_type(self._table.count))):
            writer.add(Kind.PAIRS, number, block)
        return self._table.count

    def _pack_words(self, writer: Writer) -> int:
        bits = key_bits(len(self._posts))
        for number, block in pack_postings(self._posts, bits, self.granules, in_order=self._posts_in_order):
            writer.add(Kind.WORDS, number, block)
        return bits

    def _pack_grams(self, writer: Writer) -> None:
        ids, rows = self._grams.pack(self.granules)
        writer.add(Kind.GRAM_IDS, 0, ids)
        for number, block in enumerate(rows):
            writer.add(Kind.GRAM_ROWS, number, block)


class _Column:
    """Type and time of each line, compressed as they come: a segment's lines would take many times the memory."""

    def __init__(self, writer: Writer) -> None:
        self.lines = 0
        self._writer = writer
        self._types: list[U32] = []
        self._times: list[I64] = []
        self._packed: list[tuple[Block, Block | None]] = []

    def add(self, types: U32, times: I64) -> None:
        """The lines of the next granule."""
        self.lines += len(types)
        self._types.append(types)
        self._times.append(times)
        if len(self._types) == BLOCK_GRANULES:
            self._pack()

    def _pack(self) -> None:
        times = np.concatenate(self._times)
        timed = bool((times != NO_TIME).any())
        self._packed.append(
            (
                self._writer.compressed(pack([np.concatenate(self._types)])),
                self._writer.compressed(pack_times(seconds_of(times))) if timed else None,
            )
        )
        self._types.clear()
        self._times.clear()

    def renumber(self, numbers: U32) -> None:
        """Types get other numbers."""
        self._types = [numbers[types] for types in self._types]
        for place, (types, times) in enumerate(self._packed):
            (before,) = unpack(expand(types.data, types.raw, where="types of lines"), 1, where="types of lines")
            self._packed[place] = self._writer.compressed(pack([numbers[before]])), times

    def write(self) -> None:
        """Add all blocks."""
        if self._types:
            self._pack()
        for number, (types, times) in enumerate(self._packed):
            self._writer.put(Kind.COLUMN, number, types)
            if times is not None:
                self._writer.put(Kind.TIMES, number, times)
