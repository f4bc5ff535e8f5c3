"""How full the archive's disk was, day by day."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection, Engine

from logferry.archive.catalog.tables import disk_days
from logferry.archive.catalog.writer import Rows, Writer
from logferry.limits import DISK_DAYS_KEPT

DAY_NS = 86_400 * 10**9
_D = disk_days.c


class DiskDay(NamedTuple):
    """What was in use of so many bytes when it was looked at."""

    seen_ns: int
    used: int
    total: int


class DiskDays:
    """One look for each day, the first. Thread-safe."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    def note(self, look: DiskDay) -> None:
        """Keep it if it is the first of its day; those of long ago go."""
        day = look.seen_ns // DAY_NS

        def work(connection: Connection) -> None:
            if connection.execute(select(_D.day).where(_D.day == day)).first() is None:
                connection.execute(insert(disk_days).values(day=day, **look._asdict()))
                connection.execute(delete(disk_days).where(_D.day < day - DISK_DAYS_KEPT))

        self._writer.run(Rows(work))

    def kept(self) -> list[DiskDay]:
        """All, the oldest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(_D.seen_ns, _D.used, _D.total).order_by(_D.day)).all()
        return [DiskDay(*map(int, row)) for row in rows]
