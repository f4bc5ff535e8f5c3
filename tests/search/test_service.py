"""The search service on a real archive: right hits, right order, an honest account, whatever is in the way."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logferry.archive import Archive, Catalog
from logferry.clock import ManualClock
from logferry.errors import BadQuery, Refused
from logferry.limits import HIT_BYTES_SHOWN_MAX, SCAN_BLOCK_BYTES
from logferry.search.events import Done, Event, Hit, Progress
from logferry.search.query import And, Filter, Glob, Literal, Node, Not, Or, Text, Wild, canonical
from logferry.search.query.nodes import all_of, any_of, negated
from logferry.search.service import SearchRequest, SearchService
from logferry.server.scope import Scope
from tests.search import oracle
from tests.search.strategies import logs
from tests.search.strategies import values as text_values

EVERYTHING = Scope()


@dataclass
class Stored:
    """An archive whose every generation is known: (agent, path, number) -> bytes."""

    archive: Archive
    catalog: Catalog
    clock: ManualClock
    held: dict[tuple[str, str, int], bytes] = field(default_factory=dict)

    def put(self, agent: str, path: str, data: bytes) -> int:
        """Store a file or its next generation; its number."""
        self.clock.advance(1)
        if self.catalog.agents.get(agent) is None:
            self.catalog.agents.add(agent)
        with_offset = self.archive.begin(agent, path)
        with_offset.write(data)
        number = with_offset.commit().number
        self.held[agent, path, number] = data
        return number

    def search(self, query: str, **values: object) -> list[Event]:
        """All events of a search."""
        service = SearchService(self.archive, self.catalog, clock=self.clock)
        return list(service.run(replace(SearchRequest(query, EVERYTHING), **values)))  # type: ignore[arg-type]

    def hits(self, query: str, **values: object) -> list[Hit]:
        """The hits of a search."""
        return [event for event in self.search(query, **values) if isinstance(event, Hit)]


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Stored]:
    """An empty archive."""
    clock = ManualClock()
    with (
        Catalog.open(f"sqlite:///{tmp_path}/catalog.db", clock) as catalog,
        Archive(str(tmp_path), catalog, clock=clock) as archive,
    ):
        yield Stored(archive, catalog, clock)


def done(events: list[Event]) -> Done:
    """The account at the end."""
    assert isinstance(events[-1], Done)
    return events[-1]


AGENTS = ["web-01", "web-02", "db"]
PATHS = ["app.log", "var/log/app.log", "var/log/error.txt", "b"]
filters = st.one_of(
    st.sampled_from(AGENTS).map(lambda a: Filter("agent", "", Literal(a.upper()))),
    st.just(Filter("agent", "", Glob(("web-", Wild.RUN)))),
    st.sampled_from(["log", "VAR/", "db/", "app.log"]).map(lambda p: Filter("path", "", Literal(p))),
    st.just(Filter("path", "=", Literal("db/app.log"))),
    st.sampled_from(["log", "txt"]).map(lambda e: Filter("ext", "", Literal(e))),
    st.sampled_from(["app.log", "b"]).map(lambda n: Filter("file", "", Literal(n))),
    st.builds(
        lambda sign, size: Filter("size", sign, Literal(str(size))),
        st.sampled_from(["<", "<=", ">", ">=", ""]),
        st.integers(0, 60),
    ),
)
queries: st.SearchStrategy[Node] = st.recursive(
    st.one_of(text_values.map(Text), filters),
    lambda inner: st.one_of(
        inner.map(negated),
        st.lists(inner, min_size=2, max_size=3).map(all_of),
        st.lists(inner, min_size=2, max_size=3).map(any_of),
    ),
    max_leaves=5,
)


def _decided(leaf: Filter, agent: str, path: str, size: int) -> bool:
    assert leaf.value is not None
    value = leaf.value.text.lower() if isinstance(leaf.value, Literal) else ""
    name = path.rpartition("/")[2]
    if leaf.name == "agent":
        return agent.startswith("web-") if isinstance(leaf.value, Glob) else agent == value
    if leaf.name == "path":
        return f"{agent}/{path}" == value if leaf.comparison == "=" else value in f"{agent}/{path}"
    if leaf.name == "ext":
        return name.endswith("." + value)
    if leaf.name == "file":
        return name == value
    bound = int(value)
    return {
        "<": size < bound, "<=": size <= bound, ">": size > bound, ">=": size >= bound, "": size == bound,
    }[leaf.comparison]  # fmt: skip


def _mapped(node: Node, leaf: Callable[[Text | Filter], Node]) -> Node:
    """The tree with every leaf replaced."""
    if isinstance(node, (Text, Filter)):
        return leaf(node)
    if isinstance(node, Not):
        return Not(_mapped(node.child, leaf))
    assert isinstance(node, (And, Or))
    return type(node)(tuple(_mapped(child, leaf) for child in node.children))


def _for_file(node: Node, agent: str, path: str, size: int) -> Node:
    """The query with its filters replaced by something that matches every line or none."""

    def leaf(found: Text | Filter) -> Node:
        if isinstance(found, Text):
            return found
        return Text(Glob((Wild.RUN,))) if _decided(found, agent, path, size) else Text(Literal("\x01 never"))

    return _mapped(node, leaf)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """Some hundred small generations of random content under three agents."""
    folder = tmp_path_factory.mktemp("library")
    clock = ManualClock()
    with (
        Catalog.open(f"sqlite:///{folder}/catalog.db", clock) as catalog,
        Archive(str(folder), catalog, clock=clock) as archive,
    ):
        made = Stored(archive, catalog, clock)
        contents = _contents()
        for agent in AGENTS:
            for path in PATHS:
                for _ in range(3):
                    made.put(agent, path, next(contents))
        yield made


def _contents() -> Iterator[bytes]:
    """Random logs, the same in every run; no two that begin alike, so each is a generation of its own."""
    rng = random.Random(7)
    pieces = [
        b"error",
        b"ERR",
        b"get ",
        b"a",
        b"ab",
        b" b",
        b"10.0.0.1",
        "é".encode(),
        b"\xff",
        b"7",
        b" ",
        b"\r",
        b"-",
    ]
    number = 0
    while True:
        number += 1
        lines = [b"".join(rng.choices(pieces, k=rng.randrange(6))) for _ in range(rng.randrange(12))]
        yield b"%d\n" % number + rng.choice([b"\n", b"\r\n"]).join(lines) + rng.choice([b"", b"\n"])


@settings(max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
@given(node=queries, exact_case=st.booleans(), newest_first=st.booleans())
def test_random_queries_give_exactly_the_hits_of_the_oracle(
    library: Stored, node: Node, exact_case: bool, newest_first: bool
) -> None:
    """Agents, paths, generations, bytes, numbers and texts are those a plain reading of all files finds."""
    if exact_case:
        node = _in_lower_case(node)
    wanted = {
        (agent, path, number, line.byte, line.number)
        for (agent, path, number), data in library.held.items()
        for line in oracle.found_in(_for_file(node, agent, path, len(data)), data, exact_case=exact_case)
    }
    found = library.hits(canonical(node), exact_case=exact_case, newest_first=newest_first, limit=10**6)
    assert len(found) == len(wanted)
    assert {(h.agent, h.path, h.generation, h.byte, h.number) for h in found} == wanted
    for hit in found:
        data = library.held[hit.agent, hit.path, hit.generation]
        line = data[hit.byte : hit.byte + hit.length]
        assert line.rstrip(b"\r\n").decode("utf-8", "backslashreplace") == hit.text.rstrip("\r")


def _in_lower_case(node: Node) -> Node:
    """Exact case counts for names, too: the names in the library are lower case."""

    def leaf(found: Text | Filter) -> Node:
        if isinstance(found, Filter) and isinstance(found.value, Literal):
            return replace(found, value=Literal(found.value.text.lower()))
        return found

    return _mapped(node, leaf)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=logs, context=st.integers(1, 4))
def test_context_lines_are_the_neighbours_of_the_hit(stored: Stored, data: bytes, context: int) -> None:
    """Before and after a hit come the lines next to it, with their own numbers and bytes."""
    path = f"f{len(stored.held)}"
    stored.put("one", path, b"%d \x02\n" % len(stored.held) + data)
    lines = oracle.lines_of(stored.held["one", path, 1])
    for hit in stored.hits("*", agent="one", path=path, context=context, newest_first=False):
        assert hit.number is not None
        at = hit.number - 1
        assert [(r.number, r.byte) for r in hit.before] == [
            (x.number, x.byte) for x in lines[max(0, at - context) : at]
        ]
        assert [(r.number, r.byte) for r in hit.after] == [(x.number, x.byte) for x in lines[at + 1 : at + 1 + context]]


def test_the_newest_file_comes_first_and_in_it_the_newest_line(stored: Stored) -> None:
    """Order is by the last arrival, then backwards through the file; oldest first is the opposite."""
    stored.put("a", "old.log", b"x 1\nx 2\n")
    stored.put("a", "new.log", b"x 3\nx 4\n")
    assert [hit.text for hit in stored.hits("x")] == ["x 4", "x 3", "x 2", "x 1"]
    assert [hit.text for hit in stored.hits("x", newest_first=False)] == ["x 1", "x 2", "x 3", "x 4"]


def test_a_large_file_is_numbered_right_from_either_end(stored: Stored) -> None:
    """Line numbers do not depend on where the scan began."""
    data = b"".join(b"line %d of many %s\n" % (i, b"." * (i % 50)) for i in range(1, 100_001))
    assert len(data) > 3 * SCAN_BLOCK_BYTES
    stored.put("a", "big.log", data)
    for newest_first in (True, False):
        found = stored.hits("7777", newest_first=newest_first)
        assert found
        assert all(hit.text.startswith(f"line {hit.number} ") for hit in found)
        assert all(data[hit.byte : hit.byte + hit.length].startswith(b"line %d " % (hit.number or 0)) for hit in found)


def test_it_stops_at_the_limit_only_when_there_is_more(stored: Stored) -> None:
    """Exactly as many hits as allowed is complete; one more is the limit."""
    stored.put("a", "f", b"x\nx\nx\n")
    assert done(stored.search("x", limit=3)).reason == "complete"
    ended = stored.search("x", limit=2)
    assert (done(ended).reason, done(ended).hits) == ("limit", 2)


def test_it_stops_when_told_and_says_so(stored: Stored) -> None:
    """A cancelled search ends with an account of what was done."""
    stored.put("a", "f", b"x\n" * 10)
    cancel = threading.Event()
    events = SearchService(stored.archive, stored.catalog).run(SearchRequest("x", EVERYTHING, cancel=cancel))
    first = next(event for event in events if isinstance(event, Hit))
    cancel.set()
    rest = list(events)
    assert first.text == "x"
    assert done(rest).reason == "cancelled"


def test_it_stops_at_the_deadline_and_says_so(stored: Stored) -> None:
    """The clock decides, not the amount of work."""
    stored.put("a", "f", b"x\n" * 10)
    events = SearchService(stored.archive, stored.catalog, clock=stored.clock).run(
        SearchRequest("x", EVERYTHING, deadline_s=5)
    )
    assert isinstance(next(events), Progress)
    stored.clock.advance(6)
    assert done(list(events)).reason == "time"


def test_a_damaged_file_is_named_and_the_others_are_searched(stored: Stored) -> None:
    """Bytes that are gone are an error in the account, never a silent gap."""
    stored.put("a", "broken.log", b"x 1\n" * 100)
    stored.put("a", "whole.log", b"x 2\n")
    live = next(Path(root) / "broken.log" for root, _, names in os.walk(_data_dir(stored)) if "broken.log" in names)
    os.truncate(live, 10)
    events = stored.search("x")
    assert [event.text for event in events if isinstance(event, Hit)] == ["x 2"]
    assert done(events).reason == "complete"
    assert len(done(events).errors) == 1
    assert "a/broken.log" in done(events).errors[0]
    assert done(events).scanned_bytes < done(events).total_bytes


def _data_dir(stored: Stored) -> Path:
    reader = stored.archive.open(next(iter(stored.catalog.files.each())).generation_id)
    with reader:
        return Path(os.readlink(f"/proc/self/fd/{reader.fileno()}")).parents[2]


@pytest.mark.parametrize(
    ("query", "found"),
    [("/$/", ["one", "abc"]), ("/z*$/", ["one", "abc"]), ("/c$/", ["abc"]), ("NOT /$/", []), ("NOT /^a/", ["one"])],
)
def test_an_empty_match_at_the_end_of_an_unfinished_line_is_one(stored: Stored, query: str, found: list[str]) -> None:
    """Behind the end of a finished one there is no line."""
    stored.put("web-01", "unfinished.log", b"one\nabc")
    stored.put("web-01", "finished.log", b"one\nabc\n")
    for path in ("unfinished.log", "finished.log"):
        hits = stored.hits(f"file:{path} {query}")
        assert sorted(hit.text for hit in hits) == sorted(found), path


def test_a_file_level_term_decides_without_reading(stored: Stored) -> None:
    """What the catalog can rule out is not even counted."""
    stored.put("web", "f", b"x\n")
    stored.put("db", "f", b"x\n" * 1000)
    account = done(stored.search("agent:web x"))
    assert (account.files_total, account.total_bytes, account.hits) == (1, 2, 1)
    assert done(stored.search("agent:nobody x")).files_total == 0


def test_each_file_is_searched_for_what_concerns_it(stored: Stored) -> None:
    """``agent:a this OR agent:b that`` looks for ``this`` on a only."""
    stored.put("a", "f", b"this\nthat\n")
    stored.put("b", "f", b"this\nthat\n")
    found = stored.hits("agent:a this OR agent:b that")
    assert {(hit.agent, hit.text) for hit in found} == {("a", "this"), ("b", "that")}


def test_only_what_may_be_seen_is_searched(stored: Stored) -> None:
    """The scope is applied before anything is counted."""
    stored.put("a", "open/f", b"x\n")
    stored.put("a", "secret/f", b"x\n")
    events = stored.search("x", scope=Scope(("a/**", "!**/secret/**")))
    assert [event.path for event in events if isinstance(event, Hit)] == ["open/f"]
    assert done(events).files_total == 1


def test_one_file_or_one_generation_can_be_searched(stored: Stored) -> None:
    """``file_id`` and ``generation`` narrow the search."""
    stored.put("a", "f", b"x one\n")
    stored.put("a", "f", b"x two\n")
    stored.put("a", "g", b"x three\n")
    file = stored.catalog.files.at("a", "f")
    assert file is not None
    assert {hit.text for hit in stored.hits("x", file_id=file.id)} == {"x one", "x two"}
    assert [hit.text for hit in stored.hits("x", file_id=file.id, generation=1)] == ["x one"]
    assert stored.hits("x", file_id=file.id, scope=Scope(("b/**",))) == []


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_utf_16_log_is_searched_as_text(stored: Stored, encoding: str) -> None:
    """Words, numbers and byte addresses are right in files of either byte order, also past the first block."""
    bom = b"\xff\xfe" if encoding == "utf-16-le" else b"\xfe\xff"
    lines = [f"Zeile {i} größer Ċ \U0001f600 ਊ" for i in range(30_000)]
    lines[0] = "needle at the start"
    lines[25_000] = "here is a NEEDLE, Größe 7"
    data = bom + "\r\n".join(lines).encode(encoding)
    assert len(data) > SCAN_BLOCK_BYTES
    stored.put("a", "w.log", data)
    for newest_first in (False, True):
        found = stored.hits("needle", newest_first=newest_first)
        assert sorted(hit.text for hit in found) == sorted([lines[0], lines[25_000]])
        for hit in found:
            shown = data[hit.byte : hit.byte + hit.length].decode(encoding).strip("\ufeff\r\n")
            assert shown == hit.text
            (first, last) = hit.spans[0]
            assert hit.text[first:last].lower() == "needle"


def test_a_long_line_is_shown_around_its_first_match(stored: Stored) -> None:
    """A hit carries a bounded part of the line and says where it begins."""
    line = "é" * 50_000 + " needle " + "y" * 50_000
    stored.put("a", "f", line.encode() + b"\nshort\n")
    (hit,) = stored.hits("needle")
    assert hit.cut
    assert len(hit.text.encode()) <= HIT_BYTES_SHOWN_MAX
    assert hit.length == len(line.encode()) + 1
    (first, last) = hit.spans[0]
    assert hit.text[first:last] == "needle"
    assert line.encode()[hit.text_from :].decode().startswith(hit.text)


def test_a_line_longer_than_memory_allows_is_found(stored: Stored) -> None:
    """A line of 40 MB, with its match near the end, in both orders."""
    head, line = b"first\n", b"z" * 40_000_000 + b" Needle 42 " + b"z" * 1000
    stored.put("a", "f", head + line + b"\nlast needle\n")
    for newest_first in (True, False):
        found = stored.hits("needle 42", newest_first=newest_first)
        assert [(hit.number, hit.byte, hit.length) for hit in found] == [(2, len(head), len(line) + 1)]
        (first, last) = found[0].spans[0]
        assert found[0].text[first:last] == "Needle"
    assert stored.hits("needle -last -42") == []


def test_tags_choose_agents_for_lines_and_files(stored: Stored) -> None:
    """Whole tags in any case, with wildcards; negated, too."""
    for agent, tags in (("web-1", ["prod", "site:north"]), ("web-2", ["Test"]), ("db-1", [])):
        stored.put(agent, "a.log", b"needle\n")
        stored.catalog.agents.change(agent, tags=tags)
    service = SearchService(stored.archive, stored.catalog)

    def agents(query: str) -> list[str]:
        found = service.find_files(query, scope=EVERYTHING, cursor=None, limit=100)
        lines = {hit.agent for hit in stored.hits(f"needle {query}")}
        assert lines == {file.agent for file in found.files}
        return sorted(lines)

    assert agents("tag:prod") == ["web-1"]
    assert agents("tag:site*") == ["web-1"]
    assert agents("tag:test") == ["web-2"]
    assert agents("tag:pro") == []
    assert agents("-tag:prod") == ["db-1", "web-2"]
    assert agents("tag:(prod OR test)") == ["web-1", "web-2"]


def test_files_are_found_by_name_page_after_page(stored: Stored) -> None:
    """Bare words match the path; pages join without gap or repetition, whatever lies between."""
    for i in range(25):
        stored.put("a", f"x/{i:02d}.{'log' if i % 2 else 'txt'}", b"%d\n" % i)
    service = SearchService(stored.archive, stored.catalog)
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = service.find_files("x/ ext:LOG", scope=EVERYTHING, cursor=cursor, limit=5)
        found += [file.path for file in page.files]
        cursor = page.next
        if cursor is None:
            break
    assert found == [f"x/{i:02d}.log" for i in range(25) if i % 2]


def test_the_file_search_refuses_fields_of_lines_and_foreign_cursors(stored: Stored) -> None:
    """Each says what is wrong."""
    service = SearchService(stored.archive, stored.catalog)
    with pytest.raises(BadQuery, match="line by line"):
        service.find_files("level:error", scope=EVERYTHING, cursor=None, limit=5)
    with pytest.raises(Refused, match="cursor"):
        service.find_files("x", scope=EVERYTHING, cursor="nonsense", limit=5)
