"""What a search learns by reading is kept for the next one, and takes little memory until then."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from logferry.archive.index import Candidates
from logferry.archive.indexed import IndexedSegment
from logferry.search.events import Hit
from logferry.search.indexed import lookup
from logferry.search.indexed.answers import candidates
from logferry.search.indexed.lookup import Lookup
from logferry.search.indexed.timing import count_times
from logferry.search.running import Running
from logferry.search.service import SearchRequest, SearchService
from logferry.search.tally import Buckets, FacetField, Tally
from tests.search.test_indexed import EVERYTHING, Grown
from tests.security.amounts import seed

QUERY = SearchRequest("/ [0-9]*7$/", EVERYTHING, limit=10**6)
BOUND = 2_000
RUN = 700
"""More than one run adds; all of them add some 4,500."""


@pytest.fixture
def grown(tmp_path: Path) -> Iterator[Grown]:
    """Some granules that have to be read."""
    made = Grown(tmp_path, random.Random(seed("learning")))
    made.put("db", "big.log", b"".join(made.stamped() for _ in range(20_000)))
    made.seal()
    yield made
    made.close()


def test_a_long_export_holds_little_of_what_it_read(grown: Grown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits, put with the answers as soon as they are many; the next search reads nothing again."""
    monkeypatch.setattr(lookup, "SEARCH_LEARNED_BYTES_MAX", BOUND)
    used: list[Lookup] = []
    make = Running.lookup

    def seen(running: Running) -> Lookup:
        used.append(make(running))
        return used[-1]

    monkeypatch.setattr(Running, "lookup", seen)
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    found, most = [], 0
    for event in service.run(QUERY):
        if isinstance(event, Hit):
            found.append(event)
        most = max(most, used[0].learned_bytes if used else 0)
    assert len(found) > 1000
    assert BOUND / 4 < most <= BOUND + RUN
    (view,) = (used[0].view(record.id) for record in grown.segments())
    assert view is not None
    again = used[0].answer(view, used[0]._selection.nodes[0])
    assert not again.maybe.any()
    assert int(again.sure.sum()) == len(found)
    assert [event for event in service.run(QUERY) if isinstance(event, Hit)] == found


def test_levels_that_were_counted_once_are_counted_without_the_text(
    grown: Grown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By query and by what of a segment is searched; what has come since is counted, too."""
    reads: list[int] = []
    content = IndexedSegment.content

    def seen(segment: IndexedSegment, raw_offset: int, count: int) -> bytes:
        reads.append(raw_offset)
        return content(segment, raw_offset, count)

    monkeypatch.setattr(IndexedSegment, "content", seen)
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)

    def told(query: str) -> Tally:
        request = SearchRequest(query, EVERYTHING)
        *_, last = service.tally(request, histogram=Buckets(3600), facets=("level", "agent"))
        assert isinstance(last, Tally)
        assert last.exact
        return replace(last, seconds=0.0)

    queries = ["error", "/ [0-9]*7$/", "*"]
    first = {query: told(query) for query in queries}
    assert reads
    assert len({one.facets for one in first.values()}) == len(queries)
    reads.clear()
    assert {query: told(query) for query in queries} == first
    assert not reads
    with_another = told("error time:..2026-01-02")
    assert with_another.lines <= first["error"].lines
    grown.put("web", "small.log", b"2026-01-01T00:00:00Z ERROR one more\n")
    reads.clear()
    more = told("error")
    assert more.lines == first["error"].lines + 1
    assert dict(more.facets[0].top)["error"] == dict(first["error"].facets[0].top)["error"] + 1
    assert not reads
    service.forget_answers()
    assert told("error") == more
    assert reads


def test_levels_that_one_query_has_read_are_known_to_all_others(grown: Grown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of some files or times only; what is not known any more is read again. The counts are those of the text."""
    for number in range(40):
        grown.put("web", f"{number}.log", b"".join(grown.stamped() for _ in range(1 + number % 7)))
    grown.seal()
    reads: list[int] = []
    content = IndexedSegment.content

    def seen(segment: IndexedSegment, raw_offset: int, count: int) -> bytes:
        reads.append(raw_offset)
        return content(segment, raw_offset, count)

    monkeypatch.setattr(IndexedSegment, "content", seen)
    by_text = SearchService(grown.archive, grown.catalog, clock=grown.clock, indexed=False)
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)

    def told(service: SearchService, query: str, *facets: FacetField) -> Tally:
        request = SearchRequest(query, EVERYTHING)
        *_, last = service.tally(request, histogram=Buckets(3600), facets=facets)
        assert isinstance(last, Tally)
        assert last.exact
        return last

    told(service, "*", "level")
    for query in ("error", "warn or error", "-error", "path:3.log", "agent:web error", "path:1 -info"):
        told(service, query)  # which lines match may be in the text, too
        reads.clear()
        found = told(service, query, "level", "path")
        assert not reads, query
        wanted = told(by_text, query, "level", "path")
        assert (found.lines, found.facets, found.histogram) == (wanted.lines, wanted.facets, wanted.histogram), query
        assert sum(count for _, count in found.facets[0].top) == found.lines
    before = told(service, "error", "level")
    service.forget_answers()
    reads.clear()
    assert told(service, "error", "level").facets == before.facets
    assert reads


