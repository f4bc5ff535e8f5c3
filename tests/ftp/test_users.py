"""Users, permissions and passwords."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any

import pytest

from logferry.errors import BadConfig, Conflict, NotFound
from logferry.ftp import MemoryUsers, Permissions, User, generate_password, hash_password, verify_password
from logferry.ftp.passwords import _argon2


def test_letters_are_checked_and_sorted() -> None:
    """An unknown one is named."""
    assert Permissions("wer") == "erw"
    assert Permissions.all() == "elradfmwMT"
    assert Permissions.reading().allow("r")
    assert not Permissions.delivering().allow("r")
    assert not Permissions("e").allow("el")
    with pytest.raises(BadConfig, match="'x'"):
        Permissions("elx")
    with pytest.raises(BadConfig):
        User("a", "/tmp", permissions="?")


def test_users_are_added_changed_and_removed() -> None:
    """And each mistake says what to use instead."""
    users = MemoryUsers(User.with_password("ann", "secret", "/tmp"))
    ann = users.find("ann")
    assert ann is not None
    assert users.verify(ann, "secret")
    assert not users.verify(ann, "Secret")
    with pytest.raises(Conflict):
        users.add(ann)
    assert users.change("ann", permissions="elr").permissions == "elr"
    with pytest.raises(BadConfig):
        users.change("ann", permissions="?")
    users.remove("ann")
    assert users.find("ann") is None
    with pytest.raises(NotFound):
        users.remove("ann")
    with pytest.raises(NotFound):
        users.change("ann", enabled=False)


@pytest.fixture(params=["argon2", "scrypt"])
def hashing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """With argon2-cffi, and without."""
    kind = str(request.param)
    if kind == "argon2":
        pytest.importorskip("argon2", reason="argon2-cffi is missing: pip install argon2-cffi")
        yield kind
        return
    real = builtins.__import__

    def without(name: str, *given: Any, **more: Any) -> Any:
        if name == "argon2":
            raise ImportError(name)
        return real(name, *given, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    _argon2.cache_clear()
    yield kind
    _argon2.cache_clear()


@pytest.mark.parametrize("light", [False, True])
def test_a_hash_fits_its_password_alone(hashing: str, light: bool) -> None:
    """Salted anew each time; names its algorithm."""
    stored = hash_password("pässword", light=light)
    assert stored.startswith(f"${hashing}")
    assert stored != hash_password("pässword", light=light)
    assert verify_password(stored, "pässword")
    assert not verify_password(stored, "password")
    assert not verify_password(stored, "")


@pytest.mark.parametrize(
    "stored",
    ["", "x", "$scrypt$", "$scrypt$ln=99,r=8,p=1$AAAA$AAAA", "$scrypt$ln=2,r=8$AA$AA", "$argon2id$broken", "$1$a$b"],
)
def test_what_is_no_hash_fits_nothing(stored: str) -> None:
    """And raises nothing."""
    assert not verify_password(stored, "")
    assert not verify_password(stored, stored)


def test_an_endless_password_is_not_hashed() -> None:
    """It would cost the server, not the client."""
    assert not verify_password(hash_password("x", light=True), "x" * 100_000)


def test_generated_passwords_differ() -> None:
    """And carry at least 128 bits."""
    made = {generate_password() for _ in range(100)}
    assert len(made) == 100
    assert min(len(password) for password in made) >= 22
