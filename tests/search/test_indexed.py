"""Searching by indexes: whatever they are used for, hits, counts, times and places are those of reading everything."""

from __future__ import annotations

import gc
import random
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from logferry.archive import Archive, Catalog
from logferry.archive.catalog.sealing import SegmentRecord
from logferry.archive.index_making import MakerHere
from logferry.archive.store import LocalStore
from logferry.clock import ManualClock
from logferry.errors import Later
from logferry.limits import FRAME_BYTES
from logferry.search.events import Done, Hit
from logferry.search.indexed.lookup import Bools, Lookup
from logferry.search.indexed.view import View
from logferry.search.query import Leaf, Node
from logferry.search.service import SearchRequest, SearchService
from logferry.search.tally import Buckets, FacetField, Tally
from logferry.server.scope import Scope
from tests.agent.conftest import eventually
from tests.security.amounts import amount, seed

MAKER = MakerHere()
EVERYTHING = Scope()
SEED = seed("indexed")
QUERIES = amount("queries", 30, 20_000)
WORDS = [
    b"error", b"ERROR", b"Failed", b"password", b"for", b"session", b"opened", b"closed", b"user", b"GET", b"get",
    b"naive", "naïve".encode(), "ÉTÉ".encode(), b"timeout", b"disk", b"x",
]  # fmt: skip


