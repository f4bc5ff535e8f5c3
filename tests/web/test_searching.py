"""Searches as the web runs them: what is over at once is answered whole; what is not, piece by piece, behind others."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from starlette.types import Message, Receive, Scope, Send

from logferry.clock import SYSTEM, ManualClock
from logferry.errors import LogferryError
from logferry.limits import (
    SEARCH_DEBT_S,
    SEARCH_DEBT_S_MAX,
    SEARCH_LONG_THREADS,
    SEARCH_NICE,
    SEARCH_PIECE_CHARS,
    SEARCH_PIECE_EVENTS,
    SEARCH_TURNS_PER_USER,
)
from logferry.search.events import Done, Event, Hit, Progress, Row
from logferry.search.niceness import be_nice
from logferry.search.precedence import Precedence
from logferry.server.audit import AuditFilter
from logferry.web import searching
from logferry.web.foremost import Foremost
from logferry.web.searching import Asking, Running, Slots, Turns, charged
from logferry.web.streams import Streams
from tests.web.served import Served, served, wait_for

if TYPE_CHECKING:
    from starlette.requests import Request

    from logferry.server.people import Identity
    from logferry.web.context import WebContext

DONE = Done("complete", 10, 10, 1, 1, 0.001, (), 0, (), hits=1)


def hit(text: str, *around: str) -> Hit:
    """A hit with lines before it."""
    before = tuple(Row(None, 0, len(line), line, False) for line in around)
    return Hit("a", "x.log", 1, 1, 1, 0, len(text), text, 0, False, (), before, ())


def running(events: Iterator[Event]) -> Running[Event]:
    """It, on the clock of the machine."""
    return Running(events, threading.Event(), SYSTEM)


def test_the_last_piece_is_known_to_be_the_last() -> None:
    """Nobody has to ask once more, and what the search does at its end is done."""
    done: list[str] = []

    def events() -> Iterator[Event]:
        yield Progress(0, 10, 0, 1, 0)
        yield hit("text")
        yield DONE
        done.append("let go")

    search = running(events())
    assert [type(event) for event in search.piece()] == [Progress, Hit, Done]
    assert search.is_over
    assert done == ["let go"]
    assert search.scanned_bytes == 10
    assert search.piece() == []


@pytest.mark.parametrize("around", [(), ("y" * 40_000,) * 3])
def test_a_piece_holds_no_more_than_its_share_of_text(around: tuple[str, ...]) -> None:
    """Long lines, and what stands around hits, make short pieces; all of them come, in order."""
    texts = [f"{number} " + "x" * 30_000 for number in range(60)]
    search = running(iter([*(hit(text, *around) for text in texts), DONE]))
    told: list[Event] = []
    while not search.is_over:
        piece = search.piece()
        sizes = [
            len(event.text) + sum(len(row.text) for row in event.before) for event in piece if isinstance(event, Hit)
        ]
        assert sum(sizes[:-1]) < SEARCH_PIECE_CHARS
        told += piece
    assert [event.text for event in told if isinstance(event, Hit)] == texts
    assert told[-1] is DONE


def test_a_piece_holds_no_more_than_its_share_of_events() -> None:
    """However small they are."""
    search = running(iter([hit("x")] * (2 * SEARCH_PIECE_EVENTS) + [DONE]))
    sizes = []
    while not search.is_over:
        sizes.append(len(search.piece()))
    assert sum(sizes) == 2 * SEARCH_PIECE_EVENTS + 1
    assert max(sizes) <= SEARCH_PIECE_EVENTS + 1


@pytest.mark.parametrize("is_long", [True, False])
def test_a_search_that_has_taken_much_cpu_is_patient(is_long: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives way from its second piece on; one that has only waited does not."""
    monkeypatch.setattr(searching, "SEARCH_SHORT_CPU_S", 0.0 if is_long else 1e9)
    patient, told = threading.Event(), []

    def events() -> Iterator[Event]:
        for _ in range(SEARCH_PIECE_EVENTS + 1):
            told.append(patient.is_set())
            yield hit("x")
        yield DONE

    search = Running(events(), threading.Event(), SYSTEM, patient)
    while not search.is_over:
        search.piece()
    assert not told[0]
    assert told[-1] is search.is_patient is is_long


def test_long_searches_are_held_against_a_person_for_a_while() -> None:
    """Short ones are not: whoever asks many of them is not slowed down by that."""
    clock = ManualClock()
    slots = Slots(clock)
    with slots.take("eager") as slot, slots.take("other") as other:
        owed = []
        for _ in range(2):
            slot.charge(SEARCH_DEBT_S_MAX)
            owed.append((slot.owes, other.owes))
        assert owed == [(False, False), (True, False)]
        once = Running(iter([DONE]), threading.Event(), SYSTEM)
        with charged(other, once, clock):
            clock.advance(SEARCH_DEBT_S_MAX * 2)
            once.piece()
        assert not other.owes
    assert slots.owes("eager")
    clock.advance(2 * SEARCH_DEBT_S)
    assert not slots.owes("eager")


