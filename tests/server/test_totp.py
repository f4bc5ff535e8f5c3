"""One-time codes as the RFC has them."""

from __future__ import annotations

import base64
import random

import pytest

from logferry.server.totp import (
    looks_like_totp,
    matching_step,
    new_totp_secret,
    normal_totp,
    otpauth_uri,
    step_at,
    totp_at,
)

SECRET = base64.b32encode(b"12345678901234567890").decode()
RFC_6238 = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]
"""Appendix B, SHA-1: eight digits there, of which an app shows the last six."""


@pytest.mark.parametrize(("second", "code"), RFC_6238)
def test_the_codes_of_the_rfc_come_out(second: int, code: str) -> None:
    """At each of its moments."""
    assert totp_at(SECRET, step_at(second * 10**9)) == code[-6:]


def test_a_code_counts_one_step_around_and_no_further() -> None:
    """Which step it was is told, so that it can be refused a second time."""
    now_ns = 1_760_000_000 * 10**9
    now = step_at(now_ns)
    for away in range(-4, 5):
        found = matching_step(SECRET, totp_at(SECRET, now + away), now_ns)
        assert found == (now + away if abs(away) <= 1 else None), away


def test_people_type_codes_in_groups() -> None:
    """Blanks and hyphens do not matter; anything else does."""
    now_ns = 59 * 10**9
    for typed in ("287 082", " 287082 ", "287-082"):
        assert matching_step(SECRET, typed, now_ns) == 1
        assert looks_like_totp(typed)
    for typed in ("", "287081", "2870820", "28708é", "\u0662\u0668\u0667\u0660\u0668\u0662", "AB2CD-EFGHJ"):
        assert matching_step(SECRET, typed, now_ns) is None
    assert not looks_like_totp("\u0662\u0668\u0667\u0660\u0668\u0662")
    assert not looks_like_totp("AB2CD-EFGHJ")
    assert normal_totp("1 2-3") == "123"


def test_guesses_do_not_fit_more_often_than_they_must() -> None:
    """Three codes of a million count at any moment."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    fits = sum(
        matching_step(SECRET, f"{dice.randrange(10**6):06d}", dice.randrange(2 * 10**9) * 10**9) is not None
        for _ in range(20_000)
    )
    assert fits < 10


def test_what_the_app_reads_is_a_uri_of_the_usual_form() -> None:
    """Names are escaped; the secret has no padding."""
    secret = new_totp_secret()
    assert len(base64.b32decode(secret)) == 20
    assert otpauth_uri(secret, name="ann@x/y", server="logs.example:8443") == (
        f"otpauth://totp/Logferry%20logs.example%3A8443:ann%40x%2Fy?secret={secret}"
        "&issuer=Logferry%20logs.example%3A8443&digits=6&period=30"
    )
    with pytest.raises(ValueError, match="base32"):
        totp_at("not base32!", 1)
