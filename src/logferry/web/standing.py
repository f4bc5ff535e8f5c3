"""Whether whoever opened a long answer may still see it: it may outlive the session it began under."""

from __future__ import annotations

from starlette.requests import Request

from logferry.errors import NotSignedIn
from logferry.limits import TAIL_IDENTITY_S
from logferry.server.people import Identity
from logferry.web.auth import identify
from logferry.web.context import WebContext
from logferry.web.streams import Streams


class Standing:
    """Who asked for a stream, looked at again every ``TAIL_IDENTITY_S``."""

    def __init__(self, request: Request, context: WebContext, who: Identity) -> None:
        self._request = request
        self._context = context
        self.who = who
        self._checked_s = context.clock.monotonic_s()

    async def check(self, streams: Streams) -> None:
        """Before each piece of the answer. Raises NotSignedIn when session, token, role or scope changed."""
        now_s = self._context.clock.monotonic_s()
        if now_s - self._checked_s > TAIL_IDENTITY_S:
            self._checked_s = now_s
            await streams.run(self._check)

    def _check(self) -> None:
        found = identify(self._request, self._context)
        was = self.who
        if found is None or (found.user_id, found.role, found.scope) != (was.user_id, was.role, was.scope):
            raise NotSignedIn("your session is over", hint="sign in again")
