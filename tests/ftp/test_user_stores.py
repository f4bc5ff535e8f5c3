"""What every user store that can be changed has in common: the one in memory, the one in a JSON file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from logferry.errors import BadConfig, Conflict, NotFound
from logferry.ftp import JsonUsers, MemoryUsers, User, UserStore, hash_password
from tests.ftp.kit import WAIT_S

Store = MemoryUsers | JsonUsers
ANN = User("ann", "/srv/ann", password_hash=hash_password("secret", light=True))


@pytest.fixture(params=["memory", "json"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Makes an empty store."""
    if request.param == "memory":
        return MemoryUsers
    return lambda: JsonUsers(str(tmp_path / "users.json"), create=True, fresh_s=0)


def test_a_user_who_was_added_is_found(make: Callable[[], Store]) -> None:
    """As they were given; the same object each time, so that asking before each command costs nothing."""
    store = make()
    users: UserStore = store
    assert users.find("ann") is None
    store.add(ANN)
    found = users.find("ann")
    assert found == ANN
    assert users.find("ann") is found
    assert users.find("Ann") is None
    assert users.verify(ANN, "secret")
    assert not users.verify(ANN, "Secret")


def test_every_field_can_be_changed(make: Callable[[], Store]) -> None:
    """Each alone, the others stay."""
    store = make()
    store.add(ANN)
    expected = ANN
    for field, value in [
        ("permissions", "elr"),
        ("home", "/srv/other"),
        ("enabled", False),
        ("require_tls", True),
        ("folders", {"/in": "elw", "/in/**": "w"}),
        ("quota_bytes", 5),
        ("quota_files", 6),
        ("password_hash", hash_password("other", light=True)),
        ("folders", None),
        ("quota_bytes", None),
    ]:
        changed = store.change("ann", **{field: value})
        expected = User(**{name: getattr(expected, name) for name in User.__slots__} | {field: value})
        assert changed == expected
        assert store.find("ann") == expected


def test_mistakes_are_told_and_change_nothing(make: Callable[[], Store]) -> None:
    """Twice the same name, nobody of that name, a letter that means nothing."""
    store = make()
    store.add(ANN)
    with pytest.raises(Conflict):
        store.add(ANN)
    for mistake in (lambda: store.change("bob", enabled=False), lambda: store.remove("bob")):
        with pytest.raises(NotFound):
            mistake()
    for field, value in [("permissions", "?"), ("folders", {"in": "e"}), ("quota_bytes", -1)]:
        with pytest.raises(BadConfig):
            store.change("ann", **{field: value})
    assert store.find("ann") == ANN


def test_a_removed_user_is_gone_and_may_come_again(make: Callable[[], Store]) -> None:
    """With another home, say."""
    store = make()
    store.add(ANN)
    store.remove("ann")
    assert store.find("ann") is None
    store.add(User("ann", "/elsewhere", password_hash=ANN.password_hash))
    found = store.find("ann")
    assert found is not None
    assert found.home == "/elsewhere"


def test_changes_from_many_threads_are_all_there(make: Callable[[], Store]) -> None:
    """While others look."""
    store = make()

    def work(who: int) -> None:
        for number in range(5):
            name = f"u{who}-{number}"
            store.add(User(name, "/srv", password_hash=ANN.password_hash))
            store.change(name, permissions="e")
            assert store.find(name) is not None

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    found = [store.find(f"u{who}-{number}") for who in range(4) for number in range(5)]
    assert [user.permissions for user in found if user is not None] == ["e"] * 20
