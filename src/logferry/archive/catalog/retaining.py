"""The rows of retention: what is old, what is held, what was deleted and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, literal, select, update
from sqlalchemy.engine import Connection, Engine

from logferry.archive.catalog.filing import PathState
from logferry.archive.catalog.tables import (
    compressed,
    expired,
    expired_names,
    extents,
    files,
    former_names,
    generations,
    holds,
)
from logferry.archive.catalog.writer import Rows, Writer
from logferry.clock import Clock
from logferry.errors import NotFound, Refused
from logferry.limits import CARE_PAGE_ROWS

_G, _H, _E, _N = generations.c, holds.c, expired.c, expired_names.c


class HoldRecord(NamedTuple):
    """A stop on deletion of everything that ``glob`` takes in, or took in under an earlier name."""

    id: int
    glob: str
    reason: str
    created_ns: int


class OldGeneration(NamedTuple):
    """A generation that has not grown for long."""

    id: int
    agent: str
    path: str
    number: int
    size: int
    changed_ns: int


class ExpiredRecord(NamedTuple):
    """A generation that retention deleted."""

    id: int
    file_id: int
    number: int
    agent: str
    path: str
    size: int
    sha256: str | None
    started_ns: int
    changed_ns: int
    rule: str
    reason: str
    expired_ns: int


class Retaining:
    """What may go, what must stay, what has gone. Thread-safe."""

    def __init__(self, engine: Engine, writer: Writer, clock: Clock) -> None:
        self._engine = engine
        self._writer = writer
        self._clock = clock

    # Holds -----------------------------------------------------------------------------------------------------------

    def holds(self) -> list[HoldRecord]:
        """All holds, the first made first."""
        with self._engine.connect() as connection:
            return self.holds_now(connection)

    @staticmethod
    def holds_now(connection: Connection) -> list[HoldRecord]:
        """The same, inside a transaction."""
        return [HoldRecord(*row) for row in connection.execute(select(holds).order_by(_H.id))]

    def add_hold(self, glob: str, reason: str) -> HoldRecord:
        """From now on retention deletes nothing that ``glob`` takes in. Raises Refused without a glob or a reason."""
        if not glob.strip("/ ") or not reason.strip():
            raise Refused("a hold needs a glob and a reason", hint='for example "web-01/var/log/**", case 4711')
        values: dict[str, Any] = {"glob": glob, "reason": reason, "created_ns": self._clock.now_ns()}

        def work(connection: Connection) -> int:
            return int(connection.execute(insert(holds).values(**values).returning(_H.id)).scalar_one())

        return HoldRecord(id=self._writer.run(Rows(work)), **values)

    def remove_hold(self, hold_id: int) -> HoldRecord:
        """The hold ends; what it was. Raises NotFound."""

        def work(connection: Connection) -> HoldRecord | None:
            row = connection.execute(select(holds).where(_H.id == hold_id)).first()
            connection.execute(delete(holds).where(_H.id == hold_id))
            return HoldRecord(*row) if row is not None else None

        ended = self._writer.run(Rows(work))
        if ended is None:
            raise NotFound(f"there is no hold {hold_id}", hint="logferry hold list shows them")
        return ended

    # What may go -----------------------------------------------------------------------------------------------------

    def old(self, before_ns: int) -> Iterator[OldGeneration]:
        """Generations whose last byte came before then, by id. Reads on as it is consumed."""
        after = 0
        query = (
            select(_G.id, files.c.agent_id, files.c.path, _G.number, _G.size, _G.changed_ns)
            .select_from(files.join(generations, _G.file_id == files.c.id))
            .where(_G.changed_ns < before_ns)
            .order_by(_G.id)
            .limit(CARE_PAGE_ROWS)
        )
        while True:
            with self._engine.connect() as connection:
                rows = connection.execute(query.where(_G.id > after)).all()
            for row in rows:
                yield OldGeneration(*row)
            if len(rows) < CARE_PAGE_ROWS:
                return
            after = rows[-1][0]

    def former_paths(self, generation_id: int) -> list[str]:
        """Paths that the generation had before."""
        with self._engine.connect() as connection:
            return self.former_paths_now(connection, generation_id)

    @staticmethod
    def former_paths_now(connection: Connection, generation_id: int) -> list[str]:
        """The same, inside a transaction."""
        query = (
            select(files.c.path)
            .select_from(former_names.join(files, files.c.id == former_names.c.file_id))
            .where(former_names.c.generation_id == generation_id)
        )
        return list(connection.execute(query).scalars())

    # What has gone ---------------------------------------------------------------------------------------------------

    @staticmethod
    def let_go(connection: Connection, gone: PathState, rule: str, reason: str, now_ns: int) -> list[int]:
        """Nothing refers to the generation any more, and it is noted why. Returns the segments it had bytes in.

        The texts of which it was the original are looked for elsewhere.
        """
        generation_id = gone.generation_id or 0
        mine = extents.c.generation_id == generation_id
        segments = list(connection.execute(select(extents.c.segment_id).where(mine).distinct()).scalars())
        connection.execute(delete(extents).where(mine))
        connection.execute(
            update(compressed)
            .where(compressed.c.copy_of == generation_id)
            .values(copy_of=None, state="waiting", due_ns=now_ns, wait_ns=0)
        )
        connection.execute(delete(compressed).where(compressed.c.generation_id == generation_id))
        noted = connection.execute(
            insert(expired).values(
                file_id=gone.file_id, number=gone.own_number, agent_id=gone.agent, path=gone.path, size=gone.size,
                sha256=gone.sha256 if gone.sha256_size == gone.size else None, started_ns=gone.started_ns,
                changed_ns=gone.changed_ns, rule=rule, reason=reason, expired_ns=now_ns,
            ).returning(_E.id)
        ).scalar_one()  # fmt: skip
        former = former_names.c.generation_id == generation_id
        names = select(former_names.c.file_id, former_names.c.number, literal(noted)).where(former)
        connection.execute(insert(expired_names).from_select(["file_id", "number", "expired_id"], names))
        connection.execute(delete(former_names).where(former))
        return segments

    def expired(
        self, *, since_ns: int = 0, before_id: int | None = None, limit: int = CARE_PAGE_ROWS
    ) -> list[ExpiredRecord]:
        """What was deleted since then, the latest first; ``before_id``: what comes behind that one."""
        query = select(expired).where(_E.expired_ns >= since_ns).order_by(_E.id.desc()).limit(limit)
        if before_id is not None:
            query = query.where(_E.id < before_id)
        with self._engine.connect() as connection:
            return [ExpiredRecord(*row) for row in connection.execute(query)]

    def gone(self, agent: str, path: str, number: int | None = None) -> ExpiredRecord | None:
        """What was deleted last of a path, or of its generation ``number``; that may have had another path by then."""
        here = (files.c.agent_id == agent) & (files.c.path == path)
        under_it = select(expired).select_from(expired.join(files, files.c.id == _E.file_id)).where(here)
        moved = select(expired).select_from(
            files.join(expired_names, _N.file_id == files.c.id).join(expired, _E.id == _N.expired_id)
        )
        moved = moved.where(here)
        if number is not None:
            under_it, moved = under_it.where(_E.number == number), moved.where(_N.number == number)
        with self._engine.connect() as connection:
            for query in (under_it, moved):
                row = connection.execute(query.order_by(_E.id.desc()).limit(1)).first()
                if row is not None:
                    return ExpiredRecord(*row)
        return None

    def has_expired(self, agent: str, started_ns: int, size: int) -> bool:
        """Whether a generation of ``agent`` that began then, of ``size`` bytes or more, was deleted here."""
        query = select(_E.id).where(_E.agent_id == agent, _E.started_ns == started_ns, _E.size >= size).limit(1)
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def forget_expired(self, before_ns: int) -> int:
        """Notes about what was deleted before then go; returns how many."""

        def work(connection: Connection) -> int:
            old = select(_E.id).where(_E.expired_ns < before_ns)
            connection.execute(delete(expired_names).where(_N.expired_id.in_(old)))
            return connection.execute(delete(expired).where(_E.expired_ns < before_ns)).rowcount

        return self._writer.run(Rows(work))
