"""``[auth.oidc]``: the provider that people may sign in by, and who of them may what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from logferry.errors import BadConfig, Refused
from logferry.server.loopback import is_loopback
from logferry.server.scope import checked_scope
from logferry.settings import setting

_ROLES_HINT = 'for example roles = { log-admins = "admin", staff = { role = "viewer", scope = ["web-*/**"] } }'


@dataclass(frozen=True, slots=True)
class OidcRoleConfig:
    """What those may to whom ``roles`` gives a name: a role, as text alone, or a role and what it sees."""

    SHORT: ClassVar[str] = "role"

    role: str = setting(choices=("viewer", "operator", "admin"), doc="viewer, operator or admin")
    scope: tuple[str, ...] = setting((), doc="globs over agent/path, ! for exceptions; empty: everything")

    def __post_init__(self) -> None:
        try:
            checked_scope(self.scope)
        except Refused as error:
            raise BadConfig(f"scope: {error.message}", hint=error.hint) from error


@dataclass(frozen=True, slots=True)
class OidcConfig:
    """``[auth.oidc]``: without ``issuer`` people sign in with their password here, and in no other way."""

    issuer: str = setting("", doc="the provider's address, exactly as it calls itself; empty: no such sign-in")
    name: str = setting("", doc="what the button calls the provider; empty: its host")
    client_id: str = setting("", doc="what the provider calls this server")
    client_secret_file: str = setting("", doc="file whose first line is the client's secret; empty: a public client")
    scopes: tuple[str, ...] = setting(("openid", "profile", "email"), doc="what is asked for; openid has to be there")
    name_claim: str = setting("preferred_username", doc="the claim that becomes the user's name here, at first sign-in")
    role_claim: str = setting("groups", doc='the claim that roles are given by; "a.b" is b within a')
    roles: dict[str, OidcRoleConfig] = setting(  # noqa: RUF009 - a field like the others, made by a factory
        factory=dict, doc="value of role_claim -> role, or { role, scope }; who has none of them is not let in"
    )
    ca_file: str = setting("", doc="PEM file of an authority that vouches for the provider; empty: the system's")

    def __post_init__(self) -> None:
        if not self.issuer:
            self._check_off()
            return
        checked_address(self.issuer, "issuer", query=False)
        if not self.client_id:
            raise BadConfig("client_id is missing", hint="the provider shows it where this server is registered")
        if "openid" not in self.scopes or any(not one or any(c.isspace() for c in one) for one in self.scopes):
            raise BadConfig(
                f"scopes = {list(self.scopes)!r} will not do", hint='["openid", "profile", "email"] is usual'
            )
        if not self.roles:
            raise BadConfig("roles is empty, so nobody could sign in", hint=_ROLES_HINT)
        if not self.role_claim or not self.name_claim:
            raise BadConfig(
                "role_claim and name_claim cannot be empty", hint='usual are "groups", "preferred_username"'
            )

    def _check_off(self) -> None:
        given = [name for name in ("client_id", "client_secret_file", "roles") if getattr(self, name)]
        if given:
            hint = 'for example issuer = "https://id.example/realms/main"'
            raise BadConfig(f"issuer is missing, but there is {given[0]}", hint=hint)

    @property
    def shown_name(self) -> str:
        """What people call the provider."""
        return self.name or urlsplit(self.issuer).hostname or ""


def checked_address(url: str, what: str, *, query: bool = True) -> str:
    """Return ``url`` if a provider may be asked there: HTTPS, or HTTP to this machine. Raises BadConfig."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    plain = parts.scheme == "http" and is_loopback(host)
    odd = parts.fragment or parts.username is not None or (parts.query and not query)
    if not host or not (parts.scheme == "https" or plain) or odd or not url.isascii() or not url.isprintable():
        hint = "an https:// address" + ("" if query else " without ? and #; http:// for this machine alone")
        raise BadConfig(f"{what} = {url[:200]!r} cannot be asked", hint=hint)
    return url


def checked_endpoint(url: str, what: str, issuer: str) -> str:
    """Return ``url`` if a provider may name it: who is asked over HTTPS leads neither out of that, nor to this machine.

    Raises:
        BadConfig.
    """
    checked_address(url, what)
    if urlsplit(issuer).scheme == "https" and urlsplit(url).scheme != "https":
        raise BadConfig(f"{what} = {url[:200]!r} is not encrypted", hint="the provider has to be set up with https")
    return url
