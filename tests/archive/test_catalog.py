"""The contract of the catalog, the same for every database it runs on."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from logferry.archive import Catalog
from logferry.archive.catalog.engine import create_engine
from logferry.archive.catalog.migrate import HEAD
from logferry.archive.catalog.tables import metadata
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.records import SessionRecord
from logferry.clock import ManualClock
from logferry.errors import BadName, Busy, Conflict, Damaged, Later, NotFound, Refused
from tests.archive.conftest import AGENT, Shelf

pytestmark = pytest.mark.databases


@pytest.fixture
def catalog(database: str) -> Iterator[Catalog]:
    """An open, empty catalog."""
    with Catalog.open(database, ManualClock()) as opened:
        yield opened


# Opening -------------------------------------------------------------------------------------------------------------


def test_the_migrations_make_exactly_the_tables_of_the_code(database: str) -> None:
    """Alembic finds nothing to add or remove."""
    Catalog.open(database).close()
    engine = create_engine(database)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == HEAD
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_opening_again_keeps_what_is_there(database: str) -> None:
    """A restart loses nothing."""
    with Catalog.open(database) as first:
        first.agents.add("web-01")
    with Catalog.open(database) as second:
        assert second.agents.get("web-01") is not None


def test_many_open_a_new_catalog_at_once(database: str) -> None:
    """One makes it, the others wait for that."""
    errors: list[BaseException] = []

    def opening() -> None:
        try:
            Catalog.open(database).close()
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=opening) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_catalog_of_a_newer_program_is_refused(database: str) -> None:
    """Better no start than a wrong one."""
    Catalog.open(database).close()
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(Conflict, match="newer Logferry"):
        Catalog.open(database)


def test_a_file_that_is_no_database_is_called_damaged(folder: Path) -> None:
    """With the next step in the message."""
    (folder / "catalog.db").write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(Damaged):
        Catalog.open(f"sqlite:///{folder}/catalog.db")


def test_sqlite_runs_as_the_power_cut_tests_demand(folder: Path) -> None:
    """WAL and FULL, with foreign keys."""
    catalog = Catalog.open(f"sqlite:///{folder}/catalog.db")
    with catalog.readers.cursor() as cursor:
        found = [
            cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]
    catalog.close()


# Agents --------------------------------------------------------------------------------------------------------------


def test_an_agent_is_known_by_what_was_heard(catalog: Catalog) -> None:
    """Address, version and times come from what it did; an upload clears its error."""
    catalog.agents.add("web-01", group="web")
    catalog.agents.heard("web-01", address="10.0.0.1", version="1.2", interval_s=5.0)
    catalog.agents.failed("web-01", "disk full")
    catalog.writer.flush()
    agent = catalog.agents.get("web-01")
    assert agent is not None
    assert (agent.group, agent.address, agent.version, agent.interval_s) == ("web", "10.0.0.1", "1.2", 5.0)
    assert (agent.error, agent.heard_ns) == ("disk full", catalog.clock.now_ns())
    catalog.agents.uploaded("web-01", "a.log")
    catalog.agents.gone("web-01")
    catalog.writer.flush()
    agent = catalog.agents.get("web-01")
    assert agent is not None
    assert (agent.error, agent.error_ns, agent.last_path) == ("", None, "a.log")
    assert agent.gone_ns is not None
    catalog.agents.heard("web-01")
    catalog.writer.flush()
    back = catalog.agents.get("web-01")
    assert back is not None
    assert back.gone_ns is None


def test_agent_ids_are_unique_whatever_their_case(catalog: Catalog) -> None:
    """``Web-01`` and ``web-01`` would be one folder on some disks."""
    catalog.agents.add("web-01")
    with pytest.raises(Conflict):
        catalog.agents.add("WEB-01")
    with pytest.raises(BadName):
        catalog.agents.add("a/b")
    assert [agent.id for agent in catalog.agents.list()] == ["web-01"]


def test_agents_can_be_changed_and_removed(catalog: Catalog) -> None:
    """Unknown settings and unknown agents are errors."""
    catalog.agents.add("web-01")
    catalog.agents.change("web-01", paused=True, group="db")
    agent = catalog.agents.get("web-01")
    assert agent is not None
    assert agent.paused
    assert [each.id for each in catalog.agents.list(group="db")] == ["web-01"]
    with pytest.raises(TypeError):
        catalog.agents.change("web-01", colour="red")
    with pytest.raises(NotFound):
        catalog.agents.change("nobody", paused=True)
    catalog.agents.remove("web-01")
    with pytest.raises(NotFound):
        catalog.agents.remove("web-01")


def test_an_agent_with_files_is_not_removed(shelf: Shelf) -> None:
    """Only retention deletes."""
    shelf.put("a.log", b"x")
    with pytest.raises(Conflict):
        shelf.catalog.agents.remove(AGENT)


def test_uploads_are_noted_with_the_agent(shelf: Shelf) -> None:
    """Last path, times and sums come with the upload's own transaction."""
    shelf.put("var/a.log", b"12345")
    agent = shelf.catalog.agents.get(AGENT)
    assert agent is not None
    assert (agent.last_path, agent.files, agent.bytes) == ("var/a.log", 1, 5)
    assert agent.uploaded_ns == agent.heard_ns == shelf.clock.now_ns()


