"""Answers of the index against plain Python over the text: never a line missed, never one promised wrongly."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logferry.archive.index import Candidates, rare, typetable
from logferry.archive.index.layout import Kind
from tests.archive.index.making import GLUE, VOCABULARY, Made, check, holds, made, prose
from tests.archive.segment.making import log_text

EXAMPLES = int(os.environ.get("HEAVY_INDEX_EXAMPLES", "100"))

_line = st.lists(st.tuples(st.sampled_from(VOCABULARY), st.sampled_from(GLUE)), max_size=8).map(
    lambda parts: b"".join(word + glue for word, glue in parts)
)
_lines = st.lists(_line | st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=60)
_content = st.builds(lambda lines, end: b"\n".join(lines) + end, _lines, st.sampled_from([b"", b"\n", b"\n\n"]))


def _utf16(content: bytes, encoding: str) -> bytes:
    return ("\ufeff" + content.decode("latin-1")).encode(encoding)


_contents = st.lists(
    _content
    | _content.map(lambda c: _utf16(c, "utf-16-le"))
    | _content.map(lambda c: _utf16(c, "utf-16-be"))
    | st.binary(min_size=1, max_size=200)
    | st.binary(min_size=1, max_size=60).map(lambda b: b"\xff\xfe" + b),
    max_size=6,
)


def _literals(dice: random.Random, there: Made) -> list[bytes]:
    """Things to look for: pieces of lines, altered ones, words."""
    lines = [row.line for row in there.rows if row.line] or [b"x"]
    found = [dice.choice(VOCABULARY), dice.choice(VOCABULARY) + dice.choice(GLUE) + dice.choice(VOCABULARY)]
    for _ in range(8):
        line = dice.choice(lines)
        start = dice.randrange(len(line))
        piece = line[start : start + dice.choice([1, 2, 3, 5, 9, 30, 200])]
        found += [piece, piece.swapcase(), piece[:-1] + dice.choice([b"7", b"q", b"."])]
    return [literal for literal in found if literal]


def _ask(there: Made, literal: bytes, exact: bool, starts: bool, ends: bool) -> tuple[Candidates, list[bool]]:
    found = there.index.literal(literal, exact_case=exact, starts_word=starts, ends_word=ends)
    truth = [
        b"\n" not in literal and holds(row.line, literal, exact_case=exact, starts_word=starts, ends_word=ends)
        for row in there.rows
    ]
    return found, truth


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    contents=_contents,
    frame_bytes=st.integers(16, 3_000),
    granule_bytes=st.integers(8, 2_000),
    seed=st.integers(0, 1 << 32),
)
def test_no_line_is_missed_and_none_promised_wrongly(
    contents: list[bytes], frame_bytes: int, granule_bytes: int, seed: int
) -> None:
    """Literals, words and their combinations, over text of every kind cut in every way."""
    dice = random.Random(seed)
    there = made(contents, frame_bytes=frame_bytes, granule_bytes=granule_bytes)
    there.index.verify()
    asked: list[tuple[Candidates, list[bool], object]] = []
    for literal in _literals(dice, there):
        exact, starts, ends = (dice.random() < 0.3 for _ in range(3))
        found, truth = _ask(there, literal, exact, starts, ends)
        check(there, found, truth, literal)
        asked.append((found, truth, literal))
    for _ in range(4):
        (a, in_a, one), (b, in_b, two) = dice.sample(asked, 2)
        check(there, a & b, [x and y for x, y in zip(in_a, in_b, strict=True)], (one, "and", two))
        check(there, a | b, [x or y for x, y in zip(in_a, in_b, strict=True)], (one, "or", two))
        check(there, a & ~b, [x and not y for x, y in zip(in_a, in_b, strict=True)], (one, "not", two))
    check(there, there.index.everything(), [True] * len(there.rows), "everything")
    check(there, there.index.nothing(), [False] * len(there.rows), "nothing")


def _exact(there: Made, literal: bytes, **how: bool) -> int:
    found = there.index.literal(literal, **how)
    truth = [holds(row.line, literal, exact_case=False, **how) for row in there.rows]
    assert check(there, found, truth, literal) == 0, f"{literal!r} is not decided"
    return sum(truth)


def test_static_text_is_decided_without_reading_any() -> None:
    """Words, parts of words and phrases of a log's own text are known line by line; counts come without reading."""
    there = made([log_text(60_000), log_text(30_000, 2)], frame_bytes=16_384, granule_bytes=4_096)
    assert there.index.facts.granules > 15
    words = [b"accepted", b"ERROR", b"get", b"took"]
    assert all(_exact(there, word, starts_word=True, ends_word=True) > 50 for word in words)
    assert _exact(there, b"ccept") > 50
    assert _exact(there, b"accepted /item/") > 50
    assert _exact(there, b"zzqqy") == 0
    both = there.index.words(b"took", b"error")
    assert both.is_exact
    assert both.lines() == sum(b"error" in row.line for row in there.rows)
    assert there.index.words(b"error", b"accepted").is_empty


