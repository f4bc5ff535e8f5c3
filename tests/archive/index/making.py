"""Indexes made in memory, and what is true of their lines, told by plain Python over the text."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from logferry.archive.index import (
    MAYBE,
    NO,
    YES,
    Candidates,
    Encoding,
    SegmentIndex,
    StampFinder,
    encoding_of,
    index_of,
)
from logferry.archive.index.stamps import no_stamps
from logferry.archive.segment import Segment
from tests.archive.segment.making import make

WORD = rb"[A-Za-z0-9\x80-\xff]"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a granule: the line it belongs to, as UTF-8, and whether it is all of that line."""

    granule: int
    row: int
    line: bytes
    whole: bool


@dataclass(frozen=True, slots=True)
class Made:
    """An index, the segment, its rows."""

    index: SegmentIndex
    segment: Segment
    data: bytes
    rows: tuple[Row, ...]

    def states(self, found: Candidates) -> list[int]:
        """NO, MAYBE or YES for each row."""
        states: list[int] = []
        for granule in range(self.index.facts.granules):
            states += found.rows(granule, self.index.row_types(granule)).tolist()
        return states


def made(
    contents: Sequence[bytes],
    *,
    frame_bytes: int = 4096,
    granule_bytes: int = 1024,
    stamps: StampFinder = no_stamps,
) -> Made:
    """The index of a segment of one generation per content. The even ones may still grow."""
    segment = make([content for content in contents if content], frame_bytes=frame_bytes).open()
    data = index_of(segment, stamps=stamps, granule_bytes=granule_bytes)
    index = SegmentIndex.open(data, where="test.lfi")
    return Made(index, segment, data, tuple(_rows(index, segment)))


def lines_of(content: bytes) -> list[bytes]:
    """The lines of a generation, as UTF-8, without their ends."""
    encoding: Encoding = encoding_of(content[:4])
    if encoding != "bytes":
        text = content[: len(content) & ~1].decode(encoding, "surrogatepass")
        content = text.encode("utf-8", "surrogatepass")
    lines = content.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def _rows(index: SegmentIndex, segment: Segment) -> list[Row]:
    rows: list[Row] = []
    for held in segment.manifest.generations:
        (extent,) = held.extents
        start, end = extent.raw_offset, extent.raw_offset + extent.length
        lines = lines_of(segment.read(start, end - start))
        places, before = index.line_ends(start, end)
        assert places[0] == start
        assert places[-1] == end
        assert len(lines) - before[-1] in (0, 1), "line ends are counted"
        pieces: dict[int, list[tuple[int, int]]] = {}
        for place, following, count in zip(places.tolist(), places.tolist()[1:], before.tolist(), strict=False):
            granule = index.granule_at(place)
            run = int(index.runs.at.searchsorted(place))
            first = int(index.runs.rows[index.runs.granules[granule]])
            assert index.content_of(granule)[0] <= place < following <= index.content_of(granule)[1]
            for i in range(int(index.runs.rows[run]), int(index.runs.rows[run + 1])):
                pieces.setdefault(count + i - int(index.runs.rows[run]), []).append((granule, i - first))
        assert sorted(pieces) == list(range(len(lines))), "each line has a row"
        for number, where in pieces.items():
            rows += [Row(granule, row, lines[number], len(where) == 1) for granule, row in where]
    assert len(rows) == index.facts.lines
    return sorted(rows, key=lambda row: (row.granule, row.row))


def holds(line: bytes, literal: bytes, *, exact_case: bool, starts_word: bool = False, ends_word: bool = False) -> bool:
    """Whether a line holds ``literal``: the truth."""
    before = b"(?<!" + WORD + b")" if starts_word and re.match(WORD, literal[:1]) else b""
    behind = b"(?!" + WORD + b")" if ends_word and re.match(WORD, literal[-1:]) else b""
    if not exact_case:
        literal, line = literal.lower(), line.lower()
    return re.search(before + re.escape(literal) + behind, line, re.DOTALL) is not None


def check(made: Made, found: Candidates, truth: Sequence[bool], what: object) -> int:
    """Compare an answer with the truth, row by row. Returns how many rows it left open."""
    states = made.states(found)
    for state, true, row in zip(states, truth, made.rows, strict=True):
        assert not (true and state == NO), f"{what!r} misses {row}"
        assert not (not true and state == YES), f"{what!r} is said to be in {row}"
    sure = sum(state == YES for state in states)
    assert found.lines() == sure
    assert found.lines_at_most() == sum(state != NO for state in states)
    assert found.granules().tolist() == sorted({r.granule for s, r in zip(states, made.rows, strict=True) if s != NO})
    assert found.to_verify().tolist() == sorted(
        {r.granule for s, r in zip(states, made.rows, strict=True) if s == MAYBE}
    )
    assert found.lines_per_granule().sum() == sure
    assert found.is_exact == (MAYBE not in states)
    assert found.is_empty == (set(states) <= {NO})
    return states.count(MAYBE)


VOCABULARY = [
    b"get", b"GET", b"Error", b"error42", b"4error", b"failed", b"a", b"b7", b"7", b"42", b"1234", b"123456",
    b"1234567", b"30845400101", b"id308454001016x", b"x9308454y1234567",
    b"10.0.3.11", b"1.10.0.3.112", b"192.168.0.1", b"deadbeef01", b"needle7f3a9c41e2", b"caf\xc3\xa9",
    b"\xc3\x89t\xc3\xa92", b"\xff\xfe9",
    b"x" * 40, b"1" * 30, b"y9" * 40, b"@", b"[", b"`", b"{", b"/", b":", b"\x7f", b"\x1b[0m",
]  # fmt: skip
GLUE = [b" ", b" ", b" ", b"", b".", b"..", b":", b"-", b"_", b"=", b"\t", b"\r", b"\x00", b"  ", b", "]


def prose(dice: random.Random, lines: int) -> bytes:
    """Lines without digits that are all different: log types explode."""
    letters = "etaoinshrdlu"
    return b"".join(
        b" ".join("".join(dice.choices(letters, k=dice.randint(1, 9))).encode() for _ in range(dice.randint(3, 12)))
        + b"\n"
        for _ in range(lines)
    )
