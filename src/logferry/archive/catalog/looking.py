"""All that a search asks the catalog, in few statements: what there is, where it lies, and whether that has changed."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, case, literal_column, null, select
from sqlalchemy.engine import Engine

from logferry.archive.catalog.prepared import Prepared
from logferry.archive.catalog.readers import Readers
from logferry.archive.catalog.tables import extents, files, generations, indexes, segments

_G, _I, _S, _X = generations.c, indexes.c, segments.c, extents.c
_SHA = case((_G.sha256_size == _G.size, _G.sha256), else_=null())
_LOOKED_AT = (
    _G.id, _G.file_id, _G.number, _G.size, _G.modified_ns, _G.started_ns, _G.changed_ns, _SHA, _G.sealed,
    files.c.agent_id, files.c.path,
)  # fmt: skip
_STAMP_SQLITE = (
    "SELECT (SELECT group_concat(seq) FROM (SELECT seq FROM sqlite_sequence WHERE name IN "
    "('segments', 'expired') ORDER BY name)), (SELECT max(rowid) FROM former_names)"
)
# Numbers are not given out in the order in which they are committed there: so sums, not the last ones.
_STAMP_POSTGRESQL = (
    "SELECT (SELECT (count(*), sum(id), count(gone_ns))::text FROM segments), "
    "(SELECT (count(*), sum(id))::text FROM expired), "
    "(SELECT (count(*), sum(file_id), sum(number), sum(generation_id))::text FROM former_names)"
)


class LookedAt(NamedTuple):
    """A generation. ``received_ns`` is its first arrival, ``changed_ns`` the last; the first ``sealed`` bytes are in
    segments."""

    id: int
    file_id: int
    number: int
    size: int
    modified_ns: int
    received_ns: int
    changed_ns: int
    sha256: str | None
    sealed: int
    agent: str
    path: str


class Looking:
    """One per catalog. Thread-safe."""

    def __init__(self, engine: Engine, readers: Readers) -> None:
        self._engine = engine
        self._readers = readers
        self._lock = threading.Lock()
        self._watch: Any = None
        dialect = engine.dialect
        self._is_sqlite = dialect.name == "sqlite"
        shown = files.join(generations, and_(_G.file_id == files.c.id, files.c.shown.is_not(null())))
        self._all = Prepared(select(*_LOOKED_AT).select_from(shown).where(_G.size > 0), dialect)
        self._unsealed = Prepared(
            select(*_LOOKED_AT).select_from(shown).where(literal_column("generations.sealed < generations.size")),
            dialect,
        )
        self._extents = Prepared(
            select(_X.generation_id, _X.offset, _X.length, _X.segment_id, _X.raw_offset).order_by(
                _X.generation_id, _X.offset
            ),
            dialect,
        )
        good = and_(_I.segment_id == _S.id, _I.version == bindparam("current"), _I.due_ns.is_(null()))
        self._indexed = Prepared(
            select(_S.id, _I.name)
            .select_from(segments.join(indexes, good))
            .where(_S.gone_ns.is_(null()), _I.name != ""),
            dialect,
        )

    def version(self) -> object:
        """Something that is another thing after every commit of anybody. Ask before you read what it stands for."""
        if self._is_sqlite:
            with self._lock:  # the number tells what others than this very connection committed
                if self._watch is None:
                    connection = self._engine.raw_connection()
                    connection.detach()
                    self._watch = connection
                return self._watch.cursor().execute("PRAGMA data_version").fetchone()[0]
        with self._readers.cursor() as cursor:
            cursor.execute("SELECT CAST(pg_current_snapshot() AS text)")
            return cursor.fetchone()[0]

    def stamp(self) -> object:
        """The same as before if no file was named anew, sealed or deleted since.

        Then only what is not sealed came, or has other sizes and times, and single facts of files may have been
        corrected.
        """
        with self._readers.cursor() as cursor:
            cursor.execute(_STAMP_SQLITE if self._is_sqlite else _STAMP_POSTGRESQL)
            return tuple(cursor.fetchone())

    def generations(self) -> list[LookedAt]:
        """All that hold bytes."""
        with self._readers.cursor() as cursor:
            return [LookedAt(*row) for row in self._all.all(cursor)]

    def unsealed(self) -> list[LookedAt]:
        """Those with bytes in no segment."""
        with self._readers.cursor() as cursor:
            return [LookedAt(*row) for row in self._unsealed.all(cursor)]

    def extents(self) -> list[tuple[int, int, int, int, int]]:
        """(generation, offset, length, segment, raw offset) of all, by generation and offset."""
        with self._readers.cursor() as cursor:
            return self._extents.all(cursor)

    def indexed(self, version: int) -> list[tuple[int, str]]:
        """(segment, name of its index) of those with an index of this version that can be used."""
        with self._readers.cursor() as cursor:
            return self._indexed.all(cursor, current=version)

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            if self._watch is not None:
                self._watch.close()
                self._watch = None
