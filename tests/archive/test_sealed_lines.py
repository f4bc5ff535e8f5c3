"""Lines of sealed generations: as a plain count has them, without reading what lies before."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

import logferry.archive.line_index as line_index_module
import logferry.archive.lines as lines_module
from logferry.archive import GenerationReader, Lines
from logferry.archive.index.runs import RunTable
from logferry.archive.indexes import Indexes
from logferry.archive.line_index import LineIndexes, Told
from logferry.archive.sealed_lines import told_of
from logferry.clock import ManualClock
from logferry.errors import Damaged
from logferry.limits import LINE_BYTES_SHOWN_MAX, MIB
from tests.archive.conftest import AGENT, Shelf
from tests.archive.segment.making import log_text
from tests.archive.test_indexes import index_record, named, reindex, seal, segments

LOG = "var/log/app.log"
SEED = int(os.environ.get("LOGFERRY_SEED", "0")) or random.SystemRandom().randrange(1 << 32)


def generation_of(shelf: Shelf, path: str = LOG) -> int:
    file = shelf.catalog.files.at(AGENT, path)
    assert file is not None
    return file.generation_id


def all_told(shelf: Shelf, at: int = 0, before: int = 0, most: int = 1_000) -> tuple[list[int], list[int]]:
    """What the indexes tell of the log's lines behind byte ``at``."""
    generation = generation_of(shelf)
    with shelf.archive.open(generation) as reader:
        told = told_of(shelf.archive._rooms, generation, reader, at, before, most)
    return list(told.places), list(told.ends)


