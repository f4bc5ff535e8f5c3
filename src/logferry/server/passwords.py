"""Secrets the server makes and keeps: passwords, tokens, codes people type.

People choose passwords, so theirs cost an attacker the full price per guess. Agents' passwords are generated with 160
random bits: no guessing helps, so a light hash is enough and ten thousand agents can log in at once.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict

from logferry.errors import Refused
from logferry.ftp.passwords import generate_password, hash_password, verify_password, waste_time
from logferry.limits import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN, VERIFIED_PASSWORDS_MAX

__all__ = [
    "VerifiedPasswords",
    "digest",
    "generate_password",
    "hash_for_agent",
    "hash_for_person",
    "new_code",
    "new_secret",
    "normal_code",
    "verify_password",
    "waste_time",
]

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""For codes people may have to type: no 0 and O, no 1 and I."""


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
    return hash_password(password)


def hash_for_agent(password: str) -> str:
    """The light hash of a password that ``generate_password`` made."""
    return hash_password(password, light=True)


def new_secret(prefix: str = "") -> str:
    """A secret for a session or a token: 192 random bits behind ``prefix``."""
    return prefix + secrets.token_urlsafe(24)


def new_code(prefix: str = "", *, groups: int = 5, size: int = 5) -> str:
    """A code people may type (``7QK2M-…``): 5 random bits per character, 125 in all by default."""
    return prefix + "-".join("".join(secrets.choice(_ALPHABET) for _ in range(size)) for _ in range(groups))


def normal_code(text: str) -> str:
    """A typed code as it was made: spaces dropped, upper case."""
    return "".join(text.split()).upper()


def digest(secret: str) -> str:
    """What the catalog keeps of a generated secret: SHA-256 in hexadecimal. Random secrets need no salt."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


class VerifiedPasswords:
    """Remembers which passwords were right, so that an agent that reconnects does not cost a hash each time.

    Held in memory only, as keyed hashes under a key that dies with the process. The stored hash is part of what is
    remembered: a changed password is a miss. Bounded; the longest unused entry goes first. Safe from many threads.
    """

    def __init__(self, entries_max: int = VERIFIED_PASSWORDS_MAX) -> None:
        self._key = secrets.token_bytes(32)
        self._entries_max = entries_max
        self._lock = threading.Lock()
        self._known: OrderedDict[str, bytes] = OrderedDict()

    def verify(self, name: str, stored: str, password: str) -> bool:
        """Whether ``password`` fits the hash ``stored`` of user ``name``."""
        text = f"{stored}\x00{password}".encode("utf-8", "surrogateescape")
        seal = hmac.digest(self._key, text, "sha256")
        with self._lock:
            known = self._known.get(name)
            if known is not None and hmac.compare_digest(known, seal):
                self._known.move_to_end(name)
                return True
        if not verify_password(stored, password):
            return False
        with self._lock:
            self._known[name] = seal
            self._known.move_to_end(name)
            while len(self._known) > self._entries_max:
                self._known.popitem(last=False)
        return True

    def __len__(self) -> int:
        return len(self._known)
