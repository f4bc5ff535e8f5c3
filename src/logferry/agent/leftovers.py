"""Temporary names at which something of a file may lie that arrived under another name since.

A server that keeps no generations shows what is left of an upload whose connection was lost, and may even go on writing
to it: it may not know that the connection is gone. So the next try takes another name, and what is left is removed
once the file is where it belongs. Until then the names lie beside the rows in the registry, so that they outlive the
agent. Where the file itself is gone by then nothing is removed: it may be all that there is of it.
"""

from __future__ import annotations

import sqlite3

from logferry.agent.registry import Registry
from logferry.limits import LEFTOVERS_OF_A_FILE_MAX

_TABLE = "CREATE TABLE IF NOT EXISTS leftovers (path TEXT PRIMARY KEY, row_id INTEGER NOT NULL) WITHOUT ROWID"


class Leftovers:
    """May be used from any thread. A registry that cannot be written stops nothing: then this run alone knows them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._found: dict[int, dict[str, bool]] = {}
        """By row: the names, and whether a connection was lost while an upload went there."""
        with registry.using() as db:
            try:
                db.execute(_TABLE)
                db.execute("DELETE FROM leftovers WHERE row_id NOT IN (SELECT id FROM files)")
                for path, row_id in db.execute("SELECT path, row_id FROM leftovers"):
                    self._found.setdefault(row_id, {})[path] = True
            except sqlite3.Error:
                return  # perhaps its disk is full; what was known is removed by a later run

    def __bool__(self) -> bool:
        return bool(self._found)

    def rows(self) -> list[int]:
        """Ids of the rows that have some."""
        with self._registry.using():
            return list(self._found)

    def of(self, row_id: int) -> list[str]:
        """The names of one row, archive paths."""
        with self._registry.using():
            return list(self._found.get(row_id, ()))

    def lost(self, row_id: int) -> int:
        """At how many names of this row an upload may hang; as many as there may be and no more."""
        with self._registry.using():
            return min(sum(self._found.get(row_id, {}).values()), LEFTOVERS_OF_A_FILE_MAX)

    def note(self, row_id: int, path: str, *, lost: bool) -> None:
        """Something of the file may come to lie at ``path``. ``lost``: the connection was lost while it was sent."""
        with self._registry.using() as db:
            names = self._found.setdefault(row_id, {})
            known = path in names
            names[path] = lost or names.get(path, False)
            if not known:
                self._write(db, "INSERT OR REPLACE INTO leftovers (path, row_id) VALUES (?, ?)", (path, row_id))

    def removed(self, row_id: int, path: str) -> None:
        """Nothing is at ``path`` any more."""
        with self._registry.using() as db:
            names = self._found.get(row_id, {})
            names.pop(path, None)
            if not names:
                self._found.pop(row_id, None)
            self._write(db, "DELETE FROM leftovers WHERE path = ?", (path,))

    def forget(self, row_id: int) -> None:
        """The row is gone."""
        with self._registry.using() as db:
            self._found.pop(row_id, None)
            self._write(db, "DELETE FROM leftovers WHERE row_id = ?", (row_id,))

    @staticmethod
    def _write(db: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> None:
        try:
            db.execute(statement, values)
        except sqlite3.Error:
            return  # no room, or a table that could not be made: this run knows it all the same
