"""One-time codes by time (RFC 6238, HMAC-SHA-1, six digits, 30 seconds), as authenticator apps make them. Pure.

A code counts within its time step and one step before and after it. Which step it was of is told to the caller, who
must see to it that no step counts twice.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from urllib.parse import quote

from logferry.limits import TOTP_DIGITS, TOTP_STEP_S, TOTP_STEPS_AROUND

_SECRET_BYTES = 20
"""As long as the digest (RFC 4226, 4, R6)."""


def new_totp_secret() -> str:
    """A secret for one person's app: 160 random bits, base32."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")


def totp_at(secret: str, step: int) -> str:
    """The code of time step ``step`` (seconds since 1970 divided by 30). Raises ValueError for what is no secret."""
    try:
        key = base64.b32decode(secret)
    except binascii.Error as error:
        raise ValueError("the secret is not base32") from error
    digest = hmac.digest(key, step.to_bytes(8, "big"), "sha1")
    start = digest[-1] & 0x0F  # RFC 4226, 5.3: dynamic truncation
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return str(number % 10**TOTP_DIGITS).zfill(TOTP_DIGITS)


def step_at(now_ns: int) -> int:
    """The time step of a moment, nanoseconds since 1970."""
    return now_ns // (TOTP_STEP_S * 1_000_000_000)


def matching_step(secret: str, typed: str, now_ns: int) -> int | None:
    """The time step whose code ``typed`` is, the latest if there are several; None for a wrong code."""
    code = normal_totp(typed)
    now = step_at(now_ns)
    found = None
    for step in range(now - TOTP_STEPS_AROUND, now + TOTP_STEPS_AROUND + 1):
        # All are compared, whichever fits: how long it takes tells nothing.
        if hmac.compare_digest(totp_at(secret, step).encode(), code.encode("utf-8", "replace")):
            found = step
    return found


def normal_totp(typed: str) -> str:
    """A code as it was made: apps show it in groups."""
    return "".join(typed.split()).replace("-", "")


def looks_like_totp(typed: str) -> bool:
    """Whether it may be a code of an app, not a recovery code."""
    code = normal_totp(typed)
    return len(code) == TOTP_DIGITS and code.isascii() and code.isdigit()


def otpauth_uri(secret: str, *, name: str, server: str) -> str:
    """What an app reads from the QR code: ``otpauth://totp/Logferry%20logs.example:ann?secret=…``."""
    issuer = quote(f"Logferry {server}".strip(), safe="")
    label = f"{issuer}:{quote(name, safe='')}"
    return (
        f"otpauth://totp/{label}?secret={secret.rstrip('=')}&issuer={issuer}&digits={TOTP_DIGITS}&period={TOTP_STEP_S}"
    )
