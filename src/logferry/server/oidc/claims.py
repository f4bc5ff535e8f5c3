"""What an ID token claims: whether it is for us, now and for this sign-in; who it is about; what they may. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from logferry.errors import NotSignedIn
from logferry.limits import OIDC_CLAIM_CHARS_MAX, OIDC_CLOCK_OFF_S, OIDC_GROUPS_MAX
from logferry.server.oidc.config import OidcConfig, OidcRoleConfig
from logferry.server.scope import Role, at_least

Claims = Mapping[str, Any]
_HINT = "try again; if it stays so, the provider or auth.oidc is set up wrongly"


@dataclass(frozen=True, slots=True)
class Outsider:
    """Somebody for whom a provider vouches: ``issuer`` and ``subject`` together never mean anybody else.

    ``role`` is empty for whom nothing at the provider gives one.
    """

    issuer: str
    subject: str
    name: str
    role: str
    scope: tuple[str, ...]


def check_claims(claims: Claims, *, issuer: str, client_id: str, nonce: str, now_s: float) -> None:
    """Raises NotSignedIn unless the token is of ``issuer``, for us, of this sign-in, and holds now.

    The rules are those of OpenID Connect Core 1.0, 3.1.3.7.
    """
    check_issued(claims, issuer=issuer, client_id=client_id, now_s=now_s)
    if nonce == "" or claims.get("nonce") != nonce:
        raise _wrong("it belongs to another sign-in")
    _text(claims, "sub")


def check_issued(claims: Claims, *, issuer: str, client_id: str, now_s: float) -> None:
    """Raises NotSignedIn unless a token, of whichever kind, is of ``issuer``, for us, and holds now."""
    if claims.get("iss") != issuer:
        raise _wrong("it is another provider's")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or client_id not in audiences:
        raise _wrong("it is meant for another program")
    party = claims.get("azp")
    if (party is not None and party != client_id) or (party is None and len(audiences) > 1):
        raise _wrong("it was given to another program")
    if _seconds(claims, "exp") <= now_s - OIDC_CLOCK_OFF_S:
        raise _wrong("it has expired")
    if not now_s - 86400 <= _seconds(claims, "iat") <= now_s + OIDC_CLOCK_OFF_S:
        raise _wrong("by our clock it was not made now")
    if "nbf" in claims and _seconds(claims, "nbf") > now_s + OIDC_CLOCK_OFF_S:
        raise _wrong("by our clock it does not hold yet")


def outsider(claims: Claims, config: OidcConfig) -> Outsider:
    """Who the claims are about, with the rights that ``config`` gives them. Raises NotSignedIn: they say no name."""
    name = _text(claims, config.name_claim)
    rights = rights_of(claim_at(claims, config.role_claim), config.roles)
    role, scope = (rights.role, rights.scope) if rights else ("", ())
    return Outsider(config.issuer, _text(claims, "sub"), name, role, scope)


def rights_of(held: object, roles: Mapping[str, OidcRoleConfig]) -> OidcRoleConfig | None:
    """What somebody may whose claim holds ``held``, a text or a list of texts: one of ``roles``, wholly, or nothing.

    The highest role counts, and of several with the same role the first of ``roles``.
    """
    values = [held] if isinstance(held, str) else held
    if not isinstance(values, Sequence):
        return None
    has = {value for value in values[:OIDC_GROUPS_MAX] if isinstance(value, str)}
    best: OidcRoleConfig | None = None
    for name, rights in roles.items():
        if name in has and (best is None or not at_least(best.role, cast("Role", rights.role))):
            best = rights
    return best


def claim_at(claims: Claims, name: str) -> Any:
    """The claim called ``name``, or, where there is none and it has dots, what lies at that path; else None."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def _text(claims: Claims, name: str) -> str:
    value = claim_at(claims, name)
    if not isinstance(value, str) or not 0 < len(value) <= OIDC_CLAIM_CHARS_MAX:
        raise NotSignedIn(
            f"the provider does not tell {name}", hint="it has to send that claim, or auth.oidc has to name another"
        )
    return value


def _seconds(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e11:
        raise _wrong(f"it does not say {name}")
    return float(value)


def _wrong(why: str) -> NotSignedIn:
    return NotSignedIn(f"the provider's answer does not hold: {why}", hint=_HINT)
