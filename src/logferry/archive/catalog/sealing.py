"""The rows of sealing: which bytes of which generations lie in which segments, and what waits to be sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Dialect, Float, bindparam, delete, func, insert, literal_column, null, or_, select, update

from logferry.archive.catalog.facts import STORE_SINCE
from logferry.archive.catalog.filing import PathState, changed
from logferry.archive.catalog.prepared import Prepared
from logferry.archive.catalog.readers import Readers
from logferry.archive.catalog.tables import extents, facts, files, generations, removals, segments
from logferry.archive.catalog.writer import Transaction
from logferry.errors import Conflict

_G, _X, _S = generations.c, extents.c, segments.c


class SegmentRecord(NamedTuple):
    """A segment as the catalog knows it. ``name``: of its object in the store."""

    id: int
    agent: str
    name: str
    bytes: int
    raw_bytes: int
    sha256: str
    level: int
    created_ns: int
    verified_ns: int
    gone_ns: int | None


class SealedExtent(NamedTuple):
    """``length`` bytes from ``offset`` of a generation: from ``raw_offset`` in the content of a segment."""

    offset: int
    length: int
    segment_id: int
    name: str
    bytes: int
    raw_offset: int

    @property
    def end(self) -> int:
        """Where it ends in the generation."""
        return self.offset + self.length


class HeldExtent(NamedTuple):
    """An extent of a segment with the id of its generation."""

    generation_id: int
    offset: int
    length: int
    raw_offset: int

    @property
    def end(self) -> int:
        """Where it ends in the generation."""
        return self.offset + self.length


class Unsealed(NamedTuple):
    """A generation with bytes that wait to be sealed."""

    generation_id: int
    agent: str
    path: str
    size: int
    sealed: int
    changed_ns: int
    ended_ns: int | None


SEGMENT_COLUMNS = (
    _S.id, _S.agent_id, _S.name, _S.bytes, _S.raw_bytes, _S.sha256, _S.level, _S.created_ns, _S.verified_ns, _S.gone_ns,
)  # fmt: skip
"""In the order of ``SegmentRecord``."""


class Sealing:
    """Rows of segments and extents. One per catalog; its methods that write take the writer's transaction."""

    def __init__(self, dialect: Dialect, readers: Readers) -> None:
        self._readers = readers

        def prepared(statement: Any, columns: list[str] | None = None) -> Prepared:
            return Prepared(statement, dialect, columns)

        self._extents = prepared(
            select(_X.offset, _X.length, _X.segment_id, _S.name, _S.bytes, _X.raw_offset)
            .select_from(extents.join(segments, _S.id == _X.segment_id))
            .where(_X.generation_id == bindparam("generation"))
            .order_by(_X.offset)
        )
        held = generations.join(files, files.c.id == _G.file_id)
        self._unsealed = prepared(
            select(_G.id, files.c.agent_id, files.c.path, _G.size, _G.sealed, _G.changed_ns, _G.ended_ns)
            .select_from(held)
            .where(
                literal_column("generations.sealed < generations.size"),  # as the index has it
                or_(
                    _G.changed_ns < bindparam("quiet_before"),
                    _G.ended_ns.is_not(null()),
                    _G.size - _G.sealed >= bindparam("large"),
                ),
                _G.id > bindparam("after"),
            )
            .order_by(_G.id)
            .limit(bindparam("most"))
        )
        self._insert_segment = prepared(
            insert(segments).returning(_S.id), [c.name for c in segments.c if c.name != "id"]
        )
        self._insert_extent = prepared(insert(extents), [c.name for c in extents.c])
        self._seal = prepared(
            update(generations)
            .values(state=bindparam("as_state"), sealed=bindparam("until"), place=bindparam("lies_at"))
            .where(
                _G.id == bindparam("generation"),
                _G.size == bindparam("bytes"),
                _G.sealed == bindparam("from_sealed"),
            )
            .returning(_G.id)
        )
        self._add_removal = prepared(insert(removals), [c.name for c in removals.c])
        self._removals = prepared(
            select(removals.c.place)
            .where(removals.c.since_ns <= bindparam("now"), removals.c.place > bindparam("after"))
            .order_by(removals.c.place)
            .limit(bindparam("most"))
        )
        self._to_go = prepared(select(removals.c.place).where(removals.c.place == bindparam("lies_at")))
        self._removed = prepared(delete(removals).where(removals.c.place == bindparam("lies_at")))
        self._segment = prepared(select(*SEGMENT_COLUMNS).where(_S.id == bindparam("segment")))
        self._named = prepared(select(*SEGMENT_COLUMNS).where(_S.name == bindparam("object_name")))
        self._all = prepared(
            select(*SEGMENT_COLUMNS).where(_S.id > bindparam("after")).order_by(_S.id).limit(bindparam("most"))
        )
        self._held_in = prepared(
            select(_X.generation_id, _X.offset, _X.length, _X.raw_offset)
            .where(_X.segment_id == bindparam("segment"))
            .order_by(_X.raw_offset)
        )
        self._path_chars = prepared(
            select(func.coalesce(func.sum(func.length(files.c.path)), 0))
            .select_from(held.join(extents, _X.generation_id == _G.id))
            .where(_X.segment_id == bindparam("segment"))
        )
        self._drop_extent = prepared(
            delete(extents)
            .where(
                _X.generation_id == bindparam("generation"),
                _X.offset == bindparam("from_byte"),
                _X.segment_id == bindparam("segment"),
            )
            .returning(_X.length)
        )
        counting = (
            select(func.coalesce(func.sum(_X.length), 0)).where(_X.segment_id == _S.id).correlate(segments)
        ).scalar_subquery()
        self._candidates = prepared(
            select(*SEGMENT_COLUMNS, counting)
            .where(
                _S.gone_ns.is_(null()),
                or_(
                    _S.raw_bytes < bindparam("small"),
                    (_S.level < bindparam("better")) & (_S.created_ns < bindparam("old_before")),
                    counting < _S.raw_bytes * bindparam("least_share", type_=Float),
                ),
            )
            .order_by(_S.agent_id, _S.created_ns, _S.id)
        )
        used = select(_X.segment_id).where(_X.segment_id == bindparam("segment")).exists()
        self._let_go = prepared(
            update(segments)
            .values(gone_ns=bindparam("ns"))
            .where(_S.id == bindparam("segment"), ~used, _S.gone_ns.is_(null()))
        )
        self._gone = prepared(select(*SEGMENT_COLUMNS).where(_S.gone_ns < bindparam("before")).order_by(_S.id))
        self._delete = prepared(delete(segments).where(_S.id == bindparam("segment"), ~used))
        self._sums = prepared(
            select(
                func.count(_S.id), func.coalesce(func.sum(_S.bytes), 0), func.coalesce(func.sum(_S.raw_bytes), 0)
            ).where(_S.gone_ns.is_(null()))
        )
        self._since = prepared(select(facts.c.value).where(facts.c.name == STORE_SINCE))

    # Reading ---------------------------------------------------------------------------------------------------------

    def extents(self, generation_id: int) -> list[SealedExtent]:
        """Where the sealed bytes of a generation lie, in order."""
        with self._readers.cursor() as cursor:
            return [SealedExtent(*row) for row in self._extents.all(cursor, generation=generation_id)]

    def unsealed(self, quiet_before_ns: int, large_bytes: int, *, after: int = 0, limit: int) -> list[Unsealed]:
        """Generations with unsealed bytes, by id: those that ended, or have not grown since ``quiet_before_ns``.

        Others only with ``large_bytes`` or more of them.
        """
        with self._readers.cursor() as cursor:
            rows = self._unsealed.all(cursor, quiet_before=quiet_before_ns, large=large_bytes, after=after, most=limit)
        return [Unsealed(*row) for row in rows]

    def removals(self, now_ns: int, limit: int, *, after: str = "") -> list[str]:
        """Places of files that are to be removed now, by name: their bytes are all sealed, or expired."""
        with self._readers.cursor() as cursor:
            return [row[0] for row in self._removals.all(cursor, now=now_ns, most=limit, after=after)]

    def is_to_go(self, place: str) -> bool:
        """Whether the file at ``place`` is to be removed."""
        with self._readers.cursor() as cursor:
            return self._to_go.one(cursor, lies_at=place) is not None

    def segment(self, segment_id: int) -> SegmentRecord | None:
        """A segment by its id."""
        with self._readers.cursor() as cursor:
            row = self._segment.one(cursor, segment=segment_id)
        return SegmentRecord(*row) if row is not None else None

    def named(self, name: str) -> SegmentRecord | None:
        """A segment by the name of its object."""
        with self._readers.cursor() as cursor:
            row = self._named.one(cursor, object_name=name)
        return SegmentRecord(*row) if row is not None else None

    def segments(self, *, after: int = 0, limit: int) -> list[SegmentRecord]:
        """Segments by id, those that are to go included."""
        with self._readers.cursor() as cursor:
            return [SegmentRecord(*row) for row in self._all.all(cursor, after=after, most=limit)]

    def held_in(self, segment_id: int) -> list[HeldExtent]:
        """What of a segment's content counts, in its order."""
        with self._readers.cursor() as cursor:
            return [HeldExtent(*row) for row in self._held_in.all(cursor, segment=segment_id)]

    def path_chars(self, segment_id: int) -> int:
        """How long the paths of what counts of a segment's content are together."""
        with self._readers.cursor() as cursor:
            row = self._path_chars.one(cursor, segment=segment_id)
        return int(row[0]) if row else 0

    def to_compact(
        self, *, small_bytes: int, level: int, old_before_ns: int, least_share: float
    ) -> list[tuple[SegmentRecord, int]]:
        """Segments, by agent and age, with how many bytes of their content count.

        Those with less content than ``small_bytes``, old ones of a lower ``level``, and those of which less than
        ``least_share`` counts.
        """
        with self._readers.cursor() as cursor:
            rows = self._candidates.all(
                cursor, small=small_bytes, better=level, old_before=old_before_ns, least_share=least_share
            )
        return [(SegmentRecord(*row[:-1]), int(row[-1])) for row in rows]

    def gone(self, before_ns: int) -> list[SegmentRecord]:
        """Segments that nothing has referred to since before then."""
        with self._readers.cursor() as cursor:
            return [SegmentRecord(*row) for row in self._gone.all(cursor, before=before_ns)]

    def since_ns(self) -> int:
        """Objects of the store that are older may belong to a catalog before this one."""
        with self._readers.cursor() as cursor:
            row = self._since.one(cursor)
        return int(row[0]) if row else 0

    def sums(self) -> tuple[int, int, int]:
        """How many segments there are, their bytes, the bytes of their content."""
        with self._readers.cursor() as cursor:
            row = self._sums.one(cursor)
        return (int(row[0]), int(row[1]), int(row[2])) if row else (0, 0, 0)

    # Writing ---------------------------------------------------------------------------------------------------------

    def add_segment(self, transaction: Transaction, record: SegmentRecord) -> int:
        """A segment is in the store (its ``id`` is not looked at). Returns its id."""
        row = self._insert_segment.one(
            transaction.cursor, agent_id=record.agent, name=record.name, bytes=record.bytes,
            raw_bytes=record.raw_bytes, sha256=record.sha256, level=record.level, created_ns=record.created_ns,
            verified_ns=record.verified_ns, gone_ns=record.gone_ns,
        )  # fmt: skip
        return int(row[0]) if row else 0

    def seal(
        self,
        transaction: Transaction,
        generation: PathState,
        becomes: PathState,
        segment_id: int,
        pieces: Sequence[tuple[int, int, int]],
    ) -> None:
        """The bytes of ``generation`` up to ``becomes.sealed`` are in segments; the rest lies where ``becomes`` says.

        Args:
            pieces: (offset, length, raw offset) in this segment, from ``generation.sealed`` on.

        Raises:
            Conflict: it is no longer as ``generation`` says.
        """
        row = self._seal.one(
            transaction.cursor,
            generation=generation.generation_id,
            until=becomes.sealed,
            as_state=becomes.state,
            lies_at=becomes.place,
            bytes=generation.size,
            from_sealed=generation.sealed,
        )
        if row is None:
            raise changed(generation.path)
        for offset, length, raw_offset in pieces:
            extent = HeldExtent(generation.generation_id or 0, offset, length, raw_offset)
            self.add_extent(transaction, extent, segment_id)

    def to_go(self, transaction: Transaction, place: str, now_ns: int) -> None:
        """The file at ``place`` counts no more with this transaction: it is to be removed from ``now_ns`` on."""
        self._removed.run(transaction.cursor, lies_at=place)
        self._add_removal.run(transaction.cursor, place=place, since_ns=now_ns)

    def removed(self, transaction: Transaction, place: str) -> None:
        """The file that was to be removed is gone."""
        self._removed.run(transaction.cursor, lies_at=place)

    def drop_extent(self, transaction: Transaction, extent: HeldExtent, segment_id: int) -> None:
        """The extent lies in that segment no longer. Raises Conflict when it did not."""
        row = self._drop_extent.one(
            transaction.cursor, generation=extent.generation_id, from_byte=extent.offset, segment=segment_id
        )
        if row is None or row[0] != extent.length:
            raise Conflict(f"segment {segment_id} was changed meanwhile", hint="it is looked at again later")

    def add_extent(self, transaction: Transaction, extent: HeldExtent, segment_id: int) -> None:
        """The extent lies in that segment."""
        self._insert_extent.run(
            transaction.cursor, generation_id=extent.generation_id, offset=extent.offset, length=extent.length,
            segment_id=segment_id, raw_offset=extent.raw_offset,
        )  # fmt: skip

    def let_go(self, transaction: Transaction, segment_id: int, now_ns: int) -> None:
        """If nothing refers to the segment, it is to go after the grace time."""
        self._let_go.run(transaction.cursor, segment=segment_id, ns=now_ns)

    def forget(self, transaction: Transaction, segment_id: int) -> None:
        """The segment's object is removed. Not if something refers to it."""
        self._delete.run(transaction.cursor, segment=segment_id)
