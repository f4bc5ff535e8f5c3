"""Signing in by an OpenID Connect provider: off to it, and back with what it says."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NoReturn

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from logferry.errors import BadConfig, LogferryError, NotFound, NotPermitted, NotSignedIn
from logferry.limits import OIDC_CODE_CHARS_MAX, OIDC_LOGOUT_CHARS_MAX, OIDC_SIGN_IN_S_MAX
from logferry.server.oidc.trip import Trip, begun, trip_in
from logferry.server.passwords import new_secret
from logferry.server.people import SignedIn
from logferry.web import auth, managing
from logferry.web.metrics import SIGN_INS
from logferry.web.pages import words
from logferry.web.pages.shell import Shell, root_of
from logferry.web.pages.sign_in import login_page, nobody_yet, own_page, with_session
from logferry.web.throttle import SignInThrottle
from logferry.web.trail import note

if TYPE_CHECKING:
    from logferry.server.oidc.provider import Provider

log = structlog.get_logger("logferry.web")
COOKIE = "logferry_oidc"
SECURE_COOKIE = "__Host-logferry_oidc"
BACK = "/login/oidc/back"


def began(shell: Shell, request: Request) -> Response:
    """``/login/oidc?next=``: off to the provider. A link and no form: forms of our pages stay here (form-action)."""
    provider, target = _provider(shell), own_page(request.query_params.get("next", "/"))
    if shell.context.enrolment.setup_needed():
        return nobody_yet(shell, request)
    trip = begun(new_secret(), shell.context.clock.now_ns() / 1e9, target)
    try:
        where = provider.address(trip, _back(request))
    except LogferryError as error:
        return _failed(shell, request, trip.target, error)
    response = RedirectResponse(where, 303, {"Cache-Control": "no-store"})
    _keep(request, response, trip.cookie(), seconds=OIDC_SIGN_IN_S_MAX)
    return response


def came_back(shell: Shell, request: Request) -> Response:
    """``/login/oidc/back``: a session for whom the provider vouches, or why not."""
    provider = _provider(shell)
    if shell.context.enrolment.setup_needed():
        return nobody_yet(shell, request)
    trip = _trip(request)
    if trip is None:
        text = "this browser did not begin this sign-in, or began another one since"
        return _failed(shell, request, "/", NotSignedIn(text, hint="begin again"))
    try:
        session = _session(shell, request, provider, trip)
    except LogferryError as error:
        response = _failed(shell, request, trip.target, error)
    else:
        where = RedirectResponse(root_of(request) + own_page(trip.target), 303)
        response = with_session(shell, request, session, where)
    _keep(request, response, "", seconds=0)
    return response


def left_endpoint(shell: Shell) -> Callable[[Request], Awaitable[Response]]:
    """``POST /login/oidc/logout``: the provider itself says that somebody's session ended there."""

    async def endpoint(request: Request) -> Response:
        async with request.form(max_files=0, max_fields=5) as fields:
            tokens = [value for value in fields.getlist("logout_token") if isinstance(value, str)]
        return await run_in_threadpool(_left, shell, request, tokens)

    return endpoint


def _left(shell: Shell, request: Request, tokens: list[str]) -> Response:
    """200 where those sessions are over, 400 where the token does not hold (Back-Channel Logout 1.0, 2.8)."""
    context, headers = shell.context, {"Cache-Control": "no-store"}
    throttle: SignInThrottle = request.app.state.logout_throttle
    try:
        provider = _provider(shell)
        with throttle.trying(auth.client_address(request)):
            if len(tokens) != 1 or not 0 < len(tokens[0]) <= OIDC_LOGOUT_CHARS_MAX:
                raise NotSignedIn("there is no logout_token", hint="it is one field of a form")
            left = provider.left(tokens[0])
            ended, whose = context.people.left(provider.config.issuer, left)
    except LogferryError as error:
        log.warning("a sign-out by the provider was not taken", why=error.message, cause=repr(error.__cause__))
        status = 400 if isinstance(error, NotSignedIn) else 503 if isinstance(error, BadConfig) else error.http_status
        told = {"error": "invalid_request", "error_description": words.shown(error.message)}
        return JSONResponse(told, status, headers)
    log.info("signed out by the provider", who=whose, sessions=ended)
    note(request, target=whose or "nobody here", provider=provider.config.issuer, sessions_ended=ended)
    return Response(status_code=200, headers=headers)


