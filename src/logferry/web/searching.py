"""Searches as the web runs them: a place among those of a person, events piece by piece, an end whatever happens."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from logferry.clock import SYSTEM, Clock
from logferry.errors import Busy, LogferryError
from logferry.limits import (
    SEARCH_DEBT_S,
    SEARCH_DEBT_S_MAX,
    SEARCH_EXPORT_S_MAX,
    SEARCH_FIRST_PIECE_S,
    SEARCH_FREE_S,
    SEARCH_PER_USER_MAX,
    SEARCH_PIECE_CHARS,
    SEARCH_PIECE_EVENTS,
    SEARCH_PIECE_S,
    SEARCH_SHORT_CPU_S,
    SEARCH_TURNS_PER_USER,
)
from logferry.search.events import Done, Event, Hit
from logferry.search.precedence import Precedence
from logferry.search.tally import Tally, TallyEvent
from logferry.server.people import Identity
from logferry.web.context import WebContext
from logferry.web.foremost import no_longer_short
from logferry.web.line import Place
from logferry.web.metrics import SEARCHED_BYTES
from logferry.web.standing import Standing
from logferry.web.streams import Streams
from logferry.web.trail import note_at_once

E = TypeVar("E", Event, TallyEvent)
T = TypeVar("T")
Written = TypeVar("Written", contravariant=True)


class Slots:
    """How many searches each person runs: streams, jobs, counts; and whose turn it is. Safe from many threads.

    The searches of one person take turns, a piece each, so that nobody gets more of the server by asking more at once.
    """

    def __init__(self, clock: Clock = SYSTEM) -> None:
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._turns: dict[str, Turns] = {}
        self._debts = Debts(clock)

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

    def owes(self, name: str) -> bool:
        """Whether searches of ``name`` have worked so much lately that the next ones are not taken for short."""
        with self._lock:
            return self._debts.of(name) > SEARCH_DEBT_S_MAX

    def charge(self, name: str, seconds: float) -> None:
        """A search of ``name`` has worked so long."""
        with self._lock:
            self._debts.add(name, seconds)

    def _leave(self, name: str) -> None:
        with self._lock:
            self._running[name] -= 1
            if not self._running[name]:
                del self._running[name], self._turns[name]


class Debts:
    """Seconds that searches of each person have worked; they are forgotten bit by bit. Not thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, tuple[float, float]] = {}
        """Seconds, and when they were so many."""

    def of(self, name: str) -> float:
        """What is left of them."""
        seconds, since_s = self._held.get(name, (0.0, 0.0))
        return seconds * math.exp((since_s - self._clock.monotonic_s()) / SEARCH_DEBT_S)

    def add(self, name: str, seconds: float) -> None:
        """So many more."""
        self._held[name] = (self.of(name) + seconds, self._clock.monotonic_s())
        for one in [one for one in self._held if self.of(one) < SEARCH_DEBT_S_MAX / 100]:
            del self._held[one]


class Turns:
    """Whose turn it is among the searches of one person: some of the streams, and one of the jobs."""

    def __init__(self) -> None:
        self.of_streams = asyncio.Semaphore(SEARCH_TURNS_PER_USER)
        self.of_jobs = threading.Lock()

    @asynccontextmanager
    async def of_stream(self, within_s: float) -> AsyncIterator[bool]:
        """Inside it is one's turn; False: it did not come within so many seconds, and nobody waits any longer."""
        try:
            async with asyncio.timeout(within_s):
                await self.of_streams.acquire()
            has_it = True
        except TimeoutError:
            has_it = False
        try:
            yield has_it
        finally:
            if has_it:
                self.of_streams.release()


