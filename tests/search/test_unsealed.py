"""What is remembered of bytes in no segment: answers are those of reading all anew, and what was read is not again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from logferry.archive import GenerationReader
from logferry.search import finding, tallying
from logferry.search.events import Hit
from logferry.search.query import parse
from logferry.search.scan import BytesSource, Scanner
from logferry.search.scan.lines import Matching
from logferry.search.service import SearchRequest, SearchService
from logferry.search.tally import Buckets
from logferry.search.unsealed import Unsealed
from tests.search.test_indexed import EVERYTHING, Grown, hits, tally
from tests.security.amounts import amount, seed

SEED = seed("unsealed")
ROUNDS = amount("rounds", 12, 2_000)
QUERIES = ("error", "session user", "-error", "/took [0-9]+/", "ÉTÉ", "*", "error OR 10.", "level:>=warn", "path:app x")


@pytest.fixture
def grown(tmp_path: Path) -> Iterator[Grown]:
    """Nothing yet."""
    made = Grown(tmp_path, random.Random(SEED))
    yield made
    made.close()


def test_while_files_grow_each_answer_is_that_of_who_knows_nothing(
    grown: Grown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In small blocks; of lines without an end yet, of UTF-16, of files that are sealed meanwhile."""
    for module in (finding, tallying):
        monkeypatch.setattr(module, "SCAN_BLOCK_BYTES", 700)
    rng = grown.rng
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    wide = "\ufeff" + "".join(f"{i} error session ÉTÉ\r\n" for i in range(20))
    for round_ in range(ROUNDS):
        for path in rng.sample(("app.log", "a.log", "b.log"), 2):
            text = grown.text(rng.choice([1, 3, 40]), end=rng.choice([b"\n", b"\n", b"", b"\r\n", b" error"]))
            grown.put("web", path, text, append=grown.catalog.files.at("web", path) is not None)
        grown.put("web", "wide.log", wide.encode("utf-16-le"), append=round_ > 0)
        grown.put("web", "tiny.log", b"x\n" if round_ == 0 else b"rror\n", append=round_ > 0)
        if round_ % 5 == 4:
            grown.seal()
        anew = SearchService(grown.archive, grown.catalog, clock=grown.clock)
        for query in rng.sample(QUERIES, 4):
            request = SearchRequest(query, EVERYTHING, limit=10**6, newest_first=rng.random() < 0.5)
            told = (SEED, round_, query, request.newest_first)
            assert hits(service, request) == hits(anew, request), told
            few = replace(request, limit=5)
            assert [e for e in service.run(few) if isinstance(e, Hit)] == hits(anew, request)[:5], told
            here, there = (tally(one, request, Buckets(60), ("path", "level")) for one in (service, anew))
            assert (here.lines, here.histogram, here.facets) == (there.lines, there.histogram, there.facets), told
            assert here.scanned_bytes == there.scanned_bytes


def test_random_growth_is_found_as_a_scan_of_all_finds_it() -> None:
    """Whatever lies between two looks; looks that see less than others did before them come between."""
    rng = random.Random(SEED)
    for _ in range(20 * ROUNDS):
        node = parse(rng.choice(("b", "ab", "-a", "/^a/", "*"))).root
        data = b"".join(rng.choices([b"a", b"b", b"\n", b"\n", b"\r"], k=200))
        start = rng.choice([0, 0, 30])
        known, matching = Unsealed(), Matching(node, exact_case=False)
        for _ in range(6):
            end = rng.randrange(start + 1, len(data))
            source = BytesSource(data[:end])
            found = known.seen(1, node, matching, (start, end), lambda s=source: s, _go_on, exact_case=False)  # type: ignore[misc]
            scanner = Scanner(node, exact_case=False)
            wanted = list(scanner.scan(source, start, end, newest_first=False, check=_go_on))
            if found is None:
                assert b"\n" not in data[start - 1 : end - 1] or not wanted, (SEED, data, start, end)
                continue
            whole = [match for match in wanted if match.start < found.until and match.end < end]
            got = [match for match in found.matches(newest_first=False) if match.end < end]
            assert got == whole, (SEED, data, start, end)
            assert list(found.matches(newest_first=True))[::-1] == list(found.matches(newest_first=False))


def _go_on() -> None:
    """There is time."""


def test_what_was_looked_through_is_not_read_again(grown: Grown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the same query, and what came lately not by another one either."""
    grown.put("web", "app.log", b"error 1\nfine\n" * 5_000)
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    reads: list[int] = []
    read = GenerationReader.read_at

    def seen(reader: GenerationReader, offset: int, count: int) -> bytes:
        reads.append(count)
        return read(reader, offset, count)

    monkeypatch.setattr(GenerationReader, "read_at", seen)

    def lines(query: str) -> int:
        return tally(service, SearchRequest(query, EVERYTHING), facets=()).lines

    assert lines("error") == 5_000
    assert reads
    reads.clear()
    assert (lines("error"), lines("fine")) == (5_000, 5_000)
    assert not reads
    grown.put("web", "app.log", b"error 2\nfine\n", append=True)
    assert lines("error") == 5_001
    assert sum(reads) < 100
    reads.clear()
    assert lines("fine") == 5_001
    assert not reads
    service.forget_answers()
    assert lines("error") == 5_001
    assert sum(reads) > 50_000
