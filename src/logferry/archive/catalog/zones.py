"""In which zone each agent's times are that name none."""

from __future__ import annotations

from sqlalchemy import Dialect, bindparam, select

from logferry.archive.catalog.prepared import Prepared
from logferry.archive.catalog.readers import Readers
from logferry.archive.catalog.tables import agents

UTC = "UTC"


class Zones:
    """Names of zones by agent. ``default`` holds for agents that have none of their own."""

    def __init__(self, dialect: Dialect, readers: Readers) -> None:
        self.default = UTC
        self._readers = readers
        self._own = Prepared(select(agents.c.id, agents.c.zone).where(agents.c.zone.is_not(None)), dialect)
        self._of = Prepared(select(agents.c.zone).where(agents.c.id == bindparam("agent")), dialect)

    def of(self, agent: str) -> str:
        """The name of the agent's zone."""
        with self._readers.cursor() as cursor:
            row = self._of.one(cursor, agent=agent)
        return self.default if row is None or row[0] is None else str(row[0])

    def own(self) -> dict[str, str]:
        """The zones of agents that have one of their own: for somebody who asks for many."""
        with self._readers.cursor() as cursor:
            return {str(agent): str(zone) for agent, zone in self._own.all(cursor)}
