"""Large answers that are made while they are sent: a thread for each piece, none between the pieces.

Whoever asked is looked at again while they are sent, as for every long answer (``standing``).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Send

from logferry.errors import Later, NotSignedIn
from logferry.web.standing import Standing
from logferry.web.streams import Streams

log = structlog.get_logger("logferry.web")


class Breaking(StreamingResponse):
    """An answer of pieces. Where the server has to end it early, the connection breaks off within the answer: nobody
    takes it for a whole one."""

    def __init__(self, kind: str, pieces: AsyncIterator[bytes], status: int, headers: Mapping[str, str]) -> None:
        super().__init__(pieces, status, headers)
        self._kind = kind

    async def stream_response(self, send: Send) -> None:
        """Send head and pieces; the end only if all of them came."""
        try:
            await super().stream_response(send)
        except (Later, NotSignedIn) as error:
            log.warning("answer cut", kind=self._kind, reason=error.message)
        finally:
            # Whoever hangs up leaves it between two pieces, held by the error that says so: it would stay until that
            # is collected.
            if isinstance(self.body_iterator, AsyncGenerator):
                await self.body_iterator.aclose()


class Sending(Breaking):
    """One that is made for it: it counts among the streams of who asked."""

    def __init__(
        self, streams: Streams, kind: str, standing: Standing, pieces: Iterator[bytes], headers: Mapping[str, str]
    ) -> None:
        super().__init__(kind, _sent(streams, kind, standing, pieces), 200, headers)


class Copying(Breaking):
    """Bytes as they are archived, part by part."""

    def __init__(
        self, streams: Streams, standing: Standing, blocks: Iterator[bytes], status: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__("raw", _checked(streams, standing, blocks), status, headers)


class _Pieces:
    """A generator that is taken from one thread at a time, and closed when nobody takes from it any more."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._lock = threading.Lock()

    def next(self) -> bytes | None:
        """The next piece, None at the end."""
        with self._lock:
            return next(self._pieces, None)

    def close(self) -> None:
        """Let go of files and readers, after the piece that is being made."""
        with self._lock:
            if isinstance(self._pieces, Generator):
                self._pieces.close()


async def _checked(streams: Streams, standing: Standing, blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The blocks. Raises NotSignedIn when whoever asked may see no more."""
    taken = _Pieces(blocks)
    try:
        while (block := await run_in_threadpool(taken.next)) is not None:
            await standing.check(streams)
            yield block
    finally:
        _let_go(taken)


async def _sent(streams: Streams, kind: str, standing: Standing, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces. Raises Busy when too many streams are open, Later when the server ends, NotSignedIn when whoever
    asked may see no more."""
    taken = _Pieces(pieces)
    try:
        async with streams.opened(kind, standing.who.name):
            while (piece := await streams.run(taken.next)) is not None:
                if streams.stopping:
                    raise Later("the server is being stopped", hint="fetch it again")
                await standing.check(streams)
                if piece:
                    yield piece
    finally:
        _let_go(taken)


def _let_go(taken: _Pieces) -> None:
    # Not in the threads of streams: they may be shut down, and the files must be let go of whatever happens.
    asyncio.get_running_loop().run_in_executor(None, taken.close)
