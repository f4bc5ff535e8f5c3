"""Digests out of replies: HASH as the draft and ProFTPD write it, and the commands before it."""

from __future__ import annotations

import hashlib

import pytest

from logferry.ftp.protocol.digest_reader import DigestMethod, best_method, digest_argument, read_digest
from logferry.ftp.protocol.features import Features
from logferry.ftp.protocol.replies import Reply

SHA = hashlib.sha256(b"x").hexdigest()
MD5 = hashlib.md5(b"x", usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("features", "method"),
    [
        ({"HASH": "SHA-256*;SHA-1;MD5;CRC32"}, DigestMethod("HASH", "SHA-256")),
        ({"HASH": "CRC32;MD5;SHA-1*;SHA-256;SHA-512;"}, DigestMethod("HASH", "SHA-256")),
        ({"HASH": "md5*;sha1"}, DigestMethod("HASH", "SHA-1")),
        ({"HASH": "TIGER*", "XMD5": ""}, DigestMethod("XMD5", "MD5")),
        ({"XCRC": "filename;start;end", "XSHA256": ""}, DigestMethod("XSHA256", "SHA-256")),
        ({"XCRC": ""}, DigestMethod("XCRC", "CRC32")),
        ({"SIZE": ""}, None),
        ({}, None),
    ],
)
def test_the_strongest_digest_offered_is_chosen(features: dict[str, str], method: DigestMethod | None) -> None:
    """HASH before the others, SHA-256 before what is weaker or slower."""
    assert best_method(Features(features)) == method


@pytest.mark.parametrize(
    ("text", "algorithm", "digest"),
    [
        (f"SHA-256 0-49 {SHA} /a b.log", "SHA-256", SHA),
        (f"SHA-256 0-49 {SHA.upper()} {SHA}", "SHA-256", SHA),
        (SHA, "SHA-256", SHA),
        (f"{MD5}", "MD5", MD5),
        (f"MD5 0-1 {MD5} x", "SHA-256", None),
        (f"SHA-1 0-49 {SHA} x", "SHA-256", None),
        ("0aBc1234", "CRC32", "0abc1234"),
        ("ABC", "CRC32", "00000abc"),
        ("Command not understood", "SHA-256", None),
        ("", "CRC32", None),
        (SHA[:-1], "SHA-256", None),
        ("g" * 64, "SHA-256", None),
    ],
)
def test_digests_are_found_where_they_stand(text: str, algorithm: str, digest: str | None) -> None:
    """Of the algorithm asked for, of its length, in lower case; anything else is none."""
    assert read_digest(Reply(213, (text,)), algorithm) == digest


def test_a_refusal_has_no_digest() -> None:
    """Whatever stands in it."""
    assert read_digest(Reply(550, (SHA,)), "SHA-256") is None


def test_names_with_spaces_are_quoted_for_the_old_commands_only() -> None:
    """HASH takes the rest of the line as it is (RFC 959 pathnames)."""
    assert digest_argument("HASH", "/a b") == "/a b"
    assert digest_argument("XMD5", "/a b") == '"/a b"'
    assert digest_argument("XMD5", "/ab") == "/ab"