class Grown:
    """An archive of every kind of bytes: live, sealed, sealed and grown on, compacted, UTF-16, cut lines, no lines."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.rng = rng
        self.clock = ManualClock()
        self.catalog = Catalog.open(f"sqlite:///{folder}/catalog.db", self.clock)
        self.archive = Archive(str(folder), self.catalog, clock=self.clock)
        self.folder = folder
        self.second = 1_700_000_000

    def close(self) -> None:
        """Release it."""
        self.archive.close()
        self.catalog.close()

    def line(self) -> bytes:
        """A line of a log, mostly."""
        rng = self.rng
        self.second += rng.choice([0, 0, 1, 7, 300])
        kind = rng.randrange(12)
        words = b" ".join(rng.choices(WORDS, k=rng.randrange(1, 6)))
        if kind == 0:
            return words
        if kind == 1:
            return b"".join(rng.choices([b"\xff", b"\xc3", b"ab", b" ", b"7", b"\t"], k=rng.randrange(8)))
        if kind == 2:
            return rng.choice([b"", b"\r", b" ", b"e", b"{" + words + b"}"])
        stamp = time_text(self.second)
        number = b"%d" % rng.randrange(1 << rng.randrange(1, 40))
        address = b".".join(b"%d" % rng.choice([10, 0, 1, 251, rng.randrange(256)]) for _ in range(4))
        rest = rng.choice([number, address, b"id=" + number, b"blk_-" + number, b"took " + number + b"ms", b""])
        return stamp + b" " + words + b" " + rest + rng.choice([b"", b"\r"])

    def stamped(self) -> bytes:
        """A line with a time."""
        self.second += self.rng.choice([0, 1, 90])
        return b"%s %s %d\n" % (
            time_text(self.second),
            b" ".join(self.rng.choices(WORDS, k=3)),
            self.rng.randrange(1 << 30),
        )

    def text(self, lines: int, *, end: bytes = b"\n") -> bytes:
        """Some lines."""
        return b"".join(self.line() + b"\n" for _ in range(lines)).removesuffix(b"\n") + end

    def put(self, agent: str, path: str, data: bytes, *, append: bool = False) -> None:
        """Upload, or append."""
        self.clock.advance(1)
        if self.catalog.agents.get(agent) is None:
            self.catalog.agents.add(agent)
        incoming = self.archive.begin(agent, path, append=append)
        incoming.write(data)
        incoming.commit()

    def seal(self, segment_bytes: int = 1 << 20) -> None:
        """Everything there is."""
        sealer = self.archive.sealer(level=1, segment_bytes=segment_bytes, maker=MAKER)
        list(sealer.seal(self.clock.now_ns() + 1))
        sealer.clean_up()

    def segments(self) -> list[SegmentRecord]:
        """Those that count."""
        return [record for record in self.catalog.sealing.segments(limit=1000) if record.gone_ns is None]

    def fill(self) -> None:
        """All of it."""
        rng = self.rng
        for round_ in range(3):
            for agent in ("web-01", "web-02", "db"):
                for path in ("app.log", "var/auth.log", "var/x/small.txt"):
                    lines = rng.choice([3, 40, 400]) if path != "app.log" else rng.choice([300, 1200])
                    is_first = self.catalog.files.at(agent, path) is None
                    self.put(agent, path, self.text(lines, end=rng.choice([b"\n", b"", b"\r\n"])), append=not is_first)
            if round_ < 2:
                self.seal(rng.choice([64 << 10, 256 << 10, 1 << 20]))
        self.put("db", "big.log", b"".join(self.stamped() for _ in range(15_000)))
        for i in range(60):
            self.put("db", f"many/{i}.log", self.text(rng.randrange(1, 6), end=rng.choice([b"\n", b""])))
        long = b"error " + b"y 7" * (FRAME_BYTES // 2) + b" password 12345\n"
        self.put("web-02", "long.log", self.text(5) + long + self.text(5) + b"Z" * (FRAME_BYTES + 7) + b"timeout")
        wide = "\ufeff" + "\r\n".join(f"{self.second + i} error naïve ÉTÉ {i}" for i in range(2000))
        self.put("web-02", "wide.log", wide.encode("utf-16-le"))
        self.put("db", "binary.dat", rng.randbytes(40_000) + b"error session\n" + rng.randbytes(1000))
        self.put("db", "empty.log", b"\n\n\n")
        self.seal(512 << 10)
        self.put("web-02", "wide.log", " session opened".encode("utf-16-le") * 3, append=True)
        self.put("web-02", "long.log", b" and on\nerror x\n", append=True)
        self.put("db", "many/3.log", self.text(3), append=True)
        self.put("web-01", "live.log", self.text(200))
        list(self.archive.compactor(level=3, maker=MAKER, segment_bytes=1 << 20).compact(self.clock.now_ns()))


def time_text(second: int) -> bytes:
    """As many logs write it."""
    import datetime

    return datetime.datetime.fromtimestamp(second, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S").encode()


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grown]:
    """The archive that all of these tests only read."""
    made = Grown(tmp_path_factory.mktemp("grown"), random.Random(SEED))
    made.fill()
    yield made
    made.close()


TERMS = [
    "error", "ERROR", "failed", "password", "passw", "sess", "rro", "naïve", "ÉTÉ", "été", "x", "e", "10", "251", "7",
    "blk_", "blk_-1", "id=", "took", "ms", "nothinglikethis", '"session opened"', '"for user"', '"user 10."', '"GET "',
    '"took 1"', "2023-11", "2023-11-1", "10.251", ".251.", "10.0.0.1", "*", "e*r", "pass?ord", "b*k_", "1*5",
    "/fail(ed)?/", "/blk_-?[0-9]+/", "/took [0-9]{3,}ms/", "/^2023/", "/ms$/", "/(GET|session) [a-z]+ed/", "/e.r/",
    "/(?i)PASS(word|port)/", "/ERROR/c", "/x+/", "/\\bget\\b/", "/[0-9]+\\.251\\./", "/^$/", "/na.ve/", "/y 7y/",
    "time:2023-11-15", "time:>=2023-11-15T06", "time:..2023-11-20", "time:2023-11-16..", "time:>2023-12-01",
    "level:error", "@id:7", "@id:>100", "level:>=warn", "agent:web-01",
    "agent:web-*", "path:var", "path:app", "ext:log", "file:app.log",
    "size:>2000", "-agent:db",
]  # fmt: skip


def query(rng: random.Random, depth: int = 0) -> str:
    """A random query of words that are there, and of some that are not."""
    kind = rng.randrange(10)
    if depth == 2 or kind < 4:
        return rng.choice(TERMS)
    if kind < 7:
        return " ".join(query(rng, depth + 1) for _ in range(rng.randrange(2, 4)))
    if kind < 9:
        return "(" + " OR ".join(query(rng, depth + 1) for _ in range(rng.randrange(2, 4))) + ")"
    return f"NOT ({query(rng, depth + 1)})"


def both(grown: Grown) -> tuple[SearchService, SearchService]:
    """With indexes, and without."""
    return (
        SearchService(grown.archive, grown.catalog, clock=grown.clock),
        SearchService(grown.archive, grown.catalog, clock=grown.clock, indexed=False),
    )


def hits(service: SearchService, request: SearchRequest) -> list[Hit]:
    """All hits; the search was complete."""
    events = list(service.run(request))
    assert isinstance(events[-1], Done)
    assert events[-1].reason == "complete", events[-1]
    assert events[-1].errors == ()
    assert (events[-1].scanned_bytes, events[-1].files_done) == (events[-1].total_bytes, events[-1].files_total)
    return [event for event in events if isinstance(event, Hit)]


def tally(
    service: SearchService,
    request: SearchRequest,
    buckets: Buckets | None = None,
    facets: tuple[FacetField, ...] = ("agent", "path", "ext"),
) -> Tally:
    """The tally of a search by everything."""
    *_, last = service.tally(request, histogram=buckets, facets=facets)
    assert isinstance(last, Tally)
    return last


def test_random_queries_give_the_same_with_and_without_indexes(grown: Grown) -> None:
    """Hits in order, with numbers and texts; and how many there are, by time and place."""
    rng = random.Random(SEED)
    indexed, read = both(grown)
    for _ in range(QUERIES):
        request = SearchRequest(
            query(rng), EVERYTHING, exact_case=rng.random() < 0.3, newest_first=rng.random() < 0.5, limit=10**6
        )
        wanted = hits(read, request)
        found = hits(indexed, request)
        assert found == wanted, (SEED, request.query, request.exact_case)
        bars = buckets(rng)
        counted = tally(indexed, request, bars)
        levels = tally(indexed, request, bars, ("level",))
        assert levels.facets == tally(read, request, bars, ("level",)).facets, (SEED, request.query)
        assert tally(indexed, request, bars, ("level",)).facets == levels.facets, (SEED, request.query)
        assert (levels.lines, levels.histogram) == (counted.lines, counted.histogram), (SEED, request.query)
        assert sum(count for _, count in levels.facets[0].top) == len(wanted)
        assert (counted.lines, counted.exact) == (len(wanted), True), (SEED, request.query, request.exact_case)
        assert counted.histogram == tally(read, request, bars).histogram, (SEED, request.query, bars)
        agents = Counter(hit.agent for hit in wanted)
        assert dict(counted.facets[0].top) == dict(agents)
        paths = Counter(f"{hit.agent}/{hit.path}" for hit in wanted)
        assert counted.facets[1].top == tuple(sorted(paths.items(), key=lambda item: (-item[1], item[0])))[:20]
        assert sum(count for _, count in counted.facets[1].top) + counted.facets[1].other == len(wanted)


def buckets(rng: random.Random) -> Buckets:
    """Bars of any width, now and then within bounds."""
    start = 1_700_000_000 + rng.randrange(6 * 86_400)
    return Buckets(
        rng.choice([0, 0, 1, 7, 60, 3600, 86_400]),
        rng.choice([None, start]),
        rng.choice([None, start + rng.choice([100, 5000, 200_000])]),
        rng.choice([10, 120]),
    )


def moment(rng: random.Random) -> str:
    """A time in the span of ``big.log``, now and then to the fraction of a second."""
    second = 1_700_000_000 + rng.randrange(6 * 86_400)
    return time_text(second).decode().replace(" ", "T") + rng.choice(["", "", ".5", ".000000001"])


def test_text_at_some_time_is_found_in_bulk_and_none_is_missed(grown: Grown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Granules at the edges of a time are matched by the times of the index, to the second and to the fraction."""
    rng = random.Random(SEED)
    indexed, read = both(grown)
    known: list[bool] = []
    times = Lookup.times

    def noted(self: Lookup, view: View, node: Node, run: int) -> dict[Leaf, Bools] | None:
        found = times(self, view, node, run)
        known.append(found is not None)
        return found

    monkeypatch.setattr(Lookup, "times", noted)
    for shape in (
        "error time:{}..{}", "session -time:{}..{}", "/[0-9]7/ time:>={} time:<{}", "(error OR time:>{}) time:<={} 7",
    ) * 2:  # fmt: skip
        asked = shape.format(*sorted((moment(rng), moment(rng))))
        request = SearchRequest(asked, EVERYTHING, path="big.log", newest_first=rng.random() < 0.5, limit=10**6)
        wanted = hits(read, request)
        counted = tally(indexed, request, Buckets(3600))
        assert (counted.lines, counted.exact) == (len(wanted), True), (SEED, asked)
        assert counted.histogram == tally(read, request, Buckets(3600)).histogram, (SEED, asked)
        indexed.forget_answers()
        assert hits(indexed, request) == wanted, (SEED, asked)
        assert hits(indexed, request) == wanted, (SEED, asked, "again")
    assert any(known)


