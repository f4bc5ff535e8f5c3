"""Every request is short work, to which long searches give way, until the first part of its answer is out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from logferry.search.precedence import InHand, Precedence

_IN_HAND = "in_hand"


class Foremost:
    """Middleware, outermost: says that a request is in hand as soon as there is one."""

    def __init__(self, app: ASGIApp, *, precedence: Precedence) -> None:
        self._app = app
        self._precedence = precedence

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._precedence.short() as in_hand:
            scope.setdefault("state", {})[_IN_HAND] = in_hand

            async def told(message: Message) -> None:
                await send(message)
                if message["type"] == "http.response.body":
                    in_hand.end()

            await self._app(scope, receive, told)


def no_longer_short(request: Request) -> None:
    """What the request asks for goes on for long: nobody gives way to it any more. In any thread."""
    in_hand: InHand | None = request.scope.get("state", {}).get(_IN_HAND)
    if in_hand is not None:
        in_hand.end()
