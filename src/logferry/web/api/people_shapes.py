"""The JSON of people: users, sessions, tokens, the audit."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from logferry.archive.records import AuditRecord, SessionRecord, TokenRecord, UserRecord
from logferry.clock import rfc3339
from logferry.limits import (
    HIGHLIGHT_CHARS_MAX,
    HIGHLIGHTS_MAX,
    PASSWORD_CHARS_MAX,
    SCOPE_GLOB_CHARS_MAX,
    SCOPE_GLOBS_MAX,
    TOKEN_NAME_CHARS_MAX,
)
from logferry.server.audit import Kind
from logferry.server.people import NO_PASSWORD, session_id_of
from logferry.web.api.shapes import Shape
from logferry.web.preferences import Colour

Role = Literal["viewer", "operator", "admin"]
Globs = Annotated[
    list[Annotated[str, Field(max_length=SCOPE_GLOB_CHARS_MAX)]],
    Field(
        max_length=SCOPE_GLOBS_MAX,
        description="globs over agent/path, `!` excepts; empty: everything",
        examples=[["web-*/**", "!**/secrets/**"]],
    ),
]
Password = Annotated[str, Field(max_length=PASSWORD_CHARS_MAX)]


class User(Shape):
    """A person. ``has_password``: whether anybody can sign in by it; ``second_factor``: whether that takes a code;
    ``provider``: the OpenID Connect provider they sign in by and have their rights from, empty for none."""

    name: str
    role: str
    scope: list[str]
    enabled: bool
    has_password: bool
    second_factor: bool
    provider: str
    created_at: str
    signed_in_at: str | None


class UserList(Shape):
    """Everybody, by name."""

    items: list[User]
    next: None = None


class NewUser(BaseModel):
    """A person to be. Without a password the answer has a link with which they set one."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(max_length=256, examples=["ann"])]
    role: Role = "viewer"
    scope: Globs = Field(default_factory=list)
    password: Password | None = None


class UserChange(BaseModel):
    """What is to be different; what is absent stays."""

    model_config = ConfigDict(extra="forbid")
    role: Role | None = None
    scope: Globs | None = None
    enabled: bool | None = None
    password: Password | None = None


class Link(Shape):
    """A link with which a person sets a password, once; shown only now."""

    link: str
    expires_at: str


class MadeUser(User):
    """A new person, and the link to set a password where none was given."""

    link: str | None
    expires_at: str | None


class Session(Shape):
    """A signed-in browser. ``current``: the one that asks."""

    id: str
    user: str
    address: str
    browser: str
    began_at: str
    used_at: str
    expires_at: str
    current: bool


class SessionList(Shape):
    """Sessions, the last used first."""

    items: list[Session]
    next: None = None


class Ended(Shape):
    """How many sessions ended."""

    ended: int


class Token(Shape):
    """An API token without its secret. ``role``: at most; ``null``: what its person may."""

    id: int
    user: str
    name: str
    role: str | None
    scope: list[str]
    created_at: str
    expires_at: str | None
    used_at: str | None
    used_address: str


class TokenList(Shape):
    """Tokens, the oldest first."""

    items: list[Token]
    next: None = None


