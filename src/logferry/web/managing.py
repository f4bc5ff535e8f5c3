"""What people do to people, for pages and API alike: users, links, tokens, passwords, second factors.

Every function notes what it did for the audit. Rights are checked by whoever calls: the routes say who may come here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from logferry.archive.records import CodeRecord, SessionRecord, TokenRecord, UserRecord
from logferry.errors import Busy, NotPermitted, NotSignedIn, SecondFactorNeeded
from logferry.limits import OIDC_FRESH_S, PASSWORD_CHECK_WAIT_S, PASSWORD_CHECKS_AT_ONCE, RESET_LINK_S_MAX
from logferry.names import folded
from logferry.server.people import LOCAL_USER, Identity, SignedIn, session_id_of
from logferry.server.second_factor import Waiting
from logferry.web.auth import client_address, context_of, refuse_cross_site, session_secret
from logferry.web.context import WebContext
from logferry.web.metrics import SIGN_INS
from logferry.web.throttle import SignInThrottle
from logferry.web.trail import HALF_IN, note

_checks = threading.BoundedSemaphore(PASSWORD_CHECKS_AT_ONCE)


@dataclass(frozen=True, slots=True)
class ResetLink:
    """A link with which somebody sets a password, and how long it works."""

    link: str
    expires_ns: int


def throttle_of(request: Request) -> SignInThrottle:
    """The table of failed sign-ins of this program."""
    throttle: SignInThrottle = request.app.state.throttle
    return throttle


@contextmanager
def guarded(throttle: SignInThrottle, key: str, name: str = "") -> Iterator[None]:
    """Around everything that looks at a secret somebody typed: slows guessing, bounds how many checks run at once.

    The attempt is counted before the look, so that many at once find out no more than one after another. A success
    forgets the failures of the same ``name``.

    Raises:
        Busy: ``key`` (an address, or whose code it is) must wait, or too many checks run.
    """
    throttle.check(key)
    if not _checks.acquire(timeout=PASSWORD_CHECK_WAIT_S):
        raise Busy("too many sign-ins at this moment", retry_after_s=2.0, hint="try again in a moment")
    try:
        with throttle.trying(key, name):  # no sooner: who waits for others has not tried yet
            yield
        SIGN_INS.labels("ok").inc()
    except NotSignedIn:
        SIGN_INS.labels("refused").inc()
        raise
    finally:
        _checks.release()


# Signing in ----------------------------------------------------------------------------------------------------------


def sign_in(
    request: Request, context: WebContext, throttle: SignInThrottle, name: str, password: str, code: str = ""
) -> SignedIn:
    """Check name, password and the code of a second factor, and begin a session.

    Raises:
        SecondFactorNeeded: the password is right, and there is no code.
        NotSignedIn, Busy.
    """
    row = check_password(request, context, throttle, name, password)
    if row.totp:
        if not code:
            note_password_right(request, row)
            raise SecondFactorNeeded("this takes a code of your app as well", hint="send it as code")
        note(request, proven=row.name)
        _check_code(request, context, row, code)
    return begun(request, context, row)


def note_password_right(request: Request, row: UserRecord) -> None:
    """A right password, and no code yet: that alone is worth an entry, for whoever it belongs to may not be there."""
    note(request, action=HALF_IN, proven=row.name, second_factor="asked for")


def check_password(
    request: Request, context: WebContext, throttle: SignInThrottle, name: str, password: str
) -> UserRecord:
    """Whose name and password that is; the form and the API both come here. Raises NotSignedIn, Busy."""
    refuse_cross_site(request)
    known = context.catalog.people.user(name)
    # Not what was typed: people type passwords where their name belongs.
    note(request, target=known.name if known else "a name that nobody has")
    with guarded(throttle, client_address(request), folded(name)):
        return context.people.check_password(name, password)


def wait_for_code(context: WebContext, row: UserRecord) -> Waiting:
    """The password of ``row`` was right, the code is to come."""
    return context.people.second.wait_for(row)


def sign_in_with_code(request: Request, context: WebContext, waiting: str, code: str) -> SignedIn:
    """Go on where ``wait_for_code`` began. Raises NotSignedIn, Busy."""
    refuse_cross_site(request)
    found, user_id = context.people.second.waiting(waiting)
    # Before a try is spent: a new password removes what waits in the transaction that sets it.
    row = next((row for row in context.people.all() if row.id == user_id and row.enabled and row.totp), None)
    if row is None:
        raise NotSignedIn("the sign-in is over", hint="begin again with your password")
    note(request, target=row.name, proven=row.name)
    _check_code(request, context, row, code, found)
    return begun(request, context, row)


def _check_code(
    request: Request, context: WebContext, row: UserRecord, code: str, waiting: CodeRecord | None = None
) -> None:
    # By person, not by address: only who has the password comes here, and codes are short.
    with guarded(request.app.state.code_throttle, f"user {row.id}"):
        if waiting is not None:
            context.people.second.spend_try(waiting)  # only now: who has to wait has not tried
        context.people.second.check(row, code)


def begun(request: Request, context: WebContext, row: UserRecord, *, id_token: str = "") -> SignedIn:
    """A session for somebody who has proved to be ``row``, by an ``id_token`` of their provider if it was that."""
    session = context.people.begin_session(
        row, address=client_address(request), browser=request.headers.get("user-agent", ""), id_token=id_token
    )
    old = session_secret(request)
    if old:  # a new session for every sign-in: nobody can plant one beforehand
        context.people.sign_out(old)
    note(request, who=row.name)
    return session


def set_up(
    request: Request, context: WebContext, throttle: SignInThrottle, code: str, name: str, password: str
) -> SignedIn:
    """Make the first administrator and sign them in. Raises NotSignedIn for a bad code, Refused for a bad password."""
    refuse_cross_site(request)
    with guarded(throttle, client_address(request)):
        row = context.enrolment.set_up(code, name, password)
    note(request, target=row.name)
    return begun(request, context, row)


def set_password_by_link(
    request: Request, context: WebContext, code: str, password: str, *, keep_tokens: bool = False
) -> UserRecord:
    """Set the password that a link is for, and revoke the person's tokens.

    Raises:
        NotSignedIn, Refused: the code is bad; the password is.
        Busy: after too many bad codes.
    """
    refuse_cross_site(request)
    with guarded(throttle_of(request), client_address(request)):
        row = context.people.reset_password(code, password, keep_tokens=keep_tokens)
    note(request, action="password.reset", target=row.name, who=row.name)
    return row


def refuse_tokens(who: Identity, what: str) -> None:
    """Raises NotPermitted for a token, which may be in others' hands; the server's own command line may."""
    if who.via == "token" and who.name != LOCAL_USER:
        raise NotPermitted(f"a token {what}", hint="sign in with your password")


def _who(request: Request) -> Identity:
    who: Identity = request.scope["state"]["identity"]
    return who


# Users ---------------------------------------------------------------------------------------------------------------


def add_user(
    request: Request, name: str, *, role: str, scope: Sequence[str], password: str | None = None
) -> tuple[UserRecord, ResetLink | None]:
    """Add a person; without a password there is a link to set one.

    Raises:
        NotPermitted: a token asks.
        BadName, Refused, Conflict.
    """
    refuse_tokens(_who(request), "adds no people")
    context = context_of(request)
    row = context.people.create(name, password, role=role, scope=scope)
    note(request, action="user.add", target=row.name, role=row.role, scope=row.scope)
    return row, new_link(request, row.name) if password is None else None


def change_user(
    request: Request,
    name: str,
    *,
    role: str | None = None,
    scope: Sequence[str] | None = None,
    enabled: bool | None = None,
    password: str | None = None,
) -> UserRecord:
    """Change a person.

    Raises:
        NotPermitted: a token would set a password.
        NotFound, BadName, Refused.
        Conflict: it is the last administrator.
    """
    if password is not None:
        refuse_tokens(_who(request), "changes no passwords")
    row = context_of(request).people.change(name, role=role, scope=scope, enabled=enabled, password=password)
    changed = {"role": role, "scope": scope if scope != [] else "everything", "enabled": enabled}
    told: dict[str, Any] = {key: value for key, value in changed.items() if value is not None}
    if password is not None:
        told["new_password"] = True
    note(request, action="user.change", target=row.name, **told)
    return row


def remove_user(request: Request, name: str) -> None:
    """Remove a person with all sessions and tokens. Raises NotFound, Conflict for the last administrator."""
    people = context_of(request).people
    row = people.get(name)
    people.remove(row.name)
    note(request, action="user.remove", target=row.name)


def new_link(request: Request, name: str) -> ResetLink:
    """A link with which the person sets a password, once. Raises NotFound, NotPermitted for a token."""
    refuse_tokens(_who(request), "changes no passwords")
    context = context_of(request)
    code = context.people.new_reset_code(name)
    told = request.scope.get("state", {}).get("audit", {})
    if not told.get("action"):
        note(request, action="user.reset-link", target=context.people.get(name).name)
    root = str(request.scope.get("root_path", "")).rstrip("/")
    link = f"{request.url.scheme}://{request.url.netloc}{root}/reset?code={code}"
    return ResetLink(link, context.clock.now_ns() + int(RESET_LINK_S_MAX * 1e9))


def end_sessions(request: Request, name: str, *, but: str = "") -> int:
    """End all sessions of a person, but one perhaps; how many. Raises NotFound."""
    ended = context_of(request).people.sign_out_everywhere(name, but=but)
    note(request, action="session.end-all", target=name, ended=ended)
    return ended


def end_session(request: Request, session_id: str, *, user_id: int | None) -> SessionRecord:
    """End one session, of this user if told so. Raises NotFound."""
    people = context_of(request).people
    ended = people.end_session(session_id, user_id=user_id)
    whose = next((row.name for row in people.all() if row.id == ended.user_id), "")
    note(request, action="session.end", target=whose, session=session_id_of(ended), address=ended.address)
    return ended


def remove_second_factor(request: Request, name: str) -> UserRecord:
    """The person signs in by password alone from now on. Raises NotFound, NotPermitted for a token."""
    refuse_tokens(_who(request), "turns off no second factors")
    people = context_of(request).people
    people.second.remove(people.get(name))
    row = people.get(name)
    note(request, action="second-factor.remove", target=row.name)
    return row


# Tokens --------------------------------------------------------------------------------------------------------------


def new_token(
    request: Request,
    who: Identity,
    name: str,
    *,
    label: str,
    scope: Sequence[str],
    role: str,
    ttl_s: float | None,
    password: str,
) -> tuple[str, TokenRecord]:
    """A token of ``name``: the secret, shown once, and its row.

    Args:
        password: of whoever asks, unless that is the server's command line: a token outlives the session.

    Raises:
        NotPermitted: a token asks: it would outlive itself; or it is another's, and ``who`` is no administrator; or
            the password is wrong.
        NotFound, BadName, Refused, TooLarge.
        Busy: after too many wrong passwords.
    """
    refuse_tokens(who, "makes no tokens")
    if name != who.name:
        who.require("admin")
        who.require_whole()
    if who.provider:
        _prove_fresh(request, who)
    elif who.via == "session":
        prove_password(request, who, password)
    secret, row = context_of(request).people.new_token(name, label=label, scope=scope, role=role, ttl_s=ttl_s)
    note(request, action="token.add", target=name, token=row.id, name=row.name, role=role, scope=scope, ttl_s=ttl_s)
    return secret, row


def revoke_token(request: Request, who: Identity, token_id: int) -> TokenRecord:
    """Make a token worthless: one's own, or as an administrator anybody's.

    Raises:
        NotPermitted: a token would revoke another one.
        NotFound.
    """
    if token_id != who.token:
        refuse_tokens(who, "revokes itself alone")
    is_all = who.may("admin") and who.scope.everything
    people = context_of(request).people
    row = people.revoke_token(token_id, user_id=None if is_all else who.user_id)
    whose = next((user.name for user in people.all() if user.id == row.user_id), "")
    note(request, action="token.revoke", target=whose, token=row.id, name=row.name)
    return row


# Oneself -------------------------------------------------------------------------------------------------------------


def prove_password(request: Request, who: Identity, password: str) -> UserRecord:
    """Whoever sits at a browser that somebody left signed in shall not take the account over.

    Raises:
        NotPermitted: the password is wrong, there is none here, or a token asks.
        Busy: after too many wrong ones.
    """
    if who.via != "session":
        raise NotPermitted("a token changes no password", hint="sign in with your password")
    if who.provider:
        raise NotPermitted("you have no password here", hint=f"it is kept by {who.provider}")
    try:
        with guarded(throttle_of(request), client_address(request), folded(who.name)):
            return context_of(request).people.check_password(who.name, password)
    except NotSignedIn as error:
        raise NotPermitted("that is not your password", hint="type the one you sign in with now") from error


def _prove_fresh(request: Request, who: Identity) -> None:
    """For those who have no password here. Raises NotPermitted unless they signed in just now."""
    if (context_of(request).clock.now_ns() - who.began_ns) / 1e9 > OIDC_FRESH_S:
        raise NotPermitted(
            "you signed in too long ago for this", hint="sign out and in again, then make the token within ten minutes"
        )


def change_own_password(request: Request, who: Identity, current: str, new: str) -> int:
    """Change one's password; all other sessions end, how many is told. Raises NotPermitted, Refused, Busy."""
    row = prove_password(request, who, current)
    ended = context_of(request).people.change_own_password(row, new, keep=who.session)
    note(request, action="password.change", target=who.name, sessions_ended=ended)
    return ended


