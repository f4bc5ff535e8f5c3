"""An archive whose catalog is on a PostgreSQL server is backed up as any other, and restored to either database."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, select, text
from sqlalchemy.engine import Connection

from logferry.archive import Catalog
from logferry.archive.backup import Backup, Restorer
from logferry.archive.backup.restoring import refuse_unfinished
from logferry.archive.catalog import Place, sqlite_url
from logferry.archive.catalog.copying import copy_in, copy_out
from logferry.archive.catalog.engine import create_engine
from logferry.archive.catalog.facts import RESTORED
from logferry.archive.catalog.migrate import migrate
from logferry.archive.catalog.tables import metadata
from logferry.archive.durable import Disk
from logferry.archive.store import LocalStore
from logferry.errors import Conflict, Full, LogferryError, Refused, Unreachable
from tests.archive.conftest import AGENT, Shelf
from tests.archive.crashing import forked, told
from tests.archive.test_backup import (
    History,
    back_up_while_busy,
    backups_in,
    flaws,
    mixed,
    restored,
    take,
)
from tests.archive.test_migrations import ROWS
from tests.archive.test_seal import seal
from tests.postgres import Postgres
from tests.security.amounts import amount

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def place(folder: Path) -> Path:
    """An empty folder for archive, backups and what is restored."""
    (folder / "archive").mkdir()
    return folder


@pytest.fixture
def elsewhere(postgres: Postgres, place: Path) -> Iterator[str]:
    """Where the catalog of the archive is: an empty schema."""
    with postgres.schema() as url:
        (place / "archive" / "catalog.url").write_text(url)
        yield url


@pytest.fixture
def shelf(elsewhere: str, place: Path) -> Iterator[Shelf]:
    """An archive in the folder ``archive`` with its catalog on PostgreSQL."""
    assert elsewhere
    made = Shelf(place / "archive")
    yield made
    made.close()


@pytest.fixture
def target(postgres: Postgres) -> Iterator[Place]:
    """Another empty schema."""
    with postgres.schema() as url:
        yield Place(url)


def all_rows(url: str) -> Rows:
    """Every row of every table, by name of the table."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return {
                table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
                for table in metadata.sorted_tables
            }
    finally:
        engine.dispose()