class Plain:
    """All lines of some bytes: where each begins, as a plain count tells."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.starts = [0, *(at + 1 for at, byte in enumerate(data) if byte == 10)] if data else []
        if data.endswith(b"\n"):
            self.starts.pop()

    def row(self, number: int) -> tuple[int, int, bytes]:
        """(number, first byte, content as it is shown) of a line."""
        start = self.starts[number - 1]
        end = self.data.find(b"\n", start)
        line = self.data[start : len(self.data) if end < 0 else end].removesuffix(b"\r")
        return number, start, line[:LINE_BYTES_SHOWN_MAX]


def check(lines: Lines, plain: Plain, numbers: list[int]) -> None:
    """Everything that can be asked of some lines is as the plain count has it."""
    assert lines.total == len(plain.starts)
    for number in numbers:
        page = lines.page_from(number, 3)
        assert page.exact
        assert [(row.number, row.byte, row.data) for row in page.rows] == [
            plain.row(n) for n in range(number, min(number + 3, len(plain.starts) + 1))
        ], number
        start = plain.starts[number - 1]
        end = plain.starts[number] if number < len(plain.starts) else len(plain.data)
        for byte in {start, (start + end) // 2, end - 1}:
            assert lines.number_at(byte, lambda: False) == number
            assert lines.page_at(byte, 1).rows[0].number == number
    assert lines.page_from(len(plain.starts) + 1, 3).rows == ()
    assert lines.page_from(len(plain.starts) + 1_000_000, 3).rows == ()
    if plain.starts:
        assert [row.number for row in lines.tail(2).rows] == list(
            range(max(1, len(plain.starts) - 1), len(plain.starts) + 1)
        )


@contextmanager
def opened(shelf: Shelf, generation: int) -> Iterator[tuple[Lines, list[tuple[int, int]]]]:
    """Lines nobody has looked at before, and what was read of the generation so far: (offset, count)."""
    reads: list[tuple[int, int]] = []
    with shelf.archive.open(generation) as reader:
        read_at = reader.read_at

        def noting(offset: int, count: int) -> bytes:
            reads.append((offset, max(0, min(count, reader.size - offset))))
            return read_at(offset, count)

        reader.read_at = noting  # type: ignore[method-assign]
        indexes = LineIndexes(shelf.archive.open, ManualClock(), partial(told_of, shelf.archive._rooms))
        yield Lines(reader, indexes, generation), reads
        indexes.close()


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what a thread in the background does."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def some_text(dice: random.Random, size: int) -> bytes:
    """Lines of all lengths: empty, short, very long, CR LF, binary; the last one may have no end."""
    parts: list[bytes] = []
    left = size
    while left > 0:
        kind = dice.random()
        if kind < 0.2:
            line = b"\n" * dice.randrange(1, 40)
        elif kind < 0.9:
            line = b"line %d of it, %s\r\n" % (dice.randrange(10**9), b"x" * dice.randrange(200))
        elif kind < 0.99:
            line = dice.randbytes(dice.randrange(3_000)) + b"\n"
        else:
            line = b"y" * dice.randrange(100_000) + b"\n"
        parts.append(line[:left])
        left -= len(line)
    return b"".join(parts)


@pytest.mark.parametrize("turn", range(6))
def test_lines_are_those_of_a_plain_count(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, turn: int) -> None:
    """Sealed in several segments, with and without a tail, cut anywhere."""
    dice = random.Random(f"{SEED} {turn}")
    print(f"LOGFERRY_SEED={SEED}")
    for module in (line_index_module, lines_module):
        monkeypatch.setattr(module, "STEP", 4_096)  # so that a little counts as much
    monkeypatch.setattr(lines_module, "LINE_INDEX_NOW_BYTES", 0)
    whole = some_text(dice, dice.randrange(1_500_000, 2_500_000))
    cuts = sorted(dice.randrange(len(whole)) for _ in range(2))
    for start, end in ((0, cuts[0]), (cuts[0], cuts[1])):
        shelf.put(LOG, whole[start:end], offset=start)
        shelf.put(f"other-{start}.log", some_text(dice, 50_000))
        seal(shelf, segment_bytes=dice.choice([300_000, 700_000, 1 << 22]))
    if turn % 2:
        shelf.put(LOG, whole[cuts[1] :], offset=cuts[1])
    else:
        whole = whole[: cuts[1]]
    plain = Plain(whole)
    edges = [at for at in cuts if at < len(whole)]
    near = [sum(start <= at for start in plain.starts) for at in edges]
    numbers = {1, len(plain.starts)} | {n for at in near for n in (at - 1, at, at + 1)}
    numbers |= {dice.randrange(1, len(plain.starts)) for _ in range(40)}
    with opened(shelf, generation_of(shelf)) as (lines, _):
        until(lambda: lines.total is not None)  # the tail is counted in the background
        check(lines, plain, sorted(n for n in numbers if 1 <= n <= len(plain.starts)))
        until(lambda: lines.index().complete)
        counts = lines.index()
        assert counts.counts == tuple(whole[at : at + 4_096].count(b"\n") for at in range(0, len(whole), 4_096))
        assert counts.lines_total == len(plain.starts)


def test_a_line_is_found_by_reading_one_granule(shelf: Shelf) -> None:
    whole = log_text(12 * MIB)
    shelf.put(LOG, whole)
    seal(shelf, segment_bytes=5 * MIB)
    assert len(segments(shelf)) == 3
    plain = Plain(whole)
    for number in (1, 2, len(plain.starts) // 2, len(plain.starts) - 1):
        with opened(shelf, generation_of(shelf)) as (lines, reads):
            row = lines.page_from(number, 1).rows[0]
            assert (row.number, row.byte, row.data) == plain.row(number)
            start = plain.starts[number - 1]
            assert all(start - MIB < offset < start + MIB for offset, count in reads if count)
            assert sum(count for _, count in reads) < 3 * MIB
            reads.clear()
            assert lines.number_at(start, lambda: False) == number
            assert lines.total == len(plain.starts)
            assert sum(count for _, count in reads) < MIB


def test_a_tail_is_counted_from_where_the_sealed_bytes_end(shelf: Shelf) -> None:
    whole = log_text(8 * MIB)
    shelf.put(LOG, whole[: 5 * MIB])
    seal(shelf, segment_bytes=1 << 23)
    shelf.put(LOG, whole[5 * MIB :], offset=5 * MIB)
    with opened(shelf, generation_of(shelf)) as (lines, reads):
        assert lines.total == whole.count(b"\n")
        assert all(offset >= 5 * MIB - MIB for offset, _ in reads)
        check(lines, Plain(whole), [1, 2, whole[: 5 * MIB].count(b"\n"), whole[: 5 * MIB].count(b"\n") + 1])


def test_without_an_index_lines_are_counted(shelf: Shelf) -> None:
    """Missing, damaged, of another version: the same answers."""
    whole = log_text(4 * MIB)
    shelf.put(LOG, whole)
    seal(shelf, segment_bytes=1 << 20)
    generation = generation_of(shelf)
    plain = Plain(whole)
    numbers = [1, 1_000, len(plain.starts) // 2, len(plain.starts)]
    paths = named(shelf)
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes()[:100])
    for _ in range(2):
        with opened(shelf, generation) as (lines, _):
            check(lines, plain, numbers)
        reindex(shelf)
    with opened(shelf, generation) as (lines, reads):
        assert lines.total == len(plain.starts)
        assert sum(count for _, count in reads) < MIB


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_counted_as_before(shelf: Shelf, encoding: str) -> None:
    """Its lines are those of its bytes, whatever the index says of its text."""
    whole = ("\ufeff" + "a line of text \u0a0a\u0a41\n" * 100_000).encode(encoding)
    shelf.put(LOG, whole)
    seal(shelf, segment_bytes=1 << 20)
    assert all_told(shelf) == ([], [])
    with opened(shelf, generation_of(shelf)) as (lines, _):
        check(lines, Plain(whole), [1, 2, 3, 150_000, whole.count(b"\n")])


def test_what_is_told_grows_with_what_is_sealed(shelf: Shelf) -> None:
    """An index of lines that is kept takes over what is sealed later, and no line is counted twice."""
    whole = log_text(9 * MIB)
    generation = 0
    for end in (2 * MIB, 5 * MIB, 9 * MIB):
        size = shelf.size(LOG) or 0
        shelf.put(LOG, whole[size:end], offset=size)
        seal(shelf, segment_bytes=1 << 22)
        generation = generation_of(shelf)
        with shelf.archive.lines(generation) as lines:
            check(lines, Plain(whole[:end]), [1, whole[:size].count(b"\n") + 1, whole[:end].count(b"\n")])


def test_moved_extents_are_told_by_the_new_segment(shelf: Shelf) -> None:
    whole = log_text(3 * MIB)
    for start in range(0, len(whole), MIB):
        shelf.put(LOG, whole[start : start + MIB], offset=start)
        shelf.put(f"other-{start}.log", log_text(50_000, start))
        seal(shelf)
    for _ in shelf.archive.compactor(level=2, segment_bytes=1 << 23).compact(shelf.clock.now_ns()):
        pass
    reindex(shelf)
    places, ends = all_told(shelf)
    assert (places[-1], ends[-1]) == (len(whole), whole.count(b"\n"))
    assert all(whole[:place].count(b"\n") == end for place, end in zip(places, ends, strict=True))


def test_a_damaged_frame_is_no_matter_for_lines_elsewhere(shelf: Shelf) -> None:
    whole = log_text(4 * MIB)
    shelf.put(LOG, whole)
    seal(shelf, segment_bytes=1 << 23)
    (segment,) = (shelf.folder / "store").rglob("*.zst")
    data = bytearray(segment.read_bytes())
    data[200] ^= 1
    segment.write_bytes(data)
    plain = Plain(whole)
    with opened(shelf, generation_of(shelf)) as (lines, _):
        last = len(plain.starts)
        assert lines.page_from(last, 1).rows[0].data == plain.row(last)[2]
        with pytest.raises(Damaged, match="frame 0"):
            lines.page_from(1, 1)


def test_a_reader_tells_how_much_of_it_is_sealed(shelf: Shelf) -> None:
    shelf.put(LOG, log_text(50_000)[:50_000])
    generation = generation_of(shelf)

    def sealed() -> int:
        with shelf.archive.open(generation) as reader:
            assert isinstance(reader, GenerationReader)
            return reader.sealed_bytes

    assert sealed() == 0
    seal(shelf)
    assert sealed() == 50_000
    shelf.put(LOG, b"more\n", offset=50_000)
    assert sealed() == 50_000


# A little at a time --------------------------------------------------------------------------------------------------


def in_many_segments(shelf: Shelf) -> bytes:
    """A log of 12 MiB in 12 segments; returns it."""
    whole = log_text(12 * MIB)
    shelf.put(LOG, whole)
    seal(shelf, segment_bytes=MIB)
    assert len(segments(shelf)) >= 12
    return whole


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Segments whose indexes are asked for their lines, in order; two at once are enough."""
    found: list[int] = []
    runs = Indexes.runs

    def noting(indexes: Indexes, segment_id: int) -> RunTable | None:
        found.append(segment_id)
        return runs(indexes, segment_id)

    monkeypatch.setattr(Indexes, "runs", noting)
    monkeypatch.setattr(line_index_module, "LINE_INDEX_NOW_TABLES", 2)
    monkeypatch.setattr(lines_module, "LINE_INDEX_NOW_BYTES", 0)
    return found


