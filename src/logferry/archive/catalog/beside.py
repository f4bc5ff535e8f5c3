"""A new catalog made beside an old one; it takes the old one's place when it is whole, and the old one is kept.

In SQLite that is another file, on PostgreSQL another schema. Cut off at any moment, the old one is where it was.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Engine, inspect, make_url, text
from sqlalchemy.engine import Connection

from logferry.archive.catalog import Catalog
from logferry.archive.catalog.engine import Place, explaining, opened, sqlite_url
from logferry.archive.catalog.postgresql import WRITES, is_postgresql, quoted
from logferry.archive.catalog.tables import metadata
from logferry.clock import Clock
from logferry.errors import Refused

_OURS = re.compile(r"\d{4}")
"""Revisions of a catalog."""
_NAME_BYTES_MAX = 40
_SUFFIXES = ("", "-wal", "-shm")
"""A catalog's own file, and those that SQLite keeps beside it while it is open, or after a crash."""


@contextmanager
def catalog_beside(place: Place, clock: Clock, *, keep: bool = True) -> Iterator[Catalog]:
    """An empty catalog to be filled. Left without an error it is that of ``place``; else, or not to ``keep``, it goes.

    Nobody else may have the catalog of ``place`` open.

    Raises:
        LogferryError: see ``Catalog.open``.
    """
    stamp = f"{datetime.fromtimestamp(clock.now_ns() / 1e9, UTC):%Y%m%dT%H%M%SZ}"
    inside = _schema(place, clock, stamp, keep) if is_postgresql(place.url) else _file(place, clock, stamp, keep)
    with inside as catalog:
        yield catalog


# A file --------------------------------------------------------------------------------------------------------------


@contextmanager
def _file(place: Place, clock: Clock, stamp: str, keep: bool) -> Iterator[Catalog]:
    path = make_url(place.url).database or ""
    new = path + ".new"
    _remove(new)
    try:
        with Catalog.open(sqlite_url(new), clock) as catalog:
            yield catalog
        if keep:
            _put_file_in_place(new, path, stamp)
    finally:
        _remove(new)


def _put_file_in_place(new: str, path: str, stamp: str) -> None:
    for suffix in _SUFFIXES:
        if os.path.exists(path + suffix):
            os.rename(path + suffix, f"{path}.old-{stamp}{suffix}")
    os.rename(new, path)
    fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove(path: str) -> None:
    for suffix in _SUFFIXES:
        if os.path.exists(path + suffix):
            os.unlink(path + suffix)


# A schema ------------------------------------------------------------------------------------------------------------


@contextmanager
def _schema(place: Place, clock: Clock, stamp: str, keep: bool) -> Iterator[Catalog]:
    engine = opened(place)
    try:
        with explaining(engine), engine.begin() as connection:
            current = str(connection.execute(text("SELECT current_schema()")).scalar_one())
            _refuse_others(connection, current)
            new = f"logferry_new_{secrets.token_hex(4)}"  # never one that was there: it goes with all it holds
            connection.execute(text(f"CREATE SCHEMA {quoted(new)}"))
        try:
            with Catalog.open(place.url, clock, password=place.password, schema=new) as catalog:
                yield catalog
            if keep:
                begin = current.encode()[:_NAME_BYTES_MAX].decode(errors="ignore")  # the server cuts long names short
                _put_tables_in_place(engine, new, current, f"{begin}_old_{stamp.lower()}")
        finally:
            with engine.begin() as connection:
                connection.execute(text(f"DROP SCHEMA IF EXISTS {quoted(new)} CASCADE"))
    finally:
        engine.dispose()


def _refuse_others(connection: Connection, schema: str) -> None:
    """Raise Refused if there are tables with names of ours that are no catalog: they would be moved away."""
    there = _tables(connection, schema)
    if not there:
        return
    table = f"{quoted(schema)}.alembic_version"
    versions = connection.execute(text(f"SELECT version_num FROM {table}")).all() if "alembic_version" in there else []  # noqa: S608 - quoted
    if not any(_OURS.fullmatch(str(version)) for (version,) in versions):
        raise Refused(
            f"the schema {schema} has tables of another program: {', '.join(there[:5])}",
            hint="name a schema of its own in catalog.url: ?options=-csearch_path%3Dlogferry_archive",
        )


def _put_tables_in_place(engine: Engine, new: str, current: str, old: str) -> None:
    """In one transaction: all tables change places, or none."""
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        if _tables(connection, current):
            connection.execute(text(f"CREATE SCHEMA {quoted(old)}"))
            _move(connection, current, old)
        _move(connection, new, current)


def _move(connection: Connection, source: str, target: str) -> None:
    for table in _tables(connection, source):
        connection.execute(text(f"ALTER TABLE {quoted(source)}.{quoted(table)} SET SCHEMA {quoted(target)}"))


def _tables(connection: Connection, schema: str) -> list[str]:
    """The catalog's tables that are there; a schema may have others as well."""
    ours = {*metadata.tables, "alembic_version"}
    return [table for table in inspect(connection).get_table_names(schema) if table in ours]
