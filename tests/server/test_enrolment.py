"""The first administrator and new agents get in by codes, each with one purpose and a short life."""

from __future__ import annotations

import threading

import pytest

from logferry.archive.catalog import Catalog
from logferry.clock import ManualClock
from logferry.errors import BadName, Conflict, LogferryError, NotFound, NotSignedIn, Refused
from logferry.limits import JOIN_TOKEN_S_MAX, SETUP_LINK_S_MAX
from logferry.server.accounts import CatalogUsers
from logferry.server.enrolment import Enrolment, agent_id_from
from logferry.server.people import People

PASSWORD = "correct horse"


def test_a_setup_code_makes_one_administrator_once(enrolment: Enrolment, people: People) -> None:
    """Then there is no set-up any more."""
    assert enrolment.setup_needed()
    code = enrolment.new_setup_code()
    enrolment.check_setup_code(code)
    row = enrolment.set_up(f" {code.lower()}\n", "root", PASSWORD)
    assert row.role == "admin"
    assert people.sign_in("root", PASSWORD).identity.may("admin")
    assert not enrolment.setup_needed()
    with pytest.raises(NotSignedIn, match="setup-link"):
        enrolment.set_up(code, "mallory", PASSWORD)
    with pytest.raises(Conflict):
        enrolment.new_setup_code()


def test_a_setup_code_expires_and_a_new_one_replaces_it(enrolment: Enrolment, clock: ManualClock) -> None:
    """An old link in a log is worthless."""
    first = enrolment.new_setup_code()
    second = enrolment.new_setup_code()
    with pytest.raises(NotSignedIn):
        enrolment.check_setup_code(first)
    clock.advance(SETUP_LINK_S_MAX)
    with pytest.raises(NotSignedIn):
        enrolment.set_up(second, "root", PASSWORD)


def test_a_wrong_name_or_password_does_not_spend_the_code(enrolment: Enrolment) -> None:
    """Who mistypes tries again."""
    code = enrolment.new_setup_code()
    with pytest.raises(Refused):
        enrolment.set_up(code, "root", "short")
    with pytest.raises(BadName):
        enrolment.set_up(code, "", PASSWORD)
    enrolment.set_up(code, "root", PASSWORD)


def test_a_code_of_one_kind_opens_nothing_else(enrolment: Enrolment) -> None:
    """A leaked join token makes no administrator."""
    token = enrolment.new_join_token()
    with pytest.raises(NotSignedIn):
        enrolment.set_up(token.secret, "root", PASSWORD)
    with pytest.raises(NotSignedIn):
        enrolment.join(enrolment.new_setup_code(), hostname="web-01")


def test_joining_makes_an_agent_with_a_user_of_its_own(enrolment: Enrolment, catalog: Catalog) -> None:
    """The generated password opens exactly this user."""
    token = enrolment.new_join_token(group="web")
    joined = enrolment.join(token.secret, hostname="web-01.example.org")
    assert (joined.id, joined.user, joined.group) == ("web-01", "web-01", "web")
    agent = catalog.agents.get("web-01")
    assert agent is not None
    assert agent.group == "web"
    users = CatalogUsers(catalog)
    user = users.find("web-01")
    assert user is not None
    assert user.home == "web-01"
    assert users.verify(user, joined.password)
    assert not users.verify(user, joined.password + "x")
    assert len(joined.password) >= 22  # 128 bits in base64


def test_a_join_token_is_worth_its_uses_and_its_time(enrolment: Enrolment, clock: ManualClock) -> None:
    """Two nodes with two uses; none when it has expired."""
    token = enrolment.new_join_token(uses=2)
    assert [enrolment.join(token.secret, hostname="node").id for _ in range(2)] == ["node", "node-2"]
    with pytest.raises(NotSignedIn, match="join-token"):
        enrolment.join(token.secret, hostname="node")
    fresh = enrolment.new_join_token()
    clock.advance(JOIN_TOKEN_S_MAX)
    with pytest.raises(NotSignedIn):
        enrolment.join(fresh.secret, hostname="node")


def test_the_last_use_is_not_shared(enrolment: Enrolment, catalog: Catalog) -> None:
    """Of eight nodes at once with three uses, three get in."""
    token = enrolment.new_join_token(uses=3)
    start = threading.Barrier(8)
    joined: list[str] = []

    def join(number: int) -> None:
        start.wait()
        try:
            joined.append(enrolment.join(token.secret, agent_id=f"node-{number}").id)
        except LogferryError:
            return

    threads = [threading.Thread(target=join, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(joined) == 3
    assert sorted(joined) == [agent.id for agent in catalog.agents.list()]


def test_a_token_never_opens_an_agent_that_exists(enrolment: Enrolment, people: People) -> None:
    """Nor takes a person's name; a refused join costs no use."""
    token = enrolment.new_join_token(uses=2)
    people.create("Ann", PASSWORD)
    enrolment.join(token.secret, agent_id="web-01")
    for taken in ("web-01", "WEB-01", "ann"):
        with pytest.raises(Conflict, match="already"):
            enrolment.join(token.secret, agent_id=taken)
    with pytest.raises(BadName):
        enrolment.join(token.secret, agent_id="../etc")
    enrolment.join(token.secret, agent_id="web-02")


def test_without_a_token_nobody_learns_which_agents_exist(enrolment: Enrolment) -> None:
    """A wrong token is refused before the id is looked at."""
    enrolment.join(enrolment.new_join_token().secret, agent_id="web-01")
    for agent_id in ("web-01", "web-02", "../etc"):
        with pytest.raises(NotSignedIn):
            enrolment.join("LJ-AAAAA-AAAAA-AAAAA-AAAAA-AAAAA", agent_id=agent_id)


@pytest.mark.parametrize(
    ("hostname", "agent_id"),
    [
        ("web-01", "web-01"),
        ("web-01.example.org", "web-01"),
        ("Büro PC", "B-ro-PC"),
        ("", "node"),
        ("..", "node"),
        ("日本", "node"),
        ("a" * 100, "a" * 63),
        ("__x__", "x"),
    ],
)
def test_an_id_is_made_from_the_hosts_name(hostname: str, agent_id: str) -> None:
    """Whatever the node says, the id is allowed."""
    assert agent_id_from(hostname) == agent_id


def test_wishes_for_a_token_are_bounded(enrolment: Enrolment) -> None:
    """Uses, life and group."""
    with pytest.raises(Refused):
        enrolment.new_join_token(uses=0)
    with pytest.raises(Refused):
        enrolment.new_join_token(ttl_s=0)
    with pytest.raises(BadName):
        enrolment.new_join_token(group="a/b")


def test_revoking_and_a_new_password_count_at_once(enrolment: Enrolment, catalog: Catalog, clock: ManualClock) -> None:
    """For a store that remembers users: as soon as it looks again."""
    joined = enrolment.join(enrolment.new_join_token().secret, agent_id="web-01")
    users = CatalogUsers(catalog, clock=clock, fresh_s=0.5)
    user = users.find("web-01")
    assert user is not None
    assert users.verify(user, joined.password)
    enrolment.revoke("web-01")
    clock.advance(0.5)
    revoked = users.find("web-01")
    assert revoked is not None
    assert not revoked.enabled
    enrolment.admit("web-01")
    password = enrolment.new_password("web-01")
    clock.advance(0.5)
    renewed = users.find("web-01")
    assert renewed is not None
    assert renewed.enabled
    assert users.verify(renewed, password)
    assert not users.verify(renewed, joined.password)
    with pytest.raises(NotFound):
        enrolment.revoke("web-99")
