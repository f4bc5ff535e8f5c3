"""Some lines of a file: entries folded, or those a query keeps, with the lines around them; against plain models."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from logferry.archive.line_index import LineIndexes
from logferry.archive.lines import Lines
from logferry.archive.reader import GenerationReader
from logferry.archive.timestamps import Reading
from logferry.clock import ManualClock
from logferry.encodings import CP1252, UTF_8, UTF_16_LE, Encoding
from logferry.errors import Later
from logferry.search.kept import EntryLines, Keeping, KeptPage

NOW = 1_795_000_000_000_000_000
TRACE = ["Traceback (most recent call last):", '  File "x.py", line 1', "    füße()", "ValueError: bad"]
TEXT = [
    line
    for i in range(120)
    for line in (f"2026-11-23 08:14:{i % 60:02} INFO é entry {i}", *(TRACE if i % 10 == 3 else ()))
]
HEADS = [at for at, line in enumerate(TEXT) if line.startswith("2026")]


class Bytes(GenerationReader):
    """A reader over bytes in memory."""

    def __init__(self, data: bytes) -> None:
        super().__init__(-1, len(data), "text")
        self._data = data

    def read_at(self, offset: int, count: int) -> bytes:
        return self._data[offset : min(offset + count, self.size)] if count > 0 else b""


class File:
    """The text in an encoding."""

    def __init__(self, encoding: Encoding) -> None:
        data = "".join(f"{line}\n" for line in TEXT).encode(encoding.codec)
        reader = Bytes(data)
        self.lines = Lines(reader, LineIndexes(lambda _: reader, ManualClock()), 1, encoding)
        self.entries = EntryLines(self.lines, Reading(NOW))
        self.places = [
            len("".join(f"{line}\n" for line in TEXT[:at]).encode(encoding.codec)) for at in range(len(TEXT))
        ]
        self.size = len(data)

    def keeping(self, wanted: str = "", *, context: int = 0, fold: bool = False) -> Keeping:
        def hits(after: int, before: int, limit: int, *, newest_first: bool) -> tuple[list[int], bool]:
            found = [b for b, line in zip(self.places, TEXT, strict=True) if wanted in line and after <= b < before]
            return (found[::-1] if newest_first else found)[:limit], len(found) <= limit

        return Keeping(self.entries, ManualClock(), hits=hits if wanted else None, context=context, fold=fold)


@pytest.fixture(scope="module", params=[UTF_8, UTF_16_LE, CP1252], ids=lambda encoding: encoding.name)
def file(request: pytest.FixtureRequest) -> File:
    """The text in one of three encodings."""
    return File(request.param)


def _at(page: Callable[[int, int], KeptPage], count: int, place: int) -> KeptPage:
    return page(place, count)


def all_numbers(first: KeptPage, onward: Callable[[int], KeptPage], *, back: bool = False) -> list[int]:
    """The numbers of all rows, asking on until there is no more; each line once."""
    found = [kept.row.number or 0 for kept in first.rows]
    page = first
    while (place := page.prev if back else page.next) is not None:
        page = onward(place)
        more = [kept.row.number or 0 for kept in page.rows]
        found = (
            [n for n in more if n < found[0]] + found
            if back and found
            else found + [n for n in more if not found or n > found[-1]]
        )
    return found


def test_folded_entries_are_their_first_lines_with_true_numbers(file: File) -> None:
    """Page by page, forward and backward: the first lines, how many more there are, and where the next one begins."""
    keeping = file.keeping(fold=True)
    numbers = [at + 1 for at in HEADS]
    assert all_numbers(keeping.after(0, 7), lambda at: keeping.after(at, 7)) == numbers
    assert all_numbers(keeping.before(file.size, 7), lambda at: keeping.before(at, 7), back=True) == numbers
    for kept, following in zip(keeping.after(0, 50).rows, HEADS[1:], strict=False):
        assert kept.row.byte + kept.span == file.places[following]
        assert kept.more == following - (kept.row.number or 0)


def test_a_place_within_an_entry_leads_to_all_of_it(file: File) -> None:
    """From the middle of a stack trace one gets the line above it, that it belongs to."""
    at = HEADS[3] + 2
    page = file.keeping(fold=True).after(file.places[at] + 3, 5)
    assert page.rows[0].row.number == HEADS[3] + 1
    assert page.rows[0].more == len(TRACE)


def test_what_a_query_keeps_is_whole_entries_and_lines_around_them(file: File) -> None:
    """A hit in the last line of a trace keeps the entry; lines beside are no hits; nothing comes twice."""
    keeping = file.keeping("ValueError", context=2)
    expected: set[int] = set()
    for at in HEADS[3::10]:
        expected |= {n for n in range(at - 1, at + len(TRACE) + 4) if 1 <= n <= len(TEXT)}
    for count in (5, 40):
        onward, backward = partial(_at, keeping.after, count), partial(_at, keeping.before, count)
        forward = all_numbers(onward(0), onward)
        back = all_numbers(backward(file.size), backward, back=True)
        assert forward == back == sorted(expected)
    hits = [kept.row.number for kept in keeping.after(0, 5).rows if kept.is_hit]
    assert hits == list(range(HEADS[3] + 1, HEADS[3] + 2 + len(TRACE)))


def test_folded_and_kept_at_once(file: File) -> None:
    """One row for each entry that is found."""
    page = file.keeping("ValueError", fold=True).after(0, 500)
    assert [kept.row.number for kept in page.rows] == [at + 1 for at in HEADS[3::10]]
    assert {kept.more for kept in page.rows} == {len(TRACE)}


def test_nothing_found_is_no_row_and_no_more(file: File) -> None:
    """Neither behind nor before."""
    keeping = file.keeping("nowhere")
    assert keeping.after(0, 10) == KeptPage((), None, None)
    assert keeping.before(file.size, 10) == KeptPage((), None, None)


def test_what_takes_too_long_is_asked_of_less_and_less(file: File) -> None:
    """Until it is found; where even little takes too long that is said."""
    asked: list[int] = []

    def hits(after: int, before: int, limit: int, *, newest_first: bool) -> tuple[list[int], bool]:
        asked.append(before - after)
        return ([file.places[HEADS[3]]], True) if len(asked) == 3 else ([], False)

    keeping = Keeping(file.entries, ManualClock(), hits=hits)
    assert keeping.after(0, 1).rows[0].row.number == HEADS[3] + 1
    asked[:] = [0, 0, 0]
    with pytest.raises(Later):
        keeping.after(0, 1)
