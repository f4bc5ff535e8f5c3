"""Patterns decided by log types: no line is lost, and what is sure of a type is true of each of its lines."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest

from logferry.archive.index import MAYBE, Candidates, SegmentIndex
from logferry.archive.index.kernel import FIRST_TYPE, LEAST_SHIFT, LENGTH_MAX, NOT_DIGITS
from logferry.archive.index.layout import Kind
from logferry.archive.index.words import words_of
from logferry.errors import BadQuery
from logferry.search.indexed.answers import of_text
from logferry.search.indexed.deciding import decided
from logferry.search.query import Glob, Regex, Text, Value, Wild
from logferry.search.query.regexes import checked_regex
from logferry.search.scan.patterns import Program, matcher
from tests.archive.index.making import GLUE, VOCABULARY, Made, check, made, prose
from tests.search.test_automaton import a_pattern
from tests.security.amounts import amount, seed

SEED = seed("deciding")
PATTERNS = amount("deciding", 150, 100_000)
PIECES = [
    "[0-9]+", r"\d{1,3}", "[0-9]{6}", "[^0-9]{0,40}", "[a-z]+", r"\w+", r"\S+", "get", "Error", " ", ":", "=", r"\.",
    "7", "42", "caf.", "[0-9a-f]{4,12}", ".*", "^", "$", "(?:error|failed)", "x{30,}", "1{29}", "[0-9]{31}", "b7?",
]  # fmt: skip


def some_made(rng: random.Random) -> Made:
    """The index of lines, some of one shape, some that are cut, prose, UTF-16."""
    contents = []
    for _ in range(rng.randrange(1, 5)):
        shapes = [rng.choices(VOCABULARY, k=rng.randrange(1, 5)) for _ in range(4)]
        glues = [rng.choices(GLUE, k=5) for _ in range(4)]
        lines = []
        for _ in range(rng.randrange(1, 60)):
            number = rng.randrange(4)
            words = [
                b"%d" % rng.randrange(10 ** rng.randrange(1, 7)) if word[:1].isdigit() and rng.random() < 0.8 else word
                for word in shapes[number]
            ]
            lines.append(b"".join(word + glue for word, glue in zip(words, glues[number], strict=False)))
        contents.append(b"\n".join(lines) + rng.choice([b"", b"\n"]))
    if rng.random() < 0.3:
        contents.append(prose(rng, 40))
    if rng.random() < 0.3:
        wide = "\n".join(f"get {rng.randrange(1000)} caf\u00e9 failed" for _ in range(20))
        contents.append(wide.encode("utf-16"))
    return made(contents)


def answer(index: SegmentIndex, value: Value, *, exact_case: bool) -> Candidates:
    """What the index says of a value."""
    return of_text(index, Text(value), exact_case=exact_case)


def truth(of: Made, program: Program) -> list[bool]:
    """Which rows RE2 takes."""
    return [program.search(row.line, 0, len(row.line))[0] >= 0 for row in of.rows]


@pytest.mark.timeout(0)
def test_no_line_is_lost_and_what_is_sure_is_true() -> None:
    rng = random.Random(SEED)
    sure = 0
    for number in range(PATTERNS):
        if number % 10 == 0:
            of = some_made(rng)
        pattern = a_pattern(rng) if rng.random() < 0.3 else "".join(rng.choices(PIECES, k=rng.randrange(1, 6)))
        regex = Regex(pattern, rng.choice(["", "i", "c"]))
        exact_case = rng.random() < 0.5
        try:
            program = matcher(checked_regex(regex, 1), exact_case=exact_case)
        except BadQuery:
            continue
        assert isinstance(program, Program)
        found = answer(of.index, regex, exact_case=exact_case)
        check(of, found, truth(of, program), (SEED, regex))
        sure += found.is_exact
    assert sure > PATTERNS / 30


def test_globs_are_decided_too() -> None:
    of = made([b"".join(b"took %d ms in get%d\n" % (i, i) for i in range(200))])
    for parts, lines in (
        ((("took ", Wild.RUN, "ms")), 200),
        (("took ", Wild.ONE, " ms"), None),
        (("tok", Wild.RUN), 0),
    ):
        value = Glob(parts)
        program = matcher(value, exact_case=True)
        assert isinstance(program, Program)
        found = answer(of.index, value, exact_case=True)
        check(of, found, truth(of, program), value)
        assert found.is_exact == (lines is not None)
        if lines is not None:
            assert found.lines() == lines


@pytest.mark.parametrize(
    ("pattern", "is_exact"),
    [
        (r"sshd\[[0-9]+\]: pam", True),
        (r"sshd\[[0-9]{3,5}\]", True),
        (r"sshd\[[0-9]{4}\]", False),  # some have three digits, some five
        (r"sshd[^0-9]{0,40}[0-9]+", True),
        (r"^Oct", True),
        (r"id=[0-9]+", False),  # it is not always digits alone
        (r"id=\S+$", True),
        (r"id=\w+$", False),  # bytes beyond ASCII belong to words
        (r"tty=[a-z]+[0-9] ", False),  # letters and digits may stand anywhere in such a word
        (r"\bpam", False),  # bytes alone do not tell
    ],
)
def test_how_variables_look_decides(pattern: str, is_exact: bool) -> None:
    lines = b"".join(
        b"Oct x sshd[%d]: pam_unix tty=ssh%d id=%s\n" % (100 * (i + 1), i % 8, b"7%x" % i) for i in range(300)
    )
    of = made([lines, b"Nov sshd[77]: other\n"])
    program = matcher(Regex(pattern, ""), exact_case=True)
    assert isinstance(program, Program)
    found = answer(of.index, Regex(pattern, ""), exact_case=True)
    check(of, found, truth(of, program), pattern)
    assert found.is_exact == is_exact


def test_looks_are_those_of_all_variables_of_a_type() -> None:
    rng = random.Random(SEED)
    for _ in range(20):
        of = some_made(rng)
        index = of.index
        seen: dict[tuple[int, int], list[bytes]] = defaultdict(list)
        types = np.concatenate([index.row_types(granule) for granule in range(index.facts.granules)]).tolist()
        for number, row in zip(types, of.rows, strict=True):
            if number >= FIRST_TYPE:
                for i, word in enumerate(word for word in words_of(row.line) if word.has_digit):
                    seen[number, i].append(word.text)
        looks, before = index.looks, index.dictionary.variables_before
        assert looks is not None
        assert len(seen) == len(looks)
        for (number, i), words in seen.items():
            look = int(looks[before[number] + i])
            lengths = [min(len(word), LENGTH_MAX) for word in words]
            assert look & LENGTH_MAX == max(lengths)
            assert LENGTH_MAX - (look >> LEAST_SHIFT & LENGTH_MAX) == min(lengths)
            assert bool(look & NOT_DIGITS) == any(not word.isdigit() for word in words)


def test_an_index_from_before_there_were_looks_says_that_lines_have_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    of = made([b"took 7 ms\n" * 20])
    blocks = of.index._blocks
    has = blocks.has
    monkeypatch.setattr(blocks, "has", lambda kind, number: kind != Kind.LOOKS and has(kind, number))
    found = answer(of.index, Regex("took [0-9]+", ""), exact_case=True)
    assert found.lines_at_most() == 20
    assert not found.lines()


def test_too_many_steps_leave_lines_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logferry.search.indexed.deciding.AUTOMATON_TYPE_STEPS_MAX", 10)
    of = made([b"took 7 ms and no more than that\n" * 20])
    program = matcher(Regex("took [0-9]+ ms", ""), exact_case=True)
    assert isinstance(program, Program)
    assert program.automaton is not None
    everything = of.index.everything().maybe()
    assert (decided(of.index, everything, program.automaton).states == MAYBE).all()
