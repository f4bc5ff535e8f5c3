"""Writing rows of what was found on the disk and in the store, for a catalog that is made anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Connection

from logferry.archive.catalog.filing import Filing
from logferry.archive.catalog.sealing import HeldExtent, Sealing
from logferry.archive.catalog.tables import extents, files, former_names, generations, segments
from logferry.archive.catalog.writer import Transaction
from logferry.compressed import form_by_name
from logferry.names import split


@dataclass(slots=True)
class FoundGeneration:
    """A generation as it is to be written. ``extents``: (offset, length, segment id, raw offset), in order."""

    uid: str
    number: int
    size: int
    started_ns: int
    changed_ns: int
    ended_ns: int | None
    modified_ns: int
    sha256: str
    state: str
    place: str
    sealed: int
    extents: list[tuple[int, int, int, int]] = field(default_factory=list)
    former: list[tuple[str, int]] = field(default_factory=list)
    """(path, number) it had before."""


@dataclass(slots=True)
class FoundFile:
    """A path with its generations by number, and the last number given out."""

    path: str
    number: int
    generations: list[FoundGeneration]


class Rebuilding:
    """Rows of files that the catalog does not know. Takes the writer's transaction."""

    def __init__(self, filing: Filing, sealing: Sealing) -> None:
        self._filing = filing
        self._sealing = sealing

    def add_file(self, transaction: Transaction, agent: str, file: FoundFile, now_ns: int) -> None:
        """A file with all its generations; the sums of its folders grow."""
        connection = transaction.connection
        folder, name = split(file.path)
        chain = transaction.sums.chain(transaction.cursor, agent, folder)
        held = file.generations
        row = connection.execute(
            insert(files)
            .values(
                agent_id=agent, folder_id=chain[0], name=name, path=file.path, number=file.number,
                shown=held[-1].number if held else None, held=len(held),
            )
            .returning(files.c.id)
        ).one()  # fmt: skip
        if held:
            current = held[-1].ended_ns is None
            transaction.sums.add(chain, 1, held[-1].size, held[-1].changed_ns, appears=current)
        transaction.sums.held(agent, len(held), sum(found.size for found in held), checked=False)
        for found in held:
            self._add_generation(transaction, int(row[0]), file.path, found, now_ns)

    def _add_generation(
        self, transaction: Transaction, file_id: int, path: str, found: FoundGeneration, now_ns: int
    ) -> None:
        row = transaction.connection.execute(
            insert(generations)
            .values(
                file_id=file_id, number=found.number, size=found.size, started_ns=found.started_ns,
                changed_ns=found.changed_ns, ended_ns=found.ended_ns, modified_ns=found.modified_ns,
                sha256=found.sha256 or None, sha256_size=found.size if found.sha256 else 0, state=found.state,
                place=found.place, uid=found.uid, sealed=found.sealed,
            )
            .returning(generations.c.id)
        ).one()  # fmt: skip
        for offset, length, segment_id, raw_offset in found.extents:
            self._sealing.add_extent(transaction, HeldExtent(int(row[0]), offset, length, raw_offset), segment_id)
        if form_by_name(path):
            self._filing.begin_watching(transaction.cursor, int(row[0]), now_ns)

    def add_former_names(self, transaction: Transaction, agent: str, found: FoundGeneration, now_ns: int) -> None:
        """Numbers that the generation had under other paths, where those paths have a row and the number is free."""
        connection = transaction.connection
        mine = connection.execute(select(generations.c.id).where(generations.c.uid == found.uid)).scalar_one()
        for path, number in dict.fromkeys(found.former):
            file_id = connection.execute(
                select(files.c.id).where(files.c.agent_id == agent, files.c.path == path)
            ).scalar_one_or_none()
            taken = select(generations.c.id).where(generations.c.file_id == file_id, generations.c.number == number)
            if file_id is None or connection.execute(taken).first():
                continue
            key = (former_names.c.file_id == file_id) & (former_names.c.number == number)
            if connection.execute(select(former_names.c.generation_id).where(key)).first() is None:
                connection.execute(
                    insert(former_names).values(file_id=file_id, number=number, generation_id=mine, until_ns=now_ns)
                )

    def add_missing_extents(
        self, transaction: Transaction, generation_id: int, found: Sequence[tuple[int, int, int, int]]
    ) -> None:
        """Extents for bytes that none covered; their segments are referred to again."""
        for offset, length, segment_id, raw_offset in found:
            self._sealing.add_extent(transaction, HeldExtent(generation_id, offset, length, raw_offset), segment_id)
            transaction.connection.execute(update(segments).where(segments.c.id == segment_id).values(gone_ns=None))

    @staticmethod
    def with_holes(connection: Connection) -> list[tuple[int, str, str, str, int]]:
        """(id, uid, agent, path, sealed) of generations whose extents have fewer bytes than are sealed."""
        covered = func.coalesce(func.sum(extents.c.length), 0)
        query = (
            select(generations.c.id, generations.c.uid, files.c.agent_id, files.c.path, generations.c.sealed)
            .select_from(
                generations.join(files, files.c.id == generations.c.file_id).outerjoin(
                    extents, extents.c.generation_id == generations.c.id
                )
            )
            .where(generations.c.sealed > 0)
            .group_by(generations.c.id, generations.c.uid, files.c.agent_id, files.c.path, generations.c.sealed)
            .having(covered < generations.c.sealed)
            .order_by(generations.c.id)
        )
        return [(r[0], r[1], r[2], r[3], r[4]) for r in connection.execute(query)]
