"""Who asks: the identity behind a session cookie or a bearer token, and what a request must show to change anything.

A cookie is sent by the browser whoever wrote the page, so a change made under a cookie also needs the session's CSRF
token. A bearer token is sent on purpose and needs nothing more.
"""

from __future__ import annotations

import hmac
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from logferry.errors import NotPermitted, NotSignedIn
from logferry.server.people import Identity, SignedIn
from logferry.web.context import WebContext

COOKIE = "logferry_session"
SECURE_COOKIE = "__Host-logferry_session"
CSRF_HEADER = "X-CSRF-Token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_SIGN_IN_HINT = "sign in, or send Authorization: Bearer with a token"


def context_of(request: Request) -> WebContext:
    """The parts of the server, as ``create_app`` was given them."""
    context: WebContext = request.app.state.context
    return context


async def _context(request: Request) -> WebContext:
    return context_of(request)


def is_https(request: Request) -> bool:
    """Whether the browser's connection is encrypted (a trusted proxy may say so)."""
    return request.url.scheme == "https"


def origin_of(request: Request) -> str:
    """``https://logs.example``: where the browser has reached us."""
    return f"{request.url.scheme}://{request.url.netloc}"


def client_address(request: Request) -> str:
    """The address of the client, behind trusted proxies too; empty if unknown."""
    return request.client.host if request.client else ""


def identify(request: Request, context: WebContext) -> Identity | None:
    """Who asks, or None for a stranger. Reads the catalog: not for the event loop.

    Raises:
        NotSignedIn: a token was sent, and it is wrong, revoked or expired.
    """
    authorization = request.headers.get("authorization", "")
    if authorization:
        scheme, _, secret = authorization.partition(" ")
        found = (
            context.people.token(secret.strip(), address=client_address(request))
            if scheme.lower() == "bearer"
            else None
        )
        if found is None:
            raise NotSignedIn("the token is wrong, revoked or expired", hint="make a new one, then send it as Bearer")
    else:
        secret = session_secret(request)
        found = context.people.session(secret) if secret else None
    if found is not None:
        state = request.scope.setdefault("state", {})
        state["who"], state["identity"] = found.name, found
    return found


def session_secret(request: Request) -> str:
    """The session secret of the cookie; empty if there is none."""
    return request.cookies.get(SECURE_COOKIE if is_https(request) else COOKIE, "")


def signed_in(request: Request) -> Identity:
    """Dependency: whoever asks, signed in; with the CSRF token where a cookie makes a change.

    Raises:
        NotSignedIn: a stranger.
        NotPermitted: the CSRF token is missing or wrong.
    """
    found = identify(request, context_of(request))
    if found is None:
        raise NotSignedIn("you are not signed in", hint=_SIGN_IN_HINT)
    if request.method not in _SAFE_METHODS:
        check_csrf(found, request.headers.get(CSRF_HEADER, ""))
    return found


async def viewer(who: Annotated[Identity, Depends(signed_in)]) -> Identity:
    """Dependency: at least a viewer."""
    who.require("viewer")
    return who


async def operator(who: Annotated[Identity, Depends(signed_in)]) -> Identity:
    """Dependency: at least an operator."""
    who.require("operator")
    return who


async def administrator(who: Annotated[Identity, Depends(signed_in)]) -> Identity:
    """Dependency: an administrator."""
    who.require("admin")
    return who


async def whole_administrator(who: Annotated[Identity, Depends(administrator)]) -> Identity:
    """Dependency: an administrator who sees all of the archive: whoever gives rights must have them."""
    who.require_whole()
    return who


Viewer = Annotated[Identity, Depends(viewer)]
Operator = Annotated[Identity, Depends(operator)]
WholeAdministrator = Annotated[Identity, Depends(whole_administrator)]
Context = Annotated[WebContext, Depends(_context)]


def check_csrf(who: Identity, given: str) -> None:
    """Raises NotPermitted if a cookie brought ``who`` and ``given`` is not the session's token."""
    if who.via == "session" and not hmac.compare_digest(who.csrf.encode(), given.encode("utf-8", "replace")):
        raise NotPermitted(
            f"{CSRF_HEADER} is missing or wrong", hint="take it from GET /api/v1/me, or reload the page and try again"
        )


def refuse_cross_site(request: Request) -> None:
    """For changes without a session (sign-in) and for dear answers: raises NotPermitted when another site asks."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin", "")
    foreign = bool(origin) and _netloc(origin) != request.headers.get("host", "")
    if site not in ("same-origin", "none") or foreign:
        raise NotPermitted("this came from another site's page", hint="open the page of this server itself")


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def set_session_cookie(request: Request, response: Response, session: SignedIn, *, seconds: float) -> None:
    """Give the browser its session: not for scripts, not sent with other sites' posts, HTTPS-only under HTTPS."""
    https = is_https(request)
    response.set_cookie(
        SECURE_COOKIE if https else COOKIE,
        session.secret,
        max_age=int(seconds),
        path="/",
        secure=https,
        httponly=True,
        samesite="lax",
    )


def clear_session_cookie(request: Request, response: Response) -> None:
    """Take the session away from the browser."""
    https = is_https(request)
    name = SECURE_COOKIE if https else COOKIE
    response.delete_cookie(name, path="/", secure=https, httponly=True, samesite="lax")
