"""Reading connections: as many as threads read at the same moment, the idle ones kept for the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine import Engine

from logferry.archive.catalog.engine import is_lost
from logferry.limits import CATALOG_READERS_IDLE_MAX


class Readers:
    """A stack of raw driver connections in which every statement sees what was committed before it began."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: deque[tuple[Any, Any]] = deque()
        self._closed = False

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor for prepared statements; each runs in a transaction of its own."""
        try:
            connection, cursor = self._idle.pop()
        except IndexError:
            connection = self._connect()
            cursor = connection.cursor()
        try:
            yield cursor
        except BaseException:
            lost = is_lost(self._engine.dialect, cursor.connection)
            connection.close()  # whatever state it is in, nobody meets it again
            while lost and self._idle:  # they are as old, so the server has closed them too
                self._idle.pop()[0].close()
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

    def _connect(self) -> Any:
        connection = self._engine.raw_connection()
        if self._engine.dialect.name != "sqlite":  # sqlite3 already runs without implicit transactions
            driver: Any = connection.driver_connection
            driver.autocommit = True
        connection.detach()  # it lives in our stack, not in the engine's pool
        return connection
