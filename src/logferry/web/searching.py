"""Searches as the web runs them: a place among those of a person, events piece by piece, an end whatever happens."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from types import TracebackType
from typing import Generic, TypeVar

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from logferry.clock import Clock
from logferry.errors import Busy, LogferryError
from logferry.limits import SEARCH_PER_USER_MAX, SEARCH_PIECE_EVENTS, SEARCH_PIECE_S, SEARCH_TURNS_PER_USER
from logferry.search.events import Done, Event, Progress
from logferry.search.tally import Tally, TallyEvent
from logferry.web.metrics import SEARCHED_BYTES
from logferry.web.standing import Standing
from logferry.web.streams import Streams

E = TypeVar("E", Event, TallyEvent)


class Slots:
    """How many searches each person runs: streams, jobs, counts; and whose turn it is. Safe from many threads.

    The searches of one person take turns, a piece each, so that nobody gets more of the server by asking more at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._turns: dict[str, Turns] = {}

    def __getitem__(self, name: str) -> int:
        return self._running[name]

    def __len__(self) -> int:
        """People who run any."""
        return len(self._running)

    def take(self, name: str) -> Slot:
        """A place for one more search of ``name``. Raises Busy; give it back."""
        with self._lock:
            if self._running[name] >= SEARCH_PER_USER_MAX:
                raise Busy(
                    f"{name} has {SEARCH_PER_USER_MAX} searches running",
                    retry_after_s=2,
                    hint="stop one, or wait for it",
                )
            self._running[name] += 1
            turns = self._turns.setdefault(name, Turns())
        return Slot(self, name, turns)

    def _leave(self, name: str) -> None:
        with self._lock:
            self._running[name] -= 1
            if not self._running[name]:
                del self._running[name], self._turns[name]


class Turns:
    """Whose turn it is among the searches of one person: some of the streams, and one of the jobs."""

    def __init__(self) -> None:
        self.of_streams = asyncio.Semaphore(SEARCH_TURNS_PER_USER)
        self.of_jobs = threading.Lock()


class Slot:
    """One person's place for one search, until it is given back. As a context: at its end."""

    def __init__(self, slots: Slots, name: str, turns: Turns) -> None:
        self._slots: Slots | None = slots
        self._name = name
        self.turns = turns

    def give_back(self) -> None:
        """Free the place; again does nothing."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots._leave(self._name)

    def __enter__(self) -> Slot:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.give_back()


class Running(Generic[E]):
    """A search or tally that is taken piece by piece, one thread at a time, and stopped from outside."""

    def __init__(self, events: Iterator[E], cancel: threading.Event, clock: Clock) -> None:
        self._events: Iterator[E] = events
        self._cancel = cancel
        self._clock = clock
        self._lock = threading.Lock()
        self.scanned_bytes = 0

    def piece(self) -> list[E]:
        """The events of the next moment; empty when all were taken."""
        taken: list[E] = []
        until_s = self._clock.monotonic_s() + SEARCH_PIECE_S
        with self._lock:
            for event in self._events:
                taken.append(event)
                if isinstance(event, (Progress, Done, Tally)):
                    self.scanned_bytes = event.scanned_bytes
                if len(taken) >= SEARCH_PIECE_EVENTS or self._clock.monotonic_s() >= until_s:
                    break
        return taken

    def stop(self) -> None:
        """Make a piece that runs in a thread end soon."""
        self._cancel.set()

    def close(self) -> None:
        """Let go of files and workers, after the piece that is being made."""
        self._cancel.set()
        with self._lock:
            if isinstance(self._events, Generator):
                self._events.close()


class SearchAnswer(StreamingResponse):
    """A search or tally as it comes. Its place is free again when the answer ended, however it did."""

    def __init__(
        self,
        streams: Streams,
        standing: Standing,
        slot: Slot,
        running: Running[E],
        written: Callable[[list[E]], bytes],
        failed: Callable[[LogferryError], bytes],
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(_written(streams, standing, slot.turns, running, written, failed), 200, headers)
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._slot.give_back()


async def _written(
    streams: Streams,
    standing: Standing,
    turns: Turns,
    running: Running[E],
    written: Callable[[list[E]], bytes],
    failed: Callable[[LogferryError], bytes],
) -> AsyncIterator[bytes]:
    try:
        async with streams.opened("search", standing.who.name):
            while piece := await _next(streams, turns, running):
                if streams.stopping:
                    running.stop()  # the next piece is the last: a "done" that says it was cancelled
                await standing.check(streams)
                if data := written(piece):
                    yield data
    except LogferryError as error:  # the answer has begun: the account ends with what went wrong
        yield failed(error)
    finally:
        let_go(running)


async def _next(streams: Streams, turns: Turns, running: Running[E]) -> list[E]:
    async with turns.of_streams:  # waits without a thread
        return await streams.run(running.piece)


async def last_of(request: Request, streams: Streams, standing: Standing, slot: Slot, running: Running[E]) -> E | None:
    """The last event of a tally; None when whoever asked has hung up. Raises NotSignedIn when they may see no more."""
    last: E | None = None
    try:
        async with streams.opened("search", standing.who.name):
            while piece := await _next(streams, slot.turns, running):
                last = piece[-1]
                await standing.check(streams)
                if streams.stopping or await request.is_disconnected():
                    running.stop()
        return None if await request.is_disconnected() else last
    finally:
        slot.give_back()
        let_go(running)


def let_go(running: Running[E]) -> None:
    """Stop what runs and close its files, soon."""
    running.stop()
    SEARCHED_BYTES.inc(running.scanned_bytes)
    # Not in the threads of streams: they may be shut down, and files must be let go of whatever happens.
    asyncio.get_running_loop().run_in_executor(None, running.close)
