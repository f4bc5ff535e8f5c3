"""Blocks of hits with context: what grep would print, whichever way the hits come."""

from __future__ import annotations

import random

import pytest

from logferry import contexts
from logferry.contexts import Blocks, Placed


def printed(hits: list[int], count: int, before: int, after: int) -> list[str]:
    """What the blocks of hits at these lines give: ``n:`` a hit, ``n-`` a neighbour, ``--`` a gap."""
    blocks = Blocks[int]()
    rows: list[str] = []

    def take(found: object) -> None:
        for block in found:  # type: ignore[attr-defined]
            if rows and not block.follows:
                rows.append("--")
            rows.extend(f"{line.row}{':' if line.is_hit else '-'}" for line in block.lines)

    for hit in hits:
        around = range(max(0, hit - before), min(count, hit + after + 1))
        take(blocks.add("file", [Placed(n * 10, n * 10 + 10, n == hit, n) for n in around]))
    take(blocks.rest())
    return rows


def grep(hits: set[int], count: int, before: int, after: int) -> list[list[str]]:
    """The blocks of the real thing, slowly: every line near a hit, apart where lines are missing."""
    blocks: list[list[str]] = []
    last = None
    for n in range(count):
        if any(n - after <= hit <= n + before for hit in hits):
            if last != n - 1:
                blocks.append([])
            blocks[-1].append(f"{n}{':' if n in hits else '-'}")
            last = n
    return blocks


def joined(blocks: list[list[str]]) -> list[str]:
    """Blocks with ``--`` between them."""
    rows: list[str] = []
    for block in blocks:
        rows += ["--"] * bool(rows) + block
    return rows


@pytest.mark.parametrize("seed", range(40))
def test_blocks_are_those_of_grep_in_either_direction(seed: int) -> None:
    """Random hits, any context: each line once, hits marked as hits, blocks whole."""
    dice = random.Random(seed)
    count = dice.randrange(1, 60)
    hits = sorted(n for n in range(count) if dice.random() < dice.choice((0.05, 0.3, 0.9)))
    before, after = dice.randrange(4), dice.randrange(4)
    expected = grep(set(hits), count, before, after)
    assert printed(hits, count, before, after) == joined(expected), seed
    assert printed(hits[::-1], count, before, after) == joined(expected[::-1]), seed


def test_a_block_without_end_is_given_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forwards nobody notices; backwards the parts stand behind each other. Each line comes once, each hit as a hit."""
    monkeypatch.setattr(contexts, "CONTEXT_BLOCK_LINES_MAX", 20)
    hits = [n for n in range(200) if n % 3]
    expected = joined(grep(set(hits), 200, 1, 1))
    assert printed(hits, 200, 1, 1) == expected
    backwards = [row for row in printed(hits[::-1], 200, 1, 1) if row != "--"]
    assert sorted(backwards, key=lambda row: int(row[:-1])) == expected


def test_blocks_of_different_files_never_touch() -> None:
    """Even where one begins at the byte at which another ends."""
    blocks = Blocks[str]()
    assert list(blocks.add("a", [Placed(0, 10, True, "one")])) == []
    (first,) = blocks.add("b", [Placed(10, 20, True, "two")])
    (second,) = blocks.rest()
    assert not first.follows
    assert not second.follows
    assert [line.row for line in (*first.lines, *second.lines)] == ["one", "two"]


@pytest.mark.parametrize("seed", range(40))
def test_a_pause_loses_and_repeats_no_line(seed: int) -> None:
    """What is given while nothing comes is given once; the rest follows, hits as hits."""
    dice = random.Random(seed)
    count = dice.randrange(1, 60)
    hits = sorted(n for n in range(count) if dice.random() < dice.choice((0.1, 0.5)))
    before, after = dice.randrange(4), dice.randrange(4)
    for backwards in (False, True):
        blocks, rows = Blocks[int](), list[str]()
        for hit in reversed(hits) if backwards else hits:
            around = range(max(0, hit - before), min(count, hit + after + 1))
            found = list(blocks.add("file", [Placed(n * 10, n * 10 + 10, n == hit, n) for n in around]))
            if dice.random() < 0.5:
                found += blocks.so_far(backwards=backwards)
            rows += [f"{line.row}{':' if line.is_hit else '-'}" for block in found for line in block.lines]
        rows += [f"{line.row}{':' if line.is_hit else '-'}" for block in blocks.rest() for line in block.lines]
        wanted = [row for block in grep(set(hits), count, before, after) for row in block]
        assert sorted(rows) == sorted(wanted), (seed, backwards)


@pytest.mark.parametrize("backwards", [False, True])
def test_lines_of_a_hit_of_several_lines_are_no_context(backwards: bool) -> None:
    """Entries: each line is given once, as a part of its hit."""
    # Lines 0 to 6; the hits are 1-3 and 4-5, with two lines around each.
    first = [Placed(0, 1, False, "0"), Placed(1, 4, True, "1-3"), Placed(4, 5, False, "4"), Placed(5, 6, False, "5")]
    second = [Placed(2, 3, False, "2"), Placed(3, 4, False, "3"), Placed(4, 6, True, "4-5"), Placed(6, 7, False, "6")]
    blocks, rows = Blocks[str](), list[str]()
    for hit in (second, first) if backwards else (first, second):
        rows += [line.row for block in blocks.add("file", hit) for line in block.lines]
    rows += [line.row for block in blocks.rest() for line in block.lines]
    assert rows == ["0", "1-3", "4-5", "6"]
