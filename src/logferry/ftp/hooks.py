"""Questions the server asks the program around it: may this user come in, may this upload begin?

A hook answers by returning, or by raising one of ``logferry.errors`` (``Refused`` and what is below it, or ``Later``):
its reply code and its text are what the client gets (of a login always 530). Hooks are called on the session's thread
and hold up that session alone. Anything else that a hook raises is a defect: it is logged, and the answer is "not now"
(451).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from logferry.errors import LogferryError
from logferry.ftp.protocol.replies import Reply
from logferry.ftp.refusals import refusal

log = logging.getLogger("logferry.ftp")

_FAILED = Reply(451, ("Not possible just now; try again later.",))


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """An upload that is about to begin: nothing has been created or received yet.

    ``verb`` is STOR, APPE or STOU; ``path`` is virtual and absolute, for STOU with the name that was found. ``offset``
    is what REST said (0 for APPE, which goes on at the end). ``size`` is what the client announced with ALLO, None when
    it announced nothing.
    """

    session: int
    user: str
    address: str
    path: str
    offset: int
    verb: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """A login whose password was right."""

    session: int
    user: str
    address: str
    secure: bool


Request = TypeVar("Request", UploadRequest, LoginRequest)


def ask(hook: Callable[[Request], None] | None, request: Request) -> Reply | None:
    """Ask ``hook``; None when it has nothing against ``request``, else the reply that refuses it."""
    if hook is None:
        return None
    try:
        hook(request)
    except LogferryError as error:
        reply = refusal(error)
        if reply.code == 421:
            return Reply(450, reply.lines)  # 421 would say that the connection ends, and it does not
        if reply.code >= 400:
            return reply
        log.error("a hook refused %r with reply code %d, which is no refusal", request, error.ftp_reply)  # noqa: TRY400
        return _FAILED
    except Exception:
        log.exception("a hook failed on %r", request)
        return _FAILED
    return None
