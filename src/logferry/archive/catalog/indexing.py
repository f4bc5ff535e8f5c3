"""The rows of indexes: which segment has one, where it lies, and which are to be built."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Dialect, bindparam, delete, func, insert, null, or_, select, update

from logferry.archive.catalog.prepared import Prepared
from logferry.archive.catalog.readers import Readers
from logferry.archive.catalog.sealing import SEGMENT_COLUMNS, SegmentRecord
from logferry.archive.catalog.tables import indexes, segments
from logferry.archive.catalog.writer import Transaction

_I, _S = indexes.c, segments.c


class IndexRecord(NamedTuple):
    """The index of a segment: an object ``name`` of ``bytes`` in the store, as of ``version`` of the index's format.

    ``name`` is empty where there is none. From ``due_ns`` on it is to be built (again); ``why`` says what was wrong.
    """

    segment_id: int
    name: str
    bytes: int
    version: int
    built_ns: int
    due_ns: int | None = None
    why: str = ""


class IndexSums(NamedTuple):
    """Of segments that count: how many there are; how many have an index that can be used; the bytes of all their
    indexes in the store, those of other versions included; how many wait for one that was found damaged, or could not
    be built when that was tried."""

    segments: int
    indexed: int
    bytes: int
    failed: int


COLUMNS = (_I.segment_id, _I.name, _I.bytes, _I.version, _I.built_ns, _I.due_ns, _I.why)
"""In the order of ``IndexRecord``."""


class Indexing:
    """Rows of indexes. One per catalog; its methods that write take the writer's transaction."""

    def __init__(self, dialect: Dialect, readers: Readers) -> None:
        self._readers = readers

        def prepared(statement: Any, columns: list[str] | None = None) -> Prepared:
            return Prepared(statement, dialect, columns)

        self._of = prepared(select(*COLUMNS).where(_I.segment_id == bindparam("segment")))
        self._named = prepared(select(*COLUMNS).where(_I.name == bindparam("object_name")))
        with_index = segments.outerjoin(indexes, _I.segment_id == _S.id)
        there = _S.gone_ns.is_(null())
        self._due = prepared(
            select(*SEGMENT_COLUMNS)
            .select_from(with_index)
            .where(
                there,
                or_(
                    _I.segment_id.is_(null()),
                    (_I.version != bindparam("current")) & _I.due_ns.is_(null()),
                    _I.due_ns <= bindparam("now"),
                ),
                _S.id < bindparam("before"),
            )
            .order_by(_S.id.desc())
            .limit(bindparam("most"))
        )
        good = (_I.version == bindparam("current")) & (_I.name != "") & _I.due_ns.is_(null())
        self._sums = prepared(
            select(
                func.count(_S.id),
                func.count(_S.id).filter(good),
                func.coalesce(func.sum(_I.bytes), 0),
                func.count(_S.id).filter(_I.why != ""),
            )
            .select_from(with_index)
            .where(there)
        )
        self._problems = prepared(
            select(_I.why)
            .select_from(with_index)
            .where(there, _I.why != "")
            .order_by(_S.id.desc())
            .limit(bindparam("most"))
        )
        self._delete = prepared(delete(indexes).where(_I.segment_id == bindparam("segment")))
        self._there = prepared(select(_S.id).where(_S.id == bindparam("segment"), there))
        self._insert = prepared(insert(indexes), [c.name for c in indexes.c])
        self._distrust = prepared(
            update(indexes)
            .values(due_ns=bindparam("due"), why=bindparam("reason"))
            .where(_I.segment_id == bindparam("segment"), _I.name == bindparam("object_name"), _I.due_ns.is_(null()))
        )

    # Reading ---------------------------------------------------------------------------------------------------------

    def of(self, segment_id: int) -> IndexRecord | None:
        """What is known of the index of a segment; None: nothing yet."""
        with self._readers.cursor() as cursor:
            row = self._of.one(cursor, segment=segment_id)
        return IndexRecord(*row) if row is not None else None

    def named(self, name: str) -> IndexRecord | None:
        """An index by the name of its object."""
        with self._readers.cursor() as cursor:
            row = self._named.one(cursor, object_name=name)
        return IndexRecord(*row) if row is not None else None

    def due(self, version: int, now_ns: int, *, before: int = 1 << 62, limit: int) -> list[SegmentRecord]:
        """Segments whose index is to be built, by id, the newest first: those are looked at most."""
        with self._readers.cursor() as cursor:
            rows = self._due.all(cursor, current=version, now=now_ns, before=before, most=limit)
        return [SegmentRecord(*row) for row in rows]

    def sums(self, version: int) -> IndexSums:
        """How far indexing is."""
        with self._readers.cursor() as cursor:
            row = self._sums.one(cursor, current=version)
        return IndexSums(*map(int, row)) if row else IndexSums(0, 0, 0, 0)

    def problems(self, limit: int) -> list[str]:
        """What is wrong with indexes that are damaged or could not be built, those of the newest segments."""
        with self._readers.cursor() as cursor:
            return [row[0] for row in self._problems.all(cursor, most=limit)]

    # Writing ---------------------------------------------------------------------------------------------------------

    def put(self, transaction: Transaction, record: IndexRecord) -> bool:
        """This is the segment's index from now on, in place of any other. False: the segment counts no more."""
        if self._there.one(transaction.cursor, segment=record.segment_id) is None:
            return False
        self._delete.run(transaction.cursor, segment=record.segment_id)
        self._insert.run(transaction.cursor, **record._asdict())
        return True

    def distrust(self, transaction: Transaction, record: IndexRecord, why: str, due_ns: int) -> None:
        """The segment's index turned out to be damaged: it is to be built again from ``due_ns`` on."""
        self._distrust.run(
            transaction.cursor, segment=record.segment_id, object_name=record.name, due=due_ns, reason=why
        )
