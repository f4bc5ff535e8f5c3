"""Single facts about the archive: a name, a value."""

from __future__ import annotations

import secrets

from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection, Engine

from logferry.archive.catalog.tables import facts
from logferry.archive.catalog.writer import Rows, Writer

ARCHIVE = "archive"
"""Which archive it is: 32 hexadecimal digits, given when they are first asked for."""
RESTORED = "restored"
"""Of which restore this archive comes: drawn anew by each; none where it never was."""
HOLDER = "holder"
"""On a PostgreSQL server: whose catalog it is, as the server's parts write it. In no backup."""
STORE_SINCE = "store_since_ns"
"""Since when what lies in the store is this catalog's own, nanoseconds since 1970; written by a migration."""
BACKED_UP = "backed_up_ns"
"""The moment that the last whole backup shows, nanoseconds since 1970."""

SCRUB_ASKED = "scrub_asked_ns"
"""When somebody last asked for every segment to be verified again, nanoseconds since 1970."""
ALERTS_ALIVE = "alerts_alive"
"""When agents could be heard last, and when they could not; see ``server.alerts.outages``."""
TAKEN_OVER = "taken_over_ns."
"""And an agent's id: when its files in the older system's tree were last looked through to the end."""


class Facts:
    """What the catalog knows of the archive itself. Thread-safe."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    def get(self, name: str) -> str:
        """The value, empty where there is none."""
        with self._engine.connect() as connection:
            return get_fact(connection, name)

    def put(self, name: str, value: str) -> None:
        """From now on it is ``value``."""
        self._writer.run(Rows(lambda connection: put_fact(connection, name, value)))

    def replace(self, name: str, old: str, new: str) -> str:
        """From now on it is ``new``, if it is ``old`` still; returns what it is."""

        def work(connection: Connection) -> str:
            now = get_fact(connection, name)
            if now != old:
                return now
            put_fact(connection, name, new)
            return new

        return self._writer.run(Rows(work))

    def archive_id(self) -> str:
        """Which archive this is, for ever."""

        def work(connection: Connection) -> str:
            found = get_fact(connection, ARCHIVE)
            if not found:
                found = secrets.token_hex(16)
                put_fact(connection, ARCHIVE, found)
            return found

        return self.get(ARCHIVE) or self._writer.run(Rows(work))


def get_fact(connection: Connection, name: str) -> str:
    """See ``Facts.get``."""
    return str(connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar() or "")


def put_fact(connection: Connection, name: str, value: str) -> None:
    """From now on it is ``value``."""
    if connection.execute(update(facts).where(facts.c.name == name).values(value=value)).rowcount == 0:
        connection.execute(insert(facts).values(name=name, value=value))
