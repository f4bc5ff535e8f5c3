"""Opening the catalog's database: SQLite, or a PostgreSQL server (``postgresql``).

SQLite runs in WAL mode with ``synchronous=FULL``, the only pair that lost no commit in power-cut tests and still
commits fast. Transactions begin where the code says so: writers with ``BEGIN IMMEDIATE``, so that they wait for each
other at the start and never fail half way.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.exc import DatabaseError

from logferry.archive.catalog import postgresql
from logferry.archive.catalog.postgresql import WRITES
from logferry.errors import Damaged, LogferryError
from logferry.limits import CATALOG_BUSY_S_MAX, CATALOG_CACHE_BYTES

BEGUN = "logferry_begun"
"""Execution option of a connection whose user begins transactions on the driver's cursor."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a catalog lies. The URL may have a password in it, so it is not for people."""

    url: str = field(repr=False)
    password: str = field(default="", repr=False)
    """For PostgreSQL, where the URL has none."""


def sqlite_url(path: str) -> str:
    """The URL of the catalog in the file ``path``, whatever signs of a URL that has in it."""
    return sqlalchemy.URL.create("sqlite", database=path).render_as_string(hide_password=False)


def create_engine(url: str, *, password: str = "", schema: str = "") -> Engine:
    """An engine for ``url`` (``sqlite:///file``, ``postgresql://…``) whose transactions begin as described above.

    Args:
        password, schema: for PostgreSQL, see there.

    Raises:
        BadConfig: the URL is no PostgreSQL server's, or its driver is not installed.
    """
    if postgresql.is_postgresql(url):
        return postgresql.create_engine(url, password=password, schema=schema)
    engine = sqlalchemy.create_engine(
        url, connect_args={"timeout": CATALOG_BUSY_S_MAX, "check_same_thread": False, "cached_statements": 256}
    )
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


def opened(place: Place, *, schema: str = "") -> Engine:
    """An engine for a database that can hold a catalog as promised.

    Raises:
        LogferryError: it cannot; see ``Catalog.open``.
    """
    engine = create_engine(place.url, password=place.password, schema=schema)
    if engine.dialect.name != "sqlite":
        try:
            with explaining(engine), engine.connect() as connection:
                postgresql.check(connection)
        except BaseException:
            engine.dispose()
            raise
    return engine


@contextlib.contextmanager
def explaining(engine: Engine) -> Iterator[None]:
    """What the database says against being opened, in our words."""
    try:
        yield
    except DatabaseError as error:
        known = _explained(error, engine)
        if known is None:
            raise
        raise known from error


def _explained(error: DatabaseError, engine: Engine) -> LogferryError | None:
    """What opening the catalog failed of, in our words; None: of nothing that people can mend."""
    if engine.dialect.name != "sqlite":
        return postgresql.explained(error, engine)
    said = str(error.orig)
    if "not a database" in said or "malformed" in said:
        name = engine.url.database or ""
        hint = "restore it from a backup; the files below live/ beside it are untouched"
        return Damaged(f"the catalog {name} cannot be read: {said}", where=name, hint=hint)
    return None


def begin_writing(dialect: Dialect) -> str:
    """The statement that begins a writing transaction: it waits until no other process is in one."""
    return "BEGIN IMMEDIATE" if dialect.name == "sqlite" else postgresql.BEGIN_WRITING


def unreachable(engine: Engine, said: str) -> LogferryError:
    """The error for a database that has gone, as the driver says."""
    return postgresql.unreachable(engine, said)


def is_lost(dialect: Dialect, connection: Any) -> bool:
    """Whether the database is no longer at the other end of a driver's connection."""
    return dialect.name != "sqlite" and postgresql.is_lost(connection)


def _prepare_connection(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3 shall not begin transactions by itself
    cursor = connection.cursor()
    # The time-out comes first: turning WAL on needs a lock that another process may hold just now.
    cursor.execute(f"PRAGMA busy_timeout = {int(CATALOG_BUSY_S_MAX * 1000)}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA cache_size = -{CATALOG_CACHE_BYTES // 1024}")
    cursor.close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get(BEGUN, False):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(WRITES, False) else "BEGIN")
