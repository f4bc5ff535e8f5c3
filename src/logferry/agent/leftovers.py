"""Temporary names at which something of a file may lie that arrived under another name since.

A server that keeps no generations shows what is left of an upload whose connection was lost, and may even go on writing
to it: it may not know that the connection is gone. So the next try takes another name, and what is left is removed
once the same file is where it belongs. Until then the names lie beside the rows in the registry, so that they outlive
the agent. They belong to a file, not to a row, which may get another file. Where the file is gone by then nothing is
removed: it may be all that there is of it.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from logferry.agent.registry import Registry
from logferry.limits import LEFTOVERS_OF_A_FILE_MAX

_TABLE = (
    "CREATE TABLE IF NOT EXISTS leftovers "
    "(path TEXT PRIMARY KEY, inode TEXT NOT NULL, inode_generation INTEGER NOT NULL) WITHOUT ROWID"
)


class FileKey(NamedTuple):
    """Which file of the node it is."""

    inode: int
    inode_generation: int

    def __str__(self) -> str:
        return f"{self.inode}#{self.inode_generation}"

    def may_be(self, inode_generation: int) -> bool:
        """Whether a file with the same inode and this generation (0: not known) is the same one."""
        return inode_generation == self.inode_generation or 0 in (inode_generation, self.inode_generation)


class Leftovers:
    """May be used from any thread. A registry that cannot be written stops nothing: then this run alone knows them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._found: dict[FileKey, dict[str, bool]] = {}
        """By file: the names, and whether a connection was lost while an upload went there."""
        with registry.using() as db:
            try:
                db.execute(_TABLE)
                for path, inode, generation in db.execute("SELECT path, inode, inode_generation FROM leftovers"):
                    self._found.setdefault(FileKey(int(inode), generation), {})[path] = True
            except (sqlite3.Error, ValueError):
                return  # perhaps its disk is full; what was known is removed by a later run

    def __bool__(self) -> bool:
        return bool(self._found)

    def files(self) -> list[FileKey]:
        """Those that have some."""
        with self._registry.using():
            return list(self._found)

    def of(self, file: FileKey) -> list[str]:
        """The names of one file, archive paths."""
        with self._registry.using():
            return list(self._found.get(file, ()))

    def lost(self, file: FileKey) -> int:
        """At how many names of this file an upload may hang; as many as there may be and no more."""
        with self._registry.using():
            return min(sum(self._found.get(file, {}).values()), LEFTOVERS_OF_A_FILE_MAX)

    def note(self, file: FileKey, path: str, *, lost: bool) -> None:
        """Something of the file may come to lie at ``path``. ``lost``: the connection was lost while it was sent."""
        with self._registry.using() as db:
            names = self._found.setdefault(file, {})
            known = path in names
            names[path] = lost or names.get(path, False)
            if not known:
                values = (path, str(file.inode), file.inode_generation)
                self._write(db, "INSERT OR REPLACE INTO leftovers VALUES (?, ?, ?)", values)

    def removed(self, file: FileKey, path: str) -> None:
        """Nothing is at ``path`` any more."""
        with self._registry.using() as db:
            names = self._found.get(file, {})
            names.pop(path, None)
            if not names:
                self._found.pop(file, None)
            self._write(db, "DELETE FROM leftovers WHERE path = ?", (path,))

    def forget(self, file: FileKey) -> None:
        """The file is gone; whatever lies there stays."""
        with self._registry.using() as db:
            self._found.pop(file, None)
            values = (str(file.inode), file.inode_generation)
            self._write(db, "DELETE FROM leftovers WHERE inode = ? AND inode_generation = ?", values)

    @staticmethod
    def _write(db: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> None:
        try:
            db.execute(statement, values)
        except sqlite3.Error:
            return  # no room, or a table that could not be made: this run knows it all the same
