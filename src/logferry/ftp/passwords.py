"""Password hashes that describe themselves: argon2id where argon2-cffi is installed, else scrypt.

``$argon2id$v=19$m=65536,t=3,p=4$…`` is the usual PHC string; ``$scrypt$ln=15,r=8,p=1$<salt>$<hash>`` the same in
style. ``light=True`` is for generated secrets of 128 bits and more, which nobody guesses: thousands of agents that
reconnect at once must not cost minutes of CPU.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from logferry.limits import FTP_PASSWORD_CHECKS_MAX, PASSWORD_CHARS_MAX

_SCRYPT_FULL = (15, 8, 1)
_SCRYPT_LIGHT = (11, 8, 1)
_SCRYPT_LN_MAX = 18


@functools.cache
def _checkers() -> ThreadPoolExecutor:
    """Threads for checks and for nothing else.

    Each check takes up to 64 MiB; without a bound a storm of logins would take the machine's memory. And the allocator
    keeps what a thread has freed in a heap of that thread: were any of a server's many threads to check, all of them
    would keep some MiB for good.
    """
    return ThreadPoolExecutor(FTP_PASSWORD_CHECKS_MAX, thread_name_prefix="logferry-passwords")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_checkers.cache_clear)  # a child has none of its parent's threads


@functools.cache
def _argon2(light: bool) -> Any:
    """An ``argon2.PasswordHasher``, or None where argon2-cffi is not installed."""
    try:
        import argon2
    except ImportError:
        return None
    if light:
        return argon2.PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1)
    return argon2.PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)


def hash_password(password: str, *, light: bool = False) -> str:
    """A self-describing hash of ``password`` with a fresh salt."""
    hasher = _argon2(light)
    if hasher is not None:
        return str(hasher.hash(_secret(password)))
    return _scrypt_hash(password, *(_SCRYPT_LIGHT if light else _SCRYPT_FULL))


def verify_password(stored: str, password: str) -> bool:
    """Whether ``password`` is the one ``stored`` was made from. A hash that cannot be read fits no password."""
    if len(password) > PASSWORD_CHARS_MAX:
        return False
    if stored.startswith("$argon2"):
        return _checkers().submit(_argon2_verify, stored, password).result()
    if stored.startswith("$scrypt$"):
        return _checkers().submit(_scrypt_verify, stored, password).result()
    return False


def waste_time(password: str) -> None:
    """Cost as much as a failed check: a name that does not exist must not be told by the clock."""
    verify_password(_dummy(), password)


def generate_password() -> str:
    """A random password of 160 bits, for programs."""
    return secrets.token_urlsafe(20)


@functools.cache
def _dummy() -> str:
    return hash_password(generate_password())


def _secret(password: str) -> bytes:
    return password.encode("utf-8", "surrogateescape")


def _argon2_verify(stored: str, password: str) -> bool:
    hasher = _argon2(False)
    if hasher is None:
        return False
    import argon2

    try:
        return bool(hasher.verify(stored, _secret(password)))
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def _scrypt(password: str, salt: bytes, ln: int, r: int, p: int) -> bytes:
    memory = 128 * r * (1 << ln) * 2
    return hashlib.scrypt(_secret(password), salt=salt, n=1 << ln, r=r, p=p, maxmem=memory, dklen=32)


def _scrypt_hash(password: str, ln: int, r: int, p: int) -> str:
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, ln, r, p)
    return f"$scrypt$ln={ln},r={r},p={p}${_base64(salt)}${_base64(digest)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _scrypt_verify(stored: str, password: str) -> bool:
    try:
        _, _, settings, salt, digest = stored.split("$")
        ln, r, p = (int(part.partition("=")[2]) for part in settings.split(","))
        if not (1 <= ln <= _SCRYPT_LN_MAX and 1 <= r <= 32 and 1 <= p <= 16):
            return False
        expected = base64.b64decode(digest + "==")
        found = _scrypt(password, base64.b64decode(salt + "=="), ln, r, p)
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(expected, found)
