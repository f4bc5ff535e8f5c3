"""Ways to hear of events: callables by kind, streams read plainly and asynchronously."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path

import pytest

from logferry.errors import BadConfig
from logferry.ftp import (
    Connected,
    Deleted,
    Event,
    EventStream,
    FolderMade,
    LoggedIn,
    Missed,
    Received,
    Renamed,
    SessionEnded,
    TimeSet,
)
from logferry.ftp.listeners import Listeners
from tests.ftp.kit import WAIT_S, Serving, serving


def deleted(number: int) -> Deleted:
    """An event to tell apart."""
    return Deleted(number, "ann", "127.0.0.1", path=f"/{number}")


def deliver(at: Serving) -> None:
    """One session: a folder, an upload with its time set, a rename, a removal."""
    with at.client() as client:
        assert client.command("MKD d").startswith("257")
        assert client.upload("STOR d/a", b"12345").startswith("226")
        assert client.command("MFMT 20260102030405 d/a").startswith("213")
        assert client.command("RNFR d/a").startswith("350")
        assert client.command("RNTO b").startswith("250")
        assert client.command("DELE b").startswith("250")
        assert client.command("RMD d").startswith("250")
        assert client.command("QUIT").startswith("221")


KINDS = [Connected, LoggedIn, FolderMade, Received, TimeSet, Renamed, Deleted, Deleted, SessionEnded]


def test_everything_a_session_does_is_told_in_order(tmp_path: Path) -> None:
    """With its values; the stream ends when the server has stopped."""
    with serving(tmp_path) as at:
        stream = at.server.events()
        deliver(at)
    told = list(stream)
    assert [type(event) for event in told] == KINDS
    assert {(event.user, event.address) for event in told[1:]} == {("ann", "127.0.0.1")}
    made, received, moment = told[2:5]
    assert isinstance(made, FolderMade)
    assert made.path == "/d"
    assert isinstance(received, Received)
    assert (received.path, received.count) == ("/d/a", 5)
    assert isinstance(moment, TimeSet)
    assert (moment.path, moment.modified_ns) == ("/d/a", 1767323045 * 10**9)
    assert list(at.server.events()) == []


def test_a_silent_connection_is_told_once_when_it_ends(tmp_path: Path) -> None:
    """And every session that ends has begun."""
    with serving(tmp_path) as at:
        stream = at.server.events()
        for _ in range(3):
            with at.client(login=False):
                pass
        told = [stream.get(WAIT_S) for _ in range(6)]
    begun = [event.session for event in told if isinstance(event, Connected)]
    ended = [event.session for event in told if isinstance(event, SessionEnded)]
    assert sorted(begun) == sorted(ended) == [1, 2, 3]


def test_what_is_refused_is_not_told(tmp_path: Path) -> None:
    """No event for a command that failed."""
    with serving(tmp_path) as at:
        stream = at.server.events((FolderMade, Deleted, Renamed, TimeSet))
        with at.client() as client:
            for line in ("MKD .", "DELE none", "RMD none", "MFMT 20260102030405 none", "RNFR none"):
                assert client.command(line).startswith("550")
    assert list(stream) == []


def test_a_callable_hears_of_its_kinds_until_it_is_taken_off(tmp_path: Path) -> None:
    """Before the reply goes out; one that fails takes nothing from others, nor from the session."""
    told: list[Event] = []
    failed: list[Event] = []

    def fail(event: Event) -> None:
        failed.append(event)
        raise RuntimeError("handler")

    with serving(tmp_path) as at:
        at.server.on(Event, fail)
        off = at.server.on((FolderMade, Deleted), told.append)
        with at.client() as client:
            client.command("MKD d")
            assert [type(event) for event in told] == [FolderMade]
            client.command("RMD d")
            assert [type(event) for event in told] == [FolderMade, Deleted]
            off()
            off()
            client.command("MKD e")
        at.event(SessionEnded)
    assert len(told) == 2
    assert [type(event) for event in failed] == [Connected, LoggedIn, FolderMade, Deleted, FolderMade, SessionEnded]


@pytest.mark.parametrize("kind", [ValueError, SystemExit])
def test_a_failing_callable_is_logged(kind: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    """An ordinary exception is; one that is meant to end the program is not caught."""
    listeners = Listeners()

    def fail(_event: Event) -> None:
        raise kind("x")

    told: list[Event] = []
    listeners.on(Event, fail)
    listeners.on(Event, told.append)
    if kind is ValueError:
        listeners.tell(deleted(1))
        assert told == [deleted(1)]
        assert "a handler of FTP events failed" in caplog.text
    else:
        with pytest.raises(SystemExit):
            listeners.tell(deleted(1))


def test_several_async_listeners_get_everything(tmp_path: Path) -> None:
    """Told from the sessions' threads, read in one loop; another filters."""

    async def run(at: Serving) -> list[object]:
        async def all_kinds() -> list[type[Event]]:
            return [type(event) async for event in everything]

        async def paths() -> list[str]:
            return [event.path async for event in some if isinstance(event, Received)]

        everything, some = at.server.events(), at.server.events(Received)
        tasks = asyncio.gather(all_kinds(), paths())
        await asyncio.to_thread(deliver, at)
        await asyncio.to_thread(at.server.stop)
        return list(await asyncio.wait_for(tasks, WAIT_S))

    with serving(tmp_path) as at:
        assert asyncio.run(run(at)) == [KINDS, ["/d/a"]]