def test_a_search_whose_time_is_over_waits_for_no_turn() -> None:
    """Those of the same person that go on for long hold up the end of none; and turns are as many as before."""

    async def all_turns() -> None:
        turns = Turns()
        async with AsyncExitStack() as held:
            for _ in range(SEARCH_TURNS_PER_USER):
                assert await held.enter_async_context(turns.of_stream(60.0))
            for left_s in (0.0, -1.0, 0.01):
                async with turns.of_stream(left_s) as in_time:
                    assert not in_time
            waiting = asyncio.create_task(turns.of_streams.acquire())
            await asyncio.sleep(0)
            assert not waiting.done()
        assert await waiting
        turns.of_streams.release()
        async with AsyncExitStack() as held:
            for _ in range(SEARCH_TURNS_PER_USER):
                assert await held.enter_async_context(turns.of_stream(0.01))

    asyncio.run(all_turns())


@pytest.mark.parametrize("why", ["over", "cancelled", "out of time"])
def test_who_writes_the_last_piece_does_not_rest(why: str) -> None:
    """Nor that of a search that was told to stop, or has no time left, though something short is in hand."""
    clock, patient, cancel = ManualClock(), threading.Event(), threading.Event()
    precedence = Precedence(clock)
    patient.set()
    events: list[Event] = [DONE] if why == "over" else [hit("x") for _ in range(2 * SEARCH_PIECE_EVENTS)]
    search = Running(iter(events), cancel, clock, patient, deadline_s=-1.0 if why == "out of time" else 60.0)
    if why == "cancelled":
        cancel.set()
    done: list[object] = []
    with precedence.short():
        thread = threading.Thread(target=lambda: done.extend(search.paced(precedence)), daemon=True)
        thread.start()
        thread.join(30.0)
        assert not thread.is_alive()
    assert done


class Told:
    """How the answer is written: not at all."""

    def write(self, events: Iterable[Event], /) -> bytes:
        """The next events."""
        return b"x" * len(list(events))

    def failed(self, error: LogferryError, /) -> bytes:
        """Nothing fails."""
        raise error


@pytest.mark.parametrize("deadline_s", [-1.0, 0.05])
def test_a_search_whose_time_is_over_waits_for_no_thread(deadline_s: float) -> None:
    """Neither before it stands in the line of long searches, nor in it: all threads there are busy until it ended."""
    over, patient = threading.Event(), threading.Event()
    patient.set()

    async def last_piece() -> bytes:
        streams, slots = Streams(), Slots()
        try:
            for _ in range(SEARCH_LONG_THREADS):
                streams.line.submit(lambda: over.wait(60.0), streams.line.place())
            search = Running(iter([DONE]), threading.Event(), SYSTEM, patient, deadline_s=deadline_s)
            context = cast("WebContext", SimpleNamespace(clock=SYSTEM, search=SimpleNamespace(precedence=Precedence())))
            request, who = cast("Request", None), cast("Identity", None)
            asking = Asking(request, context, who, streams, slots.take("me"), streams.line.place())
            told = await asyncio.wait_for(asking.piece(search, Told()), 30.0)
            assert not over.is_set()
            return told
        finally:
            over.set()
            streams.close()

    assert asyncio.run(last_piece()) == b"x"


def test_a_search_in_the_line_of_a_server_that_ends_is_dropped() -> None:
    """Nobody begins with it elsewhere instead."""
    over = threading.Event()

    async def closed() -> None:
        streams = Streams()
        for _ in range(SEARCH_LONG_THREADS):
            streams.line.submit(lambda: over.wait(60.0), streams.line.place())
        waiting = asyncio.create_task(streams.go_on(lambda: pytest.fail("it began"), streams.line.place(), 60.0))
        await asyncio.sleep(0)
        streams.close()
        over.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(closed())


def test_a_search_that_was_told_to_stop_has_no_time_left() -> None:
    """So that it waits for nothing."""
    search = running(iter([DONE]))
    assert search.left_s > 0
    search.stop()
    assert search.left_s == 0


