"""What a pattern needs of a line is needed by every match, as RE2 finds them."""

from __future__ import annotations

import random

import pytest

from logferry.errors import BadQuery
from logferry.search.indexed.needed import UNKNOWN, All, Needed, Part, needed
from logferry.search.query import Regex
from logferry.search.query.regexes import checked_regex
from logferry.search.scan.patterns import regex_program
from tests.security.amounts import amount, seed

PATTERNS = amount("needed_patterns", 4_000, 400_000)
_TOKENS = (
    r"a b K s é É 1 - \. \t \- \b \B ^ $ \A \z . [ab] [^a] \d \w \s \S ( (?: (?i: (?-i: (?P<n> (?i) (?s) (?U) ) | | "
    r"* + ? ?? {2} {02} {0,1} {0,02} {1,} {0} {,3} { } {1,2}? \x41 \p{L} \pL \C [[:alpha:]] []a] \Qa\E \Qa.b\E \Q(\E "
    r"\Q\E \n \r x"
)
TOKENS = _TOKENS.split(" ")
LETTERS = [*"abABkKsSé É1-.\tx\r{}\\(", "\u212a", "ſ", "{2}", "a.b"]


def holds(found: Needed, line: bytes) -> bool:
    """Whether a line has what is needed."""
    if isinstance(found, Part):
        return found.text in line if found.exact_case else found.text.lower() in line.lower()
    each = [holds(part, line) for part in found.of]
    return all(each) if isinstance(found, All) else any(each)


def matches(pattern: Regex, line: bytes, *, exact_case: bool) -> bool:
    """Whether the scan finds it there."""
    return regex_program(pattern, exact_case=exact_case).search(line, 0, len(line))[0] >= 0


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (r"\Qa.b\E", "xa.by"),
        (r"\Qconnection refused\E", "connection refused"),
        (r"lines(?i)* 7", "line 7"),
        (r"a(?s)?b", "b"),
        (r"ab(?i){0}c", "ac"),
        (r"a{02}b", "a{02}b"),
        (r"a{0,02}b", "a{0,02}b"),
    ],
)
def test_what_is_read_otherwise_by_re2_needs_nothing_wrong(pattern: str, line: str) -> None:
    """Quoted runs, flags that are repeated, braces that are characters."""
    found = checked_regex(Regex(pattern, ""), 1)
    assert matches(found, line.encode(), exact_case=True)
    assert holds(needed(found, exact_case=True), line.encode())


def test_every_match_has_what_is_needed() -> None:
    """Random patterns over random lines."""
    number = seed("needed")
    dice, tried, matched = random.Random(number), 0, 0
    while tried < PATTERNS:
        text = "".join(dice.choices(TOKENS, k=dice.randrange(1, 8)))
        exact_case = dice.random() < 0.4
        try:
            pattern = checked_regex(Regex(text, dice.choice(["", "i", "c"])), 1)
            program = regex_program(pattern, exact_case=exact_case)
        except BadQuery:
            continue
        tried += 1
        found = needed(pattern, exact_case=exact_case)
        if found == UNKNOWN:
            continue
        for _ in range(25):
            line = "".join(dice.choices(LETTERS, k=dice.randrange(7))).encode()
            if program.search(line, 0, len(line))[0] >= 0:
                matched += 1
                assert holds(found, line), (number, pattern, exact_case, line, found)
    assert matched > PATTERNS // 20