# Files ---------------------------------------------------------------------------------------------------------------


def test_folder_sums_are_right_after_everything(shelf: Shelf) -> None:
    """New files, growth, replacement, moves and ends keep the sums of every folder above."""
    shelf.put("a/b/one", b"1")
    shelf.put("a/b/one", b"12345", offset=0)
    shelf.put("a/two", b"22")
    shelf.put("c/three", b"333")
    shelf.put("a/two", b"other")
    shelf.rename("a/b/one", "c/one")
    shelf.rename("c/three", "c/four")
    shelf.archive.remove_file(AGENT, "c/four")
    for path in ("", "a", "a/b", "c"):
        record = shelf.catalog.files.folder_record(AGENT, path)
        assert record is not None
        below = list(shelf.catalog.files.each(below=path))
        assert (record.files, record.bytes) == (len(below), sum(file.size for file in below)), path
    sums = shelf.catalog.files.sums()
    assert (sums.files, sums.generations) == (3, 4)
    assert sums == shelf.catalog.files.sums(AGENT)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_of_a_folder_fit_together(shelf: Shelf, limit: int) -> None:
    """Folders first, then files, each by name, every one once, whatever the page size."""
    for name in ["b", "a", "é", "Z", "a.1"]:
        shelf.put(f"d/{name}", b"x")
        shelf.put(f"d/{name}-folder/x", b"x")
    cursor, names = None, []
    while True:
        page = shelf.catalog.files.folder(AGENT, "d", cursor=cursor, limit=limit)
        assert len(page.folders) + len(page.files) <= limit
        names += [folder.name + "/" for folder in page.folders] + [file.name for file in page.files]
        cursor = page.next
        if cursor is None:
            break
    folders = sorted(["b-folder", "a-folder", "é-folder", "Z-folder", "a.1-folder"])
    assert names == [f"{name}/" for name in folders] + sorted(["b", "a", "é", "Z", "a.1"])


def test_finding_pages_through_everything_that_matches(shelf: Shelf) -> None:
    """All texts anywhere in agent and path, in any case; pages fit together."""
    shelf.catalog.agents.add("db-01")
    for agent, path in itertools.product((AGENT, "db-01"), ("var/app.log", "var/app.log.1", "srv/Other.txt")):
        upload = shelf.archive.begin(agent, path)
        upload.commit()

    def found(*needed: str, limit: int = 2) -> list[str]:
        cursor, all_found = None, []
        while True:
            page = shelf.catalog.files.find(needed=needed, cursor=cursor, limit=limit)
            all_found += [f"{file.agent}/{file.path}" for file in page.files]
            cursor = page.next
            if cursor is None:
                return all_found

    assert len(found()) == 6
    assert found("DB-", ".LOG") == ["db-01/var/app.log", "db-01/var/app.log.1"]
    assert found("other") == ["db-01/srv/Other.txt", f"{AGENT}/srv/Other.txt"]
    assert found("web-01/VAR") == [f"{AGENT}/var/app.log", f"{AGENT}/var/app.log.1"]
    assert found("app.log", "other") == []
    assert found("%") == []


