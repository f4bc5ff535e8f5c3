"""``/sessions``, ``/me``, ``/setup``: signing in and out, the first administrator, and what is one's own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from logferry.limits import PASSWORD_CHARS_MAX, ZONE_CHARS_MAX
from logferry.server.people import LOCAL_USER, Identity, SignedIn
from logferry.server.totp import otpauth_uri
from logferry.web import managing
from logferry.web.api.people_shapes import (
    Code,
    Ended,
    HighlightList,
    HighlightShape,
    NewHighlights,
    NewSecondFactor,
    OwnPassword,
    PasswordChange,
    RecoveryCodes,
    SecondFactorState,
    Session,
    SessionList,
    session_shape,
)
from logferry.web.api.shapes import Me
from logferry.web.auth import (
    Context,
    Viewer,
    clear_session_cookie,
    session_secret,
    set_session_cookie,
    signed_in,
)
from logferry.web.context import WebContext
from logferry.web.managing import throttle_of
from logferry.web.preferences import (
    CHOICES,
    Density,
    Highlight,
    Keys,
    Preferences,
    Theme,
    change_highlights,
    change_preferences,
)
from logferry.web.throttle import SignInThrottle

router = APIRouter(tags=["people"])
Throttle = Annotated[SignInThrottle, Depends(throttle_of)]


class SignIn(BaseModel):
    """Name and password, and of who has a second factor the code of the app or a recovery code."""

    name: str = Field(max_length=256)
    password: str = Field(max_length=PASSWORD_CHARS_MAX)
    code: str = Field("", max_length=64)


class SetUp(BaseModel):
    """The first administrator, with the code of the set-up link."""

    name: str = Field(max_length=256)
    password: str = Field(max_length=PASSWORD_CHARS_MAX)
    code: str = Field(max_length=256)


class MeChange(BaseModel):
    """What is to be different of how pages are for you; what is left out stays."""

    model_config = ConfigDict(extra="forbid")
    zone: str = Field(
        "UTC", max_length=ZONE_CHARS_MAX, examples=["Europe/Berlin"], description="a zone's name, or `browser`"
    )
    theme: Theme = Field("auto", description="`auto`: as the system")
    density: Density = Field("comfortable", description="of tables")
    keys: Keys = Field("on", description="whether letters are keys in logs")


@router.post("/sessions", status_code=201, responses={201: {"model": Me}})
def begin_session(request: Request, body: SignIn, context: Context, throttle: Throttle) -> Response:
    """Sign in; the answer sets the session cookie. 401 with `second_factor`: the same again with `code`."""
    return _begun(request, context, managing.sign_in(request, context, throttle, body.name, body.password, body.code))


@router.post("/setup", status_code=201, responses={201: {"model": Me}})
def first_administrator(request: Request, body: SetUp, context: Context, throttle: Throttle) -> Response:
    """Make the first administrator with the code of the set-up link, and sign in."""
    return _begun(request, context, managing.set_up(request, context, throttle, body.code, body.name, body.password))


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
def me(context: Context, who: Viewer) -> Me:
    """Who you are, and the token that changes need."""
    return _me(context, who)


@router.patch("/me")
def change_me(request: Request, body: MeChange, context: Context, who: Viewer) -> Me:
    """Change how pages are for you, in every browser. The API's own times stay UTC."""
    change_preferences(request, who, body.model_dump(exclude_unset=True))
    return _me(context, who)


@router.get("/me/highlights")
def highlights(context: Context, who: Viewer) -> HighlightList:
    """The words that the viewer marks for you."""
    return _highlights(context, who)


@router.put("/me/highlights")
def change_own_highlights(request: Request, body: NewHighlights, context: Context, who: Viewer) -> HighlightList:
    """Others take the place of all that were. Not for tokens."""
    change_highlights(request, who, [Highlight(**one.model_dump()) for one in body.items])
    return _highlights(context, who)


