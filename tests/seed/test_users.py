"""What becomes of each user of the older system."""

from __future__ import annotations

import json

import pytest

from logferry.errors import BadConfig
from logferry.seed.users import Fate, OldUser, UserPlan, old_users, plan, user_decisions

ROOT = "/opt/archiver/ServerLogSorage"
ALL = "elradfmwM"
PASSWORD = "long enough"


def _plan(
    letters: str, home: str | None = None, *, name: str = "one", delivers: tuple[str, ...] = (),
    answer: Fate | None = None, password: str = PASSWORD,
) -> UserPlan:  # fmt: skip
    user = OldUser(name, password, letters, home)
    return plan(user, root=ROOT, delivers=delivers, unclaimed=("lost-1",), answer=answer)


@pytest.mark.parametrize(
    ("made", "fate", "proposed"),
    [
        (_plan(ALL), None, "admin"),
        (_plan("elr"), None, "viewer"),
        (_plan(ALL, name="my-agents"), None, "agent"),
        (_plan(ALL, ROOT), None, "admin"),
        (_plan(ALL, answer="viewer"), "viewer", "admin"),
        (_plan(ALL, delivers=("plc-01",)), "agent", "agent"),
        (_plan("elr", delivers=("plc-01",)), None, "agent"),
        (_plan("elr", delivers=("plc-01",), answer="agent"), "agent", "agent"),
        (_plan(ALL, f"{ROOT}/plc-01"), "agent", "agent"),
        (_plan("elr", f"{ROOT}/plc-01/Logs"), "viewer", "viewer"),
        (_plan(ALL, f"{ROOT}/plc-01/Logs"), None, "viewer"),
        (_plan(ALL, "/home/other"), "skip", "skip"),
        (_plan(ALL, f"{ROOT}/../other"), "skip", "skip"),
        (_plan("elr", f"{ROOT}/plc-*"), "skip", "skip"),
        (_plan("elr", "C:\\archiver\\ServerLogSorage\\plc-01"), "viewer", "viewer"),
    ],
)
def test_letters_and_folder_decide_or_a_person_is_asked(made: UserPlan, fate: Fate | None, proposed: Fate) -> None:
    """The whole archive is never given to somebody without asking; agents' settings tell who delivers."""
    assert (made.fate, made.proposed) == (fate, proposed)


def test_who_delivers_does_so_for_the_agents_that_name_it_and_those_nobody_claims() -> None:
    """A folder of its own is its root; a person's folder is a scope."""
    assert _plan(ALL, delivers=("plc-02", "plc-01")).agents == ("lost-1", "plc-01", "plc-02")
    assert (_plan(ALL, f"{ROOT}/plc-01").home, _plan(ALL, f"{ROOT}/plc-01").agents) == ("plc-01", ("plc-01",))
    assert _plan("elr", f"{ROOT}/plc-01/Logs").scope == ("plc-01/Logs/**",)
    assert _plan("elr", answer="admin").scope == ()


@pytest.mark.parametrize(("password", "blocked"), [("***", True), ("", True), ("1234567", True), ("12345678", False)])
def test_a_password_that_is_too_short_or_none_lets_nobody_in(password: str, blocked: bool) -> None:
    """Blocked until changed; what to do stands beside it."""
    made = _plan("elr", answer="viewer", password=password)
    assert (made.password == "") is blocked
    told = list(user_decisions([made], {}))
    assert any("blocked until" in one.text and "logferry admin user reset one" in one.hint for one in told) is blocked


def test_agents_lose_what_would_take_archived_bytes_away() -> None:
    """d and M are never given, reading neither, and f replaces nothing; people deliver nothing."""
    told = [note for _, note in _plan(ALL, delivers=("plc-01",)).notes]
    assert any(note.startswith("Md: never given") for note in told)
    assert any(note.startswith("r: agents read nothing") for note in told)
    told = [note for _, note in _plan("elrwx", answer="viewer").notes]
    assert any("'x' is no letter" in note for note in told)


def test_passwords_are_in_no_text_of_a_plan() -> None:
    """Neither printed nor told."""
    made = _plan(ALL, answer="admin", password="very secret thing")
    assert "very secret" not in repr(made) + repr(list(user_decisions([made], {})))


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b'{"a": 1}', b'{"a": {"passwd": 1}}', b'{"a": {"perm": []}}', b"\xff{", b"[" * 9999]
)
def test_a_file_that_makes_no_sense_is_refused(raw: bytes) -> None:
    """By name."""
    with pytest.raises(BadConfig, match=r"userRecord\.json"):
        old_users(raw, "userRecord.json")


def test_users_are_read_in_order() -> None:
    """With what may be missing."""
    raw = json.dumps({"b": {"passwd": "x", "perm": "elr", "dirpath": None}, "a": {}}).encode()
    assert old_users(raw, "f") == [OldUser("b", "x", "elr", None), OldUser("a", "", "", None)]