def filled(url: str) -> None:
    """A catalog with rows in every table."""
    engine = create_engine(url)
    migrate(engine)
    more: dict[str, list[dict[str, Any]]] = {
        "name_blocks": [{"first_id": 1, "last_id": 9, "files": 3, "grams": b"\x00\xff\n'", "names": bytes(range(256))}],
        "indexes": [
            {"segment_id": 2, "name": "Web-01/x.index", "bytes": 9, "version": 3, "built_ns": 7, "due_ns": None,
             "why": "é", "zone": "Europe/Berlin"}
        ],
        "saved": [
            {"id": 4, "user_id": 3, "name": "é", "address": "/search?q=%00", "shared": 1, "created_ns": 5,
             "changed_ns": 6}
        ],
        "alert_rules": [
            {"id": 3, "kind": "quota", "agents": '["*"]', "groups": "[]", "channels": None, "above": 0.5,
             "after_s": None, "enabled": 1, "made_by": "é", "created_ns": 5}
        ],
        "alerts": [
            {"id": 9, "kind": "quota", "subject": "Web-01", "group": "", "reason": "ü", "rule": "page 3",
             "began_ns": 1, "raised_ns": 2, "told_ns": None, "told": "[]", "well_ns": None, "resolved_ns": None,
             "closed_ns": None}
        ],
        "alert_mutes": [
            {"kind": "quota", "subject": "Web-01", "until_ns": 7, "made_by": "Ann", "reason": "é"}
        ],
        "alert_messages": [
            {"id": 6, "uid": "00ff", "channel": "ops", "event": "raised", "title": "t", "alerts": "[9]",
             "body": "{}", "made_ns": 3, "state": "failed", "due_ns": None, "attempts": 9, "tried_ns": 4,
             "reply": "500"}
        ],
        "audit": [
            {"id": 1, "time_ns": 2, "who": "Ann", "role": "admin", "via": "web", "address": "::1", "kind": "read",
             "action": "file.read", "target": "web-01/ü\n", "detail": "", "request_id": "r", "hash": "00ff"}
        ],
    }  # fmt: skip
    odd = {
        "agents": {
            "held_files": 4, "held_bytes": (1 << 63) - 1, "quota_files": None, "quota_bytes": 0, "tags": "[]",
            "expect_every_s": None, "upload_rate": "",
        }
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM facts"))
        for name, rows in (ROWS | more).items():
            connection.execute(insert(metadata.tables[name]), [row | odd.get(name, {}) for row in rows])
        # A child with a lower id than the folder that it was moved to.
        child = {"id": 20, "agent_id": "Web-01", "parent_id": 21, "path": "b/c", "name": "c", "present": 0, "files": 0,
                 "bytes": 0, "changed_ns": 1}  # fmt: skip
        connection.execute(insert(metadata.tables["folders"]), [child | {"id": 21, "parent_id": 1, "path": "b"}])
        connection.execute(insert(metadata.tables["folders"]), [child])
    engine.dispose()


def restore_to(place: Path, target: Place, *, into: str = "restored", disk: Disk | None = None) -> Restorer:
    """Restore the newest backup with its catalog on PostgreSQL."""
    repository = backups_in(place)
    folder = place / into
    folder.mkdir(exist_ok=True)
    store = LocalStore(str(folder / "store"), disk)
    restorer = Restorer(repository, repository.get(), str(folder), store, catalog=target, disk=disk)
    restorer.restore()
    (folder / "catalog.url").write_text(target.url)
    return restorer


def whole_at(place: Path, into: str = "restored") -> Shelf:
    """The restored archive, every byte of which is verified."""
    shelf = Shelf(place / into)
    assert list(shelf.archive.verifier().verify()) == []
    return shelf


# Rows ----------------------------------------------------------------------------------------------------------------


def test_every_row_of_every_table_comes_over_and_back(postgres: Postgres, place: Path, target: Place) -> None:
    """PostgreSQL to SQLite to PostgreSQL: equal, and ids go on behind the highest that was ever given out."""
    with postgres.schema() as url:
        filled(url)
        assert all(rows for rows in all_rows(url).values())
        engine = create_engine(url)
        with engine.begin() as connection:
            for name, last in (("files", 70), ("generations", 80), ("holds", 3_000_000_000)):
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {last})"))
        path = place / "copy.db"
        copy_out(engine, str(path))
        engine.dispose()
        assert all_rows(sqlite_url(str(path))) == all_rows(url)
        assert list(place.glob("copy.db-*")) == []
        with contextlib.closing(sqlite3.connect(path)) as connection_:
            last_ids = dict(connection_.execute("SELECT name, seq FROM sqlite_sequence"))
            assert connection_.execute("PRAGMA foreign_key_check").fetchall() == []
        assert (last_ids["files"], last_ids["generations"], last_ids["holds"]) == (70, 80, 3_000_000_000)
        copy_in(str(path), target)
        assert all_rows(target.url) == all_rows(url)
        with Catalog.open(target.url) as catalog:
            assert catalog.retaining.add_hold("x", "y").id == 3_000_000_001
            catalog.agents.add("new-01")


