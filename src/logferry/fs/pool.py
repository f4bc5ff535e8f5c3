"""Connections to the server, as many as there are readers at the moment, a few kept for the next ones."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from logferry.cli.api import Api
from logferry.cli.connection import Connection

IDLE_MAX = 8


class Pool:
    """Thread-safe; a process that was forked off begins with none of its parent's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._idle: list[Api] = []
        self._pid = os.getpid()

    @contextmanager
    def taken(self) -> Iterator[Api]:
        """A connection for one request and its answer."""
        api = self._one()
        try:
            yield api
        except BaseException:
            api.close()  # whatever is left of an answer must not be read by the next one
            raise
        with self._lock:
            if len(self._idle) < IDLE_MAX:
                self._idle.append(api)
                return
        api.close()

    def _one(self) -> Api:
        with self._lock:
            if self._pid != os.getpid():
                self._idle, self._pid = [], os.getpid()
            return self._idle.pop() if self._idle else Api(self._connection)

    def close(self) -> None:
        """Hang up those that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for api in idle:
            api.close()
