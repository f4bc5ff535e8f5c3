"""Who did what: entries that hold together, and a chain in which every change shows."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from logferry.archive.catalog import Catalog
from logferry.clock import ManualClock
from logferry.errors import Full
from logferry.limits import AUDIT_AGAIN_S, AUDIT_TEXT_CHARS_MAX
from logferry.server.audit import Audit, AuditFilter, AuditHead, Deed, parse_head

EVERYTHING = AuditFilter()


@pytest.fixture
def audit(catalog: Catalog, clock: ManualClock) -> Audit:
    """Nothing has happened yet."""
    return Audit(catalog, clock=clock)


def filled(audit: Audit, entries: int) -> None:
    for number in range(entries):
        audit.note(Deed("change", "user.change", f"u{number}", who="ann", role="admin", via="session"))


def test_an_entry_says_who_did_what(audit: Audit, catalog: Catalog, clock: ManualClock) -> None:
    """With all that was told, and the chain holds."""
    record = audit.note(
        Deed(
            "download",
            "file.download",
            "web-01/a.log",
            "ann",
            "viewer",
            "token 7",
            "10.0.0.1",
            "r1",
            {"gen": 2, "x": ""},
        )
    )
    assert record is not None
    assert catalog.auditing.page(EVERYTHING, limit=10) == [record]
    assert (record.id, record.time_ns, record.who, record.via) == (1, clock.now_ns(), "ann", "token 7")
    assert json.loads(record.detail) == {"gen": 2}
    check = audit.verify()
    assert (check.entries, check.problem, check.head) == (1, "", AuditHead(1, record.hash))


def test_an_empty_audit_holds(audit: Audit) -> None:
    """And its head can be noted."""
    check = audit.verify()
    assert (check.entries, check.problem, check.head) == (0, "", AuditHead())
    assert parse_head(str(check.head)) == check.head
    for wrong in ("", "1", "1:", "x:" + "0" * 64, "1:" + "g" * 64, "-1:" + "0" * 64):
        assert parse_head(wrong) is None


_CHANGES = {
    "who": "UPDATE audit SET who = 'eve' WHERE id = {id}",
    "time": "UPDATE audit SET time_ns = time_ns - 1 WHERE id = {id}",
    "detail": "UPDATE audit SET detail = '{{\"a\": 1}}' WHERE id = {id}",
    "hash": "UPDATE audit SET hash = '" + "ab" * 32 + "' WHERE id = {id}",
    "removed": "DELETE FROM audit WHERE id = {id}",
    "exchanged": "UPDATE audit SET target = (SELECT target FROM audit WHERE id = {id} + 1) WHERE id = {id}",
}


@pytest.mark.parametrize(("change", "at"), [*((change, 5) for change in sorted(_CHANGES)), ("removed", 1), ("who", 9)])
def test_whatever_is_changed_shows_and_where(
    audit: Audit, catalog: Catalog, tmp_path: Path, change: str, at: int
) -> None:
    """By somebody who writes into the database."""
    filled(audit, 10)
    with sqlite3.connect(tmp_path / "catalog.db") as connection:
        connection.execute(_CHANGES[change].format(id=at))
    check = audit.verify()
    assert check.problem
    assert check.at == at + (change == "removed")
    assert check.entries == at - 1
    assert catalog.auditing.head().id == 10  # going on writing does not mend it
    filled(audit, 1)
    assert audit.verify().at == check.at


def test_an_end_that_was_cut_off_shows_by_a_head_that_was_noted(audit: Audit, tmp_path: Path) -> None:
    """And so does a chain that was made anew; without such a head neither does."""
    filled(audit, 10)
    noted = audit.verify().head
    assert audit.verify(noted).problem == ""
    filled(audit, 1)
    assert audit.verify(noted).problem == ""
    with sqlite3.connect(tmp_path / "catalog.db") as connection:
        connection.execute("DELETE FROM audit WHERE id > 8")
    assert audit.verify().problem == ""
    assert "ends at entry 8" in audit.verify(noted).problem
    filled(audit, 4)
    assert audit.verify().problem == ""
    assert "not the one whose head was noted" in audit.verify(noted).problem


def test_old_entries_go_and_the_rest_holds(audit: Audit, catalog: Catalog, clock: ManualClock) -> None:
    """By age and by number; that they went is an entry; the last one stays whatever its age."""
    filled(audit, 5)
    noted = audit.verify().head
    clock.advance(100)
    filled(audit, 5)
    assert audit.forget_old(200) == 0
    assert audit.forget_old(50) == 5
    check = audit.verify()
    assert (check.entries, check.problem, check.start) == (6, "", noted)
    assert catalog.auditing.page(EVERYTHING, limit=1)[0].action == "audit.forget"
    assert audit.verify(noted).problem == ""
    assert "too old to be kept" in audit.verify(AuditHead(2, "0" * 64)).problem
    assert audit.forget_old(50, rows_max=3) == 3
    assert audit.verify().problem == ""
    clock.advance(1000)
    audit.forget_old(50)
    assert [r.action for r in catalog.auditing.page(EVERYTHING, limit=9)] == ["audit.forget", "audit.forget"]
    assert audit.verify().problem == ""


def test_a_wrong_clock_takes_no_other_entries_with_it(audit: Audit, catalog: Catalog, clock: ManualClock) -> None:
    """An entry that seems to be of long ago goes when those before it go, not before."""
    filled(audit, 3)
    catalog.auditing.add(
        time_ns=1, who="", role="", via="", address="", kind="change", action="odd", target="", detail="{}",
        request_id="",
    )  # fmt: skip
    filled(audit, 2)
    assert audit.forget_old(50) == 0
    assert audit.verify().entries == 6
    clock.advance(100)
    filled(audit, 1)
    assert audit.forget_old(50) == 6
    assert audit.verify().problem == ""


def test_many_old_entries_go_piece_by_piece(
    audit: Audit, catalog: Catalog, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece with its entry in the same transaction: whoever verifies between two of them finds no gap."""
    for module in ("logferry.archive.catalog.auditing", "logferry.server.audit"):
        monkeypatch.setattr(f"{module}.AUDIT_PAGE_ROWS", 4)
    filled(audit, 10)
    clock.advance(100)
    filled(audit, 1)
    first = catalog.auditing.forget(
        before_ns=clock.now_ns() - 50, rows_max=1000,
        told=lambda count, through: {
            "time_ns": clock.now_ns(), "who": "", "role": "", "via": "", "address": "", "kind": "audit",
            "action": "audit.forget", "target": str(through), "detail": str(count), "request_id": "",
        },
    )  # fmt: skip
    assert first is not None
    assert (first.id, first.detail, first.target) == (12, "4", str(catalog.auditing.anchor()))
    assert audit.forget_old(50) == 6
    check = audit.verify()
    assert (check.entries, check.problem, check.start.id) == (4, "", 10)