def test_how_long_a_search_may_go_on_is_known() -> None:
    """From the moment it began."""
    clock = ManualClock()
    search = Running(iter([DONE]), threading.Event(), clock, deadline_s=2.0)
    clock.advance(1.5)
    assert search.left_s == pytest.approx(0.5)
    clock.advance(1.5)
    assert search.left_s == pytest.approx(-1.0)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One agent with few lines, and one with many."""
    with served(tmp_path_factory.mktemp("searching") / "data") as running:
        running.put("few", "app.log", b"one needle here\n" * 3)
        running.put("many", "app.log", b"a straw and another one\n" * 400_000)
        yield running


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("search", {"q": "needle"}),
        ("search", {"q": "needle", "format": "csv"}),
        ("search/count", {"q": "one needle"}),
        ("search/histogram", {"q": "needle here", "facets": "agent"}),
    ],
)
def test_what_is_over_at_once_is_answered_whole(
    site: Served, path: str, params: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its length; by then it is an entry of the audit, one, and its place is free."""
    monkeypatch.setattr(searching, "SEARCH_FIRST_PIECE_S", 60.0)  # however busy the machine is
    before = site.context.catalog.auditing.head().id
    asked = params | {"agent": "few", "case": "true"}
    answer = site.client.get(f"/api/v1/{path}", params=asked).raise_for_status()
    assert int(answer.headers["content-length"]) == len(answer.content)
    entries = site.context.catalog.auditing.page(AuditFilter(kind="search"), limit=10)
    (entry,) = [entry for entry in entries if entry.id > before]
    assert (entry.who, entry.target, entry.request_id) == ("root", params["q"], answer.headers["x-request-id"])
    wait_for(lambda: not len(site.app.state.searches))


def test_whoever_has_searched_for_long_is_answered_the_same(site: Served) -> None:
    """Behind others, from the beginning; refusals, too."""

    def told() -> list[object]:
        answers = [site.client.get("/api/v1/search", params={"q": q}) for q in ("needle", '"open')]
        count = site.client.get("/api/v1/search/count", params={"q": "here", "agent": "few"}).json()["total"]
        return [*([row for row in answer.text.splitlines() if '"hit"' in row] for answer in answers), count]

    before = told()
    slots: Slots = site.app.state.searches
    slots.charge("root", 1_000.0)
    assert told() == before
    assert slots.owes("root")


def test_a_long_search_ends_however_many_short_requests_there_are(site: Served) -> None:
    """And all that it finds is found."""
    stop = threading.Event()

    def hurry() -> None:
        while not stop.is_set():
            with site.context.search.precedence.short():
                stop.wait(0.01)

    with ThreadPoolExecutor(3) as threads:
        hurrying = [threads.submit(hurry) for _ in range(3)]
        try:
            answer = site.client.get("/api/v1/search", params={"q": "straw", "agent": "many", "limit": 1_000})
        finally:
            stop.set()
        for one in hurrying:
            one.result()
    assert answer.text.count('"type":"hit"') == 1_000


def test_a_request_is_short_until_the_first_part_of_its_answer() -> None:
    """What follows, however long, holds up no search."""
    precedence = Precedence(ManualClock())
    seen: list[int] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in ("start", "body", "body"):
            seen.append(len(precedence._in_hand))
            await send({"type": f"http.response.{message}"})

    async def receive() -> Message:
        return {}

    async def send(_message: Message) -> None:
        pass

    asyncio.run(Foremost(app, precedence=precedence)({"type": "http"}, receive, send))
    assert seen == [1, 1, 0]
    assert not precedence._in_hand


def test_what_takes_longer_is_streamed_and_noted_once(site: Served) -> None:
    """Its first hits are there before it is over."""
    before = site.context.catalog.auditing.head().id
    with site.client.stream("GET", "/api/v1/search", params={"q": "straw", "limit": 20_000}) as answer:
        assert "content-length" not in answer.headers
        lines = list(answer.iter_lines())
    assert len(lines) > 20_000
    entries = site.context.catalog.auditing.page(AuditFilter(kind="search"), limit=10)
    assert [entry.target for entry in entries if entry.id > before] == ["straw"]


def test_a_bad_query_is_no_search(site: Served) -> None:
    """It is refused, nothing is noted, and its place is free."""
    before = site.context.catalog.auditing.head().id
    assert site.client.get("/api/v1/search", params={"q": '"open'}).status_code == 400
    assert site.client.get("/api/v1/search/count", params={"q": "(open"}).status_code == 400
    assert site.context.catalog.auditing.head().id == before
    wait_for(lambda: not len(site.app.state.searches))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priorities of their own")
def test_threads_of_long_searches_are_nice_and_no_others(tmp_path: Path) -> None:
    """A thread is; the one that started it stays as it was."""

    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    mine = priority()
    with ThreadPoolExecutor(1, initializer=be_nice) as threads:
        assert threads.submit(priority).result() == min(mine + SEARCH_NICE, 19)
    assert priority() == mine
