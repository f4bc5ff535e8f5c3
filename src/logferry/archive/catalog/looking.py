"""All that a search asks the catalog, in few statements: what there is, where it lies, and whether that has changed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from sqlalchemy import String, and_, bindparam, case, cast, func, literal, literal_column, null, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.sql import ColumnElement

from logferry.archive.catalog.prepared import Prepared
from logferry.archive.catalog.readers import Readers
from logferry.archive.catalog.tables import extents, files, generations, indexes, segments

_G, _I, _S, _X = generations.c, indexes.c, segments.c, extents.c
_SHA = case((_G.sha256_size == _G.size, _G.sha256), else_=null())
_LOOKED_AT = (
    _G.id, _G.file_id, _G.number, _G.size, _G.modified_ns, _G.started_ns, _G.changed_ns, _SHA, _G.sealed,
    files.c.agent_id, files.c.path,
)  # fmt: skip
_SOME = tuple(f"wanted_{number}" for number in range(50))
"""Generations that are asked for at once."""
_STAMP_SQLITE = (
    "(SELECT group_concat(seq) FROM (SELECT seq FROM sqlite_sequence WHERE name IN "
    "('segments', 'expired') ORDER BY name))",
    "(SELECT max(rowid) FROM former_names)",
)
# Numbers are not given out in the order in which they are committed there: so sums, not the last ones.
_STAMP_POSTGRESQL = (
    "(SELECT (count(*), sum(id), count(gone_ns))::text FROM segments)",
    "(SELECT (count(*), sum(id))::text FROM expired)",
    "(SELECT (count(*), sum(file_id), sum(number), sum(generation_id))::text FROM former_names)",
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


class Mark(NamedTuple):
    """What may change of a generation that is not sealed; of a sealed one nothing does."""

    id: int
    size: int
    modified_ns: int
    changed_ns: int
    sha256: str | None

    @classmethod
    def of(cls, text: str) -> Self:
        """As a line of ``News.marks`` has it."""
        number, size, modified_ns, changed_ns, sha256 = text.split(" ")
        return cls(int(number), int(size), int(modified_ns), int(changed_ns), sha256 or None)


class News(NamedTuple):
    """What may have changed, all of it as it was at one moment."""

    stamp: tuple[object, ...]
    """The same as before if no file was named anew, sealed or deleted since.

    Then only what is not sealed came, or has other sizes and times, and single facts of files may have been corrected.
    """
    marks: str
    """A line for each generation with bytes in no segment, which ``Mark`` reads."""
    indexes: str
    """A line for each segment with an index that can be used: its number, the name of the index."""


class Looking:
    """One per catalog. Thread-safe.

    Python's lock is handed over at each row that a database gives. Beside threads that compute, each time costs up to
    the switch interval: some hundred rows then take a tenth of a second. So what every search asks is one row.
    """

    def __init__(self, engine: Engine, readers: Readers) -> None:
        self._engine = engine
        self._readers = readers
        self._lock = threading.Lock()
        self._watch: Any = None
        dialect = engine.dialect
        self._is_sqlite = dialect.name == "sqlite"
        shown = files.join(generations, and_(_G.file_id == files.c.id, files.c.shown.is_not(null())))
        self._all = Prepared(select(*_LOOKED_AT).select_from(shown).where(_G.size > 0), dialect)
        unsealed: ColumnElement[bool] = literal_column("generations.sealed < generations.size")
        mark = _spaced(_G.id, _G.size, _G.modified_ns, _G.changed_ns, func.coalesce(_SHA, ""))
        marks = select(_joined(dialect, mark, _G.id)).select_from(shown).where(unsealed)
        some: list[ColumnElement[Any]] = [bindparam(name) for name in _SOME]
        self._some = Prepared(select(*_LOOKED_AT).select_from(shown).where(_G.id.in_(some), _G.size > 0), dialect)
        self._extents = Prepared(
            select(_X.generation_id, _X.offset, _X.length, _X.segment_id, _X.raw_offset).order_by(
                _X.generation_id, _X.offset
            ),
            dialect,
        )
        good = and_(_I.segment_id == _S.id, _I.version == bindparam("current"), _I.due_ns.is_(null()))
        indexed = (
            select(_joined(dialect, _spaced(_S.id, _I.name), _S.id))
            .select_from(segments.join(indexes, good))
            .where(_S.gone_ns.is_(null()), _I.name != "")
        )
        stamp: list[ColumnElement[Any]] = [
            literal_column(part) for part in (_STAMP_SQLITE if self._is_sqlite else _STAMP_POSTGRESQL)
        ]
        self._stamp = Prepared(select(*stamp), dialect)
        self._news = Prepared(select(*stamp, marks.scalar_subquery(), indexed.scalar_subquery()), dialect)

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

    def stamp(self) -> tuple[object, ...]:
        """That of ``News`` alone."""
        with self._readers.cursor() as cursor:
            return tuple(self._stamp.one(cursor) or ())

    def news(self, version: int) -> News:
        """What may have changed; of indexes those of this version."""
        with self._readers.cursor() as cursor:
            *stamp, marks, indexed = self._news.one(cursor, current=version) or ("", "")
        return News(tuple(stamp), marks or "", indexed or "")

    def generations(self) -> list[LookedAt]:
        """All that hold bytes."""
        with self._readers.cursor() as cursor:
            return [LookedAt(*row) for row in self._all.all(cursor)]

    def these(self, ids: Sequence[int]) -> list[LookedAt]:
        """Those of them that hold bytes and are shown."""
        found: list[LookedAt] = []
        with self._readers.cursor() as cursor:
            for at in range(0, len(ids), len(_SOME)):
                some = list(ids[at : at + len(_SOME)])
                some += some[-1:] * (len(_SOME) - len(some))
                found += map(LookedAt._make, self._some.all(cursor, **dict(zip(_SOME, some, strict=True))))
        return found

    def extents(self) -> list[tuple[int, int, int, int, int]]:
        """(generation, offset, length, segment, raw offset) of all, by generation and offset."""
        with self._readers.cursor() as cursor:
            return self._extents.all(cursor)

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            if self._watch is not None:
                self._watch.close()
                self._watch = None


def _spaced(*columns: ColumnElement[Any]) -> ColumnElement[str]:
    """All of them in one text."""
    found: ColumnElement[str] = cast(columns[0], String)
    for column in columns[1:]:
        found = found + " " + cast(column, String)
    return found


def _joined(dialect: Dialect, text: ColumnElement[str], order: ColumnElement[Any]) -> ColumnElement[str]:
    """All rows in one text, a line each."""
    end = literal("\n", String)
    if dialect.name == "sqlite":  # in the order in which it reads them
        return func.group_concat(text, end)
    return func.string_agg(text, aggregate_order_by(end, order))
