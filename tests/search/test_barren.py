"""Generations in which nothing matched: nobody looks there for the same again, until they are longer."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from logferry.limits import BARREN_BYTES_MAX
from logferry.search import finding, tallying
from logferry.search.barren import Barren
from logferry.search.filters import Candidate
from logferry.search.indexed.pieces import Opened
from logferry.search.query import parse
from logferry.search.service import SearchRequest, SearchService
from logferry.search.snapshot import Snapshot
from tests.search.test_indexed import EVERYTHING, Grown, hits, tally


@pytest.fixture
def grown(tmp_path: Path) -> Iterator[Grown]:
    """Twenty files; in one of them the word stands."""
    made = Grown(tmp_path, random.Random(1))
    for number in range(20):
        made.put("web", f"app{number}.log", b"one line\nand another one\n" + b"with a Needle\n" * (number == 7))
    yield made
    made.close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The generations that searches and tallies look at, one after the other."""
    seen: list[int] = []

    class Counted(Opened):
        def __init__(self, archive: object, generation_id: int, *args: object) -> None:
            seen.append(generation_id)
            super().__init__(archive, generation_id, *args)  # type: ignore[arg-type]

    for module in (finding, tallying):
        monkeypatch.setattr(module, "Opened", Counted)
    return seen


def looked_at(opened: list[int]) -> int:
    """How many were since this was asked last."""
    count = len(opened)
    opened.clear()
    return count


def test_where_nothing_was_found_nobody_looks_again(grown: Grown, opened: list[int]) -> None:
    """Neither for hits nor to count them; whichever of the two was asked for before."""
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    request = SearchRequest("needle", EVERYTHING)
    assert (len(hits(service, request)), looked_at(opened)) == (1, 20)
    assert (len(hits(service, request)), looked_at(opened)) == (1, 1)
    first = tally(service, request)
    assert (first.lines, first.exact, first.files_done, looked_at(opened)) == (1, True, 20, 1)
    other = SearchRequest("another", EVERYTHING, path="app1?.log")
    assert (tally(service, other).lines, looked_at(opened)) == (10, 10)
    absent = replace(other, query="absent")
    assert (tally(service, absent).lines, looked_at(opened)) == (0, 10)
    assert (len(hits(service, absent)), looked_at(opened)) == (0, 0)
    service.forget_answers()
    assert (len(hits(service, absent)), looked_at(opened)) == (0, 10)


def test_what_has_grown_is_looked_at_and_so_is_what_is_new(grown: Grown, opened: list[int]) -> None:
    """Also when it was sealed and renamed meanwhile."""
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    request = SearchRequest("needle", EVERYTHING)
    assert len(hits(service, request)) == 1
    grown.put("web", "app3.log", b"no n", append=True)
    assert len(hits(service, request)) == 1
    grown.put("web", "app3.log", b"eedle, but a needle here\n", append=True)
    grown.put("web", "new.log", b"a needle\n")
    looked_at(opened)
    assert {hit.path for hit in hits(service, request)} == {"app3.log", "app7.log", "new.log"}
    assert looked_at(opened) == 3
    grown.archive.rename("web", "app4.log", "renamed.log")
    grown.seal()
    grown.put("web", "renamed.log", b"one more needle\n", append=True)
    assert {hit.path for hit in hits(service, request)} == {"app3.log", "app7.log", "new.log", "renamed.log"}
    assert tally(service, request).lines == 4


def test_a_question_that_leaves_lines_out_says_nothing_of_others(grown: Grown) -> None:
    """Lines of a part of a file, entries, another case, another encoding."""
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    (hit,) = hits(service, SearchRequest("needle", EVERYTHING))
    service.forget_answers()
    one = SearchRequest("needle", EVERYTHING, file_id=hit.file_id)
    assert hits(service, replace(one, before_byte=hit.byte)) == []
    assert hits(service, replace(one, after_byte=hit.byte + 1)) == []
    assert hits(service, replace(one, exact_case=True)) == []
    assert hits(service, replace(one, query="Needle line", entries=True)) == []
    assert len(hits(service, one)) == 1
    assert len(hits(service, replace(one, query="Needle", exact_case=True))) == 1
    assert hits(service, SearchRequest("needle another", EVERYTHING)) == []
    grown.put("web", "stack.log", b"2026-01-01 10:00:00 needle\n  another line of it\n")
    assert hits(service, SearchRequest("needle another", EVERYTHING)) == []
    assert len(hits(service, SearchRequest("needle another", EVERYTHING, entries=True))) >= 1