class NewApiToken(BaseModel):
    """A token to be: it may no more than its person, and less if told so."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(max_length=TOKEN_NAME_CHARS_MAX, description="what it is for")] = ""
    scope: Globs = Field(default_factory=list)
    role: Role | None = Field(None, description="what it may at most; absent: what the person may")
    ttl_s: Annotated[float, Field(ge=1, le=3660 * 86400)] | None = Field(
        90 * 86400.0, description="seconds until it is worthless; `null`: until it is revoked"
    )
    user: Annotated[str, Field(max_length=256)] | None = Field(None, description="whose, for administrators")
    password: Annotated[str, Field(max_length=PASSWORD_CHARS_MAX)] = Field(
        "", description="yours, which a session has to prove"
    )


class MadeToken(Token):
    """A new token; ``token`` is shown only now."""

    token: str


class Roles(Shape):
    """What each role may."""

    items: list[RoleShape]


class RoleShape(Shape):
    """A role in words."""

    name: str
    may: str


class PasswordChange(BaseModel):
    """Your password, and the one it shall be."""

    model_config = ConfigDict(extra="forbid")
    current: Password
    new: Password


class OwnPassword(BaseModel):
    """Your password, to prove that it is you."""

    model_config = ConfigDict(extra="forbid")
    password: Password


class Code(BaseModel):
    """A code that your app shows."""

    model_config = ConfigDict(extra="forbid")
    code: Annotated[str, Field(max_length=64)]


class HighlightShape(Shape):
    """A word that the viewer marks, in its colour; ``exact_case``: only where upper and lower case are the same."""

    word: Annotated[str, Field(min_length=1, max_length=HIGHLIGHT_CHARS_MAX, examples=["connection refused"])]
    colour: Colour = "yellow"
    exact_case: bool = False


class NewHighlights(Shape):
    """All highlights there shall be."""

    items: Annotated[list[HighlightShape], Field(max_length=HIGHLIGHTS_MAX)]


class HighlightList(NewHighlights):
    """Highlights, in the order they were given."""

    next: None = None


class SecondFactorState(Shape):
    """Whether signing in takes a code, and how many recovery codes are left."""

    enabled: bool
    recovery_codes_left: int


class NewSecondFactor(Shape):
    """What an authenticator app needs; it counts once a code of it is confirmed."""

    secret: str
    uri: str


class RecoveryCodes(Shape):
    """Codes for the day the phone is gone, each good once; shown only now."""

    recovery_codes: list[str]


class AuditEntry(Shape):
    """Who did what. ``hash`` goes over the entry and the hash before it."""

    id: int
    at: str
    who: str
    role: str
    via: str
    address: str
    kind: Kind
    action: str
    target: str
    detail: dict[str, Any]
    request_id: str
    hash: str


class AuditPage(Shape):
    """Entries, the newest first."""

    items: list[AuditEntry]
    next: str | None


class AuditVerified(Shape):
    """What reading the whole chain told. ``head`` is worth noting elsewhere; ``at``: the entry a problem is about."""

    ok: bool
    entries: int
    head: str
    start: str
    at: int | None
    problem: str


ROLES_IN_WORDS = (
    ("viewer", "browse, search, tail and download inside the scope; own tokens"),
    ("operator", "as viewer, and add and change agents, see jobs and damage"),
    ("admin", "as operator, and users, tokens of everybody, retention, holds, audit, system"),
    ("agent", "FTP only: deliver into its own tree; no sign-in here, no reading"),
)


def user_shape(row: UserRecord) -> User:
    """A person as JSON."""
    return User(**_user(row))


def made_user_shape(row: UserRecord, link: Link | None) -> MadeUser:
    """A new person as JSON."""
    return MadeUser(**_user(row), link=link.link if link else None, expires_at=link.expires_at if link else None)


def _user(row: UserRecord) -> dict[str, Any]:
    return {
        "name": row.name,
        "role": row.role,
        "scope": list(row.scope),
        "enabled": row.enabled,
        "has_password": row.password_hash != NO_PASSWORD,
        "second_factor": bool(row.totp),
        "provider": row.issuer,
        "created_at": rfc3339(row.created_ns),
        "signed_in_at": None if row.signed_in_ns is None else rfc3339(row.signed_in_ns),
    }


def session_shape(row: SessionRecord, user: str, current: str) -> Session:
    """A session as JSON; ``current``: the key hash of the one that asks."""
    return Session(
        id=session_id_of(row),
        user=user,
        address=row.address,
        browser=row.browser,
        began_at=rfc3339(row.created_ns),
        used_at=rfc3339(row.used_ns),
        expires_at=rfc3339(row.expires_ns),
        current=row.key_hash == current,
    )


def token_shape(row: TokenRecord, user: str) -> Token:
    """A token as JSON."""
    return Token(**_token(row, user))


def made_token_shape(row: TokenRecord, user: str, secret: str) -> MadeToken:
    """A new token as JSON."""
    return MadeToken(**_token(row, user), token=secret)


def _token(row: TokenRecord, user: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "user": user,
        "name": row.name,
        "role": row.role or None,
        "scope": list(row.scope),
        "created_at": rfc3339(row.created_ns),
        "expires_at": None if row.expires_ns is None else rfc3339(row.expires_ns),
        "used_at": None if row.used_ns is None else rfc3339(row.used_ns),
        "used_address": row.used_address,
    }


def audit_json(row: AuditRecord) -> dict[str, Any]:
    """An entry as plain values."""
    return {
        "id": row.id,
        "at": rfc3339(row.time_ns),
        "who": row.who,
        "role": row.role,
        "via": row.via,
        "address": row.address,
        "kind": row.kind,
        "action": row.action,
        "target": row.target,
        "detail": json.loads(row.detail),
        "request_id": row.request_id,
        "hash": row.hash,
    }
