"""Lines by byte, by number and from the end, against the plainest possible model."""

from __future__ import annotations

import threading
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import logferry.archive.line_index as line_index_module
import logferry.archive.lines as lines_module
from logferry.archive.line_index import LineIndex, LineIndexes
from logferry.archive.lines import Lines
from logferry.archive.reader import GenerationReader
from logferry.clock import ManualClock
from logferry.encodings import UTF_16_BE, UTF_16_LE, Encoding
from logferry.limits import LINE_BYTES_SHOWN_MAX, MIB
from tests.archive.conftest import AGENT, Shelf


class Text(GenerationReader):
    """A reader over bytes in memory."""

    def __init__(self, data: bytes) -> None:
        super().__init__(-1, len(data), "text")
        self._data = data
        self.bytes_read = 0

    def read_at(self, offset: int, count: int) -> bytes:
        self.bytes_read += max(0, min(count, self.size - offset))
        return self._data[offset : min(offset + count, self.size)] if count > 0 else b""


class Sparse(GenerationReader):
    """One endless line of ``size`` bytes with short lines before and after it, never held in memory."""

    def __init__(self, size: int) -> None:
        super().__init__(-1, size + 8, "sparse")

    def read_at(self, offset: int, count: int) -> bytes:
        count = max(0, min(count, self.size - offset))
        data = bytearray(b"x" * count)
        for position, byte in [(0, b"a"), (1, b"\n"), (self.size - 5, b"\n"), (self.size - 1, b"\n")]:
            if offset <= position < offset + count:
                data[position - offset : position - offset + 1] = byte
        return bytes(data)


def _indexes(reader: GenerationReader) -> LineIndexes:
    return LineIndexes(lambda _: reader, ManualClock())


def _make_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_index_module, "STEP", 16)
    monkeypatch.setattr(lines_module, "STEP", 16)
    monkeypatch.setattr(lines_module, "LINE_WINDOW_BYTES", 12)
    monkeypatch.setattr(lines_module, "LINE_BYTES_SHOWN_MAX", 10)
    monkeypatch.setattr(lines_module, "_PART", 4)


def _model(data: bytes) -> list[tuple[int, int]]:
    """(where, length) of every line."""
    found, start = [], 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end + 1
        found.append((start, end - start))
        start = end
    return found


TEXTS = st.lists(
    st.one_of(st.binary(max_size=8), st.sampled_from([b"\n", b"\r\n", b"x" * 11, b"y" * 40, b"\n" * 20])), max_size=30
).map(b"".join)


@given(data=TEXTS, byte=st.integers(min_value=0, max_value=300), count=st.integers(min_value=1, max_value=9))
def test_pages_by_byte_are_the_lines_of_the_model(data: bytes, byte: int, count: int) -> None:
    """From the line that holds the byte; numbers, places, lengths and contents are right; prev and next lead on."""
    with pytest.MonkeyPatch.context() as patch:
        _make_small(patch)
        reader = Text(data)
        lines = Lines(reader, _indexes(reader), 1)
        model = _model(data)
        page = lines.page_at(byte, count)
        first = next((i for i, (start, length) in enumerate(model) if start + length > byte), len(model) - 1)
        expected = model[first : first + count] if model else []
        assert [(row.byte, row.length) for row in page.rows] == expected
        for offset, row in enumerate(page.rows):
            line = data[row.byte : row.byte + row.length]
            text = line.removesuffix(b"\n")
            text = text.removesuffix(b"\r") if line.endswith(b"\r\n") else text
            assert row.number == first + offset + 1
            assert row.data == text[:10]
            assert row.cut == (len(text) > 10)
        if model:
            last = first + len(page.rows)
            assert page.next == (model[last][0] if last < len(model) else None)
            assert page.prev == (model[max(0, first - count)][0] if first else None)


