"""Long answers piece by piece: the event loop waits, a few threads do the short blocking pieces.

A stream holds no thread between its pieces, so any number of followers (up to ``STREAMS_MAX``) share ``STREAM_THREADS``
threads, and requests that are answered at once never wait for them.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from logferry.errors import Busy, LogferryError
from logferry.limits import SEARCH_LONG_THREADS, STREAM_THREADS, STREAMS_MAX, STREAMS_PER_USER_MAX
from logferry.search.niceness import be_nice
from logferry.web.line import Line, Place
from logferry.web.metrics import STREAMS

T = TypeVar("T")
SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""A proxy must neither keep nor hold back a stream."""
compact = json.JSONEncoder(separators=(",", ":")).encode
"""JSON without blanks: one encoder for all, as making one costs as much as a short line."""


class Streams:
    """The open streams of the program: their threads, their number, and the sign to end."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(STREAM_THREADS, thread_name_prefix="stream")
        self.line = Line(SEARCH_LONG_THREADS, "long", be_nice)
        """Where searches wait that go on for long."""
        self._open: Counter[str] = Counter()
        self._stopping = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Whether the program is about to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Ask every stream to end. From the event loop's thread."""
        self._stopping.set()

    def close(self) -> None:
        """Give the threads back; pieces not begun are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.line.close()

    @asynccontextmanager
    async def opened(self, kind: str, who: str) -> AsyncIterator[None]:
        """Counts a stream of the person ``who`` while it is open. Raises Busy when there are too many."""
        self.check_room(who)
        self._open[who] += 1
        STREAMS.labels(kind).inc()
        try:
            yield
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]
            STREAMS.labels(kind).dec()

    def check_room(self, who: str) -> None:
        """Raises Busy when the person ``who`` may open no stream now."""
        hint = "close a page that follows a file, or try later"
        if self.stopping or self._open.total() >= STREAMS_MAX:
            raise Busy("too many open streams", retry_after_s=5, hint=hint)
        if self._open[who] >= STREAMS_PER_USER_MAX:
            raise Busy(f"{who} has {STREAMS_PER_USER_MAX} open streams", retry_after_s=5, hint=hint)

    async def run(self, work: Callable[[], T]) -> T:
        """One short blocking piece in a thread. If this is cancelled, the piece still ends by itself."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def go_on(self, work: Callable[[], T], place: Place, within_s: float | None = None) -> T:
        """The same for work that goes on for long, behind all that has just begun, when its turn comes; like a short
        one where that does not come within so many seconds."""
        asked = self.line.submit(work, place)
        waiting = asyncio.wrap_future(asked)
        try:
            done, _ = await asyncio.wait((waiting,), timeout=within_s)
        except asyncio.CancelledError:
            waiting.cancel()
            raise
        if not done and asked.cancel():  # nobody has begun with it
            return await self.run(work)
        return await waiting

    async def pause(self, seconds: float) -> bool:
        """Wait; True if the program is about to end."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True


def sse(event: str, data: Mapping[str, Any], event_id: str = "") -> bytes:
    """One server-sent event. JSON has no raw line ends, so one ``data:`` line holds it."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {event}\ndata: {compact(data)}\n\n".encode()


def problem_event(error: LogferryError) -> bytes:
    """The end of a stream of server-sent events that had begun when something went wrong."""
    return sse("problem", {"detail": error.message, "hint": error.hint, "status": error.http_status})


def ndjson(data: Mapping[str, Any]) -> bytes:
    """One line of JSON."""
    return compact(data).encode() + b"\n"
