"""Lines that hold a text, found by the kernel, beside Python's own search."""

from __future__ import annotations

import random

import numpy as np
import pytest

from logferry.search.query import parse
from logferry.search.query.nodes import Literal, Text
from logferry.search.scan.kernels import PADDING, mark_lines
from logferry.search.scan.lines import Lines, Matching, padded
from tests.security.amounts import seed


def marked(lines: Lines, wanted: bytes) -> list[bool]:
    """Which lines the kernel marks; what it counts is compared on the way."""
    marks = np.zeros(len(lines), np.bool_)
    sought, cases = padded(wanted), padded(bytes(len(wanted)))
    count = mark_lines(lines.padded, lines.starts, lines.ends, sought, cases, len(wanted), marks)
    assert count == np.count_nonzero(marks)
    return [bool(mark) for mark in marks]


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 15, 16, 17, 64, 65, 130])
def test_a_text_is_found_wherever_it_begins_and_ends(length: int) -> None:
    wanted = bytes(b"abcdefghijklmnopqrstuvwxyz"[k % 26] for k in range(length))
    for at in range(140):
        data = b"\n" * 3 + b"." * at + wanted + b"." * (at % 67)
        assert marked(Lines(data), wanted) == [False, False, False, True]
        assert marked(Lines(data[: 3 + at] + wanted[:-1]), wanted)[-1] is False
        assert marked(Lines(data + b"\n." + wanted[1:]), wanted)[-1] is False


def test_nothing_is_found_across_a_line_end_or_behind_the_last_line() -> None:
    assert marked(Lines(b"ab\ncd\nab"), b"abc") == [False, False, False]
    lines = Lines(b"x" * 200 + b"ab\n" + b"y" * 62)
    lines.padded[-PADDING:] = ord("z")
    assert marked(lines, b"yz") == [False, False]


def test_random_texts_are_found_in_the_lines_that_python_finds_them_in() -> None:
    dice = random.Random(seed("kernels"))
    for _ in range(600):
        letters = dice.choice([b"ab", b"ab\n", b"abcdef0123 .\n", bytes(range(256))])
        data = bytes(dice.choices(letters, k=dice.randrange(1, 700)))
        lines = Lines(data)
        at = dice.randrange(len(data))
        wanted = data[at : at + dice.randrange(1, 40)].replace(b"\n", b"") or b"a"
        assert marked(lines, wanted) == [wanted in line for line in data.removesuffix(b"\n").split(b"\n")]


def test_random_texts_are_found_in_any_case() -> None:
    dice = random.Random(seed("kernels"))
    for _ in range(600):
        letters = dice.choice([b"abAB", b"aBcdEF01 .\n", b"@`[{aZzA\x80\xe9\xc9", bytes(range(256))])
        data = bytes(dice.choices(letters, k=dice.randrange(1, 400)))
        at = dice.randrange(len(data))
        wanted = data[at : at + dice.randrange(1, 40)].replace(b"\n", b"").decode("latin-1") or "a"
        if not wanted.isascii():
            continue
        found = Matching(Text(Literal(wanted.swapcase())), exact_case=False)(Lines(data), lambda: None)
        lines = data.removesuffix(b"\n").lower().split(b"\n")
        assert found.tolist() == [wanted.encode().lower() in line for line in lines]


def test_any_case_finds_what_the_lowered_text_holds() -> None:
    lines = Lines(b"." * 70 + b"Connection RESET\nconnection reset\nconnexion\n")
    found = Matching(Text(Literal("connection reset")), exact_case=False)(lines, lambda: None)
    assert found.tolist() == [True, True, False]


def test_a_query_of_many_terms_can_be_stopped_behind_each() -> None:
    """Each of them looks at all lines: together they may take longer than somebody is to wait."""
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise InterruptedError

    matching = Matching(parse(" ".join(f"-word{number}" for number in range(5)) + " zz").root, exact_case=False)
    with pytest.raises(InterruptedError):
        matching(Lines(b"zz\n" * 100), check)
    assert matching(Lines(b"zz word4\nzz\n"), lambda: None).tolist() == [False, True]


def test_a_query_of_many_terms_gives_way_between_them_while_it_is_made_ready() -> None:
    """Each takes a moment in which Python's lock is held."""
    matching = Matching(parse(" OR ".join(f"word{number}" for number in range(50))).root, exact_case=False)
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks == 20:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        matching(Lines(b"hello\n"), check)
    assert len(matching._terms) < 20