def test_a_rare_id_is_read_in_one_granule_alone() -> None:
    """An id with digits prunes to where it is: as a word, as the tail of what it is a part of, with open ends."""
    planted = b"2026-11-26 rx id=8f41ffeb77a90021 from 10.77.31.205 done\n"
    text = log_text(40_000) + planted + log_text(40_000, 2)
    there = made([text], frame_bytes=16_384, granule_bytes=4_096)
    for literal in (b"8f41ffeb77a90021", b"id=8F41FFEB77A90021 ", b"f41ffeb77a", b"from 10.77.31.205", b"10.77.31.205"):
        found, truth = _ask(there, literal, False, False, False)
        check(there, found, truth, literal)
        assert len(found.to_verify()) == 1, literal
    for literal in (b"8f41ffeb77a90022", b"10.77.32.205", b"id=8f41ffeb77a9002 "):
        found, _ = _ask(there, literal, False, False, False)
        assert not len(found.to_verify()), literal


def test_a_part_of_a_long_number_is_read_in_few_granules() -> None:
    """Thousands of long numbers hold every three digits in each granule, but not every four side by side."""
    dice = random.Random(7)
    rows = [b"block blk_-%d of job9x%dz" % (dice.randrange(10**18, 10**19), dice.randrange(10**9)) for _ in range(3000)]
    planted = rows[1500] = b"block blk_-7718273645546372819 of job9x918273645z"
    there = made([b"\n".join(rows) + b"\n"], frame_bytes=32_768, granule_bytes=16_384)
    granules = there.index.facts.granules
    for literal in (b"18273645546", b"blk_-771827364", b"2736455463728", b"x918273645", b"91827364", b"1827364"):
        found, truth = _ask(there, literal, False, False, False)
        check(there, found, truth, literal)
        assert literal in planted
        assert sum(truth) == 1
        assert 1 <= len(found.to_verify()) <= granules // 2, literal
    found, truth = _ask(there, b"273645546373", False, False, False)
    assert not any(truth)
    assert len(found.to_verify()) <= granules // 4


def test_where_log_types_explode_lines_post_their_words() -> None:
    """Prose makes no dictionary as large as itself, and is found all the same."""
    dice = random.Random(4)
    text = prose(dice, 3_000)
    there = made([log_text(20_000), text, log_text(20_000, 5)], frame_bytes=32_768, granule_bytes=8_192)
    static = there.index.dictionary.nbytes
    assert there.index.facts.types < 1_500
    assert static < len(text) * 4
    lines = [row.line for row in there.rows]
    for _ in range(25):
        line = dice.choice(lines)
        start = dice.randrange(max(1, len(line) - 12))
        literal = line[start : start + dice.randint(3, 25)]
        found, truth = _ask(there, literal, dice.random() < 0.5, False, False)
        check(there, found, truth, literal)
    found, truth = _ask(there, b"took", False, True, True)
    check(there, found, truth, b"took")
    absent, _ = _ask(there, b"zqzqzq", False, False, False)
    assert absent.is_empty


def test_a_part_of_a_rare_word_of_prose_is_read_in_few_granules() -> None:
    """All trigrams of a language stand everywhere; the names of its words tell where a part of one may be."""
    dice = random.Random(5)
    lines = prose(dice, 3_000).split(b"\n")
    lines[1_700] += b" Isolderathen shod 42 holidshort"
    there = made([b"\n".join(lines)], frame_bytes=65_536, granule_bytes=8_192)
    assert there.index.facts.granules > 10
    for literal in (b"Isolderathen", b"solderath", b" isolderat", b"derathen ", b"rathen shod 4", b"d 42 holidsh"):
        for starts in (False, True):
            for exact in (False, True):
                found, truth = _ask(there, literal, exact, starts, False)
                check(there, found, truth, literal)
                assert len(found.to_verify()) <= 2, literal
    for literal in (b"rathenisolde", b"solderathens"):
        assert there.index.literal(literal).is_empty