def test_a_copy_is_one_moment_whatever_is_written_meanwhile(shelf: Shelf, place: Path) -> None:
    """Between any two tables another file comes, and an agent; none of it is in the copy."""
    mixed(shelf)
    before = all_rows(shelf.catalog._engine.url.render_as_string(hide_password=False))
    other = Shelf(place / "archive")
    written: list[str] = []

    def meddle(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith("SELECT ") and "FROM " in statement and len(written) < 20:
            written.append(statement)
            other.put(f"meanwhile/{len(written)}.log", b"x")
            other.catalog.agents.add(f"new-{len(written)}")

    event.listen(shelf.catalog._engine, "after_cursor_execute", meddle)
    try:
        shelf.catalog.snapshot(str(place / "copy.db"))
    finally:
        event.remove(shelf.catalog._engine, "after_cursor_execute", meddle)
        other.close()
    assert len(written) > len(metadata.tables) // 2
    copied = all_rows(sqlite_url(str(place / "copy.db")))
    # The first one came behind the first statement, whose moment is that of all.
    assert copied == before


def test_a_catalog_in_which_something_is_takes_no_other(postgres: Postgres, place: Path, target: Place) -> None:
    """Nothing of it is changed."""
    path = place / "copy.db"
    filled(sqlite_url(str(path)))
    with Catalog.open(target.url) as there:
        there.agents.add("theirs")
    before = all_rows(target.url)
    with pytest.raises(Conflict, match="rows in agents"):
        copy_in(str(path), target)
    assert all_rows(target.url) == before
    with postgres.schema() as url:
        postgres.run(f"CREATE TABLE {url.rpartition('%3D')[2]}.users (theirs int)")
        with pytest.raises(Refused, match="another program"):
            copy_in(str(path), Place(url))


def test_a_database_without_room_is_full(postgres: Postgres, place: Path, target: Place) -> None:
    """And in the words of a full disk; nothing of it is there then."""
    path = place / "copy.db"
    filled(sqlite_url(str(path)))
    Catalog.open(target.url).close()
    schema = target.url.rpartition("%3D")[2]
    postgres.run(
        f"CREATE FUNCTION {schema}.no_room() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
    )
    postgres.run(f"CREATE TRIGGER no_room BEFORE INSERT ON {schema}.extents EXECUTE FUNCTION {schema}.no_room()")
    with pytest.raises(Full, match="no room"):
        copy_in(str(path), target)
    postgres.run(f"DROP TRIGGER no_room ON {schema}.extents")
    assert all_rows(target.url)["files"] == []
    copy_in(str(path), target)
    assert all_rows(target.url) == all_rows(sqlite_url(str(path)))


def test_a_copy_that_cannot_be_written_here_is_no_fault_of_the_server(postgres: Postgres, place: Path) -> None:
    with postgres.schema() as url:
        filled(url)
        facts = f"{url.rpartition('%3D')[2]}.facts"
        postgres.run(f"INSERT INTO {facts} SELECT 'fact ' || i, repeat('x', 200) FROM generate_series(1, 3000) i")

        def child(tell: Callable[[str], None]) -> None:
            engine, file = create_engine(url), create_engine(sqlite_url(str(place / "copy.db")))
            migrate(file)
            file.dispose()  # from here on nothing more can be written
            resource.setrlimit(resource.RLIMIT_FSIZE, ((place / "copy.db").stat().st_size,) * 2)
            try:
                copy_out(engine, str(place / "copy.db"))
            except LogferryError as error:
                tell(f"{type(error).__name__} {error.message}")

        with forked(child) as (_, reading):
            (said,) = told(reading)
    assert said.startswith(("Full the copy of the catalog", "Later the copy of the catalog"))
    assert "copy.db" in said


# Backups -------------------------------------------------------------------------------------------------------------


def test_a_backup_becomes_an_archive_on_either_database(shelf: Shelf, place: Path, target: Place) -> None:
    """Every byte is there, every table equal, and both go on growing."""
    whole = mixed(shelf)
    shelf.catalog.people.add_user("ann", role="viewer", scope=("web-*/**",), password_hash="h", now_ns=1)
    shelf.catalog.retaining.add_hold("web-01/**", "case 1")
    backup = take(shelf)
    assert backup.problems == ()
    assert (backup.agents, backup.files, backup.generations) == (1, 8, 8)
    assert flaws(place) == []
    assert take(shelf).new_objects == 0
    shelf.put("late.log", b"too late\n")
    on_sqlite = restored(place, into="sqlite")
    assert restore_to(place, target).done.problems == []
    on_postgres = whole_at(place)
    rows = [all_rows(url) for url in (sqlite_url(f"{place}/sqlite/catalog.db"), target.url)]
    for each in rows:
        each["facts"] = [row for row in each["facts"] if row[0] != RESTORED]
        each["segments"] = [row[:8] for row in each["segments"]]  # one of them was verified, the other, too, later
    assert rows[0] == rows[1]
    assert not (place / "restored/catalog.db").exists()
    assert list((place / "restored").glob("catalog.db*")) == []
    for other in (on_sqlite, on_postgres):
        assert other.everything() == whole
        assert other.catalog.facts.get(RESTORED) != ""
        other.put("var/log/app.log", b"more\n", append=True)
        assert other.history("var/log/app.log") == [whole["var/log/app.log"][0] + b"more\n"]
        assert [hold.reason for hold in other.catalog.retaining.holds()] == ["case 1"]
        seal(other)
        assert list(other.archive.check(digests=True)) == []
        other.close()


def test_backups_of_a_busy_archive_have_everything_that_was_confirmed_when_they_began(
    shelf: Shelf, place: Path
) -> None:
    back_up_while_busy(shelf, place, backups=3)


def test_an_archive_moves_from_sqlite_to_postgresql_by_a_backup(place: Path, target: Place) -> None:
    """With everything that a rebuilt catalog would lack."""
    shelf = Shelf(place / "archive")
    whole = mixed(shelf)
    shelf.catalog.people.add_user("ann", role="viewer", scope=(), password_hash="h", now_ns=1)
    archive = shelf.catalog.facts.archive_id()
    take(shelf)
    shelf.close()
    restore_to(place, target)
    moved = whole_at(place)
    assert moved.everything() == whole
    assert moved.catalog.people.user("ann") is not None
    assert moved.catalog.facts.archive_id() == archive
    moved.clock.advance(100)
    assert take(moved).new_objects == 0
    moved.close()


def test_a_restore_refuses_a_catalog_in_which_something_is(shelf: Shelf, place: Path, target: Place) -> None:
    """Before it writes anything."""
    mixed(shelf)
    take(shelf)
    with Catalog.open(target.url) as there:
        there.agents.add("theirs")
    with pytest.raises(Conflict, match="empty schema"):
        restore_to(place, target)
    assert [path for path in (place / "restored").rglob("*") if path.is_file()] == []


LATE = ("INSERT INTO extents", "COMMIT", "the catalog is copied")


@pytest.mark.parametrize("where", [*LATE, *(range(0, 200, 1) if amount("databases", 0, 1) else ())])
def test_killed_anywhere_a_restore_to_postgresql_goes_on_where_it_was(
    shelf: Shelf, place: Path, target: Place, where: str | int
) -> None:
    """What is half restored is marked, so that nothing starts on it; the catalog is there whole or not at all."""
    mixed(shelf)
    take(shelf, segment_bytes=5_000)
    whole = shelf.everything()
    shelf.close()

    def child(tell: Callable[[str], None]) -> None:
        begun: list[str] = []

        def step(name: str) -> None:
            begun.append(name)
            if where in (name, len(begun) - 1):
                os.kill(os.getpid(), signal.SIGKILL)

        def statement(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
            if statement.startswith(str(where)):
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "before_cursor_execute", statement)
        event.listen(Engine, "commit", lambda connection: statement(None, None, _committing(connection)))
        restore_to(place, target, disk=Disk(step))
        tell("end")

    with forked(child) as (_, reading):
        at_the_end = told(reading) == ["end"]
    assert at_the_end <= isinstance(where, int)
    marked = (place / "restored/restore.json").exists()
    if isinstance(where, str):
        assert marked
        rows = all_rows(target.url) if Catalog.is_there(target) else {}
        assert len(rows.get("generations", ())) == (8 if where == "the catalog is copied" else 0)
    if marked:
        with pytest.raises(Conflict, match="restored"):
            refuse_unfinished(str(place / "restored"))
    if not at_the_end:
        assert restore_to(place, target).done.problems == []
    other = whole_at(place)
    assert other.everything() == whole
    other.close()
    assert [path.name for path in (place / "restored").iterdir() if "restore" in path.name] == []


def _committing(connection: Connection) -> str:
    """COMMIT where the rows of a catalog are being committed to PostgreSQL."""
    is_ours = connection.dialect.name != "sqlite" and connection.execute(text("SELECT count(*) FROM files")).scalar()
    return "COMMIT" if is_ours else ""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # psycopg, of its cursor
def test_a_server_that_goes_away_while_its_catalog_is_copied_is_told(
    shelf: Shelf, place: Path, postgres: Postgres
) -> None:
    """No backup is there then; the next one is whole."""
    whole = mixed(shelf)
    cut: list[str] = []

    def cut_off(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if "FROM generations" in statement and not cut:
            cut.append(statement)
            others = "pid <> pg_backend_pid() AND datname = 'logs'"
            postgres.run(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}")

    event.listen(shelf.catalog._engine, "after_cursor_execute", cut_off)
    try:
        with pytest.raises(Unreachable, match="cannot be reached"):
            take(shelf)
    finally:
        event.remove(shelf.catalog._engine, "after_cursor_execute", cut_off)
    assert len(cut) == 1
    assert backups_in(place).listing().whole == []
    assert not (place / "archive/backup-work").exists()
    taken: Backup = take(shelf)
    assert taken.problems == ()
    other = restored(place)
    assert other.everything() == whole
    other.close()


def test_without_room_for_a_copy_of_the_catalog_nothing_is_begun(shelf: Shelf, place: Path) -> None:
    """Its size is asked of the server."""
    mixed(shelf)
    assert shelf.catalog.size_bytes() > 100_000
    shelf.close()
    tight = Shelf(place / "archive", min_free_bytes=1 << 62)
    with contextlib.closing(tight), pytest.raises(Full, match="catalog"):
        take(tight)
    assert backups_in(place).listing().whole == []


def test_names_and_words_of_all_kinds_come_over(shelf: Shelf, place: Path, target: Place) -> None:
    """Also what PostgreSQL cannot hold, in the notes of an archive that was in SQLite before."""
    odd: History = {}
    for number, name in enumerate(("ü/ß.log", "日本/\u202e.log", "a'b\"c;--.log", "x" * 200 + ".log")):
        shelf.put(name, b"%d\n" % number)
        odd[name] = [b"%d\n" % number]
    take(shelf)
    first = restored(place, into="first")
    first.catalog.agents.failed(AGENT, "a \x00 in it")
    first.catalog.writer.flush()
    first.clock.advance(100)
    take(first)
    first.close()
    restore_to(place, target, into="second")
    second = whole_at(place, "second")
    assert second.everything() == odd
    agent = second.catalog.agents.get(AGENT)
    assert agent is not None
    assert agent.error == "a \x1a in it"
    second.close()