def test_a_search_that_was_stopped_tells_of_what_it_had_finished(grown: Grown, opened: list[int]) -> None:
    """Of no other file."""
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    request = SearchRequest("one", EVERYTHING, limit=1)
    assert sum(1 for _ in service.run(request)) >= 1
    assert len(hits(service, replace(request, limit=1_000))) == 40
    looked_at(opened)
    cut = SearchRequest("needle", EVERYTHING)
    for _ in service.run(cut):
        if len(opened) == 5:
            cut.cancel.set()
    done = looked_at(opened)
    assert len(hits(service, SearchRequest("needle", EVERYTHING))) == 1
    assert 20 - done <= looked_at(opened) <= 21 - done  # of the last one nobody knows whether it was finished


def snapshot(sizes: dict[int, int]) -> Snapshot:
    """Generations of so many bytes, by id."""
    files = [Candidate("a", f"{id_}.log", id_, 1, id_, size, 0, 0, id_, "") for id_, size in sizes.items()]
    return Snapshot(files, {}, {})


def test_it_is_told_of_those_alone_that_are_as_long_as_they_were() -> None:
    """By rank; who is gone is forgotten when there is more to learn."""
    known, node = Barren(), parse("x").root
    before = snapshot({1: 10, 2: 20, 3: 30})
    assert known.among(before, node, exact_case=False).tolist() == []
    known.learn(before, node, np.array([0, 2]), exact_case=False)
    assert known.among(before, node, exact_case=False).tolist() == [0, 2]
    assert known.among(before, node, exact_case=True).tolist() == []
    assert known.among(before, parse("y").root, exact_case=False).tolist() == []
    assert known.among(snapshot({}), node, exact_case=False).tolist() == []
    after = snapshot({2: 20, 3: 31, 4: 40})
    assert known.among(after, node, exact_case=False).tolist() == []
    known.learn(after, node, np.array([1, 2]), exact_case=False)
    assert known.among(after, node, exact_case=False).tolist() == [1, 2]
    assert known.among(before, node, exact_case=False).tolist() == []


def test_queries_are_remembered_with_the_memory_that_they_take() -> None:
    """Many long ones about a single file make those go that were asked before."""
    known, one = Barren(), snapshot({1: 10})
    nodes = [parse(" ".join(f"q{number}w{term}" for term in range(200))).root for number in range(300)]
    for node in nodes:
        known.learn(one, node, np.array([0]), exact_case=False)
    kept = sum(len(known.among(one, node, exact_case=False)) for node in nodes)
    assert 0 < kept < BARREN_BYTES_MAX / (200 * 400)


@pytest.mark.parametrize("is_sealed", [False, True])
@pytest.mark.parametrize("is_counted", [False, True])
def test_a_file_that_is_named_as_a_compressed_one_is_looked_at_unpacked(
    tmp_path: Path, is_sealed: bool, is_counted: bool
) -> None:
    """Whatever was found in its bytes as long as it had another name."""
    grown = Grown(tmp_path, random.Random(1))
    dice = random.Random(5)
    packed = gzip.compress(b"".join(b"%s a Needle\n" % dice.randbytes(20).hex().encode() for _ in range(200)))
    assert packed.count(b"\n") > 3
    grown.put("web", "app.log.1.part", packed)
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    request = SearchRequest("needle", EVERYTHING, limit=1_000)
    asked: list[Callable[[], int]] = [lambda: tally(service, request).lines, lambda: len(hits(service, request))]
    if is_counted:
        asked.reverse()
    assert [ask() for ask in asked] == [0, 0]
    grown.archive.rename("web", "app.log.1.part", "app.log.1.gz")
    if is_sealed:
        grown.seal()
    assert [ask() for ask in asked] == [200, 200]
    grown.archive.rename("web", "app.log.1.gz", "app.log.1")
    assert [ask() for ask in asked] == [0, 0]
    grown.close()


def test_where_every_file_is_asked_something_else_nothing_is_remembered(grown: Grown, opened: list[int]) -> None:
    """It would take longer than looking."""
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    query = " OR ".join(f"(path:app{number}.log absent{number})" for number in range(20))
    for _ in range(2):
        assert (len(hits(service, SearchRequest(query, EVERYTHING))), looked_at(opened)) == (0, 20)