@router.post("/me/password")
def change_password(request: Request, body: PasswordChange, who: Viewer) -> Ended:
    """Change your password. Your other sessions end; how many is told."""
    return Ended(ended=managing.change_own_password(request, who, body.current, body.new))


@router.get("/me/second-factor")
def second_factor(context: Context, who: Viewer) -> SecondFactorState:
    """Whether you sign in with a code, too."""
    row = context.catalog.people.user(who.name)
    return SecondFactorState(enabled=bool(row and row.totp), recovery_codes_left=len(row.recovery) if row else 0)


@router.post("/me/second-factor", status_code=201)
def begin_second_factor(request: Request, body: OwnPassword, who: Viewer) -> NewSecondFactor:
    """A secret for your authenticator app. It counts when you confirm that the app shows the right code."""
    secret = managing.begin_second_factor(request, who, body.password)
    return NewSecondFactor(secret=secret, uri=otpauth_uri(secret, name=who.name, server=request.url.netloc))


@router.post("/me/second-factor/confirm")
def confirm_second_factor(request: Request, body: Code, who: Viewer) -> RecoveryCodes:
    """From now on signing in takes a code. The recovery codes are shown this once."""
    return RecoveryCodes(recovery_codes=managing.confirm_second_factor(request, who, body.code))


@router.post("/me/second-factor/recovery-codes")
def recovery_codes(request: Request, body: OwnPassword, who: Viewer) -> RecoveryCodes:
    """Other recovery codes; the ones before are worthless."""
    return RecoveryCodes(recovery_codes=managing.new_recovery_codes(request, who, body.password))


@router.post("/me/second-factor/off", status_code=204)
def turn_off_second_factor(request: Request, body: OwnPassword, who: Viewer) -> None:
    """From now on your password alone is enough."""
    managing.turn_off_second_factor(request, who, body.password)


@router.get("/sessions")
def own_sessions(context: Context, who: Viewer) -> SessionList:
    """Where you are signed in. Not for tokens."""
    managing.refuse_tokens(who, "sees no sessions")
    rows = [] if who.name == LOCAL_USER else context.people.sessions(who.name)
    return SessionList(items=[session_shape(row, who.name, who.session) for row in rows])


@router.delete("/sessions")
def end_other_sessions(request: Request, who: Viewer) -> Ended:
    """End all your sessions but this one. Not for tokens."""
    managing.refuse_tokens(who, "ends no sessions")
    return Ended(ended=managing.end_sessions(request, who.name, but=who.session))


@router.delete("/sessions/{session_id}")
def end_own_session(request: Request, session_id: str, who: Viewer) -> Session:
    """End one of your sessions, or as an administrator anybody's. Not for tokens."""
    managing.refuse_tokens(who, "ends no sessions")
    is_all = who.may("admin") and who.scope.everything
    ended = managing.end_session(request, session_id, user_id=None if is_all else who.user_id)
    return session_shape(ended, "", who.session)


def _begun(request: Request, context: WebContext, session: SignedIn) -> Response:
    answer = JSONResponse(_me(context, session.identity).model_dump(), 201)
    set_session_cookie(request, answer, session, seconds=context.config.web.session_ttl)
    return answer


def _me(context: WebContext, who: Identity) -> Me:
    scope = list(who.scope.globs or ("**",))
    if who.scope.narrowed:
        scope = [*scope, "and", *who.scope.narrowed]
    own = _preferences(context, who)
    choices = {name: getattr(own, name) or allowed[0] for name, allowed in CHOICES.items()}
    return Me(name=who.name, role=who.role, scope=scope, csrf=who.csrf, zone=own.zone or "UTC", **choices)


def _highlights(context: WebContext, who: Identity) -> HighlightList:
    own = _preferences(context, who).highlights or ()
    return HighlightList(items=[HighlightShape(**asdict(one)) for one in own])


def _preferences(context: WebContext, who: Identity) -> Preferences:
    return Preferences.of(context.catalog.preferences.of(who.user_id))