class Slot:
    """One person's place for one search, until it is given back. As a context: at its end."""

    def __init__(self, slots: Slots, name: str, turns: Turns) -> None:
        self._all = slots
        self._slots: Slots | None = slots
        self._name = name
        self.turns = turns

    @property
    def owes(self) -> bool:
        """Whether this one gives way from the beginning, as much work of the person's went before."""
        return self._all.owes(self._name)

    def charge(self, seconds: float) -> None:
        """It has worked so long."""
        self._all.charge(self._name, seconds)

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

    def __init__(
        self,
        events: Iterator[E],
        cancel: threading.Event,
        clock: Clock,
        patient: threading.Event | None = None,
        *,
        deadline_s: float = SEARCH_EXPORT_S_MAX,
    ) -> None:
        """``cancel``, ``patient`` and ``deadline_s`` are those of the request, which has just begun."""
        self._events: Iterator[E] = events
        self._patient = patient or threading.Event()
        self._cpu_s = time.process_time()
        self._cancel = cancel
        self._clock = clock
        self._until_s = clock.monotonic_s() + deadline_s
        self._lock = threading.Lock()
        self._seconds = SEARCH_FIRST_PIECE_S
        self.scanned_bytes = 0
        self.worked_s = 0.0
        """How long its pieces have taken of the processor."""
        self.is_over = False
        """Whether all events were taken."""

    def piece(self) -> list[E]:
        """The events of the next moment, the last ones included; empty when all were taken."""
        taken: list[E] = []
        chars = 0
        with self._lock:
            until_s = self._clock.monotonic_s() + self._seconds
            self._seconds = SEARCH_PIECE_S
            for event in self._events:
                taken.append(event)
                if isinstance(event, Hit):
                    chars += _chars(event)
                else:
                    self.scanned_bytes = event.scanned_bytes
                if _is_last(event):  # nothing comes behind it, and to find that out is no piece of its own
                    continue
                is_full = len(taken) >= SEARCH_PIECE_EVENTS or chars >= SEARCH_PIECE_CHARS
                if is_full or self._clock.monotonic_s() >= until_s:
                    break
            else:
                self.is_over = True
            if not self.is_over and time.process_time() - self._cpu_s >= SEARCH_SHORT_CPU_S:
                self._patient.set()
        return taken

    def paced(self, precedence: Precedence) -> Iterator[E]:
        """The events of a piece, for whoever writes each: that holds Python's lock, too."""
        for event in self.piece():
            yield event
            if self.is_patient and not self.is_over and not self._cancel.is_set():
                precedence.give_way(self._until_s, in_python=True)

    @property
    def is_patient(self) -> bool:
        """Whether it is known to be long. One that has only waited for a core is not."""
        return self._patient.is_set()

    @property
    def left_s(self) -> float:
        """How long it may still go on. Then, or when it was told to stop, all its next piece does is say so."""
        return 0.0 if self._cancel.is_set() else self._until_s - self._clock.monotonic_s()

    def stand_back(self) -> None:
        """Give way to short work from the beginning."""
        self._patient.set()

    def stop(self) -> None:
        """Make a piece that runs in a thread end soon."""
        self._cancel.set()

    def close(self) -> None:
        """Let go of files and workers, after the piece that is being made."""
        self._cancel.set()
        with self._lock:
            if isinstance(self._events, Generator):
                self._events.close()


def _chars(hit: Hit) -> int:
    return len(hit.text) + sum(len(row.text) for row in hit.before) + sum(len(row.text) for row in hit.after)


