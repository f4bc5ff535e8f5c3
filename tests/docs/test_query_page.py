"""docs/reference/query.md: every example finds what it says, and not what it says it does not; its tables are true."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from logferry.archive.timestamps import Reading
from logferry.search.query import parse
from logferry.search.query.values import LEVEL_RANKS, LEVELS
from logferry.search.scan import BytesSource, FileFacts, Scanner
from logferry.search.scan.entries import CONTINUING
from logferry.search.scan.levels import KEYS, MARKED_WORDS, UPPER_WORDS

PAGE = Path(__file__).parents[2] / "docs/reference/query.md"
NOON = int(datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()) * 10**9
EXAMPLE = re.compile(r"^\| `(.+?)` \| `(.+?)` \| `(.+?)` \|$", re.MULTILINE)
EXAMPLES = EXAMPLE.findall(PAGE.read_text())


def finds(query: str, line: str) -> bool:
    """Whether a query finds a line that arrives at noon."""
    data = line.encode() + b"\n"
    scanner = Scanner(parse(query).root, exact_case=False, now_ns=NOON)
    facts = FileFacts(lambda: Reading(NOON), lambda count: data[:count])
    return bool(
        list(scanner.scan(BytesSource(data), 0, len(data), newest_first=False, check=lambda: None, facts=facts))
    )


@pytest.mark.parametrize(("query", "found", "other"), EXAMPLES)
def test_every_example_finds_the_one_line_and_not_the_other(query: str, found: str, other: str) -> None:
    """As the page says, at noon of 2026-11-26."""
    assert finds(query, found)
    assert not finds(query, other)


def test_the_page_has_its_examples() -> None:
    """The pattern above reads them all."""
    assert len(EXAMPLES) == PAGE.read_text().count("\n| `")
    assert len(EXAMPLES) > 45


def test_the_page_lists_every_word_key_and_beginning() -> None:
    """What is in the program's tables is on the page."""
    text = PAGE.read_text()
    listed = set(re.findall(r"`([^`]+)`", text))
    for key in KEYS:
        assert key.decode() in listed
    for beginning in CONTINUING:
        assert beginning.decode() in text.replace("\n  ", " ")
    rows = dict(re.findall(r"^\| (\w+) \| (`.*) \|", text, re.MULTILINE))
    told = {
        name: [w.lower() for cell in re.findall(r"`([^`]+)`", row) for w in cell.split()] for name, row in rows.items()
    }
    for word, rank in LEVEL_RANKS.items():
        assert word in told[LEVELS[rank]], word
    for word in (*UPPER_WORDS, *MARKED_WORDS):
        assert word in LEVEL_RANKS
