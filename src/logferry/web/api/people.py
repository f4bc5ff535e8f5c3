"""``/sessions``, ``/me``, ``/setup``: signing in and out, and the first administrator."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from logferry.errors import Busy, NotSignedIn
from logferry.limits import PASSWORD_CHARS_MAX, PASSWORD_CHECKS_AT_ONCE
from logferry.server.people import Identity, SignedIn
from logferry.web.api.shapes import Me
from logferry.web.auth import (
    Context,
    Viewer,
    clear_session_cookie,
    client_address,
    refuse_cross_site,
    session_secret,
    set_session_cookie,
    signed_in,
)
from logferry.web.context import WebContext
from logferry.web.metrics import SIGN_INS
from logferry.web.throttle import SignInThrottle

router = APIRouter(tags=["people"])
_checks = threading.BoundedSemaphore(PASSWORD_CHECKS_AT_ONCE)
_CHECK_WAIT_S = 5.0


class SignIn(BaseModel):
    """Name and password."""

    name: str = Field(max_length=256)
    password: str = Field(max_length=PASSWORD_CHARS_MAX)


class SetUp(SignIn):
    """The first administrator, with the code of the set-up link."""

    code: str = Field(max_length=256)


def throttle_of(request: Request) -> SignInThrottle:
    """The table of failed sign-ins of this program."""
    throttle: SignInThrottle = request.app.state.throttle
    return throttle


Throttle = Annotated[SignInThrottle, Depends(throttle_of)]


@contextmanager
def guarded(throttle: SignInThrottle, address: str) -> Iterator[None]:
    """Around everything that looks at a secret somebody typed: slows guessing, bounds how many checks run at once.

    Raises:
        Busy: the address must wait, or too many checks run.
    """
    throttle.check(address)
    if not _checks.acquire(timeout=_CHECK_WAIT_S):
        raise Busy("too many sign-ins at this moment", retry_after_s=2.0, hint="try again in a moment")
    try:
        yield
    except NotSignedIn:
        throttle.failed(address)
        SIGN_INS.labels("refused").inc()
        raise
    finally:
        _checks.release()
    throttle.succeeded(address)
    SIGN_INS.labels("ok").inc()


def sign_in(request: Request, context: WebContext, throttle: SignInThrottle, name: str, password: str) -> SignedIn:
    """Check name and password and begin a session; the form and the API both come here. Raises NotSignedIn, Busy."""
    refuse_cross_site(request)
    address = client_address(request)
    with guarded(throttle, address):
        session = context.people.sign_in(name, password, address=address, browser=request.headers.get("user-agent", ""))
    old = session_secret(request)
    if old:  # a new session for every sign-in: nobody can plant one beforehand
        context.people.sign_out(old)
    return session


def set_up(
    request: Request, context: WebContext, throttle: SignInThrottle, code: str, name: str, password: str
) -> SignedIn:
    """Make the first administrator and sign them in. Raises NotSignedIn for a bad code, Refused for a bad password."""
    refuse_cross_site(request)
    address = client_address(request)
    with guarded(throttle, address):
        row = context.enrolment.set_up(code, name, password)
    return context.people.begin_session(row, address=address, browser=request.headers.get("user-agent", ""))


@router.post("/sessions", status_code=201, responses={201: {"model": Me}})
def begin_session(request: Request, body: SignIn, context: Context, throttle: Throttle) -> Response:
    """Sign in; the answer sets the session cookie."""
    return _begun(request, context, sign_in(request, context, throttle, body.name, body.password))


@router.post("/setup", status_code=201, responses={201: {"model": Me}})
def first_administrator(request: Request, body: SetUp, context: Context, throttle: Throttle) -> Response:
    """Make the first administrator with the code of the set-up link, and sign in."""
    return _begun(request, context, set_up(request, context, throttle, body.code, body.name, body.password))


@router.delete("/sessions/current", status_code=204)
def end_session(request: Request, context: Context, _who: Annotated[Identity, Depends(signed_in)]) -> Response:
    """Sign out: the session is over at once."""
    secret = session_secret(request)
    if secret:
        context.people.sign_out(secret)
    answer = Response(status_code=204)
    clear_session_cookie(request, answer)
    return answer


@router.get("/me")
def me(who: Viewer) -> Me:
    """Who you are, and the token that changes need."""
    return _me(who)


def _begun(request: Request, context: WebContext, session: SignedIn) -> Response:
    answer = JSONResponse(_me(session.identity).model_dump(), 201)
    set_session_cookie(request, answer, session, seconds=context.config.web.session_ttl)
    return answer


def _me(who: Identity) -> Me:
    scope = list(who.scope.globs or ("**",))
    if who.scope.narrowed:
        scope = [*scope, "and", *who.scope.narrowed]
    return Me(name=who.name, role=who.role, scope=scope, csrf=who.csrf)
