"""Users, sessions and tokens: who gets in, and who no longer does."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from logferry.archive.catalog import Catalog
from logferry.clock import ManualClock
from logferry.errors import BadName, Conflict, NotFound, NotPermitted, NotSignedIn, Refused
from logferry.limits import (
    RESET_LINK_S_MAX,
    SECOND_FACTOR_S_MAX,
    SECOND_FACTOR_TRIES,
    SESSION_IDLE_S_MAX,
    SESSION_S_MAX,
)
from logferry.server import passwords
from logferry.server.people import LOCAL_USER, People
from logferry.server.totp import step_at, totp_at

PASSWORD = "correct horse"


def test_the_right_password_begins_a_session(people: People) -> None:
    """Whose secret stands for the person, role and scope included."""
    people.create("Ann", PASSWORD, role="operator", scope=["web-*/**", "!**/secrets/**"])
    signed_in = people.sign_in("ann", PASSWORD, address="10.0.0.1", browser="test")
    identity = people.session(signed_in.secret)
    assert identity == signed_in.identity
    assert identity is not None
    assert (identity.name, identity.role, identity.via) == ("Ann", "operator", "session")
    assert identity.scope.sees("web-01", "var/log/a")
    assert not identity.scope.sees("web-01", "secrets/a")
    assert identity.csrf
    assert identity.csrf not in signed_in.secret


@pytest.mark.parametrize(("name", "password"), [("ann", "wrong horse"), ("bob", PASSWORD), ("ann", ""), ("", "")])
def test_whatever_is_wrong_the_answer_is_the_same(people: People, name: str, password: str) -> None:
    """Nobody learns which names exist."""
    people.create("ann", PASSWORD)
    with pytest.raises(NotSignedIn) as caught:
        people.sign_in(name, password)
    assert caught.value.message == "wrong name or password"


def test_a_session_ends_by_sign_out_and_by_time(people: People, clock: ManualClock) -> None:
    """At once when signed out; after idling; at the latest after its whole time."""
    people.create("ann", PASSWORD)
    first, second, third = (people.sign_in("ann", PASSWORD).secret for _ in range(3))
    people.sign_out(first)
    assert people.session(first) is None
    clock.advance(SESSION_IDLE_S_MAX - 1)
    assert people.session(second) is not None
    clock.advance(2)
    assert people.session(third) is None
    for _ in range(int(SESSION_S_MAX // SESSION_IDLE_S_MAX) + 1):
        people._rows._writer.flush()  # what was noted in passing is written now
        clock.advance(SESSION_IDLE_S_MAX - 10)
        people.session(second)
    assert people.session(second) is None


def test_a_session_that_is_used_stays(people: People, clock: ManualClock) -> None:
    """Idle time counts from the last use."""
    people.create("ann", PASSWORD)
    secret = people.sign_in("ann", PASSWORD).secret
    for _ in range(3):
        clock.advance(SESSION_IDLE_S_MAX - 10)
        assert people.session(secret) is not None
        people._rows._writer.flush()


def test_a_new_password_and_disabling_end_all_sessions(people: People) -> None:
    """A thief with a cookie is out."""
    people.create("root", PASSWORD, role="admin")
    people.create("ann", PASSWORD)
    secret = people.sign_in("ann", PASSWORD).secret
    people.change("ann", password="another horse")
    assert people.session(secret) is None
    with pytest.raises(NotSignedIn):
        people.sign_in("ann", PASSWORD)
    secret = people.sign_in("ann", "another horse").secret
    people.change("ann", enabled=False)
    assert people.session(secret) is None
    with pytest.raises(NotSignedIn):
        people.sign_in("ann", "another horse")


def test_a_token_stands_for_its_person_until_it_expires_or_is_revoked(people: People, clock: ManualClock) -> None:
    """Its own scope narrows the person's."""
    people.create("ann", PASSWORD, scope=["web-*"])
    secret, row = people.new_token("ann", label="grafana", scope=["*/var/log/**"], ttl_s=60)
    identity = people.token(secret, address="10.0.0.1")
    assert identity is not None
    assert (identity.name, identity.via, identity.csrf) == ("ann", "token", "")
    assert identity.scope.sees("web-01", "var/log/a")
    assert not identity.scope.sees("web-01", "etc/a")
    assert not identity.scope.sees("db-01", "var/log/a")
    clock.advance(61)
    assert people.token(secret) is None
    lasting, row = people.new_token("ann")
    assert people.token(lasting) is not None
    people.revoke_token(row.id)
    assert people.token(lasting) is None
    with pytest.raises(NotFound):
        people.revoke_token(row.id)


