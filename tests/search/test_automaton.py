"""Automata over bytes: a line matches exactly if RE2 says so, whatever the pattern, the case and the bytes."""

from __future__ import annotations

import random

import numpy as np
import pytest

from logferry.errors import BadQuery
from logferry.limits import AUTOMATON_STATES_MAX, AUTOMATON_WORK_MAX
from logferry.search.query import Glob, Regex, Wild
from logferry.search.query.regexes import checked_regex
from logferry.search.scan.automaton import Automaton
from logferry.search.scan.lines import Lines, _Pattern
from logferry.search.scan.patterns import Program, matcher
from tests.security.amounts import amount, seed

PATTERNS = amount("automata", 400, 200_000)
SEED = seed("automata")
BYTES = [
    b"a", b"b", b"A", b"k", b"K", b"s", b"ab", b"error", b"ERROR", b"7", b"42", b" ", b"=", b".", b"\r", b"\t", b"_",
    b"-", "é".encode(), "ſ".encode(), "\u212a".encode(), "𝄞".encode(), b"\xff", b"\xc3", b"\x00", b"abababab",
]  # fmt: skip
ATOMS = [
    "a", "b", "K", "s", "ab", "error", "eRRor", "4", "=", " ", r"\.", ".", r"\d", r"\w", r"\s", r"\S", r"\D", r"\W",
    "[ab]", "[^ab]", "[a-f0-9]", "[^0-9]", "[^\\d]", "[[:alpha:]_]", "[]a]", "[^]a]", "[a\\-z]", "[k-s]", "^", "$",
    r"\A", r"\z", r"\x41", r"\t", r"\Qa.b\E", r"\xe9", "(?i)", "(?-i:a)", "(?:)", "é", r"\b", r"\pL", "[^\\s=]", "{",
    "x{", "[\\w.]", r"\C",
]  # fmt: skip
REPEATS = ["", "", "", "", "*", "+", "?", "{2}", "{0,3}", "{1,}", "+?", "*?", "{2,3}?"]


def nothing() -> None:
    """Never stops."""


def a_pattern(rng: random.Random, depth: int = 0) -> str:
    """A pattern, mostly one that RE2 takes."""
    parts = []
    for _ in range(rng.randrange(1, 5)):
        if depth < 3 and rng.random() < 0.2:
            opening = rng.choice(["(", "(?:", f"(?P<n{rng.randrange(1000)}>", "(?i:", "(?s:", "(?m-i:"])
            part = opening + a_pattern(rng, depth + 1) + ")"
        else:
            part = rng.choice(ATOMS)
        parts.append(part + rng.choice(REPEATS))
    text = "".join(parts)
    return text + "|" + a_pattern(rng, depth + 1) if depth < 3 and rng.random() < 0.15 else text


def some_lines(rng: random.Random) -> Lines:
    """Lines of anything, the last one mostly without its line end."""
    made = [b"".join(rng.choices(BYTES, k=rng.randrange(9))) for _ in range(rng.randrange(1, 12))]
    return Lines(b"\n".join(made) + rng.choice([b"", b"\n"]))


def both(program: Program, lines: Lines) -> tuple[list[bool], list[bool]]:
    """What the automaton says, and what RE2 does."""
    by_table, by_re2 = _Pattern(program), _Pattern(program)
    by_re2._automaton = None
    return by_table.marks(lines, nothing).tolist(), by_re2.marks(lines, nothing).tolist()


@pytest.mark.timeout(0)
def test_an_automaton_takes_the_lines_that_re2_takes() -> None:
    rng = random.Random(SEED)
    made = 0
    for _ in range(PATTERNS):
        regex = Regex(a_pattern(rng), rng.choice(["", "i", "c"]))
        try:
            program = matcher(checked_regex(regex, 1), exact_case=rng.random() < 0.5)
        except BadQuery:
            continue
        assert isinstance(program, Program)
        made += program.automaton is not None
        for _ in range(3):
            lines = some_lines(rng)
            ours, wanted = both(program, lines)
            assert ours == wanted, (SEED, regex, lines.data)
    assert made > PATTERNS / 4


