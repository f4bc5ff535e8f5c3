"""How people like it, as rows: each field for itself, on every database, and gone with its person."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from logferry.archive import Catalog
from logferry.archive.catalog.preferences import PreferencesRecord
from logferry.errors import NotFound

pytestmark = pytest.mark.databases


@pytest.fixture
def catalog(database: str) -> Iterator[Catalog]:
    """With Ann, who is user 1."""
    with Catalog.open(database) as made:
        assert made.people.add_user("ann", role="viewer", scope=(), password_hash="h", now_ns=1).id == 1
        yield made


def test_what_nobody_said_is_empty_and_each_field_changes_alone(catalog: Catalog) -> None:
    assert catalog.preferences.of(1) == catalog.preferences.of(7) == PreferencesRecord()
    catalog.preferences.change(1, zone="Europe/Berlin")
    catalog.preferences.change(1, theme="dark", highlights='["é\\u0000"]')
    catalog.preferences.change(1, theme="light")
    assert catalog.preferences.of(1) == PreferencesRecord("Europe/Berlin", "light", "", "", '["é\\u0000"]')


def test_they_go_with_their_person(catalog: Catalog) -> None:
    catalog.preferences.change(1, keys="off")
    catalog.people.remove_user(1)
    assert catalog.preferences.of(1) == PreferencesRecord()
    with pytest.raises(NotFound):
        catalog.preferences.change(1, keys="on")


def test_first_words_of_two_processes_are_both_kept(catalog: Catalog, database: str) -> None:
    """Two catalogs are open, as of two processes; each says another thing first, again and again."""
    with Catalog.open(database) as other:
        for user_id in range(2, 12):
            catalog.people.add_user(f"user-{user_id}", role="viewer", scope=(), password_hash="h", now_ns=1)
            threads = [
                threading.Thread(target=catalog.preferences.change, args=(user_id,), kwargs={"theme": "dark"}),
                threading.Thread(target=other.preferences.change, args=(user_id,), kwargs={"density": "compact"}),
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert catalog.preferences.of(user_id) == PreferencesRecord(theme="dark", density="compact")