def test_a_request_asks_few_indexes_and_estimates_the_rest(
    shelf: Shelf, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The background goes on where it stopped, asks each index once, and reads no text for it."""
    monkeypatch.setattr(lines_module, "LINE_INDEX_WAIT_S", -1.0)
    whole = in_many_segments(shelf)
    plain = Plain(whole)
    last = len(plain.starts)
    held = threading.Event()
    with shelf.archive.open(generation_of(shelf)) as reader:

        def waiting(generation_id: int) -> GenerationReader:
            assert held.wait(60)
            return shelf.archive.open(generation_id)

        indexes = LineIndexes(waiting, ManualClock(), partial(told_of, shelf.archive._rooms))
        lines = Lines(reader, indexes, generation_of(shelf))
        assert len(asked) == 2
        assert lines.total is None
        page = lines.page_from(last, 1)
        assert (page.exact, page.rows[0].number) == (False, None)
        assert lines.page_from(5, 1).rows[0].number == 5
        assert len(asked) <= 6
        held.set()
        until(lambda: lines.total is not None)
        check(lines, plain, [1, last // 2, last])
        assert {record.id for record in segments(shelf)[:-2]} <= set(asked), "less than a MiB is counted"
        assert len(asked) <= len(segments(shelf)) + 2
        indexes.close()


def test_a_search_that_has_the_time_asks_all_indexes_rather_than_counting(shelf: Shelf, asked: list[int]) -> None:
    whole = in_many_segments(shelf)
    plain = Plain(whole)
    last = len(plain.starts)
    with opened(shelf, generation_of(shelf)) as (lines, reads):
        assert lines.number_at(plain.starts[-1], lambda: True) == last
        assert sum(count for _, count in reads) < 2 * MIB
        assert lines.page_from(last // 2, 1).exact


def test_what_one_index_cannot_tell_is_counted_and_the_next_ones_tell_the_rest(shelf: Shelf, asked: list[int]) -> None:
    whole = in_many_segments(shelf)
    plain = Plain(whole)
    last = len(plain.starts)
    gap = segments(shelf)[4]
    (shelf.folder / "store" / index_record(shelf, gap).name).unlink()
    with opened(shelf, generation_of(shelf)) as (lines, reads):
        assert lines.number_at(plain.starts[-1], lambda: True) == last
        check(lines, plain, [1, last // 3, last // 2, last])
        counted = sum(count for _, count in reads if count == line_index_module.STEP)
        assert counted <= 3 * MIB


@pytest.mark.parametrize("turn", range(10))
def test_told_from_anywhere_are_the_same_lines(shelf: Shelf, turn: int) -> None:
    """From the middle of a granule or a run, from the end of an extent, a few indexes at a time."""
    dice = random.Random(f"{SEED} told {turn}")
    print(f"LOGFERRY_SEED={SEED}")
    whole = some_text(dice, dice.randrange(500_000, 3_000_000))
    shelf.put(LOG, whole)
    seal(shelf, segment_bytes=dice.choice([100_000, 300_000, 1_200_000]))
    for _ in range(20):
        at = dice.choice([0, dice.randrange(len(whole)), len(whole) - 1])
        most = dice.choice([1, 2, 5, 100])
        places, ends = all_told(shelf, at, whole[:at].count(b"\n"), most)
        assert all(place > at for place in places)
        assert [whole[:place].count(b"\n") for place in places] == ends
        assert places
        if most > len(segments(shelf)):
            assert places[-1] == len(whole)


def test_whoever_fails_to_tell_is_asked_again() -> None:
    """What it was asked is not taken for told before it has told."""
    answers: list[Told | Damaged] = [Damaged("not now", where="it"), Told([2 * MIB], [7], 2 * MIB)]

    def told(*_: object) -> Told:
        answer = answers.pop(0)
        if isinstance(answer, Damaged):
            raise answer
        return answer

    class Sealed(GenerationReader):
        @property
        def sealed_bytes(self) -> int:
            return self.size

    reader = Sealed(None, 2 * MIB, "it")
    indexes = LineIndexes(lambda _: reader, ManualClock(), told)
    with pytest.raises(Damaged):
        indexes.ask(1, reader)
    assert indexes.ask(1, reader).last == (2 * MIB, 7)
    indexes.close()
