"""The catalog: what is archived, where it lies, and who may see it. SQLite by default, or on a PostgreSQL server.

Several processes may open the same catalog. Writing is grouped per process (``writer``), reading sees what is
committed.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from sqlalchemy import Engine, make_url

from logferry.archive.catalog.agents import Agents
from logferry.archive.catalog.alerting import Alerting
from logferry.archive.catalog.auditing import Auditing
from logferry.archive.catalog.care import Caring
from logferry.archive.catalog.copies import Copies
from logferry.archive.catalog.disk_days import DiskDays
from logferry.archive.catalog.engine import Place, explaining, opened, sqlite_url
from logferry.archive.catalog.facts import Facts
from logferry.archive.catalog.files import Files
from logferry.archive.catalog.filing import Filing
from logferry.archive.catalog.indexing import Indexing
from logferry.archive.catalog.intake import Intake
from logferry.archive.catalog.looking import Looking
from logferry.archive.catalog.measuring import Measuring
from logferry.archive.catalog.migrate import migrate, revision
from logferry.archive.catalog.naming import Naming
from logferry.archive.catalog.people import People
from logferry.archive.catalog.preferences import Preferences
from logferry.archive.catalog.quotas import Quotas
from logferry.archive.catalog.readers import Readers
from logferry.archive.catalog.retaining import Retaining
from logferry.archive.catalog.saving import Saved
from logferry.archive.catalog.sealing import Sealing
from logferry.archive.catalog.snapshot import snapshot_bytes, take_snapshot
from logferry.archive.catalog.sums import FolderSums
from logferry.archive.catalog.writer import Writer
from logferry.archive.catalog.zones import Zones
from logferry.archive.durable import Disk
from logferry.clock import SYSTEM, Clock

__all__ = ["Catalog", "Place", "sqlite_url"]


class Catalog:
    """An open catalog: ``agents``, ``files``, ``copies``, ``people``. Close it, or use it in a ``with`` statement."""

    def __init__(self, engine: Engine, clock: Clock, disk: Disk) -> None:
        self.clock = clock
        self._engine = engine
        self.readers = Readers(engine)
        self.quotas = Quotas(engine.dialect, self.readers, clock)
        self.zones = Zones(engine.dialect, self.readers)
        sums = FolderSums(engine.dialect, self.quotas)
        self.writer = Writer(engine, disk, sums)
        self.filing = Filing(engine.dialect, sums)
        self.sealing = Sealing(engine.dialect, self.readers)
        self.indexing = Indexing(engine.dialect, self.readers)
        self.agents = Agents(engine, self.readers, self.writer, clock, self.quotas, self.zones)
        self.naming = Naming(engine, self.readers, self.writer)
        self.files = Files(engine, self.readers, self.naming)
        self.looking = Looking(engine, self.readers)
        self.copies = Copies(engine, self.writer)
        self.care = Caring(engine, self.writer)
        self.facts = Facts(engine, self.writer)
        self.measuring = Measuring(engine, self.writer)
        self.intake = Intake(engine, self.writer)
        self.disk_days = DiskDays(engine, self.writer)
        self.retaining = Retaining(engine, self.writer, clock)
        self.saved = Saved(engine, self.writer, clock)
        self.people = People(engine, self.readers, self.writer)
        self.preferences = Preferences(engine.dialect, self.readers, self.writer)
        self.auditing = Auditing(engine, self.writer)
        self.alerting = Alerting(engine, self.writer)

    @classmethod
    def open(
        cls, url: str, clock: Clock = SYSTEM, *, disk: Disk | None = None, password: str = "", schema: str = ""
    ) -> Self:
        """Open the catalog at a URL (``sqlite:////path/catalog.db``, ``postgresql://…``), made or migrated when needed.

        Args:
            password: for PostgreSQL, where the URL has none.
            schema: in which the tables are, instead of the first of the connection's search_path.

        Raises:
            BadConfig: it is no URL of a catalog, or the driver for it is missing.
            Conflict: it was written by a newer Logferry.
            Damaged: the file is no catalog.
            Refused: the PostgreSQL server cannot or may not hold it.
            Unreachable: it does not answer.
        """
        engine = opened(Place(url, password), schema=schema)
        try:
            with explaining(engine):
                migrate(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, clock, disk or Disk())

    def snapshot(self, path: str) -> None:
        """Write the catalog as it is at one moment into a new SQLite file, while others go on writing to it.

        Raises:
            Unreachable: the server that it is on went away.
        """
        take_snapshot(self._engine, path)

    def size_bytes(self) -> int:
        """How large a snapshot is, about."""
        return snapshot_bytes(self._engine)

    @staticmethod
    def is_there(place: Place) -> bool:
        """Whether there is a catalog at ``place``. Raises as ``open`` does."""
        url = make_url(place.url)
        if url.get_backend_name() == "sqlite" and not os.path.exists(url.database or ""):
            return False
        engine = opened(place)
        try:
            with explaining(engine):
                return revision(engine) is not None
        finally:
            engine.dispose()

    def close(self) -> None:
        """Write what still waits, then close all connections."""
        self.writer.close()
        self.looking.close()
        self.readers.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