def test_a_limit_gives_the_first_hits_and_asks_few_segments(grown: Grown) -> None:
    """The newest (or oldest) hits are those that come first when all are asked for."""
    rng = random.Random(SEED)
    indexed, read = both(grown)
    for newest_first in (True, False):
        for limit in (1, 7, 100):
            request = SearchRequest(rng.choice(["error", "e", "session"]), EVERYTHING, newest_first=newest_first)
            everything = hits(read, replace(request, limit=10**6))
            events = list(indexed.run(replace(request, limit=limit)))
            assert [event for event in events if isinstance(event, Hit)] == everything[:limit]


def test_a_line_that_was_acknowledged_is_found(grown: Grown) -> None:
    """Growth, new files, sealing and renames between two searches of one service are all seen."""
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    request = SearchRequest("freshly-minted", EVERYTHING)
    assert hits(service, request) == []
    steps: list[Callable[[], None]] = [
        lambda: grown.put("web-01", "live.log", b"\nfreshly-minted 1\n", append=True),
        lambda: grown.put("web-01", "new/file.log", b"freshly-minted 2\n"),
        lambda: grown.seal(),
        lambda: grown.put("web-01", "new/file.log", b"freshly-minted 3\n", append=True),
        lambda: grown.archive.rename("web-01", "new/file.log", "newer.log"),
        lambda: grown.put("web-01", "new/file.log", b"freshly-minted 4\n"),
        lambda: grown.archive.rename("web-01", "new/file.log", "live2.log"),
        lambda: grown.seal(),
    ]
    for step, wanted in zip(steps, (1, 2, 2, 3, 3, 4, 4, 4), strict=True):
        step()
        found = hits(service, request)
        assert len(found) == wanted
        assert tally(service, request).lines == wanted
        assert found == hits(SearchService(grown.archive, grown.catalog, clock=grown.clock, indexed=False), request)


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[Grown]:
    """One agent, one sealed file, nothing else: for spoiling."""
    made = Grown(tmp_path, random.Random(SEED))
    made.put("web-01", "app.log", made.text(2000) + b"needle 77\n")
    made.put("web-01", "other.log", b"needle 78\n")
    made.seal()
    yield made
    made.close()