def test_secrets_are_not_in_the_catalog(people: People, catalog: Catalog) -> None:
    """A stolen copy of the catalog signs nobody in."""
    people.create("ann", PASSWORD)
    session = people.sign_in("ann", PASSWORD).secret
    token, _ = people.new_token("ann")
    with catalog.readers.cursor() as cursor:
        dump = ""
        for table in ("users", "sessions", "tokens"):
            cursor.execute(f"SELECT * FROM {table}")
            dump += str(cursor.fetchall())
    assert not any(secret in dump for secret in (session, token, PASSWORD))
    assert "$argon2id$" in dump


def test_the_last_administrator_stays(people: People) -> None:
    """Cannot be removed, disabled or made less, until there is another."""
    people.create("root", PASSWORD, role="admin")
    with pytest.raises(Conflict, match="last administrator"):
        people.remove("root")
    with pytest.raises(Conflict, match="last administrator"):
        people.change("root", enabled=False)
    with pytest.raises(Conflict, match="last administrator"):
        people.change("root", role="viewer")
    people.create("part", PASSWORD, role="admin", scope=["web-*"])
    with pytest.raises(Conflict, match="who sees everything"):
        people.change("root", scope=["web-*"])
    with pytest.raises(Conflict, match="who sees everything"):
        people.remove("root")
    people.remove("part")
    people.create("second", PASSWORD, role="admin")
    people.remove("root")
    assert [row.name for row in people.all()] == ["second"]


def test_bad_names_roles_scopes_and_passwords_are_refused(people: People) -> None:
    """Each with what would be right."""
    for name in ("", "a b", "../x", "ann\n", "@local", "a" * 65, "änn"):
        with pytest.raises(BadName, match="letters, digits"):
            people.create(name, PASSWORD)
    with pytest.raises(BadName, match="viewer, operator or admin"):
        people.create("ann", PASSWORD, role="agent")
    with pytest.raises(BadName):
        people.create("ann", PASSWORD, scope=[""])
    with pytest.raises(Refused, match="8 to"):
        people.create("ann", "short")
    people.create("ann", PASSWORD)
    with pytest.raises(Conflict):
        people.create("ANN", PASSWORD)
    with pytest.raises(NotFound):
        people.change("bob", role="viewer")


def test_the_command_line_of_this_machine_is_admin_but_no_person(people: People) -> None:
    """One token at a time; no password opens it; it does not count as the first administrator."""
    old = people.new_local_token()
    new = people.new_local_token()
    assert people.token(old) is None
    identity = people.token(new)
    assert identity is not None
    assert identity.may("admin")
    assert not people.has_admin()
    assert people.all() == []
    with pytest.raises(NotSignedIn):
        people.sign_in(LOCAL_USER, "")


def test_a_role_that_is_too_low_is_told_so(people: People) -> None:
    """With who can help."""
    people.create("ann", PASSWORD)
    identity = people.sign_in("ann", PASSWORD).identity
    identity.require("viewer")
    with pytest.raises(NotPermitted, match="ask an administrator"):
        identity.require("operator")