def test_each_walks_over_agents_and_folders(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in many small reads; a folder's name is not a prefix of its neighbours'."""
    monkeypatch.setattr("logferry.archive.catalog.files.CATALOG_PAGE_ROWS", 2)
    for path in ("a/1", "a/2", "a/b/3", "ab/4", "a-5", "a"[:1] + "z/6"):
        shelf.put(path, b"x")
    assert [file.path for file in shelf.catalog.files.each(below="a")] == ["a/1", "a/2", "a/b/3"]
    assert len(list(shelf.catalog.files.each())) == 6
    assert list(shelf.catalog.files.each(agents=["nobody"])) == []
    assert len(list(shelf.catalog.files.each(agents=[AGENT, AGENT]))) == 6


@pytest.mark.parametrize("cursor", ["", "x", "[]", '["q","a"]', '["d"]', '["f",1]', '["p","a"]', "null"])
def test_a_cursor_that_is_not_ours_is_refused(shelf: Shelf, cursor: str) -> None:
    """With an error, not with a wrong page."""
    if cursor:
        with pytest.raises(Refused):
            shelf.catalog.files.folder(AGENT, "", cursor=cursor)
        with pytest.raises(Refused):
            shelf.catalog.files.find(cursor=cursor)


def test_what_does_not_exist_is_none(shelf: Shelf) -> None:
    """No error for a question."""
    files = shelf.catalog.files
    assert files.at(AGENT, "x") is None
    assert files.get(99) is None
    assert files.generation(99) is None
    assert files.generation(99, 1) is None
    assert files.by_generation(99) is None
    assert files.generations(99) == []
    assert files.folder_record(AGENT, "x") is None
    assert files.folder(AGENT, "x") == files.folder("nobody", "")


def test_a_generation_is_found_by_its_id(shelf: Shelf) -> None:
    """With the file that holds it now."""
    done = shelf.put("a.log", b"x")
    shelf.rename("a.log", "b.log")
    assert done.generation_id is not None
    found = shelf.catalog.files.by_generation(done.generation_id)
    assert found is not None
    assert (found[0].path, found[1].number, found[1].place) == ("b.log", 1, f"live/{AGENT}/b.log")


# People --------------------------------------------------------------------------------------------------------------


def test_users_are_unique_whatever_their_case(catalog: Catalog) -> None:
    """And found whatever the case."""
    added = catalog.people.add_user("Ann", role="admin", scope=("a/*", "!b"), password_hash="h", now_ns=1)
    assert catalog.people.user("aNN") == added
    assert (added.scope, added.enabled) == (("a/*", "!b"), True)
    with pytest.raises(Conflict):
        catalog.people.add_user("ann", role="viewer", scope=(), password_hash="h", now_ns=1)
    assert catalog.people.users() == [added]


def test_the_last_use_of_a_code_goes_to_one_only(catalog: Catalog) -> None:
    """Eight at once, two uses: exactly two succeed; an expired one is worth nothing."""
    code = catalog.people.add_code("join", secret_hash="s", now_ns=0, expires_ns=100, uses=2)
    results: list[bool] = []
    threads = [threading.Thread(target=lambda: results.append(catalog.people.use_code(code.id, 50))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False] * 6 + [True] * 2
    late = catalog.people.add_code("join", secret_hash="t", now_ns=0, expires_ns=100, uses=2)
    assert not catalog.people.use_code(late.id, 100)
    assert catalog.people.code("setup", "t") is None


def test_a_provider_knows_each_person_once(catalog: Catalog) -> None:
    """Its subject is one person's alone, other providers may have the same one; a way back counts once."""
    people = catalog.people
    values: dict[str, Any] = {"role": "viewer", "scope": (), "password_hash": "", "now_ns": 1}
    ann = people.add_user("ann", issuer="https://a", subject="1", **values)
    other = people.add_user("ann2", issuer="https://b", subject="1", **values)
    for name in ("x", "y"):
        people.add_user(name, **values)
    with pytest.raises(Conflict):
        people.add_user("bob", issuer="https://a", subject="1", **values)
    assert people.outsider("https://a", "1") == ann
    assert people.outsider("https://b", "1") == other
    assert people.outsider("", "") is None
    people.add_session(SessionRecord("k", ann.id, "c", 1, 1, 1000, "", "", "a.b.c"), ann)
    assert (people.end_session("k"), people.end_session("k")) == ("a.b.c", "")
    people.note_used("oidc", "h", now_ns=1, expires_ns=5)
    with pytest.raises(Conflict):
        people.note_used("oidc", "h", now_ns=2, expires_ns=6)
    assert people.forget_expired(5, idle_before_ns=0) == 1
    people.note_used("oidc", "h", now_ns=7, expires_ns=9)


def test_sessions_and_tokens_end_with_their_user(catalog: Catalog) -> None:
    """Removing a user leaves nothing that could sign in."""
    user = catalog.people.add_user("ann", role="viewer", scope=(), password_hash="h", now_ns=1)
    session = SessionRecord("key", user.id, "csrf", 1, 1, 1000, "addr", "browser")
    catalog.people.add_session(session, user)
    user = replace(user, signed_in_ns=1)
    token = catalog.people.add_token(
        user_id=user.id, name="t", secret_hash="secret", scope=("x/*",), now_ns=1, expires_ns=None
    )
    assert catalog.people.session("key") == (session, user)
    assert catalog.people.token("secret") == (token, user)
    assert catalog.people.tokens(user.id) == [token]
    catalog.people.touch_session("key", 7)
    catalog.people.touch_token(token.id, 7, "here")
    catalog.writer.flush()
    found = catalog.people.token("secret")
    assert found is not None
    assert found[0].used_ns == 7
    catalog.people.remove_user(user.id)
    assert catalog.people.session("key") is None
    assert catalog.people.token("secret") is None
    assert not catalog.people.remove_token(token.id)


def test_what_has_expired_is_forgotten(catalog: Catalog) -> None:
    """Sessions, tokens and codes alike; idle sessions too."""
    user = catalog.people.add_user("ann", role="viewer", scope=(), password_hash="h", now_ns=1)
    for key, used_ns, expires_ns in [("fresh", 90, 1000), ("idle", 10, 1000), ("over", 90, 95)]:
        catalog.people.add_session(SessionRecord(key, user.id, "", 1, used_ns, expires_ns, "", ""), user)
    catalog.people.add_token(user_id=user.id, name="", secret_hash="a", scope=(), now_ns=1, expires_ns=95)
    catalog.people.add_token(user_id=user.id, name="", secret_hash="b", scope=(), now_ns=1, expires_ns=None)
    catalog.people.add_code("join", secret_hash="c", now_ns=1, expires_ns=95, uses=1)
    assert catalog.people.forget_expired(100, idle_before_ns=50) == 4
    assert catalog.people.session("fresh") is not None
    assert catalog.people.token("b") is not None


# Writing together ----------------------------------------------------------------------------------------------------


def test_one_bad_change_does_not_hurt_its_neighbours(shelf: Shelf) -> None:
    """Uploads of an unknown agent fail in the same batches in which others succeed."""
    barrier = threading.Barrier(8)
    outcome: dict[int, str] = {}

    def upload(number: int) -> None:
        agent = AGENT if number % 2 else "stranger"
        incoming = shelf.archive.begin(agent, f"{number}.log")
        incoming.write(b"x")
        barrier.wait()
        try:
            incoming.commit()
            outcome[number] = "ok"
        except NotFound:
            outcome[number] = "no agent"

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcome == {number: "ok" if number % 2 else "no agent" for number in range(8)}
    assert sorted(shelf.everything()) == ["1.log", "3.log", "5.log", "7.log"]
    assert shelf.catalog.files.sums().files == 4


class _Numbered(Change[int]):
    """The second one is refused when it is staged, the fourth when its rows are written."""

    def __init__(self, number: int, log: list[str]) -> None:
        self.number = number
        self.log = log

    def stage(self, _sync: object) -> None:
        if self.number == 1:
            raise Busy("somebody is at it")

    def apply(self, transaction: Transaction) -> int:
        if self.number == 3:
            raise Conflict("another has it")
        transaction.cursor.execute("SELECT 1")
        return self.number

    def undo(self) -> None:
        self.log.append(f"undone {self.number}")

    def committed(self) -> None:
        self.log.append(f"committed {self.number}")

    def release(self) -> None:
        self.log.append(f"released {self.number}")


def test_of_changes_made_together_each_fails_alone(shelf: Shelf) -> None:
    """Each has its own result, in their order; what is refused is taken back, and all locks are let go of."""
    log: list[str] = []
    told = shelf.catalog.writer.run_all([_Numbered(number, log) for number in range(6)])
    assert [one if isinstance(one, int) else type(one) for one in told] == [0, Busy, 2, Conflict, 4, 5]
    assert [line for line in log if line.startswith("committed")] == [f"committed {n}" for n in (0, 2, 4, 5)]
    assert sorted(line for line in log if line.startswith("undone")) == ["undone 1", "undone 3"]
    assert log[-6:] == [f"released {number}" for number in range(6)]
    assert shelf.catalog.writer.run_all([]) == []


def test_several_catalogs_write_into_the_same_folders(database: str) -> None:
    """As the processes of a server do: every sum is right in the end, and nobody fails for another's sake."""
    names = [f"{number}.log" for number in range(6)]
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(Catalog.open(database, ManualClock())) for _ in range(3)]
        opened[0].agents.add(AGENT)
        errors: list[BaseException] = []

        def write(number: int) -> None:
            catalog = opened[number]
            try:
                for at, name in itertools.product(range(5), names):
                    path = f"folder-{at}/of-{number % 2}/{number}-{name}"

                    def work(transaction: Transaction, path: str = path, catalog: Catalog = catalog) -> None:
                        catalog.filing.begin(
                            transaction, AGENT, path, size=10, modified_ns=1, now_ns=1, sha256=None
                        )  # fmt: skip

                    catalog.writer.run(Filed(work))
            except BaseException as error:  # noqa: BLE001 - told below
                errors.append(error)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        root = opened[0].files.folder_record(AGENT, "")
        assert root is not None
        assert (root.files, root.bytes) == (90, 900)
        assert len(list(opened[1].files.each())) == 90
        for at in range(5):
            folder = opened[2].files.folder_record(AGENT, f"folder-{at}")
            assert folder is not None
            assert (folder.files, folder.bytes) == (18, 180)


