"""Opening the catalog's database: SQLite by default, any SQLAlchemy URL otherwise.

SQLite runs in WAL mode with ``synchronous=FULL``, the only pair that lost no commit in power-cut tests and still
commits fast. Transactions begin where the code says so: writers with ``BEGIN IMMEDIATE``, so that they wait for each
other at the start and never fail half way.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from logferry.limits import CATALOG_BUSY_S_MAX, CATALOG_CACHE_BYTES

WRITES = "logferry_writes"
"""Execution option of connections that are going to write."""
BEGUN = "logferry_begun"
"""Execution option of a connection whose user begins transactions on the driver's cursor."""


def create_engine(url: str) -> Engine:
    """An engine for ``url`` (``sqlite:///file`` or a server's URL) whose transactions begin as described above."""
    if not url.startswith("sqlite"):
        return sqlalchemy.create_engine(url, pool_pre_ping=True)
    engine = sqlalchemy.create_engine(
        url, connect_args={"timeout": CATALOG_BUSY_S_MAX, "check_same_thread": False, "cached_statements": 256}
    )
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


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
