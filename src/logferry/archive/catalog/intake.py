"""What arrived within each hour, by agent: counted with every upload, in its transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.engine import Engine

from logferry.archive.catalog.tables import intake
from logferry.archive.catalog.writer import Rows, Writer

_I = intake.c


class Arrived(NamedTuple):
    """Bytes that came, files (or new generations of one) that began, uploads that were refused or broke off."""

    bytes: int = 0
    files: int = 0
    errors: int = 0


class Intake:
    """The hours that are kept. Hours are counted from 1970, in UTC. Thread-safe."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    def hours(self, first: int, last: int, agents: Sequence[str] | None = None) -> dict[int, Arrived]:
        """What arrived from ``agents`` (None: from all) in each hour from ``first`` on, before ``last``.

        Hours in which nothing did are not there.
        """
        query = (
            select(_I.hour, func.sum(_I.bytes), func.sum(_I.files), func.sum(_I.errors))
            .where(_I.hour >= first, _I.hour < last)
            .group_by(_I.hour)
        )
        if agents is not None:
            query = query.where(_I.agent_id.in_(agents))
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return {int(hour): Arrived(int(size), int(files), int(errors)) for hour, size, files, errors in rows}

    def since(self) -> int | None:
        """The first hour that is kept; None: nothing has arrived since anybody counts."""
        with self._engine.connect() as connection:
            found = connection.execute(select(func.min(_I.hour))).scalar()
        return None if found is None else int(found)

    def forget(self, before: int) -> int:
        """Hours before that one go; how many rows went."""
        work = delete(intake).where(_I.hour < before)
        return self._writer.run(Rows(lambda connection: connection.execute(work).rowcount))