class Filed(Change[None]):
    """A change that runs a function with the transaction."""

    def __init__(self, work: Callable[[Transaction], None]) -> None:
        self._work = work

    def apply(self, transaction: Transaction) -> None:
        self._work(transaction)


def test_a_question_with_nul_finds_nothing(shelf: Shelf) -> None:
    """On every database alike; what is noted may have it."""
    shelf.put("a.log", b"x")
    assert shelf.catalog.files.at(AGENT, "a.log\x00") is None
    assert shelf.catalog.people.user("a\x00") is None
    shelf.catalog.agents.failed(AGENT, "broken \x00 off")
    shelf.catalog.writer.flush()
    agent = shelf.catalog.agents.get(AGENT)
    assert agent is not None
    assert agent.error.startswith("broken ")


def test_a_locked_catalog_is_a_later(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that will not let go: nothing is confirmed, the next try succeeds."""
    monkeypatch.setattr("logferry.archive.catalog.engine.CATALOG_BUSY_S_MAX", 0.05)
    shelf = Shelf(folder)
    other = sqlite3.connect(folder / "catalog.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Later):
        shelf.put("a.log", b"x")
    other.execute("ROLLBACK")
    other.close()
    shelf.put("a.log", b"x")
    assert shelf.everything() == {"a.log": [b"x"]}
    assert os.listdir(folder / "incoming" / AGENT) == []
    shelf.close()
