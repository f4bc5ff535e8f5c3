"""Queries and logs that mean no good: a clear refusal, or an answer that names what is missing; never a hang."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.archive import Archive, Catalog
from logferry.archive.timestamps import Reading
from logferry.clock import ManualClock
from logferry.errors import BadQuery
from logferry.limits import MIB
from logferry.search.query import parse
from logferry.search.scan import BytesSource, FileFacts, Scanner
from logferry.search.scan.fields import FieldReader
from tests.search import evil
from tests.search.test_service import Stored, done
from tests.security.amounts import amount, dice

NOW = 1_796_000_000 * 10**9


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Stored]:
    """An empty archive."""
    clock = ManualClock()
    with (
        Catalog.open(f"sqlite:///{tmp_path}/catalog.db", clock) as catalog,
        Archive(str(tmp_path), catalog, clock=clock) as archive,
    ):
        yield Stored(archive, catalog, clock)


def found(query: str, data: bytes, *, entries: bool = False) -> int:
    """How many lines or entries match."""
    scanner = Scanner(parse(query).root, exact_case=False, now_ns=NOW, entries=entries)
    facts = FileFacts(lambda: Reading(NOW), lambda count: data[:count])
    matches = scanner.scan(BytesSource(data), 0, len(data), newest_first=False, check=lambda: None, facts=facts)
    return sum(1 for _ in matches)


def nasty(stored: Stored) -> None:
    """Logs that such expressions and queries are slow on: long runs of one letter, long lines, many fields."""
    stored.put("a", "runs", (b"a" * 20_000 + b"\n") * 3 + b"x" * 5_000 + b" y z\n")
    stored.put(
        "a", "fields", b'2025-10-01 08:00:00 ERROR user=alice {"a":{"b":[1,2]},"user":"aaaaaaaaaaaa"} k=v\n' * 100
    )
    stored.put("a", "words", b"aa ab a b c d e f g h a=1 =2 x y\n" * 200)


@pytest.mark.parametrize("shape", ["/{}/", "-/{}/ a", "@user:/{}/", "a OR (/{}/ level:error)"])
def test_evil_regular_expressions_end(stored: Stored, shape: str) -> None:
    """Some of a hundred, all of them with ``HEAVY=1``, are run to the end."""
    nasty(stored)
    for pattern in dice("evil regexes").sample(evil.REGEXES, amount("evil_regexes", 25, 100)):
        account = done(stored.search(shape.format(pattern), deadline_s=1000))
        assert (account.reason, account.errors) == ("complete", ())


def test_evil_queries_end(stored: Stored) -> None:
    """The same, for lines and for entries."""
    nasty(stored)
    for query in evil.queries(dice("evil queries"))[: amount("evil_queries", 24, 100)]:
        for entries in (False, True):
            account = done(stored.search(query, deadline_s=1000, entries=entries))
            assert (account.reason, account.errors) == ("complete", ())


def test_evil_queries_are_answered_or_refused_at_once() -> None:
    """Deep, wide, negated over and over, with every kind of term."""
    data = b'2026-11-20 08:00:00 ERROR user=alice {"a":{"b":[1,2]}}\n' * 200
    terms = ["a", "-b", "/x+/", "level:>=warn", "time:<now", "@user:a*", "@a.b:>1", '"x y"', "?*?*?*", "-@zz:*"]
    wide = " OR ".join(f"({one} {other})" for one in terms for other in terms)
    deep = "(" * 60 + "a" + " -b)" * 60
    negated = "-(" * 60 + "a b" + ")" * 60
    wild = "*".join("abcdefgh" * 40)
    for query in (wide, deep, negated, wild, "? " * 255, "NOT " * 2000 + "a"):
        for entries in (False, True):
            assert 0 <= found(query, data, entries=entries) <= 200
    for query in (" OR ".join(terms * 30), "(" * 65 + "a" + ")" * 65, "x" * 9000, '"' * 8001, "/(" * 4000):
        with pytest.raises(BadQuery):
            parse(query)


def test_a_regular_expression_too_large_to_run_is_refused() -> None:
    """With the query, not in the middle of the search."""
    with pytest.raises(BadQuery, match="not possible"):
        parse("/((((a{30}){30}){30}){30})/")
    with pytest.raises(BadQuery, match="not possible"):
        parse("@a:/(?:x{1000}){1000}/")
    with pytest.raises(BadQuery, match="not possible"):
        parse(r"/\pL{300}/")
    assert found(r"/^\pL{3,20} .{500}$/", b"needle " + b"x" * 500 + b"\n") == 1


BROKEN_OBJECTS = [
    b"{" * 100_000,
    b'{"a":' * 100_000,
    b"[" * 100_000 + b'{"a":1}',
    b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    b'{"a":' + b"9" * 200_000 + b"}",
    b'{"a":1e999999999999999999999}',
    b'{"a":1e999999}',
    b'{"a":NaN,"a":-Infinity}',
    b'{"a":"\\ud800"}',
    b'{"a":"\xff\xfe"}',
    b'{"a":"' + b"\\u0061" * 100_000 + b'"}',
    b'{"a":"unclosed',
    b"{'a':1}",
    b'{"a":1}' * 20_000,
    b'a="' * 30_000,
    b'a="\\"' * 20_000,
    b"a=" + b"]" * 200_000,
    b"a=" * 100_000,
    b"a=," * 30_000,
]


@pytest.mark.parametrize("number", range(len(BROKEN_OBJECTS)))
def test_objects_that_are_none_or_too_much_only_do_not_match(number: int) -> None:
    """Deep, endless, half, or with numbers and letters that are none; the line beside them is found."""
    data = BROKEN_OBJECTS[number] + b"\n" + b'{"a":7}\n'
    for query in ("@a:7", "@a:>6.5", "@a:<8", "@a:7*", "@a:/7/", "@a:*", "@a:=7", "@a:7..7"):
        assert 1 <= found(query, data) <= 2
    assert found("-@a:7", data) <= 2


def test_invalid_text_is_searched_as_bytes(stored: Stored) -> None:
    """Bytes that are no UTF-8, halves of UTF-16 characters and an odd last byte hide nothing around them."""
    stored.put("a", "utf8", b"\xff\xfd\xfd needle \xc3\n\xed\xa0\x80 level=error needle\n")
    half = "needle".encode("utf-16-le")
    stored.put("a", "utf16", b"\xff\xfe" + b"\x00\xd8" + half + b"\n\x00" + half + b"\x00\xdc" + b"\n\x00x")
    stored.put("a", "utf32", b"\xff\xfe\x00\x00" + "needle".encode("utf-32-le"))
    hits = stored.hits("needle")
    assert sorted((hit.path, hit.byte) for hit in hits) == [("utf16", 0), ("utf16", 18), ("utf8", 0), ("utf8", 13)]
    assert [hit.path for hit in stored.hits("needle level:error")] == ["utf8"]
    assert len(stored.hits("needle", entries=True)) >= 3


class Zeros:
    """A line of zeros with something at its end, as a sparse file has it."""

    def __init__(self, size: int, end: bytes) -> None:
        self.size = size
        self._end = end

    def read_at(self, offset: int, count: int) -> bytes:
        """Some of its bytes."""
        count = min(count, self.size - offset)
        zeros = max(0, min(count, self.size - len(self._end) - offset))
        first = max(0, offset - (self.size - len(self._end)))
        return bytes(zeros) + self._end[first : first + count - zeros]


def test_a_line_as_long_as_a_disk_is_searched_in_little_memory() -> None:
    """1 GiB without a line end, by every kind of term (``HEAVY_LINE_MIB=n``)."""
    source = Zeros(amount("line_mib", 96, 1024) * MIB, b" needle 7\nlevel=error tail needle\n")
    facts = FileFacts(lambda: Reading(NOW), lambda count: source.read_at(0, count))
    for query, wanted in (("needle 7 -tail", 1), ("needle level:error", 1), ("/needle [0-9]$/ -@x:1 -time:<now", 1)):
        for entries in (False, True):
            scanner = Scanner(parse(query).root, exact_case=False, now_ns=NOW, entries=entries)
            tracemalloc.start()
            hits = 0
            for start in range(0, source.size, MIB):
                hits += sum(
                    1
                    for _ in scanner.scan(
                        source, start, start + MIB, newest_first=False, check=lambda: None, facts=facts
                    )
                )
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert hits == wanted, (query, entries)
            assert peak < 64 * MIB


def test_a_damaged_segment_is_named_and_everything_else_is_found(stored: Stored, tmp_path: Path) -> None:
    """Each file that cannot be read, by agent, path and generation; those of other segments are whole."""
    stored.put("a", "broken.log", b"".join(b"needle %d\n" % n for n in range(20_000)))
    _seal(stored)
    stored.put("b", "whole.log", b"needle 1\n")
    _seal(stored)
    stored.put("b", "live.log", b"needle 2\n")
    victim = max(Path(tmp_path, "store").rglob("*.zst"), key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[100:400] = os.urandom(300)
    victim.chmod(0o600)
    victim.write_bytes(bytes(data))
    for values in ({}, {"entries": True}):
        events = stored.search("needle level:error OR needle", **values)
        account = done(events)
        assert {event.path for event in events if hasattr(event, "path")} >= {"whole.log", "live.log"}
        assert account.reason == "complete"
        assert len(account.errors) == 1
        assert "a/broken.log generation 1" in account.errors[0]


def _seal(stored: Stored) -> None:
    for _ in stored.archive.sealer(level=1).seal(stored.clock.now_ns() + 1):
        pass


@pytest.mark.parametrize("query", ["x", "", "level:error", "time:today", "@a:1", "-x", "agent:nobody x"])
def test_a_search_over_nothing_finds_nothing_and_says_so(stored: Stored, query: str) -> None:
    """No agent; an agent without files; an empty file."""
    for _ in range(3):
        for values in ({}, {"entries": True}, {"from_ns": 1, "until_ns": 2}):
            account = done(stored.search(query, **values))
            assert (account.reason, account.hits, account.total_bytes, account.errors) == ("complete", 0, 0, ())
        if stored.catalog.agents.get("a") is None:
            stored.catalog.agents.add("a")
        else:
            stored.put("a", "empty", b"")


def test_times_beside_the_query_are_bounds_as_in_it(stored: Stored) -> None:
    """From the first nanosecond, until before the last; what is no time of a log is refused."""
    stored.put("a", "f", b"".join(b"2025-10-0%d 12:00:00 x\n" % day for day in range(1, 6)))
    second = 1_759_320_000 + 86_400  # 2025-10-02 12:00:00
    for values, wanted in (
        ({"from_ns": second * 10**9}, "2345"),
        ({"from_ns": second * 10**9 + 1}, "345"),
        ({"until_ns": second * 10**9}, "1"),
        ({"until_ns": second * 10**9 + 1}, "12"),
        ({"from_ns": second * 10**9, "until_ns": (second + 86_400) * 10**9}, "2"),
        ({"from_ns": second * 10**9, "until_ns": 0}, ""),
    ):
        assert "".join(hit.text[9] for hit in stored.hits("x", newest_first=False, **values)) == wanted
    for wrong in (-1, 10**21):
        with pytest.raises(BadQuery, match="1970"):
            stored.search("x", from_ns=wrong)


def test_an_entry_is_one_hit_with_its_text_and_neighbours(stored: Stored) -> None:
    """Its lines, its length with the last line end, spans in all of its lines, context around the whole."""
    lines = [
        "2025-10-01 12:00:00 INFO a",
        "2025-10-01 12:00:01 ERROR b",
        "\tat needle",
        "\tat x",
        "2025-10-01 12:00:02 INFO c",
    ]
    stored.put("a", "f", "\n".join(lines).encode() + b"\n")
    (hit,) = stored.hits("error needle", entries=True, context=1)
    assert hit.text == "\n".join(lines[1:4])
    assert (hit.number, hit.byte, hit.length) == (2, len(lines[0]) + 1, len(hit.text) + 1)
    assert [hit.text[a:b] for a, b in hit.spans] == ["ERROR", "needle"]
    assert [(row.number, row.text) for row in (*hit.before, *hit.after)] == [(1, lines[0]), (5, lines[4])]


def test_a_field_reader_reads_no_line_for_ever() -> None:
    """Values are told one by one: whoever has found one need not read on."""
    reader = FieldReader("a", exact_case=False)
    assert next(reader.values('{"a":[' + "1," * 100_000 + "2]}")) in ("1", "2")