@pytest.mark.parametrize("query", ["zebra", "error zebra", "-*", "/zebra[0-9]/"])
def test_that_nothing_matches_is_found_out_once(grown: Grown, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    """A segment in which a query finds nothing is passed over by the next search for it."""
    asked: list[object] = []

    def seen(*of: Any, **how: Any) -> Candidates:
        asked.append(of)
        return candidates(*of, **how)

    monkeypatch.setattr("logferry.search.indexed.lookup.candidates", seen)
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    request = SearchRequest(query, EVERYTHING)
    assert not [event for event in service.run(request) if isinstance(event, Hit)]
    assert asked
    asked.clear()
    assert not [event for event in service.run(request) if isinstance(event, Hit)]
    *_, told = service.tally(request)
    assert isinstance(told, Tally)
    assert (told.lines, told.exact) == (0, True)
    assert not asked
    service.forget_answers()
    assert not [event for event in service.run(request) if isinstance(event, Hit)]
    assert asked


def test_what_is_remembered_of_a_query_counts_the_query(grown: Grown) -> None:
    """Else a hundred thousand long ones that find nothing would take hundreds of megabytes."""
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    answers = service._views._answers
    for number in range(3):
        before = answers.bytes
        query = " OR ".join(f"zebra{number}x{word}" for word in range(200))
        list(service.run(SearchRequest(query, EVERYTHING)))
        assert answers.bytes - before > 200 * 400


def test_when_lines_were_written_is_counted_once(grown: Grown, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next histogram of the same lines, and of more that came since, looks at no times of theirs."""
    asked: list[object] = []

    def seen(*of: Any) -> None:
        asked.append(of)
        count_times(*of)

    monkeypatch.setattr("logferry.search.tallying.count_times", seen)
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    by_text = SearchService(grown.archive, grown.catalog, clock=grown.clock, indexed=False)

    def told(of: SearchService, query: str, **how: Any) -> Tally:
        *_, last = of.tally(SearchRequest(query, EVERYTHING), histogram=Buckets(**how))
        assert isinstance(last, Tally)
        assert last.exact
        return last

    for query in ("error", "warn OR error", "path:big -error"):
        for how in ({}, {"step_s": 60}, {"shown": 3}):
            told(service, query, **how)  # some granules may be read for it
            told(service, query, **how)
            assert asked, (query, how)
            asked.clear()
            grown.put("db", f"{len(query)}.log", grown.text(50), append=True)
            found = told(service, query, **how)
            assert not asked, (query, how)
            wanted = told(by_text, query, **how)
            assert (found.lines, found.histogram) == (wanted.lines, wanted.histogram)