@pytest.mark.parametrize("names", [True, False])
def test_types_that_explode_early_are_forgotten_and_found_all_the_same(
    names: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that is crowded again and again: what was posted before, what comes between and what comes after."""
    monkeypatch.setattr(typetable, "INDEX_TYPE_BYTES_CROWD", 20_000)
    monkeypatch.setattr(rare, "INDEX_RARE_WORDS_BYTES_MAX", 1 << 20 if names else 30_000)
    dice = random.Random(6)
    parts = [prose(dice, 600), log_text(15_000), prose(dice, 600), log_text(15_000, 5), prose(dice, 900)]
    there = made(parts, frame_bytes=32_768, granule_bytes=8_192)
    there.index.verify()
    assert there.index.facts.types < 800
    assert (there.index.sizes()[Kind.RARE_WORDS][0] > 0) == names
    lines = [row.line for row in there.rows]
    for _ in range(40):
        line = dice.choice(lines)
        start = dice.randrange(max(1, len(line) - 12))
        literal = line[start : start + dice.randint(2, 25)]
        found, truth = _ask(there, literal, dice.random() < 0.5, dice.random() < 0.3, dice.random() < 0.3)
        check(there, found, truth, literal)
    assert _exact(there, b"zqzqzq") == 0
    found, truth = _ask(there, b"took", False, True, True)
    check(there, found, truth, b"took")


def test_types_of_many_lines_stay_however_crowded_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typetable, "INDEX_TYPE_BYTES_CROWD", 2_000)
    kinds = prose(random.Random(8), 150).splitlines(keepends=True)
    there = made([b"".join(kinds) * 12], frame_bytes=65_536, granule_bytes=65_536)
    assert there.index.facts.types == 2 + len(set(kinds))
    for line in kinds[:20]:
        assert _exact(there, line[:-1]) >= 12


def test_a_crowded_index_is_the_same_when_it_is_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typetable, "INDEX_TYPES_CROWD", 300)
    text = prose(random.Random(9), 2_000)
    first, second = (made([text], frame_bytes=32_768, granule_bytes=8_192).data for _ in range(2))
    assert first == second


def test_binary_content_is_never_ruled_out_and_its_neighbours_are_not_touched() -> None:
    dice = random.Random(9)
    noise = dice.randbytes(20_000)
    there = made([log_text(20_000), noise, log_text(20_000, 2)], frame_bytes=16_384, granule_bytes=4_096)
    found, truth = _ask(there, b"accepted", False, False, False)
    check(there, found, truth, b"accepted")
    start = there.segment.manifest.generations[1].extents[0].raw_offset
    inside = set(range(there.index.granule_at(start), there.index.granule_at(start + len(noise) - 1) + 1))
    assert set(found.to_verify().tolist()) <= inside  # a short end of it may pass for text
    assert len(found.to_verify()) >= len(inside) - 2


def test_lines_longer_than_frames_are_candidates_and_the_lines_beside_them_are_decided() -> None:
    giant = b"giant " + b"abc 123 " * 4_000 + b"accepted\n"
    there = made([log_text(5_000) + giant + log_text(5_000, 2)], frame_bytes=4_096, granule_bytes=1_024)
    found, truth = _ask(there, b"accepted", False, False, False)
    open_rows = check(there, found, truth, b"accepted")
    assert 0 < open_rows == sum(not row.whole for row in there.rows)


def test_utf16_is_found_as_text() -> None:
    text = log_text(30_000).decode() + "Übergröße 42 straße\nno end"
    for encoding, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        content = mark + text.encode(encoding)
        there = made([content, log_text(3_000)], frame_bytes=8_192, granule_bytes=4_096)
        assert _exact(there, b"accepted") > 20
        assert _exact(there, "übergröße 42".encode()) == 0, "letters beyond ASCII keep their case"
        found, truth = _ask(there, "größe 42".encode(), False, False, False)
        check(there, found, truth, encoding)
        assert sum(truth) == 1


@pytest.mark.parametrize("length", range(1, 40))
def test_words_of_every_length_are_found(length: int) -> None:
    """Eight bytes are looked at together: each length crosses their borders elsewhere."""
    word = bytes(b"abcdefghij"[i % 10] for i in range(length))
    lines = [
        word,
        b" " + word,
        b"  " + word + b" ",
        word + b"1",
        b"1" + word,
        b"x" * (64 - length) + word,
        word.upper(),
    ]
    there = made([b"\n".join(lines) + b"\n" + word])
    for literal in (word, word + b"1", b"1" + word, b" " + word):
        for starts in (False, True):
            for ends in (False, True):
                found, truth = _ask(there, literal, False, starts, ends)
                check(there, found, truth, literal)


def test_every_byte_is_told_from_every_other() -> None:
    lines = [b"a" + bytes([byte]) + b"b" for byte in range(256) if byte != 10]
    there = made(
        [b"\n".join(lines) + b"\nplain text around it, so that it counts as text\n" * 30], granule_bytes=100_000
    )
    for byte in range(256):
        for literal in (b"a" + bytes([byte]) + b"b", bytes([byte]), b"a" + bytes([byte])):
            found, truth = _ask(there, literal, False, False, False)
            check(there, found, truth, literal)
