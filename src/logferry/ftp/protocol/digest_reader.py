"""Digests a server offers to compute: HASH (draft-bryan-ftpext-hash) and its elder relatives XSHA256, XMD5, XCRC."""

from __future__ import annotations

import re
from dataclasses import dataclass

from logferry.ftp.protocol.features import Features
from logferry.ftp.protocol.replies import Reply

DIGEST_CHARS = {"SHA-512": 128, "SHA-256": 64, "SHA-1": 40, "MD5": 32, "CRC32": 8}
"""Algorithm -> hexadecimal digits of its digests. The order is that of preference among those that are known."""
_PREFERENCE = ("SHA-256", "SHA-512", "SHA-1", "MD5", "CRC32")
_ALIASES = {
    "XSHA256": "SHA-256",
    "XSHA512": "SHA-512",
    "XSHA1": "SHA-1",
    "XSHA": "SHA-1",
    "XMD5": "MD5",
    "XCRC": "CRC32",
}
_WORD = re.compile(r"[0-9A-Fa-f]+")
_RANGE = re.compile(r"([0-9]{1,19})-([0-9]{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True)
class DigestMethod:
    """How to ask: ``verb`` is HASH, or a command that knows this one ``algorithm``."""

    verb: str
    algorithm: str


def best_method(features: Features) -> DigestMethod | None:
    """The strongest digest the server announced; None when it announced none we know."""
    offered = {_canonical(name) for name in features.hash_algorithms} if features.has("HASH") else set()
    for algorithm in _PREFERENCE:
        if algorithm in offered:
            return DigestMethod("HASH", algorithm)
    for verb, algorithm in _ALIASES.items():
        if features.has(verb):
            return DigestMethod(verb, algorithm)
    return None


def _canonical(name: str) -> str:
    upper = name.upper()
    return {"SHA1": "SHA-1", "SHA256": "SHA-256", "SHA512": "SHA-512", "CRC-32": "CRC32"}.get(upper, upper)


def digest_argument(verb: str, path: str) -> str:
    """The path as ``verb`` wants it: HASH takes all that follows, the others end a name at a space outside quotes."""
    return f'"{path}"' if verb != "HASH" and " " in path else path


def hashed_range(reply: Reply) -> tuple[int, int] | None:
    """First byte and end (not included) of what the reply says was hashed; None when it does not say."""
    words = reply.text.split(maxsplit=2)
    found = _RANGE.fullmatch(words[1]) if len(words) > 2 and _canonical(words[0]) in DIGEST_CHARS else None
    return (int(found[1]), int(found[2]) + 1) if found else None


def read_digest(reply: Reply, algorithm: str) -> str | None:
    """The digest in lower case out of ``213 SHA-256 0-49 <digest> name``, or ``250 <digest>``; None when there is none.

    A reply that names another algorithm has none.
    """
    if not reply.completed:
        return None
    words = reply.text.split()
    if words and _canonical(words[0]) in DIGEST_CHARS:
        if _canonical(words[0]) != algorithm:
            return None
        words = words[1:]
    chars = DIGEST_CHARS[algorithm]
    for word in words:
        if len(word) == chars and _WORD.fullmatch(word):
            return word.lower()
    # XCRC of some servers leaves out leading zeros.
    if algorithm == "CRC32" and words and len(words[0]) < chars and _WORD.fullmatch(words[0]):
        return words[0].lower().zfill(chars)
    return None