def confirm_second_factor(request: Request, who: Identity, code: str) -> list[str]:
    """The app shows the right code; returns the recovery codes. Raises Conflict, NotPermitted, Busy."""
    people = context_of(request).people
    row = people.get(who.name)
    try:
        with guarded(request.app.state.code_throttle, f"user {row.id}"):
            codes = people.second.confirm(row, code)
    except NotSignedIn as error:
        raise NotPermitted(error.message, hint=error.hint) from error
    note(request, action="second-factor.add", target=who.name)
    return codes


def begin_second_factor(request: Request, who: Identity, password: str) -> str:
    """A secret for an app. Raises Conflict, NotPermitted, Busy."""
    row = prove_password(request, who, password)
    secret = context_of(request).people.second.begin(row)
    note(request, action="second-factor.begin", target=who.name)
    return secret


def new_recovery_codes(request: Request, who: Identity, password: str) -> list[str]:
    """Other recovery codes. Raises Conflict, NotPermitted, Busy."""
    codes = context_of(request).people.second.new_recovery_codes(prove_password(request, who, password))
    note(request, action="second-factor.recovery-codes", target=who.name)
    return codes


def turn_off_second_factor(request: Request, who: Identity, password: str) -> None:
    """From now on the password alone is enough. Raises NotPermitted, Busy."""
    context_of(request).people.second.remove(prove_password(request, who, password))
    note(request, action="second-factor.remove", target=who.name)
