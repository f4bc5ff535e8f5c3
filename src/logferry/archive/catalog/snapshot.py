"""A copy of the catalog for a backup: as it was at one moment, then changed so that all bytes lie in segments."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from sqlalchemy import Engine, delete, func, insert, select, update

from logferry.archive.catalog.copying import copied_bytes, copy_out
from logferry.archive.catalog.engine import create_engine, sqlite_url
from logferry.archive.catalog.facts import HOLDER, put_fact
from logferry.archive.catalog.filing import LIVE, SEALED
from logferry.archive.catalog.migrate import migrate
from logferry.archive.catalog.sealing import SEGMENT_COLUMNS, SegmentRecord
from logferry.archive.catalog.tables import (
    agents,
    extents,
    facts,
    files,
    generations,
    metadata,
    segments,
)
from logferry.errors import Damaged
from logferry.limits import CARE_PAGE_ROWS

_G, _X, _S = generations.c, extents.c, segments.c


class Loose(NamedTuple):
    """A generation with bytes in a plain file: those from ``sealed`` to ``size``."""

    id: int
    agent: str
    path: str
    uid: str
    number: int
    size: int
    sealed: int
    started_ns: int
    changed_ns: int
    modified_ns: int
    ended_ns: int | None
    sha256: str | None
    sha256_size: int

    @property
    def own_number(self) -> int:
        """As a ``PathState`` calls it."""
        return self.number


class Found(NamedTuple):
    """Bytes of a generation in a segment, which need not have a row here."""

    offset: int
    length: int
    raw_offset: int
    segment: SegmentRecord

    @property
    def end(self) -> int:
        """Where they end in the generation."""
        return self.offset + self.length


class Totals(NamedTuple):
    """How much there is: agents, paths, generations, their bytes."""

    agents: int
    files: int
    generations: int
    bytes: int


def take_snapshot(engine: Engine, path: str) -> None:
    """See ``Catalog.snapshot``."""
    if engine.dialect.name != "sqlite":
        copy_out(engine, path)
        return
    with contextlib.closing(sqlite3.connect(path)) as copy, engine.connect() as connection:
        source = connection.connection.driver_connection
        assert isinstance(source, sqlite3.Connection)
        source.backup(copy)  # in one step: as it is now, whoever writes meanwhile


def snapshot_bytes(engine: Engine) -> int:
    """See ``Catalog.size_bytes``."""
    if engine.dialect.name != "sqlite":
        return copied_bytes(engine)
    with engine.connect() as connection:
        pages, size = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in ("page_count", "page_size")
        )
    return pages * size


class Snapshot:
    """An open copy. Nobody else has it. Close it, or use it in a ``with`` statement."""

    def __init__(self, path: str) -> None:
        """Raises Damaged when the file is no catalog."""
        self._path = path
        self._engine = create_engine(sqlite_url(path))
        try:
            migrate(self._engine)
            self._connection = self._engine.connect()
        except BaseException:
            self._engine.dispose()
            raise

    def clear(self) -> None:
        """Drop what means nothing in another place or at another time: what is to go, who is signed in, codes."""
        # Where indexes lie is left out, too: they are not in backups, and are built again. And messages, of which those
        # that wait would be sent by every restore.
        for name in ("removals", "flaws", "sessions", "codes", "indexes", "alert_messages"):
            if (table := metadata.tables.get(name)) is not None:
                self._connection.execute(delete(table))
        self._connection.execute(delete(facts).where(facts.c.name == HOLDER))
        used = select(_X.segment_id).where(_X.segment_id == _S.id).exists()
        self._connection.execute(delete(segments).where(_S.gone_ns.is_not(None), ~used))

    def put_fact(self, name: str, value: str) -> None:
        """See ``facts``."""
        put_fact(self._connection, name, value)

    # Reading ---------------------------------------------------------------------------------------------------------

    def totals(self) -> Totals:
        """How much the archive holds."""
        counts = (select(func.count()).select_from(table) for table in (agents, files, generations))
        numbers = [int(self._connection.execute(count).scalar_one()) for count in counts]
        size = self._connection.execute(select(func.coalesce(func.sum(_G.size), 0))).scalar_one()
        return Totals._make([*numbers, int(size)])

    def agents(self) -> list[str]:
        """All ids."""
        return list(self._connection.execute(select(agents.c.id).order_by(agents.c.id)).scalars())

    def loose(self) -> Iterator[Loose]:
        """Generations with bytes in plain files, by agent and path."""
        query = select(
            _G.id, files.c.agent_id, files.c.path, _G.uid, _G.number, _G.size, _G.sealed, _G.started_ns, _G.changed_ns,
            _G.modified_ns, _G.ended_ns, _G.sha256, _G.sha256_size,
        ).select_from(generations.join(files, files.c.id == _G.file_id))  # fmt: skip
        order = query.where(_G.sealed < _G.size).order_by(files.c.agent_id, files.c.path, _G.number)
        ids = list(self._connection.execute(order.with_only_columns(_G.id)).scalars())
        for generation_id in ids:
            yield Loose._make(self._connection.execute(query.where(_G.id == generation_id)).one())

    def empty_files(self) -> Iterator[str]:
        """Places of files without a byte, below the data directory."""
        query = (
            select(_G.state, _G.place, files.c.agent_id, files.c.path)
            .select_from(generations.join(files, files.c.id == _G.file_id))
            .where(_G.size == 0, _G.state != SEALED)
        )
        for state, place, agent, path in self._connection.execute(query).all():
            yield f"live/{agent}/{path}" if state == LIVE else place

    def segments(self) -> Iterator[SegmentRecord]:
        """All, by name."""
        after = ""
        query = select(*SEGMENT_COLUMNS).order_by(_S.name).limit(CARE_PAGE_ROWS)
        while page := self._connection.execute(query.where(_S.name > after)).all():
            yield from map(SegmentRecord._make, page)
            after = page[-1][2]

    def segment_bytes(self) -> int:
        """Bytes of all segments."""
        return int(self._connection.execute(select(func.coalesce(func.sum(_S.bytes), 0))).scalar_one())

    def bytes_of(self, uid: str, start: int) -> list[Found]:
        """Where the bytes of a generation from ``start`` on lie, in order."""
        query = (
            select(_X.offset, _X.length, _X.raw_offset, *SEGMENT_COLUMNS)
            .select_from(
                generations.join(extents, _X.generation_id == _G.id).join(segments, _S.id == _X.segment_id)
            )
            .where(_G.uid == uid, _X.offset + _X.length > start)
            .order_by(_X.offset)
        )  # fmt: skip
        return [Found(*row[:3], SegmentRecord._make(row[3:])) for row in self._connection.execute(query)]

    def name_of(self, uid: str) -> tuple[str, int, int | None] | None:
        """(path, number, when it ended) of a generation; None where there is none."""
        query = (
            select(files.c.path, _G.number, _G.ended_ns)
            .select_from(generations.join(files, files.c.id == _G.file_id))
            .where(_G.uid == uid)
        )
        row = self._connection.execute(query).first()
        return (row[0], row[1], row[2]) if row is not None else None

    # Writing ---------------------------------------------------------------------------------------------------------

    def seal(self, loose: Loose, found: Sequence[Found]) -> None:
        """All bytes of a generation lie in segments from now on: those that were loose where ``found`` says."""
        for one in found:
            self._connection.execute(
                insert(extents).values(
                    generation_id=loose.id, offset=one.offset, length=one.length,
                    segment_id=self._segment_id(one.segment), raw_offset=one.raw_offset,
                )
            )  # fmt: skip
        change = update(generations).where(_G.id == loose.id)
        self._connection.execute(change.values(state=SEALED, place="", sealed=loose.size))

    def _segment_id(self, record: SegmentRecord) -> int:
        known = self._connection.execute(select(_S.id).where(_S.name == record.name)).scalar()
        if known is not None:
            return int(known)
        values = dict(zip((c.name for c in SEGMENT_COLUMNS), record, strict=True)) | {"gone_ns": None}
        values.pop("id")
        return int(self._connection.execute(insert(segments).values(values).returning(_S.id)).scalar_one())

    def close(self) -> None:
        """Commit and leave one file, synced, with no other beside it."""
        self._connection.commit()
        self._connection.close()
        self._engine.dispose()
        with contextlib.closing(sqlite3.connect(self._path)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_mode = DELETE")

    def discard(self) -> None:
        """Let go of it, whatever becomes of the file. May be called after ``close``."""
        self._connection.close()
        self._engine.dispose()


def check_copy(path: str, where: str) -> None:
    """Raise Damaged unless the file at ``path`` is a whole database."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=ro", uri=True)) as connection:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise Damaged(f"{where}: {found}", where=where, hint="take another backup")