def _is_last(event: Event | TallyEvent) -> bool:
    return isinstance(event, Done) or (isinstance(event, Tally) and event.reason != "running")


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, over which request, on which of their places; used up by one answer."""

    request: Request
    context: WebContext
    who: Identity
    streams: Streams
    slot: Slot
    place: Place
    """In the line, where it goes on for long."""

    @classmethod
    def of(cls, request: Request, context: WebContext, who: Identity) -> Self:
        """Take a place. Raises Busy."""
        streams: Streams = request.app.state.streams
        streams.check_room(who.name)
        slots: Slots = request.app.state.searches
        return cls(request, context, who, streams, slots.take(who.name), streams.line.place())

    async def begun(self, begin: Callable[[], tuple[Running[E], Writer[E]]]) -> Begun[E]:
        """Begin a search or tally, and its first piece: what is over with that costs one turn of one thread.

        It is an entry of the audit then already: its answer goes out whole.

        Raises:
            LogferryError: it is no question, or it went wrong before anything was told; the place is free again.
        """

        try:
            async with self.slot.turns.of_streams:  # waits without a thread
                if self.slot.owes:
                    no_longer_short(self.request)
                    begun = await self.streams.go_on(partial(self._begun, begin, behind=True), self.place)
                else:
                    begun = await self.streams.run(partial(self._begun, begin, behind=False))
        except BaseException:
            self.slot.give_back()
            raise
        if begun.running.is_over:
            self.slot.give_back()
            SEARCHED_BYTES.inc(begun.running.scanned_bytes)
        return begun

    def _begun(self, begin: Callable[[], tuple[Running[E], Writer[E]]], *, behind: bool) -> Begun[E]:
        """In a thread. ``behind``: it gives way from the beginning, as it is read what is asked."""
        if behind:
            self.context.search.precedence.give_way()
        cpu_s = time.thread_time()
        try:
            running, writer = begin()
        except BaseException:
            self.slot.charge(time.thread_time() - cpu_s)
            raise
        try:
            if behind:
                running.stand_back()
            begun = Begun(running, writer, self._piece(running, writer))
            if running.is_over:
                note_at_once(self.request, self.context.audit)
            else:
                no_longer_short(self.request)
        except BaseException:
            running.close()
            raise
        return begun

    def answer(self, begun: Begun[E], headers: Mapping[str, str]) -> Response:
        """What it tells, from the first piece on: at once where that is all, else as it comes."""
        if begun.running.is_over:
            return Response(begun.data, 200, headers)
        return _Streamed(self, begun.running, _written(self, begun), headers)

    async def whole(self, begun: Begun[E]) -> bytes | None:
        """All it tells; None when whoever asked has hung up. Raises NotSignedIn when they may see no more."""
        running, parts = begun.running, [begun.data]
        if running.is_over:
            return begun.data
        standing = Standing(self.request, self.context, self.who)
        try:
            async with self.streams.opened("search", self.who.name):
                while not running.is_over:
                    await standing.check(self.streams)
                    if self.streams.stopping or await self.request.is_disconnected():
                        running.stop()
                    parts.append(await self.piece(running, begun.writer))
            return None if await self.request.is_disconnected() else b"".join(parts)
        finally:
            self.slot.give_back()
            let_go(running)

    async def piece(self, running: Running[E], writer: Writer[E]) -> bytes:
        """The next one, when it is this person's turn; at once when its time is over, as all it does then is end."""
        async with self.slot.turns.of_stream(running.left_s):
            work, left_s = partial(self._piece, running, writer), running.left_s
            if left_s <= 0 or not running.is_patient:
                return await self.streams.run(work)
            self.place.worked_s = running.worked_s
            return await self.streams.go_on(work, self.place, left_s)

    def _piece(self, running: Running[E], writer: Writer[E]) -> bytes:
        # Written here and not on the event loop, where all others would wait for that.
        with charged(self.slot, running, self.context.clock):
            return writer.write(running.paced(self.context.search.precedence))


class Writer(Protocol[Written]):
    """How the answer is written."""

    def write(self, events: Iterable[Written], /) -> bytes:
        """The next events."""
        ...

    def failed(self, error: LogferryError, /) -> bytes:
        """The end of an answer that had begun when something went wrong."""
        ...


@dataclass(frozen=True, slots=True)
class Begun(Generic[E]):
    """A search or tally with its first piece, as that is written."""

    running: Running[E]
    writer: Writer[E]
    data: bytes


@contextmanager
def charged(slot: Slot, running: Running[E], clock: Clock) -> Iterator[None]:
    """A piece is made: what it takes goes to the person's account, but for the little that a short search takes."""
    began_s, all_s, own_s = clock.monotonic_s(), time.process_time(), time.thread_time()
    yield
    all_s = min(clock.monotonic_s() - began_s, time.process_time() - all_s)
    running.worked_s += all_s
    if running.is_patient:
        slot.charge(all_s)
    else:
        slot.charge(max(0.0, time.thread_time() - own_s - SEARCH_FREE_S))


class _Streamed(StreamingResponse):
    """A search or tally as it comes. Its place is free again when the answer ended, however it did."""

    def __init__(
        self, asking: Asking, running: Running[E], content: AsyncIterator[bytes], headers: Mapping[str, str]
    ) -> None:
        super().__init__(content, 200, headers)
        self._asking = asking
        self._let_go = partial(let_go, running)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._asking.slot.give_back()
            self._let_go()


async def _written(asking: Asking, begun: Begun[E]) -> AsyncIterator[bytes]:
    streams, standing = asking.streams, Standing(asking.request, asking.context, asking.who)
    running, data = begun.running, begun.data
    try:
        async with streams.opened("search", asking.who.name):
            while True:
                if streams.stopping:
                    running.stop()  # the next piece is the last: a "done" that says it was cancelled
                await standing.check(streams)
                if data:
                    yield data
                if running.is_over:
                    return
                data = await asking.piece(running, begun.writer)
    except LogferryError as error:  # the answer has begun: the account ends with what went wrong
        yield begun.writer.failed(error)


def let_go(running: Running[E]) -> None:
    """Stop what runs and close its files, soon."""
    running.stop()
    SEARCHED_BYTES.inc(running.scanned_bytes)
    if not running.is_over:
        # Not in the threads of streams: they may be shut down, and files must be let go of whatever happens.
        asyncio.get_running_loop().run_in_executor(None, running.close)
