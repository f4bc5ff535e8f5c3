"""All rows of one catalog into another one, whichever databases they are in: out of PostgreSQL for a backup, and back.

What comes out is one moment of a catalog that others go on writing to. What goes in is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Engine, Table, delete, insert, inspect, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError

from logferry.archive.catalog.engine import Place, create_engine, explaining, opened, sqlite_url
from logferry.archive.catalog.facts import STORE_SINCE, get_fact
from logferry.archive.catalog.migrate import migrate, revision
from logferry.archive.catalog.postgresql import WRITES, shown_name
from logferry.archive.catalog.tables import facts, folders, metadata
from logferry.errors import Conflict, Full, Later
from logferry.limits import CARE_PAGE_ROWS

_BY_MIGRATIONS = (STORE_SINCE,)
"""Facts of a catalog in which nothing ever was."""


def copy_out(engine: Engine, path: str) -> None:
    """Write the catalog of a PostgreSQL server, as it is at one moment, into a new SQLite file.

    Not durable, and not to be used when it failed.

    Raises:
        Unreachable: the server went away.
        Full, Later: the file cannot be written.
    """
    target = create_engine(sqlite_url(path))
    try:
        migrate(target)
        with (
            explaining(engine),
            _explaining_file(path),
            engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as reading,
            target.connect() as writing,
        ):
            # Nobody needs half a copy, so it is written without a journal, which would be as large once more.
            driver = writing.connection.driver_connection
            assert driver is not None
            driver.execute("PRAGMA journal_mode = OFF")
            driver.execute("PRAGMA synchronous = OFF")
            with writing.begin():
                copy_rows(reading, writing)
    finally:
        target.dispose()


def copied_bytes(engine: Engine) -> int:
    """How large a copy of the catalog of a PostgreSQL server is, about: as large as it is there."""
    query = text("SELECT pg_total_relation_size(to_regclass(:name))")
    with engine.connect() as connection:
        sizes = (connection.execute(query, {"name": name}).scalar() for name in metadata.tables)
        return sum(int(size or 0) for size in sizes)


def copy_in(path: str, place: Place) -> None:
    """Fill the empty catalog of ``place`` with the rows of the one in the SQLite file at ``path``: all, or none.

    Raises:
        Conflict: there is something in it.
        LogferryError: see ``Catalog.open``.
    """
    check_empty(place)
    source, target = create_engine(sqlite_url(path)), opened(place)
    try:
        with explaining(target), _explaining_file(path):
            migrate(target)
            with (
                source.connect() as reading,
                target.connect().execution_options(**{WRITES: True}) as writing,
                writing.begin(),
            ):
                _check_empty(writing, target)
                copy_rows(reading, writing)
    finally:
        source.dispose()
        target.dispose()


def check_empty(place: Place) -> None:
    """Raise Conflict where there is a catalog at ``place`` with something in it, or as ``Catalog.open`` does."""
    engine = opened(place)
    try:
        with explaining(engine):
            if revision(engine) is not None:
                with engine.connect() as connection:
                    _check_empty(connection, engine)
    finally:
        engine.dispose()


def fact_at(place: Place, name: str) -> str:
    """A fact of the catalog at ``place``; empty where it has none, or there is none. Raises as ``check_empty``."""
    engine = opened(place)
    try:
        with explaining(engine):
            if not inspect(engine).has_table(facts.name):
                return ""
            with engine.connect() as connection:
                return get_fact(connection, name)
    finally:
        engine.dispose()


@contextlib.contextmanager
def _explaining_file(path: str) -> Iterator[None]:
    """What SQLite says, in our words: it is no fault of the server's."""
    try:
        yield
    except (DatabaseError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DatabaseError) else error
        if not isinstance(cause, sqlite3.Error):
            raise
        said = f"the copy of the catalog {path}: {cause}"
        hint = "free some space, or look after the disk; then begin again"
        raise Full(said, hint=hint) if "disk is full" in said else Later(said, hint=hint) from error


def copy_rows(source: Connection, target: Connection) -> None:
    """All rows take the place of those that are there; ids go on behind the highest that was ever given out."""
    for table in reversed(metadata.sorted_tables):
        target.execute(delete(table))
    for table in metadata.sorted_tables:
        query = select(table).order_by(*_order(table))
        with contextlib.closing(source.execute(query, execution_options={"yield_per": CARE_PAGE_ROWS})) as rows:
            for page in rows.mappings().partitions():
                target.execute(insert(table), [dict(row) for row in page])
    for name, last in _last_ids(source).items():
        _go_on_behind(target, name, last)


def _order(table: Table) -> list[Column[Any]]:
    # A folder refers to the one that it is in, whose path is the beginning of its own.
    columns = (folders.c.agent_id, folders.c.path) if table is folders else table.primary_key.columns
    return list(columns)


def _numbered() -> list[str]:
    """Tables whose ids are given out by the database."""
    return [table.name for table in metadata.sorted_tables if table.dialect_options["sqlite"]["autoincrement"]]


def _last_ids(connection: Connection) -> dict[str, int]:
    """The last id that was given out, by table. Those without one are left out."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, seq FROM sqlite_sequence"))
        return {name: int(last) for name, last in rows if name in metadata.tables}
    query = text("SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:name, 'id') AS regclass))")
    found = {name: connection.execute(query, {"name": name}).scalar() for name in _numbered()}
    return {name: int(last) for name, last in found.items() if last is not None}


def _go_on_behind(connection: Connection, name: str, last: int) -> None:
    values = {"name": name, "last": last}
    if connection.dialect.name == "sqlite":
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), values)
    else:
        connection.execute(text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)"), values)


def _check_empty(connection: Connection, engine: Engine) -> None:
    there = set(inspect(connection).get_table_names())
    for table in metadata.sorted_tables:
        if table.name not in there:
            continue  # it is of an older Logferry
        query = select(*table.primary_key.columns).limit(1)
        if table is facts:
            query = query.where(facts.c.name.not_in(_BY_MIGRATIONS))
        if connection.execute(query).first() is not None:
            raise Conflict(
                f"there is a catalog already on {shown_name(engine)}, with rows in {table.name}",
                hint="restore into an empty schema: CREATE SCHEMA logferry_2; and "
                "?options=-csearch_path%3Dlogferry_2 behind catalog.url",
            )
