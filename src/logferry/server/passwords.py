"""Passwords and other secrets: how they are made, hashed and compared.

People choose passwords, so theirs cost an attacker the full price per guess. Agents' passwords are generated with 144
random bits: no guessing helps, so a light hash is enough and ten thousand agents can log in at once.
"""

from __future__ import annotations

import hashlib
import secrets

import argon2

from logferry.errors import Refused
from logferry.limits import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN

_PEOPLE = argon2.PasswordHasher()
_AGENTS = argon2.PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1)
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""For codes people may have to type: no 0/O, 1/I."""


def hash_for_person(password: str) -> str:
    """The self-describing hash of a password somebody chose.

    Raises:
        Refused: it is too short or too long.
    """
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise Refused(
            f"the password has {len(password)} characters",
            hint=f"use {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} of any kind",
        )
    return _PEOPLE.hash(password)


def hash_for_agent(password: str) -> str:
    """The light hash of a password that ``new_password`` made."""
    return _AGENTS.hash(password)


def verify(password_hash: str, password: str) -> bool:
    """Whether ``password`` is the one that was hashed. Takes as long as the hash was made to take."""
    if len(password) > PASSWORD_CHARS_MAX:
        return False
    try:
        return _PEOPLE.verify(password_hash, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


_DECOY = _PEOPLE.hash(secrets.token_urlsafe(16))


def verify_nobody(password: str) -> None:
    """Take as long as for a person who exists, so that a wrong name and a wrong password look the same."""
    verify(_DECOY, password)


def new_password() -> str:
    """A password for an agent: 144 random bits as 24 characters."""
    return secrets.token_urlsafe(18)


def new_secret(prefix: str = "") -> str:
    """A secret for a session or token: 192 random bits behind ``prefix``."""
    return prefix + secrets.token_urlsafe(24)


def new_code(prefix: str = "", groups: int = 5, size: int = 5) -> str:
    """A code people may type (``7QK2M-…``): 5 random bits per character, 125 in all by default."""
    return prefix + "-".join("".join(secrets.choice(_ALPHABET) for _ in range(size)) for _ in range(groups))


def normal_code(text: str) -> str:
    """A typed code as it was made: spaces dropped, upper case."""
    return "".join(text.split()).upper()


def digest(secret: str) -> str:
    """What the catalog keeps of a generated secret: SHA-256 in hexadecimal. No salt is needed for random secrets."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
