"""``/users``, ``/roles`` and ``/tokens``: people and what they may, for administrators; tokens also one's own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request

from logferry.clock import rfc3339
from logferry.web import managing
from logferry.web.api.people_shapes import (
    ROLES_IN_WORDS,
    Ended,
    Link,
    MadeToken,
    MadeUser,
    NewApiToken,
    NewUser,
    Roles,
    RoleShape,
    SessionList,
    TokenList,
    User,
    UserChange,
    UserList,
    made_token_shape,
    made_user_shape,
    session_shape,
    token_shape,
    user_shape,
)
from logferry.web.auth import Context, Viewer, WholeAdministrator

router = APIRouter(tags=["people"])


@router.get("/roles")
def roles(_who: Viewer) -> Roles:
    """What each role may."""
    return Roles(items=[RoleShape(name=name, may=may) for name, may in ROLES_IN_WORDS])


@router.get("/users")
def users(context: Context, _who: WholeAdministrator) -> UserList:
    """Everybody who may sign in."""
    return UserList(items=[user_shape(row) for row in context.people.all()])


@router.post("/users", status_code=201)
def add_user(request: Request, body: NewUser, _who: WholeAdministrator) -> MadeUser:
    """Add a person. Without a password the answer has a link with which they set one, shown this once."""
    row, link = managing.add_user(request, body.name, role=body.role, scope=body.scope, password=body.password)
    return made_user_shape(row, _link(link) if link else None)


@router.get("/users/{name}")
def user(name: str, context: Context, _who: WholeAdministrator) -> User:
    """One person."""
    return user_shape(context.people.get(name))


@router.patch("/users/{name}")
def change_user(request: Request, name: str, body: UserChange, _who: WholeAdministrator) -> User:
    """Change role, scope, state or password. A new password, or none of them letting in, ends all sessions."""
    row = managing.change_user(
        request, name, role=body.role, scope=body.scope, enabled=body.enabled, password=body.password
    )
    return user_shape(row)


@router.delete("/users/{name}", status_code=204)
def remove_user(request: Request, name: str, _who: WholeAdministrator) -> None:
    """Remove a person with all sessions and tokens. The last administrator stays."""
    managing.remove_user(request, name)


@router.post("/users/{name}/reset", status_code=201)
def reset_user(request: Request, name: str, _who: WholeAdministrator) -> Link:
    """A link with which the person sets a new password, once. Older ones become worthless."""
    return _link(managing.new_link(request, name))


@router.delete("/users/{name}/second-factor")
def remove_second_factor(request: Request, name: str, _who: WholeAdministrator) -> User:
    """The phone is gone, and so are the recovery codes: the password alone is enough again."""
    return user_shape(managing.remove_second_factor(request, name))


@router.get("/users/{name}/sessions")
def sessions(name: str, context: Context, who: WholeAdministrator) -> SessionList:
    """Where a person is signed in."""
    row = context.people.get(name)
    return SessionList(items=[session_shape(one, row.name, who.session) for one in context.people.sessions(row.name)])


@router.delete("/users/{name}/sessions")
def end_sessions(request: Request, name: str, _who: WholeAdministrator) -> Ended:
    """End all sessions of a person, at once."""
    return Ended(ended=managing.end_sessions(request, name))


@router.get("/tokens")
def tokens(
    context: Context,
    who: Viewer,
    everybody: Annotated[bool, Query(alias="all", description="those of everybody, for administrators")] = False,
) -> TokenList:
    """Your API tokens, without their secrets."""
    if everybody:
        who.require("admin")
        who.require_whole()
        names = {row.id: row.name for row in context.people.all()}
        return TokenList(items=[token_shape(row, names.get(row.user_id, "")) for row in context.people.tokens()])
    return TokenList(items=[token_shape(row, who.name) for row in context.catalog.people.tokens(who.user_id)])


@router.post("/tokens", status_code=201)
def new_token(request: Request, body: NewApiToken, who: Viewer) -> MadeToken:
    """A new token, for your password; its secret is shown this once. It may no more than its person."""
    name = body.user or who.name
    secret, row = managing.new_token(
        request, who, name, label=body.name, scope=body.scope, role=body.role or "", ttl_s=body.ttl_s,
        password=body.password,
    )  # fmt: skip
    return made_token_shape(row, name, secret)


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(request: Request, token_id: int, who: Viewer) -> None:
    """Make a token worthless, at once. A token may so end itself alone."""
    managing.revoke_token(request, who, token_id)


def _link(made: managing.ResetLink) -> Link:
    return Link(link=made.link, expires_at=rfc3339(made.expires_ns))