def _session(shell: Shell, request: Request, provider: Provider, trip: Trip) -> SignedIn:
    """Raises NotSignedIn, NotPermitted, Busy, and as ``Provider.vouched``."""
    context = shell.context
    if context.clock.now_ns() / 1e9 - trip.began_s > OIDC_SIGN_IN_S_MAX:
        raise NotSignedIn("the sign-in took too long", hint="begin again")
    if "error" in request.query_params:
        _refused_there(request)
    throttle: SignInThrottle = request.app.state.oidc_throttle
    with throttle.trying(auth.client_address(request)):
        vouched = provider.vouched(
            trip, _only(request, "code"), _back(request), said_issuer=request.query_params.get("iss")
        )
        context.people.use_trip(trip.state, ttl_s=OIDC_SIGN_IN_S_MAX)
        person = vouched.person
        note(request, target=person.name, proven=person.name, provider=person.issuer, subject=person.subject)
        let_in = context.people.let_in(person)
        if let_in.change:
            note(request, change=let_in.change, role=let_in.row.role, scope=let_in.row.scope)
        session = managing.begun(request, context, let_in.row, id_token=vouched.id_token)
    SIGN_INS.labels("ok").inc()
    note(request, target=let_in.row.name)
    return session


def _trip(request: Request) -> Trip | None:
    """The sign-in that this browser began, if what came back belongs to it."""
    trip = trip_in(request.cookies.get(_cookie(request), ""))
    state = request.query_params.getlist("state")
    if trip is None or len(state) != 1:
        return None
    return trip if hmac.compare_digest(trip.state.encode(), state[0].encode("utf-8", "replace")) else None


def _refused_there(request: Request) -> NoReturn:
    asked = request.query_params
    said = asked.get("error_description") or asked["error"]
    raise NotSignedIn(f"the provider says: {said[:200]}", hint="try again, or ask whoever looks after the provider")


def _only(request: Request, name: str) -> str:
    found = request.query_params.getlist(name)
    if len(found) != 1 or not 0 < len(found[0]) <= OIDC_CODE_CHARS_MAX:
        raise NotSignedIn(f"the provider sent no {name}", hint="begin again")
    return found[0]


def _failed(shell: Shell, request: Request, target: str, error: LogferryError) -> Response:
    """The sign-in page, with the reason, and the request id under which the log has it, too."""
    log.warning("no sign-in by the provider", why=error.message, hint=error.hint, cause=repr(error.__cause__))
    if isinstance(error, (NotSignedIn, NotPermitted)):
        SIGN_INS.labels("refused").inc()
    # What whoever runs the server has set up wrongly is no fault of the request.
    status = 503 if isinstance(error, BadConfig) else error.http_status
    return login_page(
        shell, request, own_page(target), status=status, error=words.sentence(words.shown(error.message)),
        hint=words.sentence(words.shown(error.hint)), is_outside=True,
    )  # fmt: skip


def _provider(shell: Shell) -> Provider:
    if shell.context.provider is None:
        raise NotFound("nobody signs in by a provider here", hint="the setting is auth.oidc")
    return shell.context.provider


def _back(request: Request) -> str:
    """The address at which the provider knows us."""
    return f"{auth.origin_of(request)}{root_of(request)}{BACK}"


def _cookie(request: Request) -> str:
    return SECURE_COOKIE if auth.is_https(request) else COOKIE


def _keep(request: Request, response: Response, value: str, *, seconds: float) -> None:
    """What the browser keeps through a sign-in. Lax: the way back is a link that leads here from elsewhere."""
    response.set_cookie(
        _cookie(request), value, max_age=int(seconds), path="/", secure=auth.is_https(request), httponly=True,
        samesite="lax",
    )  # fmt: skip
