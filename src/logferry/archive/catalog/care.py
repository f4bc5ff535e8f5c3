"""The rows of care: which segments were verified when, and what was found damaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import delete, func, insert, literal, select, tuple_, update
from sqlalchemy.engine import Connection, Engine

from logferry.archive.catalog.sealing import SEGMENT_COLUMNS, SegmentRecord
from logferry.archive.catalog.tables import flaws, segments
from logferry.archive.catalog.writer import Rows, Writer
from logferry.limits import CARE_PAGE_ROWS

_S, _F = segments.c, flaws.c


class FlawRecord(NamedTuple):
    """Something damaged at ``place`` (below the data directory); ``frame`` -1: not in one frame of a segment."""

    place: str
    frame: int
    kind: str
    agent: str
    path: str
    what: str
    since_ns: int
    seen_ns: int


class CareSums(NamedTuple):
    """How far verifying is: segments, those verified since a time, when the oldest was, flaws known."""

    segments: int
    verified: int
    oldest_ns: int | None
    flaws: int


class Caring:
    """What is known of the archive's health. Thread-safe."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    def least_verified(
        self, before_ns: int, *, after: tuple[int, int] = (-1, 0), flawed_before_ns: int | None = None,
        limit: int = CARE_PAGE_ROWS,
    ) -> list[SegmentRecord]:  # fmt: skip
        """Segments last verified before ``before_ns``, the longest ago first.

        Args:
            after: (verified_ns, id) of the last one of the page before.
            flawed_before_ns: leave out those found damaged since then.
        """
        query = (
            select(*SEGMENT_COLUMNS)
            .where(_S.gone_ns.is_(None), _S.verified_ns < before_ns, tuple_(_S.verified_ns, _S.id) > tuple_(*after))
            .order_by(_S.verified_ns, _S.id)
            .limit(limit)
        )
        if flawed_before_ns is not None:
            place = literal("store/").concat(_S.name)
            query = query.where(~select(_F.place).where(_F.place == place, _F.seen_ns >= flawed_before_ns).exists())
        with self._engine.connect() as connection:
            return [SegmentRecord._make(row) for row in connection.execute(query)]

    def flaws(self, *, limit: int = CARE_PAGE_ROWS) -> list[FlawRecord]:
        """What is known to be damaged, by place."""
        query = select(flaws).order_by(_F.place, _F.frame).limit(limit)
        with self._engine.connect() as connection:
            return [FlawRecord(*row) for row in connection.execute(query)]

    def sums(self, since_ns: int) -> CareSums:
        """How far verifying is; ``since_ns``: what was verified later counts."""
        there = _S.gone_ns.is_(None)
        query = select(
            func.count(_S.id), func.count(_S.id).filter(_S.verified_ns >= since_ns), func.min(_S.verified_ns)
        ).where(there)
        with self._engine.connect() as connection:
            count, verified, oldest = connection.execute(query).one()
            found = connection.execute(select(func.count()).select_from(flaws)).scalar_one()
        return CareSums(int(count), int(verified), oldest, int(found))

    def note(self, place: str, found: Sequence[FlawRecord], *, verified: tuple[int, int] | None = None) -> None:
        """``place`` was verified: what is not in ``found`` is well (again); a known flaw keeps its ``since_ns``.

        Args:
            verified: (id, now in ns) of the segment there, where every byte was found good.
        """

        def work(connection: Connection) -> None:
            self._replace(connection, place, found)
            if verified is not None:
                connection.execute(update(segments).where(_S.id == verified[0]).values(verified_ns=verified[1]))

        self._writer.run(Rows(work))

    def _replace(self, connection: Connection, place: str, found: Sequence[FlawRecord]) -> None:
        known = {
            (row[0], row[1]): row[2]
            for row in connection.execute(select(_F.frame, _F.kind, _F.since_ns).where(_F.place == place))
        }
        if not known and not found:
            return
        connection.execute(delete(flaws).where(_F.place == place))
        for flaw in found:
            since_ns = known.get((flaw.frame, flaw.kind), flaw.since_ns)
            connection.execute(
                insert(flaws).values(
                    place=place, frame=flaw.frame, kind=flaw.kind, agent_id=flaw.agent, path=flaw.path,
                    what=flaw.what, since_ns=since_ns, seen_ns=flaw.seen_ns,
                )
            )  # fmt: skip

    def forget_absent(self) -> int:
        """Flaws of segments that are no longer there go; returns how many."""
        named = select(_S.id).where(literal("store/").concat(_S.name) == _F.place, _S.gone_ns.is_(None)).exists()

        def work(connection: Connection) -> int:
            return connection.execute(delete(flaws).where(_F.place.like("store/%"), ~named)).rowcount

        return self._writer.run(Rows(work))
