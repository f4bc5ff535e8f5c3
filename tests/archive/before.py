"""Catalogs of earlier versions, made of what those had of one of today."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect, text

from logferry.archive.catalog.engine import create_engine
from logferry.archive.catalog.migrate import migrate

_OWN = ("alembic_version", "facts")
"""Each version has its own."""


def as_of(path: Path, version: str) -> None:
    """Make the SQLite catalog at ``path``, which nobody has open, one of that version."""
    before = path.with_name("before.db")
    engine = create_engine(f"sqlite:///{before}")
    migrate(engine, to=version)
    found = inspect(engine)
    tables = {table: found.get_columns(table) for table in found.get_table_names() if table not in _OWN}
    with engine.begin() as connection:
        connection.execute(text("ATTACH DATABASE :path AS now"), {"path": str(path)})
        connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        for table, columns in tables.items():
            names = ", ".join(f'"{column["name"]}"' for column in columns)
            connection.execute(text(f"DELETE FROM main.{table}"))
            connection.execute(text(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM now.{table}"))
    engine.dispose()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    before.replace(path)
