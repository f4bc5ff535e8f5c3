"""People and tokens, for administrators who see all of the archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from starlette.responses import Response

from logferry.archive.records import UserRecord
from logferry.errors import LogferryError, NotFound, Refused
from logferry.server.people import NO_PASSWORD, session_id_of
from logferry.web import managing
from logferry.web.api.people_shapes import ROLES_IN_WORDS
from logferry.web.pages.forms import back_to, managed_by
from logferry.web.pages.guard import Visit
from logferry.web.pages.me import (
    LASTING,
    Said,
    ShownToken,
    browser_of,
    refusal_of,
    roles_up_to,
    said_of,
    token_id_in,
    token_of,
)
from logferry.web.pages.scopes import scope_in, scope_text
from logferry.web.pages.sign_in import Form

ROLES = tuple((name, may) for name, may in ROLES_IN_WORDS if name != "agent")
SAID = {
    "changed": ("Changed", "It holds at once."),
    "ended": ("The session is over", ""),
    "all-ended": ("All sessions are over", ""),
    "factor-off": ("The second factor is off", "The password alone is enough again."),
    "revoked": ("The token is worthless from now on", ""),
    "removed": ("Removed, with all sessions and tokens", ""),
}


# All of them ---------------------------------------------------------------------------------------------------------


def users(visit: Visit) -> Response:
    """``/admin/users``"""
    managed_by(visit)
    return _users(visit, said_of(visit, SAID))


def _users(visit: Visit, said: Said | None, *, status: int = 200, form: Form | None = None) -> Response:
    people = visit.context.people
    return visit.page(
        "users.html", status=status, said=said, rows=people.all(), form=form or {}, roles=ROLES,
        signed_in=Counter(session.user_id for session in people.sessions()), no_password=NO_PASSWORD,
    )  # fmt: skip


def add_user(visit: Visit, form: Form) -> Response:
    """``POST /admin/users``: a new person, and the link with which they set a password."""
    managed_by(visit)
    try:
        row, link = managing.add_user(
            visit.request, form.get("name", "").strip(), role=form.get("role", "viewer"), scope=scope_in(form)
        )
    except LogferryError as error:
        return _users(visit, refusal_of(error), status=error.http_status, form=form)
    return _user(visit, row.name, Said("info", f"{row.name} is added", "Give them this link."), link=link)


# One of them ---------------------------------------------------------------------------------------------------------


def user(visit: Visit) -> Response:
    """``/admin/users/{name}``"""
    managed_by(visit)
    return _user(visit, visit.request.path_params["name"], said_of(visit, SAID))


def _user(
    visit: Visit,
    name: str,
    said: Said | None,
    *,
    status: int = 200,
    link: managing.ResetLink | None = None,
    secret: str = "",
    form: Form | None = None,
) -> Response:
    people = visit.context.people
    row = people.get(name)
    sessions = [
        {"row": one, "id": session_id_of(one), "current": one.key_hash == visit.who.session}
        for one in people.sessions(row.name)
    ]
    return visit.page(
        "user.html", status=status, said=said, row=row, link_made=link, secret=secret, sessions=sessions, roles=ROLES,
        tokens=[ShownToken(token, row.name) for token in people.tokens(row.name)], scope=scope_text(row.scope),
        form=form or {}, lasting=LASTING, token_roles=roles_up_to(row.role), browser_of=browser_of,
        has_password=row.password_hash != NO_PASSWORD,
    )  # fmt: skip


def change_user(visit: Visit, form: Form) -> Response:
    """``POST /admin/users/{name}``: ``do`` says what."""
    managed_by(visit)
    row = visit.context.people.get(visit.request.path_params["name"])
    do = _DEEDS.get(form.get("do", ""))
    if do is None:
        raise Refused("this form says nothing that can be done", hint="load the page again")
    try:
        return do(visit, row, form)
    except NotFound:
        raise
    except LogferryError as error:
        return _user(visit, row.name, refusal_of(error), status=error.http_status, form=form)


def _change(visit: Visit, row: UserRecord, form: Form) -> Response:
    role, scope = (None, None) if row.issuer else (form.get("role", row.role), scope_in(form))
    managing.change_user(visit.request, row.name, role=role, scope=scope, enabled="enabled" in form)
    return _back(visit, row, "changed")


def _link(visit: Visit, row: UserRecord, _form: Form) -> Response:
    link = managing.new_link(visit.request, row.name)
    return _user(visit, row.name, None, link=link)


def _end_session(visit: Visit, row: UserRecord, form: Form) -> Response:
    managing.end_session(visit.request, form.get("id", ""), user_id=row.id)
    return _back(visit, row, "ended")


def _end_sessions(visit: Visit, row: UserRecord, _form: Form) -> Response:
    managing.end_sessions(visit.request, row.name)
    return _back(visit, row, "all-ended")


def _factor_off(visit: Visit, row: UserRecord, _form: Form) -> Response:
    managing.remove_second_factor(visit.request, row.name)
    return _back(visit, row, "factor-off")


def _add_token(visit: Visit, row: UserRecord, form: Form) -> Response:
    secret, _ = token_of(visit, visit.who, row.name, form)
    return _user(visit, row.name, None, secret=secret)


def _revoke(visit: Visit, row: UserRecord, form: Form) -> Response:
    managing.revoke_token(visit.request, visit.who, token_id_in(form))
    return _back(visit, row, "revoked")


def _remove(visit: Visit, row: UserRecord, form: Form) -> Response:
    if form.get("sure", "").strip() != row.name:
        raise Refused(f"type {row.name} to remove them", hint="so that nobody is removed by a slip")
    managing.remove_user(visit.request, row.name)
    return back_to(visit, "/admin/users", said="removed")


def _back(visit: Visit, row: UserRecord, said: str) -> Response:
    return back_to(visit, f"/admin/users/{row.name}", said=said)


_DEEDS: dict[str, Callable[[Visit, UserRecord, Form], Response]] = {
    "change": _change,
    "link": _link,
    "end-session": _end_session,
    "end-sessions": _end_sessions,
    "factor-off": _factor_off,
    "token": _add_token,
    "revoke": _revoke,
    "remove": _remove,
}


# Tokens --------------------------------------------------------------------------------------------------------------


def tokens(visit: Visit) -> Response:
    """``/admin/tokens``: those of everybody."""
    managed_by(visit)
    people = visit.context.people
    names = {row.id: row.name for row in people.all()}
    rows = [ShownToken(row, names[row.user_id]) for row in people.tokens() if row.user_id in names]
    return visit.page("admin_tokens.html", said=said_of(visit, SAID), tokens=rows)


def revoke_token(visit: Visit, form: Form) -> Response:
    """``POST /admin/tokens/revoke``"""
    managed_by(visit)
    managing.revoke_token(visit.request, visit.who, token_id_in(form))
    return back_to(visit, "/admin/tokens", said="revoked")