def test_an_automaton_takes_the_lines_of_globs() -> None:
    rng = random.Random(SEED)
    for _ in range(PATTERNS // 4):
        parts: list[str | Wild] = rng.choices(
            [Wild.RUN, Wild.ONE, "a", "Ab", "é", "error", ".", "7"], k=rng.randrange(1, 6)
        )
        program = matcher(Glob(tuple(parts)), exact_case=rng.random() < 0.5)
        if program is None:
            continue
        assert isinstance(program, Program)
        assert program.automaton is not None
        lines = some_lines(rng)
        ours, wanted = both(program, lines)
        assert ours == wanted, (SEED, parts, lines.data)


def automaton(pattern: str, *, exact_case: bool = True) -> Automaton | None:
    """Of a regular expression."""
    program = matcher(Regex(pattern, ""), exact_case=exact_case)
    assert isinstance(program, Program)
    return program.automaton


@pytest.mark.parametrize("pattern", [r"\bword", "é+", r"\pL+", r"(?i)\xe9"])
def test_what_bytes_alone_do_not_decide_is_left_to_re2(pattern: str) -> None:
    assert automaton(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "text", "cases", "is_first"),
    [
        ("euid=[0-9]+ tty", b"euid=", b"\0\0\0\0\0", True),
        ("[0-9]+ms timeout", b"ms timeout", bytes(10), False),
        ("(?i)ab1", b"ab1", b"\x20\x20\0", True),
        ("^abc", b"abc", bytes(3), False),
        ("(?:ab){2,}c", b"ab", bytes(2), True),
        ("ab?cde", b"cde", bytes(3), False),
    ],
)
def test_what_each_match_holds_is_known(pattern: str, text: bytes, cases: bytes, is_first: bool) -> None:
    found = automaton(pattern)
    assert found is not None
    assert found.run is not None
    assert (found.run.text, found.run.cases, found.run.is_first) == (text, cases, is_first)


def test_alternatives_have_nothing_in_common() -> None:
    found = automaton("error|warning")
    assert found is not None
    assert found.run is None


def test_a_pattern_of_too_many_states_is_run_by_re2() -> None:
    program = matcher(Regex("(a|b)*a(a|b){14}c", ""), exact_case=True)
    assert isinstance(program, Program)
    rng = random.Random(1)
    lines = Lines(b"\n".join(bytes(rng.choices(b"ab", k=4_000)) + rng.choice([b"c", b""]) for _ in range(8)))
    pattern = _Pattern(program)
    automaton = program.automaton
    assert automaton is not None
    ours, wanted = both(program, lines)
    assert ours == wanted
    assert pattern.marks(lines, nothing).tolist() == wanted
    assert pattern._automaton is None
    assert len(automaton._members) <= AUTOMATON_STATES_MAX


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("(?:(?:a?){30}){30}b", id="many ways on from each node"),
        pytest.param("x" + "(?:){1000}" * 400 + "y", id="of nothing, again and again"),
        pytest.param("x(?:a?){900}" + "".join(f"[{c}0]?" for c in "bcdefghijklmnopqrstuvwyz") + "1", id="in one state"),
    ],
)
def test_a_pattern_whose_states_take_long_to_find_is_run_by_re2(pattern: str) -> None:
    program = matcher(Regex(pattern, ""), exact_case=True)
    assert isinstance(program, Program)
    lines = Lines(b"xab1\nxaaa\nb1\n\nx1\nxaaac01")
    ours = _Pattern(program)
    _, wanted = both(program, lines)
    assert ours.marks(lines, nothing).tolist() == wanted
    assert ours._automaton is None
    automaton = program.automaton
    assert automaton is None or automaton._nodes.work <= AUTOMATON_WORK_MAX + len(automaton._nodes.takes) * 256


def test_threads_share_an_automaton_that_grows() -> None:
    from concurrent.futures import ThreadPoolExecutor

    program = matcher(Regex("[ab]x?[^c]{0,30}c[0-9]{2,9}z", ""), exact_case=False)
    assert isinstance(program, Program)
    rng = random.Random(2)
    several = [Lines(b"\n".join(bytes(rng.choices(b"abcXz0123456789 ", k=60)) for _ in range(400))) for _ in range(16)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda lines: _Pattern(program).marks(lines, nothing), several))
    for lines, marks in zip(several, found, strict=True):
        assert np.array_equal(marks, both(program, lines)[1])
