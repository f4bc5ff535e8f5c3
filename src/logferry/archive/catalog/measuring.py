"""Measures in the catalog: how many lines generations have, and their first and last time.

A *measure* is of a stretch of a generation's bytes, which never change: it holds wherever they lie, and is replaced
where they are measured anew. It goes with its generation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, insert, null, or_, select, tuple_
from sqlalchemy.engine import Connection, Engine

from logferry.archive.catalog.sealing import SEGMENT_COLUMNS, SegmentRecord
from logferry.archive.catalog.tables import files, generations, indexes, measured, measures, segments
from logferry.archive.catalog.writer import Rows, Writer
from logferry.limits import CARE_PAGE_ROWS, CATALOG_PAGE_ROWS, MEASURE_ROWS

_M, _D, _G, _S, _I = measures.c, measured.c, generations.c, segments.c, indexes.c
_MEASURE = (_M.generation_id, _M.offset, _M.length, _M.line_ends, _M.is_open, _M.first_ns, _M.last_ns)

_OVERLAPPING = delete(measures).where(
    _M.generation_id == bindparam("of"), _M.offset < bindparam("high"), _M.offset + _M.length > bindparam("low")
)


class Measure(NamedTuple):
    """Of ``length`` bytes from ``offset`` of a generation: how many lines end there, whether the last one does not, and
    the first and last time that one of them shows (nanoseconds since 1970, None: none does)."""

    generation_id: int
    offset: int
    length: int
    line_ends: int
    is_open: bool
    first_ns: int | None
    last_ns: int | None

    @property
    def end(self) -> int:
        """Where it ends in the generation."""
        return self.offset + self.length


class Measures(NamedTuple):
    """What is known of a generation. ``lines``: an estimate where not ``exact``; ``last_ns`` is of what was looked at
    then. None: not known, or no line shows a time."""

    lines: int
    exact: bool
    first_ns: int | None = None
    last_ns: int | None = None


class Growing(NamedTuple):
    """A generation with bytes that are not sealed, and what of these is measured already."""

    generation_id: int
    agent: str
    name: str
    size: int
    sealed: int
    changed_ns: int
    measure: Measure | None


def summed(parts: Sequence[Measure], size: int) -> Measures | None:
    """What is known of a generation of ``size`` bytes from its measures in order; None: nothing."""
    if not size:
        return Measures(0, exact=True)
    covered = sum(part.length for part in parts)
    if not covered:
        return None
    ends = sum(part.line_ends for part in parts)
    exact = covered == size
    lines = ends + parts[-1].is_open if exact else max(1, round(ends * size / covered))
    first_ns, at = None, 0
    for part in parts:
        if part.offset != at:  # what came first is not known
            break
        first_ns, at = part.first_ns, part.end
        if first_ns is not None:
            break
    last_ns = next((part.last_ns for part in reversed(parts) if part.last_ns is not None), None)
    return Measures(lines, exact, first_ns, last_ns)


class Measuring:
    """The measures of all generations. Thread-safe."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    # For lists -------------------------------------------------------------------------------------------------------

    def of(self, sizes: Iterable[tuple[int, int]]) -> dict[int, Measures]:
        """What is known of generations (id, bytes), by id; those of which nothing is are left out."""
        wanted = dict(sizes)
        parts: dict[int, list[Measure]] = {generation_id: [] for generation_id in wanted}
        ids = [generation_id for generation_id, size in wanted.items() if size]
        for start in range(0, len(ids), CATALOG_PAGE_ROWS):
            query = (
                select(*_MEASURE)
                .where(_M.generation_id.in_(ids[start : start + CATALOG_PAGE_ROWS]))
                .order_by(_M.generation_id, _M.offset)
            )
            with self._engine.connect() as connection:
                for row in connection.execute(query):
                    parts[row[0]].append(_measure(row))
        found = {generation_id: summed(parts[generation_id], size) for generation_id, size in wanted.items()}
        return {generation_id: known for generation_id, known in found.items() if known is not None}

    # For whoever measures --------------------------------------------------------------------------------------------

    def due(self, version: int, *, before: int = 1 << 62, limit: int = CARE_PAGE_ROWS) -> list[SegmentRecord]:
        """Segments with an index of that version by which they are not measured, by id, the newest first."""
        query = (
            select(*SEGMENT_COLUMNS)
            .select_from(
                segments.join(indexes, _I.segment_id == _S.id).outerjoin(measured, _D.segment_id == _S.id)
            )
            .where(
                _S.gone_ns.is_(null()), _S.id < before,
                _I.name != "", _I.version == version, _I.due_ns.is_(null()),
                or_(_D.segment_id.is_(null()), _D.index_name != _I.name),
            )
            .order_by(_S.id.desc())
            .limit(limit)
        )  # fmt: skip
        with self._engine.connect() as connection:
            return [SegmentRecord._make(row) for row in connection.execute(query)]

    def growing(self, behind: tuple[int, int] | None, limit: int) -> list[Growing]:
        """Generations with unsealed bytes, those that changed last first.

        Args:
            behind: (changed_ns, generation_id) of the last one of the page before.
        """
        page = select(_G.id, _G.file_id, _G.size, _G.sealed, _G.changed_ns).where(_G.sealed < _G.size)
        if behind is not None:
            page = page.where(_G.changed_ns <= behind[0], tuple_(_G.changed_ns, _G.id) < tuple_(*behind))
        of_page = page.order_by(_G.changed_ns.desc(), _G.id.desc()).limit(limit).subquery().c
        query = (
            select(
                of_page.id, files.c.agent_id, files.c.name, of_page.size, of_page.sealed, of_page.changed_ns, *_MEASURE
            )
            .join_from(files, of_page.id.table, files.c.id == of_page.file_id)
            .outerjoin(measures, and_(_M.generation_id == of_page.id, _M.offset == of_page.sealed))
            .order_by(of_page.changed_ns.desc(), of_page.id.desc())
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [Growing(*row[:6], _measure(row[6:]) if row[6] is not None else None) for row in rows]

    def put(self, found: Sequence[Measure]) -> None:
        """Note measures in place of what was known of their bytes; those of generations that are gone are left out."""
        for start in range(0, len(found), MEASURE_ROWS):
            part = found[start : start + MEASURE_ROWS]

            def work(connection: Connection, part: Sequence[Measure] = part) -> None:
                ids = {measure.generation_id for measure in part}
                there = set(connection.execute(select(_G.id).where(_G.id.in_(ids))).scalars())
                bounds = [{"of": one.generation_id, "low": one.offset, "high": one.end} for one in part]
                connection.execute(_OVERLAPPING, bounds)
                if rows := [_values(measure) for measure in part if measure.generation_id in there]:
                    connection.execute(insert(measures), rows)

            self._writer.run(Rows(work))

    def done(self, segment_id: int, index_name: str) -> None:
        """All that a segment holds is measured, by the index of that name."""

        def work(connection: Connection) -> None:
            connection.execute(delete(measured).where(_D.segment_id == segment_id))
            if connection.execute(select(_S.id).where(_S.id == segment_id)).first() is not None:
                connection.execute(insert(measured).values(segment_id=segment_id, index_name=index_name))

        self._writer.run(Rows(work))


def _measure(row: Any) -> Measure:
    values = list(row)
    values[4] = bool(values[4])
    return Measure(*values)


def _values(measure: Measure) -> dict[str, Any]:
    return measure._asdict() | {"is_open": int(measure.is_open)}
