"""What is masked in a support bundle, byte by byte."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from logferry.ftp.passwords import generate_password, hash_password
from logferry.server.masking import MASK, Masker
from logferry.server.passwords import digest, new_code, new_secret


@pytest.mark.parametrize(
    "drawn",
    [
        generate_password, lambda: new_secret("LT-"), lambda: new_code("LJ-"), new_code, new_secret,
        lambda: hash_password("correct horse", light=True), lambda: digest("x"),
        lambda: "$scrypt$ln=14,r=8,p=1$c2FsdA$aGFzaA",
    ],
    ids=["password", "token", "join code", "code", "secret", "argon2", "digest", "scrypt"],
)  # fmt: skip
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(drawn: Callable[[], str]) -> None:
    """Bare, quoted, within a sentence, in JSON."""
    secret = drawn()
    masker = Masker([])
    for text in (secret, f"x {secret} y", f'"{secret}"', f"user ada: {secret}", f"(was {secret})"):
        assert secret not in masker.text(text)
        assert MASK in masker.text(text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://u:pw@db.example/x", "postgresql://***@db.example/x"),
        ("https://hooks.example/services/T0/abc", "https://hooks.example/***"),
        ("password=short", "password=***"),
        ('{"token": "abc"}', '{"token": "***"}'),
        ("Authorization: abc", "Authorization: ***"),
        ("/setup?code=7QK2", "/setup?code=***"),
        ("the password file /etc/secret is fine", "the password file /etc/secret is fine"),
        (
            "web-01: upload of /var/log/nginx/access.log broke off",
            "web-01: upload of /var/log/nginx/access.log broke off",
        ),
        ("sha256/" + "ab" * 32, "sha256/" + "ab" * 32),
    ],
)
def test_the_rest_of_a_text_stays(text: str, masked: str) -> None:
    """A bundle in which everything is masked helps nobody; the pin is no secret."""
    assert Masker([]).text(text) == masked


def test_known_secrets_are_masked_though_they_look_like_words() -> None:
    """The longer one first, so that no rest of it is left."""
    assert Masker(["horse", "correct horse"]).text("correct horse, horse!") == "***, ***!"
    assert Masker(["", "x"]).text("xx") == "xx"


def test_settings_are_masked_by_their_name_and_files_only_named() -> None:
    """Where a secret is kept is worth knowing; a webhook and an access key are secrets themselves."""
    masker = Masker([])
    assert masker.setting("catalog.password_file", "/run/secrets/pg") == "/run/secrets/pg"
    assert masker.setting("channels.ops.webhook", "https://x") == MASK
    assert masker.setting("store.key_id", "AKIA1") == MASK
    assert masker.setting("web.trusted_proxies", ("127.0.0.1",)) == ["127.0.0.1"]
    assert masker.setting("ftp.processes", 2) == 2


def test_hidden_names_are_the_same_within_a_bundle_only() -> None:
    """What helps stays: times, levels, events, numbers, plain words."""
    one, other = (Masker([], hide=secrets.token_bytes(16), names=["web-01"]) for _ in range(2))
    assert one.name("web-01") == one.name("web-01") != other.name("web-01")
    entry = {"event": "sent", "level": "info", "timestamp": "t", "user": "ada", "bytes": 3, "path": ["/a/b"]}
    hidden = one.entry(entry)
    assert (hidden["event"], hidden["bytes"], hidden["timestamp"]) == ("sent", 3, "t")
    assert "ada" not in str(hidden)
    assert "/a/b" not in str(hidden)
    assert one.text("agent web-01 is silent") == f"agent {one.name('web-01')} is silent"
    assert one.setting("ftp.listen", "10.1.2.3:2121").startswith("name-")
    assert [one.setting("x", value) for value in ("required", "5%", "30000-30099", "10 MiB")] == [
        "required", "5%", "30000-30099", "10 MiB",
    ]  # fmt: skip