def test_entries_that_go_while_the_chain_is_read_are_no_gap(
    audit: Audit, catalog: Catalog, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read again from where it begins then; entries that are really missing show all the same."""
    filled(audit, 5)
    clock.advance(100)
    filled(audit, 5)
    real = catalog.auditing.anchor
    asked = []

    def anchor() -> AuditHead:
        found = real()
        asked.append(found)
        if len(asked) == 1:
            assert audit.forget_old(50) == 5
        return found

    monkeypatch.setattr(catalog.auditing, "anchor", anchor)
    check = audit.verify()
    assert (check.entries, check.problem, check.start.id) == (6, "", 5)
    assert len(asked) > 1


def test_reading_on_is_one_entry(audit: Audit, catalog: Catalog, clock: ManualClock) -> None:
    """For each person and file, until some time has passed; downloads are all told."""
    for who in ("ann", "bob"):
        for target in ("a", "b", "a", "a"):
            audit.note(Deed("read", "file.read", target, who=who, again=target))
            audit.note(Deed("download", "file.download", target, who=who))
    assert len(list(catalog.auditing.each(AuditFilter(kind="read")))) == 4
    assert len(list(catalog.auditing.each(AuditFilter(kind="download")))) == 8
    clock.advance(AUDIT_AGAIN_S + 1)
    assert audit.note(Deed("read", "file.read", "a", who="ann", again="a")) is not None


def test_filters_narrow(audit: Audit, catalog: Catalog, clock: ManualClock) -> None:
    """By person, kind, time and text; a percent sign is text."""
    audit.note(Deed("search", "search", "100% of it", who="ann", address="10.0.0.1", detail={"q": "Error"}))
    clock.advance(10)
    middle_ns = clock.now_ns()
    audit.note(Deed("change", "user.add", "bob", who="root", address="10.0.0.2"))

    def targets(chosen: AuditFilter) -> list[str]:
        return [record.target for record in catalog.auditing.each(chosen)]

    assert targets(EVERYTHING) == ["bob", "100% of it"]
    assert targets(AuditFilter(who="ann")) == ["100% of it"]
    assert targets(AuditFilter(kind="change")) == ["bob"]
    assert targets(AuditFilter(since_ns=middle_ns)) == ["bob"]
    assert targets(AuditFilter(until_ns=middle_ns)) == ["100% of it"]
    assert targets(AuditFilter(text="100%")) == ["100% of it"]
    assert targets(AuditFilter(text="error")) == ["100% of it"]
    assert targets(AuditFilter(text="0%r")) == []
    assert targets(AuditFilter(text="10.0.0.2 USER")) == ["bob"]


def test_hostile_and_long_texts_are_entries_like_others(audit: Audit, catalog: Catalog) -> None:
    """Nothing in a name keeps an entry away or makes it large."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for _ in range(100):
        text = "".join(
            chr(dice.choice([0, 10, 27, 0x202E, 0xDC80, 0xD800, 0x1F600, dice.randrange(0x110000)])) for _ in range(9)
        )
        assert audit.note(Deed("read", "x", text, who=text, address=text, detail={"q": text, "of": [text]})) is not None
    record = audit.note(Deed("search", "search", "x" * 10**6, detail={"q": "y" * 10**6}))
    assert record is not None
    assert len(record.target) <= AUDIT_TEXT_CHARS_MAX
    assert len(record.detail) < 2 * AUDIT_TEXT_CHARS_MAX
    assert audit.verify().problem == ""
    assert len(list(catalog.auditing.each(EVERYTHING))) == 101


def test_many_writers_make_one_chain(audit: Audit, catalog: Catalog, tmp_path: Path, clock: ManualClock) -> None:
    """Threads, and another process's catalog beside this one."""
    with Catalog.open(f"sqlite:///{tmp_path}/catalog.db", clock) as other:
        audits = [audit, Audit(other, clock=clock)]
        threads = [threading.Thread(target=filled, args=(audits[n % 2], 20)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    check = audit.verify()
    assert (check.entries, check.problem) == (160, "")


def test_an_action_is_made_harmless_like_all_else(audit: Audit) -> None:
    """Part of it may be what somebody asked for."""
    record = audit.note(Deed("change", "PATCH /\u202e\x00" + "x" * 10**4))
    assert record is not None
    assert record.action.startswith("PATCH /<U+202E>")
    assert len(record.action) <= AUDIT_TEXT_CHARS_MAX


def test_what_is_cut_off_is_bound_by_a_digest(audit: Audit) -> None:
    """Of texts and of lists: two that begin alike are told apart."""
    details = []
    for last in ("a", "b"):
        record = audit.note(Deed("search", "x", "q" * 3000 + last, detail={"of": ["same"] * 30 + [last]}))
        assert record is not None
        assert len(record.target) == AUDIT_TEXT_CHARS_MAX
        details.append((record.target, record.detail))
    assert details[0][0] != details[1][0]
    assert details[0][1] != details[1][1]


def test_two_threads_do_not_both_tell_what_is_missing(
    audit: Audit, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long writing takes, the number is told once."""
    real = catalog.auditing.add

    def full(**_values: object) -> object:
        raise Full("no room left for the catalog")

    monkeypatch.setattr(catalog.auditing, "add", full)
    filled(audit, 3)
    others = [threading.Thread(target=filled, args=(audit, 1))]

    def slow(**values: object) -> object:
        if values["action"] == "audit.gap" and others:
            other = others.pop()
            other.start()
            other.join()
        return real(**values)

    monkeypatch.setattr(catalog.auditing, "add", slow)
    filled(audit, 1)
    gaps = catalog.auditing.page(AuditFilter(text="audit.gap"), limit=9)
    assert [json.loads(gap.detail)["missing"] for gap in gaps] == [3]


def test_what_could_not_be_written_is_told_afterwards(
    audit: Audit, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full: whoever reads goes on reading; the next entry that can be written is how many are missing."""
    real: Callable[..., object] = catalog.auditing.add

    def full(**_values: object) -> object:
        raise Full("no room left for the catalog")

    monkeypatch.setattr(catalog.auditing, "add", full)
    for _ in range(3):
        assert audit.note(Deed("read", "file.read", "a", who="ann", again="a")) is None
    monkeypatch.setattr(catalog.auditing, "add", real)
    assert audit.note(Deed("read", "file.read", "a", who="ann", again="a")) is not None
    first, gap = catalog.auditing.page(EVERYTHING, limit=9)
    assert (first.action, gap.action, json.loads(gap.detail)["missing"]) == ("file.read", "audit.gap", 3)
    assert audit.verify().problem == ""