def test_a_cancelled_listener_loses_nothing() -> None:
    """What comes after waits for the next one who asks."""

    async def run() -> list[Event]:
        listeners = Listeners()
        stream = listeners.stream()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.01)
        teller = threading.Thread(target=listeners.tell, args=(deleted(1),))
        teller.start()
        event = await asyncio.wait_for(anext(stream), WAIT_S)
        teller.join()
        listeners.close()
        return [event, *[more async for more in stream]]

    assert asyncio.run(run()) == [deleted(1)]


def test_a_loop_that_was_closed_hurts_nobody() -> None:
    """Its listener is gone; the server tells on, and another loop reads what came."""
    listeners = Listeners()
    stream = listeners.stream()

    async def sleep() -> Event:
        return await anext(stream)

    loop = asyncio.new_event_loop()
    task = loop.create_task(sleep())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    listeners.tell(deleted(1))
    assert asyncio.run(sleep()) == deleted(1)
    del task
    gc.collect()


def test_two_tasks_share_one_stream() -> None:
    """Each event goes to one of them; the end to both."""

    async def run() -> list[Event]:
        listeners = Listeners()
        stream = listeners.stream()

        async def read() -> list[Event]:
            return [event async for event in stream]

        tasks = asyncio.gather(read(), read())
        for number in range(50):
            listeners.tell(deleted(number))
            await asyncio.sleep(0)
        listeners.close()
        one, two = await asyncio.wait_for(tasks, WAIT_S)
        return sorted(one + two, key=lambda event: event.session)

    assert asyncio.run(run()) == [deleted(number) for number in range(50)]


def test_who_lags_behind_is_told_how_much_is_missing() -> None:
    """In the place where it is missing, be it in the middle or at the end; nobody else loses anything."""
    listeners = Listeners()
    slow, quick = listeners.stream(waiting_max=2), listeners.stream()
    for number in range(5):
        listeners.tell(deleted(number))
    assert [slow.get(), slow.get()] == [deleted(0), deleted(1)]
    listeners.tell(deleted(5))
    listeners.tell(deleted(6))
    listeners.close()
    listeners.tell(deleted(7))
    assert list(slow) == [Missed(0, "", "", count=3), deleted(5), Missed(0, "", "", count=1)]
    assert list(quick) == [deleted(number) for number in range(7)]


def test_what_is_missing_is_told_even_when_nothing_follows() -> None:
    """Once, and the stream goes on."""
    listeners = Listeners()
    stream = listeners.stream(waiting_max=1)
    listeners.tell(deleted(0))
    listeners.tell(deleted(1))
    assert [stream.get(0), stream.get(0), stream.get(0)] == [deleted(0), Missed(0, "", "", count=1), None]
    listeners.tell(deleted(2))
    assert stream.get(0) == deleted(2)


def test_a_stream_ends_when_closed_and_is_forgotten_when_nobody_holds_it() -> None:
    """A waiting thread wakes; the server's list does not grow."""
    listeners = Listeners()
    stream = listeners.stream()
    taken: list[Event | None] = []

    def wait(on: EventStream) -> None:
        with on:
            taken.append(on.get())

    waiting = threading.Thread(target=wait, args=(stream,))
    waiting.start()
    stream.close()
    waiting.join(WAIT_S)
    assert taken == [None]
    assert stream.get(0) is None
    del stream, waiting
    gc.collect()
    assert listeners.present()
    listeners.tell(deleted(1))
    assert not listeners.present()
    with pytest.raises(BadConfig):
        listeners.stream(waiting_max=0)


def test_many_tellers_and_listeners_at_once() -> None:
    """Every event once to each, those of one teller in order."""
    listeners = Listeners()
    streams = [listeners.stream(waiting_max=10_000) for _ in range(3)]

    def tell(base: int) -> None:
        for number in range(500):
            listeners.tell(deleted(base + number))

    got: list[list[Event]] = [[] for _ in streams]
    readers = [
        threading.Thread(target=found.extend, args=(stream,)) for found, stream in zip(got, streams, strict=True)
    ]
    tellers = [threading.Thread(target=tell, args=(base,)) for base in (0, 1000, 2000)]
    for thread in readers + tellers:
        thread.start()
    for thread in tellers:
        thread.join(WAIT_S)
    listeners.close()
    for thread in readers:
        thread.join(WAIT_S)
    for found in got:
        assert len(found) == 1500
        for base in (0, 1000, 2000):
            mine = [event.session for event in found if base <= event.session < base + 500]
            assert mine == list(range(base, base + 500))
