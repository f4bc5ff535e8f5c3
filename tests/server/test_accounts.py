"""The catalog's users as the FTP server sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.archive.catalog import Catalog
from logferry.clock import ManualClock
from logferry.server.accounts import CatalogUsers
from logferry.server.enrolment import Enrolment
from logferry.server.passwords import VerifiedPasswords, hash_for_agent
from logferry.server.people import LOCAL_USER, People
from logferry.server.totp import step_at, totp_at


@pytest.fixture
def elsewhere(tmp_path: Path, catalog: Catalog, clock: ManualClock) -> Iterator[Catalog]:
    """The same catalog opened a second time, as another process does."""
    with Catalog.open(f"sqlite:///{tmp_path}/catalog.db", clock) as opened:
        yield opened


def test_changes_of_another_process_count_when_the_store_looks_again(
    catalog: Catalog, elsewhere: Catalog, clock: ManualClock
) -> None:
    """A new person, a removed one."""
    users = CatalogUsers(catalog, clock=clock, fresh_s=0.5)
    others = People(elsewhere, clock=clock)
    assert users.find("ann") is None
    others.create("ann", "correct horse")
    found = users.find("ann")
    assert found is not None
    assert (found.home, found.permissions) == ("", "elr")
    others.remove("ann")
    clock.advance(0.5)
    assert users.find("ann") is None


def test_a_change_is_noticed_with_the_clock_set_back(catalog: Catalog, elsewhere: Catalog, clock: ManualClock) -> None:
    """The wall clock decides nothing."""
    people = People(elsewhere, clock=clock)
    people.create("ann", "correct horse")
    people.create("bob", "correct horse")
    users = CatalogUsers(catalog, clock=clock, fresh_s=0.5)
    assert users.find("ann") is not None
    clock._now_ns -= 3600 * 10**9
    people.change("ann", enabled=False)
    clock.advance(0.5)
    found = users.find("ann")
    assert found is not None
    assert not found.enabled


def test_an_agent_delivers_and_does_not_read(catalog: Catalog, enrolment: Enrolment) -> None:
    """No RETR, DELE, RMD or CHMOD; and whoever asks is told."""
    enrolment.join(enrolment.new_join_token().secret, agent_id="web-01")
    asked: list[str] = []
    agents: dict[str, str] = {}
    users = CatalogUsers(catalog, on_asked=asked.append, on_agent=agents.__setitem__)
    user = users.find("web-01")
    assert user is not None
    assert not set("rdM") & set(user.permissions)
    assert set("elafmwT") == set(user.permissions)
    users.find("web-01")
    assert asked == ["web-01", "web-01"]
    assert agents == {"web-01": "web-01"}


def test_a_second_factor_closes_ftp(catalog: Catalog, people: People, clock: ManualClock) -> None:
    """A password alone is no way around it, from when it is confirmed; without it FTP opens again."""
    users = CatalogUsers(catalog, clock=clock, fresh_s=0)
    row = people.create("ann", "correct horse")
    secret = people.second.begin(row)
    found = users.find("ann")
    assert found is not None
    assert found.enabled
    people.second.confirm(people.get("ann"), totp_at(secret, step_at(clock.now_ns())))
    found = users.find("ann")
    assert found is not None
    assert not found.enabled
    people.second.remove(people.get("ann"))
    found = users.find("ann")
    assert found is not None
    assert found.enabled


def test_the_command_lines_user_has_no_ftp(catalog: Catalog, people: People) -> None:
    """It is no person."""
    people.new_local_token()
    assert CatalogUsers(catalog).find(LOCAL_USER) is None


def test_a_right_password_is_remembered_only_for_the_hash_it_fitted() -> None:
    """A changed hash is checked anew; wrong passwords are never remembered; the memory is bounded."""
    verified = VerifiedPasswords(entries_max=2)
    first, second = hash_for_agent("one"), hash_for_agent("two")
    assert verified.verify("a", first, "one")
    assert verified.verify("a", first, "one")
    assert not verified.verify("a", first, "two")
    assert verified.verify("a", second, "two")
    assert not verified.verify("a", second, "one")
    assert not verified.verify("b", first, "nothing")
    assert len(verified) == 1
    for name in "bcd":
        assert verified.verify(name, first, "one")
    assert len(verified) == 2
