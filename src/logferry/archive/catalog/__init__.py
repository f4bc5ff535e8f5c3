"""The catalog: what is archived, where it lies, and who may see it. SQLite by default.

Several processes may open the same catalog. Writing is grouped per process (``writer``), reading sees what is
committed.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError

from logferry.archive.catalog.agents import Agents
from logferry.archive.catalog.care import Caring
from logferry.archive.catalog.copies import Copies
from logferry.archive.catalog.engine import create_engine
from logferry.archive.catalog.facts import Facts
from logferry.archive.catalog.files import Files
from logferry.archive.catalog.filing import Filing
from logferry.archive.catalog.indexing import Indexing
from logferry.archive.catalog.migrate import migrate
from logferry.archive.catalog.people import People
from logferry.archive.catalog.quotas import Quotas
from logferry.archive.catalog.readers import Readers
from logferry.archive.catalog.retaining import Retaining
from logferry.archive.catalog.sealing import Sealing
from logferry.archive.catalog.snapshot import snapshot_bytes, take_snapshot
from logferry.archive.catalog.sums import FolderSums
from logferry.archive.catalog.writer import Writer
from logferry.archive.durable import Disk
from logferry.clock import SYSTEM, Clock
from logferry.errors import Damaged

__all__ = ["Catalog"]


class Catalog:
    """An open catalog: ``agents``, ``files``, ``copies``, ``people``. Close it, or use it in a ``with`` statement."""

    def __init__(self, engine: Engine, clock: Clock, disk: Disk) -> None:
        self.clock = clock
        self._engine = engine
        self.readers = Readers(engine)
        self.quotas = Quotas(engine.dialect, self.readers, clock)
        sums = FolderSums(engine.dialect, self.quotas)
        self.writer = Writer(engine, disk, sums)
        self.filing = Filing(engine.dialect, sums)
        self.sealing = Sealing(engine.dialect, self.readers)
        self.indexing = Indexing(engine.dialect, self.readers)
        self.agents = Agents(engine, self.writer, clock, self.quotas)
        self.files = Files(engine, self.readers)
        self.copies = Copies(engine, self.writer)
        self.care = Caring(engine, self.writer)
        self.facts = Facts(engine, self.writer)
        self.retaining = Retaining(engine, self.writer, clock)
        self.people = People(engine, self.readers, self.writer)

    @classmethod
    def open(cls, url: str, clock: Clock = SYSTEM, *, disk: Disk | None = None) -> Self:
        """Open the catalog at an SQLAlchemy URL (``sqlite:////path/catalog.db``), made or migrated when needed.

        Raises:
            Conflict: it was written by a newer Logferry.
            Damaged: the file is no catalog.
        """
        engine = create_engine(url)
        try:
            migrate(engine)
        except DatabaseError as error:
            engine.dispose()
            if "not a database" in str(error.orig) or "malformed" in str(error.orig):
                name = engine.url.database or url
                hint = "restore it from a backup; the files below live/ beside it are untouched"
                raise Damaged(f"the catalog {name} cannot be read: {error.orig}", where=name, hint=hint) from error
            raise
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, clock, disk or Disk())

    def snapshot(self, path: str) -> None:
        """Write the catalog as it is at one moment into a new file at ``path``, while others go on writing to it.

        Raises:
            Refused: it is not in SQLite.
        """
        take_snapshot(self._engine, path)

    def size_bytes(self) -> int:
        """How large a snapshot is, about."""
        return snapshot_bytes(self._engine)

    def close(self) -> None:
        """Write what still waits, then close all connections."""
        self.writer.close()
        self.readers.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
