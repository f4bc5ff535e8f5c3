"""``/ftp/sessions``: who is connected over FTP, and an end to it."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from logferry.clock import rfc3339
from logferry.errors import Refused
from logferry.names import shown
from logferry.web.api.shapes import Shape
from logferry.web.auth import Context, WholeAdministrator
from logferry.web.callers import Caller, callers, end_caller

router = APIRouter(tags=["system"])


class FtpSession(Shape):
    """A connection. ``doing`` is `idle` or a verb such as `STOR`, with ``moved`` bytes of ``path`` so far.

    ``user`` is empty before the log-in; ``agent`` is empty where it is no agent's.
    """

    id: int
    user: str
    agent: str
    address: str
    secure: bool
    connected_at: str
    doing: str
    path: str
    moved: int


class FtpSessionList(Shape):
    """Everybody who is connected, oldest first."""

    items: list[FtpSession]
    next: str | None = None


@router.get("/ftp/sessions")
def sessions(context: Context, _who: WholeAdministrator) -> FtpSessionList:
    """Who is connected to the FTP part on this machine. 503 where it does not run."""
    return FtpSessionList(items=[_shape(one) for one in callers(context)])


@router.delete("/ftp/sessions/{session_id}", status_code=204)
def end_session(request: Request, session_id: int, who: WholeAdministrator) -> Response:
    """End it: the client gets 421, a transfer under way is cut. An agent connects again and goes on where it was."""
    if not 0 <= session_id < 2**63:
        raise Refused("the number of a connection is out of range", hint="take id from the list")
    end_caller(request, who, session_id)
    return Response(status_code=204)


def _shape(caller: Caller) -> FtpSession:
    session = caller.session
    return FtpSession(
        id=session.id,
        user=shown(session.user),
        agent=caller.agent,
        address=session.address,
        secure=session.secure,
        connected_at=rfc3339(session.connected_ns),
        doing=session.doing,
        path=shown(session.path),
        moved=session.moved,
    )
