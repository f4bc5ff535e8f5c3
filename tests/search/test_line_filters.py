"""Levels, times, fields and entries in scans: the same whatever the blocks, and however far the bounds reach."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from logferry.archive.timestamps import Reading
from logferry.search.query import Filter, Literal, Node, Text, parse
from logferry.search.query.nodes import negated
from logferry.search.scan import (
    BytesSource,
    FileFacts,
    Match,
    Scanner,
    blocks,
    entries,
    filetimes,
    lineterms,
    scan_utf16,
    utf16,
    utf16_head,
    utf16_of,
)
from tests.search import corpus, oracle_files
from tests.search.draw import Drawer
from tests.search.oracle_files import File
from tests.security.amounts import amount, dice

NOW = int(corpus.BEGIN.timestamp() * 1e9) + 86_400 * 10**9


def scan(node: Node, data: bytes, *, step: int, in_entries: bool = False, newest_first: bool = False) -> list[Match]:
    """All matches of a file cut into blocks of ``step`` bytes."""
    scanner, source = Scanner(node, exact_case=False, now_ns=NOW, entries=in_entries), BytesSource(data)
    encoding = utf16_of(data)
    facts = FileFacts(
        lambda: Reading(NOW), lambda count: utf16_head(source, encoding, count) if encoding else data[:count]
    )
    found: list[Match] = []
    starts = list(range(0, len(data), step))
    for start in reversed(starts) if newest_first else starts:
        if encoding:
            found += scan_utf16(
                scanner, source, start, start + step, encoding, newest_first=newest_first, check=_never, facts=facts
            )
        else:
            found += scanner.scan(
                source, start, min(start + step, len(data)), newest_first=newest_first, check=_never, facts=facts
            )
    return found


def _never() -> None:
    """Nothing stops the scan."""


@contextmanager
def reaching(count: int) -> Iterator[None]:
    """With bounds of ``count`` bytes, for the scan and for the oracle."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (lineterms, filetimes):
            patch.setattr(module, "TIME_REACH_BYTES", count)
        patch.setattr(lineterms, "SCAN_LINES_BYTES", max(1, count // 2))
        for module in (entries, blocks, utf16):
            patch.setattr(module, "ENTRY_BYTES_MAX", count)
        patch.setattr(oracle_files, "REACH", count)
        yield


def test_blocks_and_bounds_of_any_size_change_nothing() -> None:
    """Times come from lines before the block, entries end behind it; both only as far as the bounds reach."""
    random_ = dice("blocks and bounds")
    found = 0
    for _ in range(amount("line_filter_files", 60, 5_000)):
        kinds = random_.sample(corpus.KINDS, random_.randint(1, 3))
        parts = [corpus.text(kind, random_, random_.randint(1, 12), corpus.BEGIN) for kind in kinds]
        data = b"".join(parts)
        if random_.random() < 0.3:
            encoding = random_.choice(("utf-16-le", "utf-16-be"))
            data = ("\ufeff" + data.decode("utf-8", "replace")).encode(encoding)
        step = random_.randrange(2, 900) * 2
        with reaching(random_.randint(1, 700)):
            file = File("a", "f", 1, data, len(data), NOW)
            if not any(row.data.strip() for row in file.rows):
                continue
            drawer = Drawer(random_, [file])
            for _ in range(4):
                node = _of_lines(drawer.node())
                in_entries = random_.random() < 0.5
                wanted = file.found(node, exact_case=False, now_ns=NOW, entries=in_entries)
                for newest_first in (False, True):
                    got = scan(node, data, step=step, in_entries=in_entries, newest_first=newest_first)
                    width = 2 if file.encoding else 1
                    told = [(m.start, min(m.end + width, len(data) - len(data) % width) - m.start) for m in got]
                    assert (told[::-1] if newest_first else told) == wanted, (node, step, in_entries)
                found += len(wanted)
    assert found


def _of_lines(node: Node) -> Node:
    """The query with what chooses files replaced by a word."""
    if isinstance(node, Filter):
        return Text(Literal("e")) if node.is_file_level else node
    if isinstance(node, Text):
        return node
    if hasattr(node, "child"):
        return negated(_of_lines(node.child))
    return type(node)(tuple(_of_lines(child) for child in node.children))  # type: ignore[union-attr, call-arg]


def starts(query: str, data: bytes, *, in_entries: bool = False, step: int = 1 << 20) -> list[int]:
    """Numbers, from 0, of the lines where matches begin."""
    return [data.count(b"\n", 0, m.start) for m in scan(parse(query).root, data, step=step, in_entries=in_entries)]


TRACE = b"""2026-11-20 08:00:00 INFO started
2026-11-20 08:15:00 ERROR order 7 failed
java.lang.IllegalStateException: no stock
\tat com.shop.Order.ship(Order.java:42)
Caused by: java.io.IOException: disk full
\t... 7 more

2026-11-20 08:30:00 INFO order 8 shipped
"""


def test_lines_of_a_stack_trace_have_the_time_of_their_message() -> None:
    """A line without a time has that of the nearest line before it."""
    assert starts("time:2026-11-20T08:15 disk", TRACE) == [4]
    assert starts("time:2026-11-20T08:15", TRACE) == [1, 2, 3, 4, 5, 6]
    assert starts("time:2026-11-20", b"no time here\n" + TRACE)[0] == 1


def test_a_query_is_matched_against_whole_entries() -> None:
    """What stands in different lines of a stack trace is found together, as one hit."""
    assert starts("order disk", TRACE, in_entries=True) == [1]
    assert starts("order -disk", TRACE, in_entries=True) == [7]
    assert starts("", TRACE, in_entries=True) == [0, 1, 7]
    (match,) = scan(parse("ship disk level:error").root, TRACE, step=7, in_entries=True)
    assert TRACE[match.start : match.end].endswith(b"\t... 7 more\n")
    assert match.lines == 6


@pytest.mark.parametrize(
    ("lines", "begin"),
    [
        (["a", "b"], [0, 1]),
        (["a", " b", "c"], [0, 2]),
        (["12:00 ERROR a", "b", "INFO c", "d"], [0, 2]),
        (["2026-11-20 08:00:00 a", "org.PSQLException: ERROR: no relation", "WARN x", "y"], [0]),
        (["PHP Warning:  a", "Stack trace:", "#0 b"], [0]),
        (["ERROR a", "Traceback (most recent call last):", '  File "x"', "ValueError: y"], [0]),
        (["a", "Traceback (most recent call last):", '  File "x"', "ValueError: y"], [0, 3]),
        (["{", '  "a": 1', "}", "{", "}"], [0, 3]),
        (["2026-11-20 08:00:00 a", "  2026-11-20 08:00:01 b", "     2026-11-20 08:00:02 c"], [0, 1]),
        ([" a", " b"], [0, 1]),
        (["Caused by: ERROR x", "ERROR y"], [0, 1]),
        (["ERROR a", "", "b", "\r", "c"], [0]),
    ],
)
def test_an_entry_begins_where_the_rules_say(lines: list[str], begin: list[int]) -> None:
    """Line by line."""
    assert starts("", "\n".join(lines).encode(), in_entries=True) == begin


def test_dates_of_a_late_block_are_read_in_the_order_that_the_file_tells() -> None:
    """The first line says that the day comes first; a block far behind it knows that too, whichever is read first."""
    data = b"26/10/2026 08:00:00 x\n" + b"filler\n" * 1000 + b"05/11/2026 08:00:00 needle\n"
    node = parse("time:2026-11-05 needle").root
    assert len(scan(node, data, step=500, newest_first=True)) == 1
    assert not scan(node, data[22:], step=500)


def test_only_the_beginning_of_a_file_tells_the_order_of_its_dates() -> None:
    """Whole lines of it; what comes later is read in the order told there, or is no date."""
    data = b"10/26/2026 08:00:00 x\n" + b"26/10/2026 08:00:00 x\n" * 3 + b"05/11/2026 08:00:00 needle\n"
    for count, day in ((22, "2026-05-11"), (43, "2026-05-11"), (44, "2026-05-11"), (88, "2026-11-05")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(filetimes, "TIME_ORDER_BYTES", count)
            assert len(scan(parse(f"time:{day} needle").root, data, step=40)) == 1, count


def test_an_early_file_is_not_read_for_a_late_time() -> None:
    """What arrived long before cannot have been written later."""
    from logferry.search.filters import Candidate, too_old_test

    wanted = parse("time:>=2026-11-20").root
    assert isinstance(wanted, Filter)
    test = too_old_test(wanted, NOW)
    day = 86_400 * 10**9
    begin = int(corpus.BEGIN.timestamp()) * 10**9
    for arrived, too_old in ((begin - 4 * day, True), (begin - day, False), (begin + day, False)):
        assert test(Candidate("a", "f", 1, 1, 1, 1, 0, 0, arrived, None)) is too_old


def test_a_line_too_long_to_hold_has_level_and_time_but_no_fields() -> None:
    """It is an entry of its own; what is around it is searched as ever."""
    line = b"2026-11-20 08:00:00 ERROR user=alice " + b"x" * 5000 + b" needle"
    data = b"2026-11-19 08:00:00 INFO a\n tail\n" + line + b"\n continued\n2026-11-21 08:00:00 INFO b\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "SCAN_LINE_BYTES_MAX", 2000)
        patch.setattr(blocks, "LINE_INDEX_STEP_BYTES", 100)
        patch.setattr(blocks, "ENTRY_BYTES_MAX", 1000)
        patch.setattr(entries, "ENTRY_BYTES_MAX", 1000)
        for query, wanted in (
            ("level:error needle", [2]),
            ("level:info needle", []),
            ("time:2026-11-20 needle", [2]),
            ("@user:alice", []),
            ("-@user:alice needle", [2]),
        ):
            for in_entries in (False, True):
                assert starts(query, data, in_entries=in_entries, step=1500) == wanted, query
        assert starts("", data, in_entries=True, step=1500) == [0, 2, 3, 4]


def test_the_dice_of_the_corpus_repeat() -> None:
    """The same seed, the same logs."""
    made = [corpus.text(corpus.java, random.Random(7), 9, corpus.BEGIN) for _ in range(2)]
    assert made[0] == made[1]
