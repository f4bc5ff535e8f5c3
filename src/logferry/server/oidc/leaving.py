"""What a logout token says: whose session ended at the provider (OpenID Connect Back-Channel Logout 1.0). Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from logferry.errors import NotSignedIn
from logferry.limits import OIDC_CLAIM_CHARS_MAX, OIDC_CLOCK_OFF_S, OIDC_LOGOUT_S_MAX
from logferry.server.oidc.claims import Claims, check_issued

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True, slots=True)
class Leaving:
    """Of ``subject`` (empty: not told) the ``session`` there (empty: all) ended at ``issued_s``, by the provider's
    clock; ``jti`` is the token's own name."""

    subject: str
    session: str
    jti: str
    issued_s: float


def leaving(claims: Claims, *, issuer: str, client_id: str, now_s: float) -> Leaving:
    """Who left. Raises NotSignedIn unless the token is one for signing out, of ``issuer``, for us, made just now.

    The rules are those of 2.4 and 2.6 there. An ID token is none: it names no such event, and has a nonce.
    """
    check_issued(claims, issuer=issuer, client_id=client_id, now_s=now_s)
    events = claims.get("events")
    if not isinstance(events, Mapping) or not isinstance(events.get(EVENT), Mapping):
        raise _wrong("it is not about signing out")
    if "nonce" in claims:
        raise _wrong("it has a nonce, as tokens for signing in have")
    issued_s = float(claims["iat"])
    if issued_s < now_s - OIDC_LOGOUT_S_MAX:
        raise _wrong("it is too old")
    subject, session = _text(claims, "sub"), _text(claims, "sid")
    if not subject and not session:
        raise _wrong("it does not say whose session ended")
    jti = _text(claims, "jti")
    if not jti:
        raise _wrong("it has no name of its own (jti)")
    return Leaving(subject, session, jti, issued_s)


def kept_until_s(left: Leaving) -> float:
    """Until when a token must not come again: after that it is too old."""
    return left.issued_s + OIDC_LOGOUT_S_MAX + OIDC_CLOCK_OFF_S


def session_in(id_token: str) -> str:
    """The provider's own name for the session in an ID token that was found good before; empty: it tells none."""
    payload = id_token.split(".")[1:2]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload[0] + "=" * (-len(payload[0]) % 4))) if payload else {}
    except (binascii.Error, ValueError, RecursionError):
        return ""
    found = claims.get("sid") if isinstance(claims, dict) else None
    return found if isinstance(found, str) else ""


def _text(claims: Claims, name: str) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str) or len(value) > OIDC_CLAIM_CHARS_MAX:
        raise _wrong(f"its {name} makes no sense")
    return value


def _wrong(why: str) -> NotSignedIn:
    return NotSignedIn(f"the logout token does not hold: {why}", hint="the provider has to send another")
