"""Who hears of events: plain callables, and streams that are read at the listener's own pace.

The server tells an event on the session's thread, before the reply goes out. A callable is called right there, so what
it does has happened when the client reads its 226; it should be quick. A stream only takes the event into its buffer;
a listener that lags behind loses events rather than holding up the server, and is told how many.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Self

from logferry.errors import BadConfig
from logferry.ftp.events import Event, Missed
from logferry.limits import FTP_EVENTS_WAITING_MAX

log = logging.getLogger("logferry.ftp")

Kinds = type[Event] | tuple[type[Event], ...]


class EventStream:
    """Events of the chosen kinds from the moment it was made; iterate over it, plainly or with ``async for``.

    It ends when the server has stopped and everything was taken, or with ``close``. Any number of streams may be open;
    one that nobody holds any more is forgotten by the server. Safe from any thread and any event loop.
    """

    def __init__(self, kinds: Kinds, waiting_max: int) -> None:
        if waiting_max < 1:
            raise BadConfig(f"waiting_max is {waiting_max}", hint="at least 1")
        self._kinds = kinds
        self._waiting_max = waiting_max
        self._changed = threading.Condition()
        self._waiting: deque[Event] = deque()
        self._missed = 0
        self._closed = False
        self._sleepers: set[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = set()

    # The server's side -------------------------------------------------------------------------------------------

    def put(self, event: Event) -> None:
        """Take ``event`` if it is wanted; never waits."""
        if not isinstance(event, self._kinds):
            return
        with self._changed:
            if self._closed:
                return
            if len(self._waiting) >= self._waiting_max:
                self._missed += 1
                return
            self._note_missed()
            self._waiting.append(event)
            self._wake()

    def close(self) -> None:
        """Take no more; whoever iterates gets what is left and then comes to the end. May be called twice."""
        with self._changed:
            self._closed = True
            self._wake()

    def _note_missed(self) -> None:
        """Put what was lost where it was lost: behind what came before, ahead of what comes after."""
        if self._missed:
            self._waiting.append(Missed(0, "", "", count=self._missed))
            self._missed = 0

    def _wake(self) -> None:
        self._changed.notify_all()
        for loop, sleeper in self._sleepers:
            try:
                loop.call_soon_threadsafe(_finish, sleeper)
            except RuntimeError:
                # The loop was closed with a listener still asleep in it; there is nobody left to wake.
                log.debug("a listener's event loop is closed")
        self._sleepers.clear()

    # The listener's side -----------------------------------------------------------------------------------------

    def _take(self) -> Event | None:
        """The next event, None when there is none yet. Called under the lock."""
        if not self._waiting:
            self._note_missed()
        return self._waiting.popleft() if self._waiting else None

    def get(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None after ``timeout_s`` seconds without one, or at the end."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while True:
                event = self._take()
                if event is not None or self._closed:
                    return event
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(left)

    async def _next(self) -> Event | None:
        while True:
            with self._changed:
                event = self._take()
                if event is not None or self._closed:
                    return event
                loop = asyncio.get_running_loop()
                sleeper = (loop, loop.create_future())
                self._sleepers.add(sleeper)
            try:
                await sleeper[1]
            finally:
                with self._changed:
                    self._sleepers.discard(sleeper)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        event = self.get()
        if event is None:
            raise StopIteration
        return event

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        event = await self._next()
        if event is None:
            raise StopAsyncIteration
        return event

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _finish(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


class Listeners:
    """Everybody who hears of one server's events. What a listener does wrong hurts neither session nor others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Replaced as a whole, never changed: telling takes no lock.
        self._callbacks: tuple[tuple[Kinds, Callable[[Any], None]], ...] = ()
        self._streams: tuple[weakref.ref[EventStream], ...] = ()
        self._closed = False

    def present(self) -> bool:
        """Whether anybody listens: else an event need not be made."""
        return bool(self._callbacks or self._streams)

    def on(self, kinds: Kinds, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Have ``callback`` called with each event of ``kinds``; call what is returned to end that."""
        entry = (kinds, callback)
        with self._lock:
            self._callbacks = (*self._callbacks, entry)

        def off() -> None:
            with self._lock:
                self._callbacks = tuple(one for one in self._callbacks if one is not entry)

        return off

    def stream(self, kinds: Kinds = Event, waiting_max: int = FTP_EVENTS_WAITING_MAX) -> EventStream:
        """A new stream."""
        stream = EventStream(kinds, waiting_max)
        with self._lock:
            if self._closed:
                stream.close()
            else:
                self._streams = (*self._streams, weakref.ref(stream))
        return stream

    def _forget(self) -> None:
        """Forget streams that nobody holds any more."""
        with self._lock:
            self._streams = tuple(one for one in self._streams if one() is not None)

    def tell(self, event: Event) -> None:
        """Hand ``event`` to all who want it."""
        for kinds, callback in self._callbacks:
            if isinstance(event, kinds):
                try:
                    callback(event)
                except Exception:
                    log.exception("a handler of FTP events failed on %r", event)
        for found in self._streams:
            stream = found()
            if stream is None:
                self._forget()
            else:
                stream.put(event)

    def close(self) -> None:
        """The server has stopped: streams end."""
        with self._lock:
            self._closed = True
            streams, self._streams = self._streams, ()
        for found in streams:
            stream = found()
            if stream is not None:
                stream.close()
