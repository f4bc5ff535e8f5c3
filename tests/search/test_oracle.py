"""The whole search against the oracle: random queries over an archive of live, growing, sealed and packed files."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from logferry.archive import Archive, Catalog
from logferry.archive.index_making import MakerHere
from logferry.clock import ManualClock
from logferry.search.events import Done, Hit
from logferry.search.query import Node, canonical, parse
from logferry.search.service import SearchRequest, SearchService
from logferry.search.tally import Buckets, FacetField, Tally
from logferry.server.scope import Scope
from tests.search import corpus
from tests.search.draw import Drawer
from tests.search.oracle_files import File
from tests.security.amounts import amount, dice

EVERYTHING = Scope()
LARGE_LINES = 1_800
"""Of one file that several blocks of an index, and several segments, hold."""
QUERIES = amount("search_queries", 200, 20_000)
RANGES = amount("search_ranges", 40, 4_000)
COMPACTED = amount("search_compacted", 50, 5_000)


class Mixed:
    """An archive with files in every state, and what the oracle knows of them."""

    def __init__(
        self, folder: Path, random_: random.Random, lines: int, *, large: int = LARGE_LINES, hours: int = 24
    ) -> None:
        """``lines`` of each file, ``large`` of the large one; they begin ``hours`` ago."""
        self.dice = random_
        self.folder = folder
        self.clock = ManualClock(int(corpus.BEGIN.timestamp() * 1e9) + hours * 3600 * 10**9)
        folder.mkdir(exist_ok=True)
        self.catalog = Catalog.open(f"sqlite:///{folder}/catalog.db", self.clock)
        self.archive = Archive(str(folder), self.catalog, clock=self.clock)
        self.held: dict[tuple[str, str, int], bytes] = {}
        self._lines, self._large = lines, large
        for agent in ("web-01", "web-02", "db"):
            self.catalog.agents.add(agent)
        self._fill()

    def _fill(self) -> None:
        kinds = list(corpus.KINDS)
        for number, kind in enumerate(kinds):
            self.put(("web-01", "web-02", "db")[number % 3], f"var/{kind.__name__}.log", self._text(kind))
        self.put("db", "large/java.log", corpus.text(corpus.java, self.dice, self._large, corpus.BEGIN))
        self.put("db", "win.log", ("\ufeff" + self._readable(corpus.java)).encode("utf-16-le"))
        self.put("web-01", "old/win.txt", ("\ufeff" + self._readable(corpus.syslog)).encode("utf-16-be"))
        self.put("db", "old/nested.log.2.gz", gzip.compress(self._text(corpus.nested)))
        self.seal()
        for kind in (corpus.java, corpus.nested, corpus.american):  # growing: the beginning is sealed, the rest live
            self.grow(kind.__name__)
        self.put("web-02", "var/logfmt.log", self._text(corpus.logfmt))  # rotated: or a new generation of a path
        self.put("db", "live/prose.txt", self._text(corpus.prose))
        self.put("web-01", "live/error.log", self._text(corpus.java))
        self.put("web-01", "live/error.log.1.gz", gzip.compress(self._text(corpus.java)))
        self.put("web-02", "empty.log", b"")

    def _text(self, kind: object) -> bytes:
        return corpus.text(kind, self.dice, self._lines, corpus.BEGIN)  # type: ignore[arg-type]

    def _readable(self, kind: object) -> str:
        return self._text(kind).decode("utf-8", "replace")

    def put(self, agent: str, path: str, data: bytes) -> None:
        """Store a file, or the next generation of one."""
        self.clock.advance(1)
        incoming = self.archive.begin(agent, path)
        incoming.write(data)
        self.held[agent, path, incoming.commit().number] = data

    def grow(self, name: str) -> None:
        """Append to a file."""
        agent, path, number = next(key for key in self.held if key[1] == f"var/{name}.log")
        more = corpus.text(getattr(corpus, name), self.dice, self._lines // 3, corpus.BEGIN)
        self.clock.advance(1)
        incoming = self.archive.begin(agent, path, append=True)
        incoming.write(more)
        assert incoming.commit().number == number
        self.held[agent, path, number] += more

    def seal(self) -> None:
        """Seal all there is."""
        for _ in self.archive.sealer(level=1, segment_bytes=1 << 16, maker=MakerHere()).seal(self.clock.now_ns() + 1):
            pass

    def compact(self) -> None:
        """Small segments become few, at another level."""
        list(self.archive.compactor(level=3, maker=MakerHere(), segment_bytes=1 << 20).compact(self.clock.now_ns()))

    def reindex(self) -> None:
        """All indexes are built anew."""
        reindexer = self.archive.reindexer(MakerHere())
        for record in list(reindexer.due(all_of_them=True)):
            assert reindexer.build(record).problem == ""

    def files(self) -> list[File]:
        """Everything that is held, with the catalog's facts."""
        found = []
        for file in self.catalog.files.each():
            for one in self.catalog.files.generations(file.id):
                data = self.held[file.agent, file.path, one.number]
                assert one.size == len(data)
                unpacked = gzip.decompress(data) if file.path.endswith(".gz") else data
                found.append(File(file.agent, file.path, one.number, unpacked, one.size, one.changed_ns))
        assert len(found) == len(self.held)
        return found

    def close(self) -> None:
        """Release everything."""
        self.archive.close()
        self.catalog.close()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mixed]:
    """One for all tests."""
    made = Mixed(tmp_path_factory.mktemp("mixed"), dice("mixed archive"), amount("search_lines", 30, 300))
    yield made
    made.close()