@given(data=TEXTS, line_no=st.integers(min_value=1, max_value=60), count=st.integers(min_value=1, max_value=9))
def test_pages_by_number_and_from_the_end_are_the_lines_of_the_model(data: bytes, line_no: int, count: int) -> None:
    """Line n is the n-th line; past the end there is nothing; the tail is the last lines; the total is right."""
    with pytest.MonkeyPatch.context() as patch:
        _make_small(patch)
        reader = Text(data)
        lines = Lines(reader, _indexes(reader), 1)
        model = _model(data)
        assert lines.total == len(model)
        page = lines.page_from(line_no, count)
        assert page.exact
        assert [(row.byte, row.length) for row in page.rows] == model[line_no - 1 : line_no - 1 + count]
        assert [row.number for row in page.rows] == list(range(line_no, line_no + len(page.rows)))
        assert [(row.byte, row.length) for row in lines.tail(count).rows] == model[-count:]
        before = lines.page_before(len(data), count)
        holds_end = model[-1][0] if model and not data.endswith(b"\n") else len(data)
        wanted = [line for line in model if line[0] < holds_end][-count:]
        assert [(row.byte, row.length) for row in before.rows] == wanted
        counts = lines.index()
        assert counts.complete
        assert sum(counts.counts) == data.count(b"\n")
        assert counts.lines_total == len(model)


WIDE = st.lists(st.sampled_from(["a", "\n", "\r\n", "\u0a0a", "\u0a00", "\u010a", "x" * 9]), max_size=40).map("".join)