def spoil(path: Path, at: int) -> None:
    """Turn a byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def test_a_damaged_index_is_told_and_its_segment_read(damaged: Grown) -> None:
    """Nothing is missing then; the next search does without it."""
    (index,) = damaged.folder.rglob("*.idx")
    for at in range(1000, index.stat().st_size - 100, 301):
        spoil(index, at)
    service = SearchService(damaged.archive, damaged.catalog, clock=damaged.clock)
    events = list(service.run(SearchRequest("needle", EVERYTHING)))
    assert {event.text for event in events if isinstance(event, Hit)} == {"needle 77", "needle 78"}
    assert isinstance(events[-1], Done)
    assert any(".idx" in remark for remark in events[-1].remarks)
    assert events[-1].errors == ()  # else it would not count as complete
    again = tally(service, SearchRequest("needle", EVERYTHING))
    assert (again.lines, again.errors) == (2, ())


def test_a_damaged_segment_is_named_and_the_rest_answered(damaged: Grown) -> None:
    """What its index tells is told; a count that misses something says that it is a lower bound."""
    (segment,) = damaged.folder.rglob("store/**/*.zst")
    spoil(segment, 3000)
    damaged.put("web-01", "live.log", b"needle 79\n")
    service = SearchService(damaged.archive, damaged.catalog, clock=damaged.clock)
    events = list(service.run(SearchRequest("needle", EVERYTHING)))
    done = events[-1]
    assert isinstance(done, Done)
    assert "needle 79" in {event.text for event in events if isinstance(event, Hit)}
    assert any("web-01/app.log" in error for error in done.errors)
    assert done.scanned_bytes < done.total_bytes
    counted = tally(service, SearchRequest("77", EVERYTHING))
    assert not counted.exact
    assert any("web-01/app.log" in error for error in counted.errors)


def test_what_the_index_tells_is_not_read(damaged: Grown) -> None:
    """Of segments whose bytes are gone it is told which words are in no line, and how many lines have others."""
    words = (b"alpha", b"beta", b"gamma")
    lines = b"".join(b"%s %s line\n" % (time_text(damaged.second + i), words[i % 3]) for i in range(3000))
    damaged.put("web-02", "plain.log", lines)
    damaged.seal()
    for segment in damaged.folder.rglob("store/**/*.zst"):
        segment.unlink()
    service = SearchService(damaged.archive, damaged.catalog, clock=damaged.clock)
    assert hits(service, SearchRequest("nothinglikethis", EVERYTHING)) == []
    counted = tally(service, SearchRequest("agent:web-02 beta", EVERYTHING), Buckets(60))
    assert (counted.lines, counted.exact, counted.errors) == (1000, True, ())
    assert counted.histogram is not None
    assert sum(count for _, count in counted.histogram.counts) == 1000
    assert tally(service, SearchRequest("agent:web-02 alpha OR agent:web-02 gamma", EVERYTHING)).lines == 2000
    assert tally(service, SearchRequest("agent:web-02 NOT alpha", EVERYTHING)).lines == 2000


@pytest.mark.parametrize("sealed", [False, True])
def test_times_without_a_zone_are_searched_in_that_of_their_agent(damaged: Grown, *, sealed: bool) -> None:
    """Also when the zone is changed after the index was built in another."""
    grown, agent = damaged, "db-1"
    body = b"".join(b"2023-11-14 %02d:%02d:00 tick %d\n" % (n // 60, n % 60, n) for n in range(24 * 60))
    grown.put(agent, "clock.log", body * 20)
    if sealed:
        grown.seal()
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    request = SearchRequest("tick time:2023-11-14T08", EVERYTHING, path="clock.log", limit=100_000)
    for zone, first in (("UTC", b"08:00:00"), ("Europe/Berlin", b"09:00:00"), ("America/New_York", b"03:00:00")):
        grown.catalog.agents.change(agent, zone=zone)
        found = hits(service, replace(request, newest_first=False))
        assert len(found) == 60 * 20
        assert found[0].text.encode()[11:19] == first
        counted = tally(service, request)
        assert counted.lines == 60 * 20


def test_a_corrected_fact_is_seen_when_it_is_asked_for(damaged: Grown) -> None:
    """Also after a search that did not ask, and saw the catalog as it was then."""
    grown = damaged

    def modified(path: str) -> int:
        file = grown.catalog.files.at("web-01", path)
        assert file is not None
        return file.modified_ns

    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    assert len(hits(service, SearchRequest("needle", EVERYTHING))) == 2
    grown.archive.set_modified("web-01", "other.log", long_ago := 1_000_000_000 * 1_000_000_000)
    eventually(lambda: modified("other.log") == long_ago)
    assert len(hits(service, SearchRequest("needle", EVERYTHING))) == 2
    found = hits(service, SearchRequest("needle modified:2001-09-09", EVERYTHING))
    assert [hit.path for hit in found] == ["other.log"]


def test_a_file_that_is_damaged_condemns_no_index(damaged: Grown) -> None:
    """Its index tells of others, too."""
    grown, agent = damaged, "db-1"
    body = b"".join(b"2023-11-14 %02d:%02d:00 tick %d\n" % (n // 60, n % 60, n) for n in range(24 * 60))
    grown.put(agent, "clock.log", body * 20)
    grown.seal()
    grown.put(agent, "clock.log", b"2023-11-14 23:59:59 tick\n", append=True)
    for tail in (grown.folder / "tails").rglob("*"):
        if tail.is_file():
            tail.unlink()
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    *_, done = service.run(SearchRequest("tick time:2023-11-14T23", EVERYTHING, limit=10_000))
    assert isinstance(done, Done)
    assert any("clock.log" in error for error in done.errors)
    assert all(grown.archive.indexed(record.id) is not None for record in grown.segments())


@pytest.mark.parametrize("ending", [".idx", ".zst"])
def test_a_store_that_does_not_answer_ends_no_search(
    damaged: Grown, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """What cannot be read is named; without the index all is found, and the index stays trusted."""
    grown = damaged
    read = LocalStore.read

    def silent(store: LocalStore, name: str, *args: int, **options: int) -> bytes:
        if name.endswith(ending):
            raise Later("the store does not answer")
        return read(store, name, *args, **options)

    monkeypatch.setattr(LocalStore, "read", silent)
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    for query in ("needle", "/needle 7[78]/", "needle -nothing time:2000-01-01.."):
        request = SearchRequest(query, EVERYTHING)
        *found, done = service.run(request)
        assert isinstance(done, Done)
        assert done.reason == "complete"
        counted = tally(service, request, Buckets(3600))
        if ending == ".idx" and "time" not in query:
            assert len([hit for hit in found if isinstance(hit, Hit)]) == counted.lines == 2
        if ending == ".zst":
            assert any("does not answer" in error for error in done.errors)
            assert counted.lines == 2 or counted.errors
    monkeypatch.undo()
    assert all(grown.archive.indexed(record.id) is not None for record in grown.segments())


def test_the_bars_of_a_histogram_are_as_wide_as_its_lines_need(tmp_path: Path) -> None:
    """Not as the other lines beside them do: quiet months with a line each hour, and then a busy hour."""
    grown, dawn, busy = Grown(tmp_path, random.Random(SEED)), 1_700_000_000, 1_700_000_000 + 400 * 3600
    quiet = b"".join(time_text(dawn + i * 3600) + b" quiet\n" for i in range(400))
    dense = b"".join(time_text(busy + i) + b" error %d\n" % (i % 100) for i in range(300))
    grown.put("web-01", "app.log", quiet + dense)
    grown.put("web-01", "untimed.log", quiet + b"error without a time\n" + dense + b"error, too\n")
    grown.seal()
    indexed, read = both(grown)
    since = time_text(busy).decode().replace(" ", "T")
    for query in ("error", f"error time:>={since}", "", "/error [0-9]7/", "error path:app"):
        for bars in (Buckets(), Buckets(1), Buckets(60), Buckets(0, busy + 9, busy + 99), Buckets(1, busy)):
            wanted = tally(read, SearchRequest(query, EVERYTHING), bars).histogram
            for again in ("", "again"):  # what was read is known then
                assert tally(indexed, SearchRequest(query, EVERYTHING), bars).histogram == wanted, (query, bars, again)
            if query == "error" and bars == Buckets(1):
                assert wanted is not None
                assert (wanted.step_s, len(wanted.counts)) == (1, 300)
    grown.close()


def starts(service: SearchService, request: SearchRequest) -> list[tuple[int, int]]:
    """The bars of an hourly histogram that are not empty: when they begin, in seconds, and how high they are."""
    found = tally(service, request, Buckets(3600)).histogram
    assert found is not None
    return [(start, count) for start, count in found.counts if count]


def test_a_histogram_is_of_the_times_that_a_search_reads(damaged: Grown) -> None:
    """Not of those that an index knew: in another zone, or before the file grew and its years became others."""
    grown, agent = damaged, "db-1"
    zoned = b"".join(b"2023-11-14 %02d:%02d:00 tick %d\n" % (n // 60, n % 60, n) for n in range(24 * 60)) * 20
    yearless = b"".join(b"Oct  8 %02d:%02d:00 host app: tock %d\n" % (n // 60, n % 60, n) for n in range(24 * 60)) * 20
    grown.put(agent, "clock.log", zoned)
    grown.put(agent, "syslog", yearless)
    grown.put(agent, "small.log", zoned[:2000])
    grown.seal()
    with_index = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    without = SearchService(grown.archive, grown.catalog, clock=grown.clock, indexed=False)
    tick, tock = SearchRequest("tick", EVERYTHING), SearchRequest("tock", EVERYTHING)
    first = starts(with_index, tick)
    assert first == starts(without, tick)
    assert starts(with_index, tock) == starts(without, tock)
    grown.catalog.agents.change(agent, zone="Asia/Tokyo")
    assert starts(with_index, tick) == starts(without, tick) != first
    grown.catalog.agents.change(agent, zone="UTC")
    assert starts(with_index, tick) == first
    before = starts(with_index, tock)
    grown.clock.advance(500 * 86_400)
    grown.put(agent, "syslog", b"Feb 20 00:00:00 host app: tock\n", append=True)
    assert starts(with_index, tock) == starts(without, tock) != before


def test_a_view_keeps_no_snapshot_from_being_let_go_of(grown: Grown) -> None:
    """A large archive's is some hundred megabytes, and each commit makes another."""
    service = SearchService(grown.archive, grown.catalog, clock=grown.clock)
    for _ in service.run(SearchRequest("error", scope=Scope())):
        pass
    before = weakref.ref(service._equipment.snapshots._now)
    grown.put("db", "another.log", b"error\n")
    for _ in service.run(SearchRequest("agent:nobody error", scope=Scope())):
        pass
    gc.collect()
    assert before() is None