Found = tuple[str, str, int, int, int]


def engine(mixed: Mixed, query: str, service: SearchService | None = None, **values: object) -> list[Found]:
    """What the search finds."""
    service = service or SearchService(mixed.archive, mixed.catalog, clock=mixed.clock)
    request = SearchRequest(query, EVERYTHING, limit=10**9, deadline_s=10**9, **values)  # type: ignore[arg-type]
    found: list[Found] = []
    ended = None
    for event in service.run(request):
        if isinstance(event, Hit):
            found.append((event.agent, event.path, event.generation, event.byte, event.length))
        elif isinstance(event, Done):
            ended = event
    assert ended is not None
    assert (ended.reason, ended.errors) == ("complete", ())
    assert ended.hits == len(found)
    return sorted(found)


def test_every_random_query_finds_what_the_oracle_finds(mixed: Mixed) -> None:
    """Words, substrings, phrases, wildcards, regexes, levels, times, fields and files, under AND, OR and NOT.

    ``HEAVY_SEARCH_QUERIES=n`` asks n of them, ``FUZZ_SEED`` repeats a run.
    """
    random_ = dice("random queries")
    drawer = Drawer(random_, mixed.files())
    compare(mixed, random_, QUERIES, drawer.node)


def compare(
    mixed: Mixed,
    random_: random.Random,
    queries: int,
    draw: Callable[[], Node],
    service: SearchService | None = None,
    *,
    tallied: float = 0.25,
) -> None:
    """So many queries find what the oracle finds; a tally of a part counts as many, by time and level, too."""
    files = mixed.files()
    found_some = 0
    for number in range(queries):
        node = draw()
        query = canonical(node)
        assert parse(query).root == node, query
        exact_case, entries, newest = (random_.random() < p for p in (0.3, 0.3, 0.5))
        wanted = sorted(
            (file.agent, file.path, file.number, byte, length)
            for file in files
            for byte, length in file.found(node, exact_case=exact_case, now_ns=mixed.clock.now_ns(), entries=entries)
        )
        got = engine(mixed, query, service, exact_case=exact_case, entries=entries, newest_first=newest)
        assert got == wanted, (number, query, exact_case, entries)
        found_some += len(wanted) > 0
        if random_.random() < tallied:
            request = SearchRequest(query, EVERYTHING, exact_case=exact_case, entries=entries, deadline_s=10**9)
            counting = service or SearchService(mixed.archive, mixed.catalog, clock=mixed.clock)
            facets: tuple[FacetField, ...] = random_.choice((("agent",), ("agent", "level")))
            *_, counted = counting.tally(request, histogram=Buckets(60), facets=facets)
            assert isinstance(counted, Tally)
            assert (counted.lines, counted.exact) == (len(wanted), True), (number, query, exact_case, entries)
            assert counted.remarks == (), (number, query, counted.remarks)
            assert counted.histogram is not None
            assert sum(count for _, count in counted.histogram.counts) + counted.histogram.untimed == len(wanted)
            assert [sum(count for _, count in facet.top) for facet in counted.facets] == [len(wanted)] * len(facets)
    assert found_some > queries // 4


def test_ranges_upside_down_and_negated_find_what_the_oracle_finds(tmp_path: Path) -> None:
    """Of times of day and levels, in files of few lines, with and without times, live and sealed."""
    random_ = dice("ranges")
    for number in range(RANGES // 20):
        small = Mixed(tmp_path / str(number), random_, random_.choice((1, 1, 2, 3, 5, 8)), large=40, hours=6)
        with closing(small):
            compare(small, random_, 20, Drawer(random_, small.files()).ranges)


def test_compaction_and_indexes_built_anew_change_no_answer(tmp_path: Path) -> None:
    """One service, before and after each: nothing that it remembers is wrong then."""
    random_ = dice("compacted")
    mixed = Mixed(
        tmp_path, random_, amount("search_lines", 10, 100), large=amount("search_large_lines", 300, LARGE_LINES)
    )
    with closing(mixed):
        service = SearchService(mixed.archive, mixed.catalog, clock=mixed.clock)
        for change in (mixed.seal, mixed.compact, mixed.reindex, lambda: mixed.grow("java")):
            compare(mixed, random_, COMPACTED // 5, Drawer(random_, mixed.files()).node, service)
            change()
        compare(mixed, random_, COMPACTED // 5, Drawer(random_, mixed.files()).node, service)