@given(text=WIDE, encoding=st.sampled_from([UTF_16_LE, UTF_16_BE]), byte=st.integers(0, 200), count=st.integers(1, 9))
def test_lines_of_utf_16_are_those_of_its_text(text: str, encoding: Encoding, byte: int, count: int) -> None:
    """Whatever characters have the byte of a line end in them: places in the file's bytes, numbers, text as UTF-8."""
    with pytest.MonkeyPatch.context() as patch:
        _make_small(patch)
        reader = Text(text.encode(encoding.codec))
        lines = Lines(reader, _indexes(reader), 1, encoding)
        model: list[tuple[int, int]] = []
        start = 0
        for line in text.split("\n"):
            model.append((2 * start, 2 * len(line) + 2))
            start += len(line) + 1
        model[-1] = (model[-1][0], model[-1][1] - 2)
        model = [line for line in model if line[1]]
        assert lines.total == len(model)
        first = next((i for i, (start, length) in enumerate(model) if start + length > byte), len(model) - 1)
        page = lines.page_at(byte, count)
        assert [(row.byte, row.length) for row in page.rows] == (model[first : first + count] if model else [])
        for number, row in enumerate(page.rows, first + 1):
            whole = text[row.byte // 2 : (row.byte + row.length) // 2]
            shown = whole.removesuffix("\n").removesuffix("\r") if whole.endswith("\n") else whole
            assert (row.number, row.data.decode(), row.cut) == (number, shown[:5], len(shown) > 5)
            assert row.ended == whole.endswith("\n")
        assert [(row.byte, row.length) for row in lines.tail(count).rows] == model[-count:]
        assert [(row.byte, row.length) for row in lines.page_from(2, count).rows] == model[1 : 1 + count]
        assert sum(lines.index().counts) == text.count("\n")


def test_an_empty_file_has_no_lines() -> None:
    """Every way to ask gives an empty, exact page."""
    reader = Text(b"")
    lines = Lines(reader, _indexes(reader), 1)
    for page in (lines.page_at(0, 5), lines.page_from(1, 5), lines.tail(5), lines.page_before(0, 5)):
        assert page.rows == ()
        assert page.next is None
    assert lines.total == 0


def test_a_page_is_bounded_in_bytes() -> None:
    """``max_bytes`` ends a page early, but never before its first line; the tail keeps its last lines."""
    reader = Text(b"0123456789\n" * 100)
    lines = Lines(reader, _indexes(reader), 1)
    assert len(lines.page_at(0, 50, max_bytes=35).rows) == 3
    assert len(lines.page_at(0, 50, max_bytes=1).rows) == 1
    assert [row.number for row in lines.tail(50, max_bytes=35).rows] == [98, 99, 100]


def test_a_gigabyte_line_is_one_cut_row_in_little_memory() -> None:
    """Its length is right, its row holds the beginning, its neighbours are found on both sides."""
    size = 1024 * MIB
    reader = Sparse(size)
    lines = Lines(reader, _indexes(reader), 1)
    tracemalloc.start()
    page = lines.page_at(5, 3)
    tail = lines.tail(2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(row.byte, row.length, row.cut) for row in page.rows] == [
        (2, size + 2, True),
        (size + 4, 4, False),
    ]
    assert len(page.rows[0].data) == LINE_BYTES_SHOWN_MAX
    assert [row.byte for row in tail.rows] == [2, size + 4]
    assert peak < 16 * MIB


def test_a_jump_reads_little() -> None:
    """With the index there, a page by number reads a few blocks, wherever it is."""
    reader = Text(b"".join(b"line %07d\n" % number for number in range(1_000_000)))
    indexes = _indexes(reader)
    lines = Lines(reader, indexes, 1)
    reader.bytes_read = 0
    page = lines.page_from(777_777, 100)
    assert page.rows[0].data == b"line 0777776"
    assert page.rows[0].number == 777_777
    assert reader.bytes_read < 4 * MIB


def test_numbers_are_an_estimate_while_the_counting_has_not_got_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A jump does not wait for ever: it answers near the place, without numbers, and says so."""
    monkeypatch.setattr(lines_module, "LINE_INDEX_NOW_BYTES", MIB)
    monkeypatch.setattr(lines_module, "LINE_INDEX_WAIT_S", 0.0)
    reader = Text(b"".join(b"line %07d\n" % number for number in range(1_000_000)))
    indexes = _indexes(reader)
    indexes.close()  # nobody counts in the background
    lines = Lines(reader, indexes, 1)
    assert lines.total is None
    assert not lines.index().complete
    page = lines.page_from(900_000, 10)
    assert not page.exact
    assert page.rows[0].number is None
    assert abs(int(page.rows[0].data.split()[1]) - 900_000) < 20_000


def test_the_index_goes_on_where_the_file_grew(shelf: Shelf) -> None:
    """Blocks counted once stay; only what came is counted; the background thread finishes large files."""
    line = b"x" * 99 + b"\n"
    shelf.put("big.log", line * 200_000)
    file = shelf.catalog.files.at(AGENT, "big.log")
    assert file is not None
    with shelf.archive.lines(file.generation_id) as lines:
        assert lines.page_from(150_000, 1).rows[0].byte == 149_999 * 100
    shelf.put("big.log", b"last\n", append=True)
    with shelf.archive.lines(file.generation_id) as lines:
        assert lines.total == 200_001
        assert lines.tail(1).rows[0].data == b"last"
        assert lines.tail(1).rows[0].number == 200_001


def test_the_index_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest indexes go when all of them together get too large."""
    monkeypatch.setattr(line_index_module, "LINE_INDEX_BLOCKS_MAX", 10)
    reader = Text(b"\n" * (4 * MIB))
    indexes = _indexes(reader)
    for generation in range(5):
        indexes.of(generation).count_on(reader, reader.size, lambda: True)
    first = indexes.of(0)
    assert first.blocks == 0
    assert indexes.of(4).blocks == 4


def test_counting_can_be_stopped_between_blocks() -> None:
    """What was counted by then stays."""
    reader = Text(b"\n" * (4 * MIB))
    index = LineIndex()
    assert not index.count_on(reader, reader.size, lambda: False)
    assert index.blocks == 1
    assert index.count_on(reader, reader.size, lambda: True)
    assert index.counts() == (MIB,) * 4


def test_background_counting_completes_a_large_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody asks once; a moment later all lines are counted."""
    monkeypatch.setattr(lines_module, "LINE_INDEX_NOW_BYTES", 0)
    shelf = Shelf(folder)
    shelf.put("big.log", b"a line\n" * 3_000_000)
    file = shelf.catalog.files.at(AGENT, "big.log")
    assert file is not None
    deadline = time.monotonic() + 60
    complete = False
    while not complete and time.monotonic() < deadline:
        with shelf.archive.lines(file.generation_id) as lines:
            complete = lines.index().complete
        threading.Event().wait(0.01)
    assert complete
    shelf.close()