def test_what_expired_is_forgotten(people: People, clock: ManualClock) -> None:
    """Sessions and tokens that are over leave the catalog."""
    people.create("ann", PASSWORD)
    people.sign_in("ann", PASSWORD)
    people.new_token("ann", ttl_s=60)
    kept, _ = people.new_token("ann")
    assert people.forget_expired() == 0
    clock.advance(SESSION_S_MAX + 1)
    assert people.forget_expired() == 2
    assert people.token(kept) is not None


def test_a_new_password_shuts_out_whoever_was_half_in(people: People, clock: ManualClock) -> None:
    """A link that is still around, a sign-in that waits for its code: worthless with what they began under."""
    row = people.create("ann", PASSWORD)
    secret = people.second.begin(row)
    people.second.confirm(people.get("ann"), totp_at(secret, step_at(clock.now_ns())))
    link, waiting = people.new_reset_code("ann"), people.second.wait_for(people.get("ann"))
    assert people.reset_of(link).name == "ann"
    people.second.waiting(waiting.secret)
    people.change("ann", password="another horse")
    with pytest.raises(NotSignedIn):
        people.reset_of(link)
    with pytest.raises(NotSignedIn):
        people.second.waiting(waiting.secret)


def test_a_link_sets_a_password_once_and_in_time(people: People, clock: ManualClock) -> None:
    """A bad password does not use it up; a newer link makes it worthless; so does a day."""
    people.create("ann", None)
    with pytest.raises(NotSignedIn):
        people.sign_in("ann", "")
    old, new = people.new_reset_code("ann"), people.new_reset_code("ann")
    with pytest.raises(NotSignedIn):
        people.reset_password(old, PASSWORD)
    with pytest.raises(Refused, match="8 to"):
        people.reset_password(new, "short")
    people.reset_password(f" {new.lower()} ", PASSWORD)
    assert people.sign_in("ann", PASSWORD).identity.name == "ann"
    with pytest.raises(NotSignedIn):
        people.reset_password(new, PASSWORD)
    late = people.new_reset_code("ann")
    clock.advance(RESET_LINK_S_MAX + 1)
    with pytest.raises(NotSignedIn):
        people.reset_of(late)


def test_a_sign_in_waits_for_its_code_a_few_minutes_and_tries(people: People, clock: ManualClock) -> None:
    """Then the password is asked for again."""
    row = people.create("ann", PASSWORD)
    secret = people.second.begin(row)
    people.second.confirm(people.get("ann"), totp_at(secret, step_at(clock.now_ns())))
    waiting = people.second.wait_for(people.get("ann"))
    found, user_id = people.second.waiting(waiting.secret)
    assert user_id == row.id
    for _ in range(SECOND_FACTOR_TRIES):
        people.second.spend_try(found)
    with pytest.raises(NotSignedIn, match="too many tries"):
        people.second.spend_try(found)
    with pytest.raises(NotSignedIn):
        people.second.waiting(waiting.secret)
    waiting = people.second.wait_for(people.get("ann"))
    clock.advance(SECOND_FACTOR_S_MAX + 1)
    with pytest.raises(NotSignedIn):
        people.second.waiting(waiting.secret)


