"""Large answers that are made while they are sent: a thread for each piece, none between the pieces."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterator, Mapping

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Send

from logferry.errors import Later
from logferry.web.streams import Streams

log = structlog.get_logger("logferry.web")


class Sending(StreamingResponse):
    """An answer of pieces. Where the server has to end it early, the connection breaks off within the answer: nobody
    takes it for a whole one."""

    def __init__(
        self, streams: Streams, kind: str, who: str, pieces: Iterator[bytes], headers: Mapping[str, str]
    ) -> None:
        super().__init__(_sent(streams, kind, who, pieces), 200, headers)
        self._kind = kind

    async def stream_response(self, send: Send) -> None:
        """Send head and pieces; the end only if all of them came."""
        try:
            await super().stream_response(send)
        except Later as error:
            log.warning("answer cut", kind=self._kind, reason=error.message)


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


async def _sent(streams: Streams, kind: str, who: str, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces. Raises Busy when too many streams are open, Later when the server ends."""
    taken = _Pieces(pieces)
    try:
        async with streams.opened(kind, who):
            while (piece := await streams.run(taken.next)) is not None:
                if streams.stopping:
                    raise Later("the server is being stopped", hint="fetch it again")
                if piece:
                    yield piece
    finally:
        # Not in the threads of streams: they may be shut down, and the files must be let go of whatever happens.
        asyncio.get_running_loop().run_in_executor(None, taken.close)
