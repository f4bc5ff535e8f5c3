"""Reading connections: as many as threads read at the same moment, the idle ones kept for the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine import Engine

from logferry.archive.catalog.engine import is_lost, unreachable
from logferry.errors import LogferryError
from logferry.limits import CATALOG_READERS_IDLE_MAX


class Readers:
    """A stack of raw driver connections in which every statement sees what was committed before it began."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._dialect = engine.dialect
        self._idle: deque[tuple[Any, Any]] = deque()
        self._closed = False

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor for prepared statements; each runs in a transaction of its own.

        Raises:
            Unreachable: the database's server does not answer, or hung up.
        """
        connection, cursor = self._taken()
        try:
            yield cursor
        except BaseException as error:
            lost = is_lost(self._dialect, cursor.connection)
            _drop(connection, cursor) if lost else connection.close()  # whatever its state, nobody meets it again
            if lost and isinstance(error, Exception) and not isinstance(error, LogferryError):
                raise unreachable(self._engine, str(error)) from error
            raise
        if self._closed or len(self._idle) >= CATALOG_READERS_IDLE_MAX:
            connection.close()
        else:
            self._idle.append((connection, cursor))

    def close(self) -> None:
        """Close the idle connections now and the others when they come back."""
        self._closed = True
        while self._idle:
            self._idle.pop()[0].close()

    def _taken(self) -> tuple[Any, Any]:
        while True:
            try:
                connection, cursor = self._idle.pop()
            except IndexError:
                break
            if not is_lost(self._dialect, cursor.connection):
                return connection, cursor
            _drop(connection, cursor)
        connection = self._connect()
        return connection, connection.cursor()

    def _connect(self) -> Any:
        try:
            connection = self._engine.raw_connection()
        except self._dialect.loaded_dbapi.Error as error:
            if self._dialect.name == "sqlite":
                raise
            raise unreachable(self._engine, str(error)) from error
        if self._dialect.name != "sqlite":  # sqlite3 already runs without implicit transactions
            driver: Any = connection.driver_connection
            driver.autocommit = True
        connection.detach()  # it lives in our stack, not in the engine's pool
        return connection


def _drop(connection: Any, cursor: Any) -> None:
    """Let go of a connection that nobody answers: without the usual rollback."""
    cursor.connection.close()
    connection.invalidate()