def test_a_new_password_of_ones_own_gives_no_rights_back(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is demoted or disabled while the new password is hashed stays so; so does a link change nothing else."""
    people.create("root", PASSWORD, role="admin")
    people.create("mal", PASSWORD, role="admin")
    link, proved = people.new_reset_code("mal"), people.check_password("mal", PASSWORD)
    hashed = passwords.hash_for_person

    def demoted_meanwhile(password: str) -> str:
        people.change("mal", role="viewer")
        return hashed(password)

    monkeypatch.setattr("logferry.server.people.hash_for_person", demoted_meanwhile)
    people.reset_password(link, "second horse")
    assert people.get("mal").role == "viewer"
    with pytest.raises(NotFound):
        people.change_own_password(proved, "third horse", keep="")
    proved = people.check_password("mal", "second horse")

    def disabled_meanwhile(password: str) -> str:
        people.change("mal", enabled=False)
        return hashed(password)

    monkeypatch.setattr("logferry.server.people.hash_for_person", disabled_meanwhile)
    with pytest.raises(NotFound):
        people.change_own_password(proved, "third horse", keep="")
    assert not people.get("mal").enabled


def test_nothing_begins_by_what_was_proved_before_it_changed(people: People, clock: ManualClock) -> None:
    """The old password, no second factor, a person disabled meanwhile: neither a session nor half a one."""
    people.create("root", PASSWORD, role="admin")
    people.create("ann", PASSWORD)
    by_old_password = people.check_password("ann", PASSWORD)
    people.change("ann", password="another horse")
    without_factor = people.check_password("ann", "another horse")
    secret = people.second.begin(without_factor)
    people.second.confirm(people.get("ann"), totp_at(secret, step_at(clock.now_ns())))
    enabled = people.check_password("ann", "another horse")
    people.change("ann", enabled=False)
    for row in (by_old_password, without_factor, enabled):
        with pytest.raises(NotSignedIn, match="changed just now"):
            people.begin_session(row)
        with pytest.raises(NotSignedIn, match="changed just now"):
            people.second.wait_for(row)
    assert people.sessions("ann") == []


def test_two_demotions_at_once_leave_an_administrator(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them is refused, however they meet."""
    people.create("a", PASSWORD, role="admin")
    people.create("b", PASSWORD, role="admin")
    write, together, refused = people._rows.change_user, threading.Barrier(2), []

    def met(*args: Any, **kwargs: Any) -> Any:
        together.wait(10)
        return write(*args, **kwargs)

    def demote(name: str) -> None:
        try:
            people.change(name, role="viewer")
        except Conflict as error:
            refused.append(error)

    monkeypatch.setattr(people._rows, "change_user", met)
    threads = [threading.Thread(target=demote, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert people.has_admin()
    assert len(refused) == 1


def test_half_a_sign_in_ends_with_all_sessions_and_with_success(people: People, clock: ManualClock) -> None:
    """And a person has one at a time."""
    people.create("ann", PASSWORD)
    secret = people.second.begin(people.get("ann"))
    people.second.confirm(people.get("ann"), totp_at(secret, step_at(clock.now_ns())))
    older, newer = (people.second.wait_for(people.get("ann")) for _ in range(2))
    with pytest.raises(NotSignedIn):
        people.second.waiting(older.secret)
    people.second.waiting(newer.secret)
    people.sign_out_everywhere("ann")
    with pytest.raises(NotSignedIn):
        people.second.waiting(newer.secret)
    newest = people.second.wait_for(people.get("ann"))
    people.begin_session(people.get("ann"))
    with pytest.raises(NotSignedIn):
        people.second.waiting(newest.secret)


def test_a_secret_that_nobody_confirmed_is_worthless_soon(people: People, clock: ManualClock) -> None:
    """After some minutes, and when the password changes."""
    people.create("ann", PASSWORD)
    secret = people.second.begin(people.get("ann"))
    assert people.second.pending(people.get("ann")) == secret
    clock.advance(SECOND_FACTOR_S_MAX + 1)
    assert people.second.pending(people.get("ann")) == ""
    with pytest.raises(Conflict):
        people.second.confirm(people.get("ann"), totp_at(secret, step_at(clock.now_ns())))
    people.second.begin(people.get("ann"))
    people.change("ann", password="another horse")
    assert people.get("ann").totp_new == ""


def test_a_link_revokes_the_tokens_unless_told_to_keep_them(people: People) -> None:
    """Whoever lost a password may have lost more."""
    people.create("ann", PASSWORD)
    token, _ = people.new_token("ann")
    people.reset_password(people.new_reset_code("ann"), "another horse", keep_tokens=True)
    assert people.token(token) is not None
    people.reset_password(people.new_reset_code("ann"), "a third horse")
    assert people.token(token) is None
