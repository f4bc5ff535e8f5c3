"""The rows of how people like it: one of each person who has said something."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.engine import Connection, Dialect

from logferry.archive.catalog.prepared import Prepared
from logferry.archive.catalog.readers import Readers
from logferry.archive.catalog.tables import preferences, users
from logferry.archive.catalog.writer import Rows, Writer
from logferry.errors import NotFound

_P = preferences.c


class PreferencesRecord(NamedTuple):
    """Texts as they were put; each is empty while the person has not said. What they mean is known to the pages."""

    zone: str = ""
    theme: str = ""
    density: str = ""
    keys: str = ""
    highlights: str = ""


class Preferences:
    """What follows a person into every browser. Thread-safe; a change is durable when its method returns."""

    def __init__(self, dialect: Dialect, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer
        columns = (_P[name] for name in PreferencesRecord._fields)
        # Asked with every page.
        self._of = Prepared(select(*columns).where(_P.user_id == bindparam("person")), dialect)

    def of(self, user_id: int) -> PreferencesRecord:
        """What the person has said."""
        with self._readers.cursor() as cursor:
            row = self._of.one(cursor, person=user_id)
        return PreferencesRecord._make(map(str, row)) if row is not None else PreferencesRecord()

    def change(self, user_id: int, **values: str) -> None:
        """From now on it is as in ``values``, fields of the record; the others stay. Raises NotFound: no such user."""

        def work(connection: Connection) -> None:
            # The lock (on a server; SQLite has one writer) lets two first words of a person come one after the other.
            person = select(users.c.id).where(users.c.id == user_id).with_for_update()
            if connection.execute(person).first() is None:
                raise NotFound("there is no such user any more", hint="somebody removed it just now")
            changed = update(preferences).where(_P.user_id == user_id).values(values)
            if connection.execute(changed).rowcount == 0:
                first = PreferencesRecord()._replace(**values)
                connection.execute(insert(preferences).values(user_id=user_id, **first._asdict()))

        self._writer.run(Rows(work))
