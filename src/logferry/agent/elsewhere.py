"""Which rows speak of another server than the one in use: to be compared with this one before anything else is done.

All servers of an agent are taken to lead to one archive, but that is not relied on. When the agent meets another server
than the last time, every row counts as confirmed elsewhere until its file was compared there: it is found, or sent. The
list lies beside the rows in the registry, so that it outlives the agent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from logferry.agent.registry import Registry
from logferry.agent.rows import State

_TABLES = (
    "CREATE TABLE IF NOT EXISTS servers (address TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS elsewhere (id INTEGER PRIMARY KEY)",
)


class Elsewhere:
    """May be used from any thread. A registry that cannot be written stops nothing: then more is compared."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._address: str | None = None
        self._any = False
        self._added: set[int] = set()
        """Rows that could not be written to the list."""
        self._proved: set[int] | None = None
        """Rows compared since the list could not be made; None while there is a list."""
        with registry.using() as db:
            try:
                for statement in _TABLES:
                    db.execute(statement)
                db.execute("DELETE FROM elsewhere WHERE id NOT IN (SELECT id FROM files)")
                found = db.execute("SELECT address FROM servers").fetchone()
                self._address = found[0] if found else None
                self._any = db.execute("SELECT 1 FROM elsewhere LIMIT 1").fetchone() is not None
            except sqlite3.Error:
                # Perhaps its disk is full. Which server it was is not known then, so nothing counts as proved.
                self._address, self._any, self._proved = "", True, set()

    @property
    def any(self) -> bool:
        """Whether there may be such rows."""
        return self._any

    def met(self, address: str) -> bool:
        """The agent is signed in at ``address``. True: it is another server than before; nothing is proved there."""
        if address == self._address:
            return False
        with self._registry.using() as db:
            if address == self._address:
                return False
            first, self._address = self._address is None, address
            self._any = self._any or not first
            try:
                db.execute("BEGIN IMMEDIATE")
                db.execute("DELETE FROM servers")
                db.execute("INSERT INTO servers VALUES (?)", (address,))
                if not first:
                    db.execute("INSERT OR IGNORE INTO elsewhere SELECT id FROM files WHERE remote <> '' OR going <> ''")
                db.execute("COMMIT")
            except sqlite3.Error:
                _roll_back(db)
                self._proved = None if first else set()
            else:
                self._proved = None
                self._added = set() if first else set(self._registry.unsaved_ids)
            return not first

    def holds(self, row_id: int) -> bool:
        """Whether this row is still to be compared."""
        if not self._any:
            return False
        with self._registry.using() as db:
            if row_id in self._added:
                return True
            if self._proved is not None:
                return row_id not in self._proved
            return db.execute("SELECT 1 FROM elsewhere WHERE id = ?", (row_id,)).fetchone() is not None

    def confirmed(self, row_ids: Iterable[int], address: str) -> None:
        """The server at ``address`` has what these rows say.

        When the agent has turned to another one meanwhile, they are of those that are to be compared.
        """
        if address == self._address and not self._any:
            return
        ids = set(row_ids)
        with self._registry.using() as db:
            here = address == self._address
            self._any = True
            self._added = self._added - ids if here else self._added | ids
            if self._proved is not None:
                self._proved = self._proved | ids if here else self._proved - ids
            if self._proved is not None:
                return
            what = "DELETE FROM elsewhere WHERE id = ?" if here else "INSERT OR IGNORE INTO elsewhere VALUES (?)"
            try:
                db.execute("BEGIN IMMEDIATE")
                db.executemany(what, [(row_id,) for row_id in ids])
                db.execute("COMMIT")
            except sqlite3.Error:
                _roll_back(db)  # what could not be crossed off is compared once more

    def some(self, count: int, *, after: int = 0) -> list[int]:
        """Up to ``count`` rows behind ``after`` whose files can be compared now, by id."""
        if not self._any or self._proved is not None:
            return []
        with self._registry.using() as db:
            found = db.execute(
                "SELECT elsewhere.id FROM elsewhere JOIN files USING (id) WHERE path IS NOT NULL AND state IN (?, ?) "
                "AND elsewhere.id > ? ORDER BY elsewhere.id LIMIT ?",
                (State.NEW, State.LIVE, after, count),
            ).fetchall()
        return [row_id for (row_id,) in found]


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")
