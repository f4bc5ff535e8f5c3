"""The line to paste on a node, with the address under which the browser reached the server."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from logferry.server import first_run
from logferry.server.config import join_address
from logferry.server.enrolment import JoinToken
from logferry.web.context import WebContext


@dataclass(frozen=True, slots=True)
class JoinCommand:
    """The line to paste on a node, and how long it is good."""

    command: str
    uses: int
    expires_ns: int


def join_command(request: Request, context: WebContext, token: JoinToken) -> JoinCommand:
    """The command with the address under which this very browser reached the server."""
    port = request.url.port or (443 if request.url.scheme == "https" else 80)
    address = join_address(request.url.hostname or "localhost", port)
    line = first_run.join_command(address, token.secret, context.pin, context.config)
    return JoinCommand(line, token.uses, token.expires_ns)
