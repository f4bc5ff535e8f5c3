"""One connection of a client, as uvicorn has it, with an end to waiting: questions have to come within a time.

Else anybody could hold connections open, a byte now and then, until there is none left for others.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from logferry.limits import WEB_ASK_S_MAX


class PatientWire(H11Protocol):
    """Hangs up on who has not sent a whole request within ``WEB_ASK_S_MAX`` of its begin, or of the connection's."""

    _asking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request is awaited."""
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Something more of a request came."""
        super().data_received(data)
        if self._is_asked():
            self._stop()
        else:
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._stop()
        super().connection_lost(exc)

    def _is_asked(self) -> bool:
        """Whether the request is there as a whole; the pause before the next one is uvicorn's to bound."""
        state: Any = self.conn.their_state
        return state not in (h11.IDLE, h11.SEND_BODY)

    def _await_request(self) -> None:
        if self._asking is None and not self.transport.is_closing():
            self._asking = self.loop.call_later(WEB_ASK_S_MAX, self._hang_up)

    def _stop(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _hang_up(self) -> None:
        self._asking = None
        if not self._is_asked():
            self.transport.abort()
