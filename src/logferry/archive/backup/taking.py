"""Taking a backup of an archive that goes on living.

The catalog is copied as of one moment. Bytes of that moment that lie in plain files are packed into segments of the
backup's own, read by the lasting id of their generation: wherever sealing, renames and compaction have moved them
since, they are the same. Segments of the archive are copied once. In the copied catalog everything lies in segments.

============================== ============================================ ====================================
step                            cut off after it                             what happens then
============================== ============================================ ====================================
the archive's locks             nothing                                      the kernel lets go of them
``begun.json``                  an unfinished backup                         removed by the next one
packs, segments                 objects that no whole backup needs           used, or removed, by the next one
journal, extras, catalog, list  the same                                     the same
``backup.json``                 a whole backup                               it is the newest
============================== ============================================ ====================================
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from logferry import __version__
from logferry.archive.backup.records import EXTRA, Backup, Part, read_from
from logferry.archive.backup.repository import CATALOG, JOURNAL, OBJECTS, Repository
from logferry.archive.catalog.facts import BACKED_UP, RESTORED
from logferry.archive.catalog.sealing import SegmentRecord
from logferry.archive.catalog.snapshot import Found, Loose, Snapshot
from logferry.archive.durable import of_the_disk
from logferry.archive.facts import known
from logferry.archive.journal import Note
from logferry.archive.locks import backing_up
from logferry.archive.object_reader import behind_cache
from logferry.archive.reader import open_generation
from logferry.archive.rooms import Rooms
from logferry.archive.sealed import Segments
from logferry.archive.segment import Builder
from logferry.archive.segment.manifest import told_bytes
from logferry.archive.writing import SegmentWriter
from logferry.errors import Damaged, Full, Later, NotFound
from logferry.limits import (
    BACKUP_EXTENTS_MAX,
    BACKUP_LEVEL,
    BACKUP_PROBLEM_CHARS_MAX,
    BACKUP_PROBLEMS_MAX,
    COPY_BYTES,
    MANIFEST_BYTES_MAX,
    SEAL_BATCH_FILES,
    SEGMENT_BYTES,
)

WORK_FOLDER = "backup-work"
"""Below the data directory: the copied catalog, as long as a backup is being taken."""

Tell = Callable[["Taking"], None]


@dataclass(slots=True)
class Taking:
    """How far it is; grows while it goes on."""

    phase: str = "waiting"
    bytes: int = 0
    """Of segments and files, done so far."""
    total_bytes: int = 0
    new_objects: int = 0
    new_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    more_problems: int = 0
    removed: list[str] = field(default_factory=list)
    """Older backups, and the segments that only they needed."""

    def problem(self, text: str) -> None:
        """Something of the archive is damaged."""
        if len(self.problems) < BACKUP_PROBLEMS_MAX:
            half = BACKUP_PROBLEM_CHARS_MAX // 2
            self.problems.append(text if len(text) <= 2 * half else f"{text[:half]}…{text[-half:]}")
        else:
            self.more_problems += 1


@dataclass(slots=True)
class _Piece:
    """Bytes of a generation that go into a pack."""

    loose: Loose
    begin: int
    end: int


class Taker:
    """Takes backups of one archive."""

    def __init__(
        self, rooms: Rooms, repository: Repository, *, segment_bytes: int = SEGMENT_BYTES, tell: Tell = lambda _: None
    ) -> None:
        """``tell`` is called again and again with how far it is."""
        self._rooms = rooms
        self._repository = repository
        self._segment_bytes = segment_bytes
        self._tell = tell
        self._work = os.path.join(rooms.data_dir, WORK_FOLDER)
        self.taking = Taking()

    def take(self, extras: Mapping[str, bytes], *, keep: int | None = None) -> Backup:
        """Take one; returns when it is whole. ``extras``: files to keep with it, by name.

        What of the archive is damaged is named in its ``problems``; all the rest is in the backup.

        Args:
            keep: how many of the newest backups stay then, None: all. ``taking.removed`` names what went; that nothing
                can go is a problem of the backup as it is returned.

        Raises:
            Refused: the catalog is not in SQLite.
            Conflict: another one is being taken, or other things lie there.
            Full: no room, here for a copy of the catalog, or there.
        """
        self._rooms.catalog.check_snapshot()
        with backing_up(self._rooms.data_dir):
            archive = self._rooms.catalog.facts.archive_id()
            self._repository.claim(archive)
            self._tidy()
            shutil.rmtree(self._work, ignore_errors=True)
            os.makedirs(self._work, mode=0o700)
            try:
                backup = self._take(archive, extras)
            finally:
                shutil.rmtree(self._work, ignore_errors=True)
            return backup if keep is None else self._thinned_out(backup, keep)

    def _thinned_out(self, backup: Backup, keep: int) -> Backup:
        """Remove older backups, still kept from whoever would take another one."""
        self._phase("removing older backups")
        try:
            for name in self._repository.prune(keep):
                self.taking.removed.append(name)
                self._tell(self.taking)
        except (Damaged, NotFound) as error:
            self.taking.problem(f"older backups stay: {error.message}")
        problems, more = tuple(self.taking.problems), self.taking.more_problems
        return dataclasses.replace(backup, problems=problems, more_problems=more)

    def _take(self, archive: str, extras: Mapping[str, bytes]) -> Backup:
        restored = self._rooms.catalog.facts.get(RESTORED)
        listing = self._repository.listing()
        previous = next((b for b in reversed(listing.whole) if b.restored == restored), None)
        self._phase("copying the catalog")
        self._check_room(previous)
        self._rooms.disk.step("snapshot")
        path = os.path.join(self._work, "catalog.db")
        self._rooms.catalog.snapshot(path)
        taken_ns = self._rooms.clock.now_ns()
        name = _name(taken_ns, {*listing.unfinished, *listing.unreadable, *(b.name for b in listing.whole)})
        self._repository.begin(name, taken_ns)
        snapshot = Snapshot(path)
        try:
            snapshot.clear()
            before = self._previous(previous)
            try:
                told = self._pack(snapshot, before)
            finally:
                if before is not None:
                    before.discard()
            objects, object_bytes = self._copy_segments(snapshot)
            self._phase("writing the catalog")
            parts = [
                self._repository.put(name, EXTRA + extra, [content], compress=False)
                for extra, content in sorted(extras.items())
            ]
            parts.append(self._repository.put(name, JOURNAL, self._journal(snapshot, told)))
            parts.append(self._repository.put(name, OBJECTS, _listed(snapshot)))
            totals = snapshot.totals()
            snapshot.close()
        finally:
            snapshot.discard()
        parts.append(self._repository.put(name, CATALOG, _blocks(path)))
        backup = Backup(
            name=name, archive=archive, restored=restored, program=__version__, taken_ns=taken_ns,
            finished_ns=self._rooms.clock.now_ns(), agents=totals.agents, files=totals.files,
            generations=totals.generations, bytes=totals.bytes, objects=objects, object_bytes=object_bytes,
            new_objects=self.taking.new_objects, new_bytes=self.taking.new_bytes + sum(part.bytes for part in parts),
            parts=tuple(parts), problems=tuple(self.taking.problems), more_problems=self.taking.more_problems,
        )  # fmt: skip
        self._repository.finish(backup)
        self._rooms.catalog.facts.put(BACKED_UP, str(taken_ns))
        return backup

    def _tidy(self) -> None:
        try:
            for _ in self._repository.tidy():
                self._tell(self.taking)
        except (Damaged, NotFound) as error:  # of an older backup: then nothing is removed, and this one is taken
            self.taking.problem(f"what unfinished backups left stays: {error.message}")

    def _phase(self, name: str) -> None:
        self.taking.phase = name
        self._tell(self.taking)

    def _check_room(self, previous: Backup | None) -> None:
        """The catalog is copied beside itself, and so is that of the backup before."""
        facts = os.statvfs(self._rooms.data_dir)
        free = facts.f_bavail * facts.f_frsize
        needed = self._rooms.catalog.size_bytes() + (self._catalog_part(previous).raw_bytes if previous else 0)
        if free - needed < self._rooms.free_bytes_min:
            raise Full(
                f"a copy of the catalog takes {needed // 2**20} MiB, and only {free // 2**20} MiB are free",
                hint="free some space on the archive's disk",
            )

    @staticmethod
    def _catalog_part(backup: Backup) -> Part:
        return backup.part(CATALOG)

    def _previous(self, backup: Backup | None) -> Snapshot | None:
        """The catalog of the backup before, to find what need not be packed again. None when it is of no use."""
        if backup is None:
            return None
        path = os.path.join(self._work, "previous.db")
        try:
            with open(path, "wb") as file:
                for block in self._repository.content(self._catalog_part(backup)):
                    file.write(block)
            return Snapshot(path)
        except (Damaged, NotFound) as error:
            self.taking.problem(f"the backup {backup.name} is damaged: {error.message}")
            return None

    # Plain files ------------------------------------------------------------------------------------------------------

    def _pack(self, snapshot: Snapshot, before: Snapshot | None) -> dict[str, list[str]]:
        """Pack what lies in plain files. Returns the uids, by agent, of those that packs may tell an old name of."""
        self._phase("packing what is not sealed")
        told: dict[str, list[str]] = {}
        there: dict[str, bool] = {}
        batch: list[_Piece] = []
        raw_bytes = manifest_bytes = 0
        found: dict[int, list[Found]] = {}
        for loose in snapshot.loose():
            reused = self._reused(loose, before, there)
            if reused:
                told.setdefault(loose.agent, []).append(loose.uid)
                found[loose.id] = reused
            begin = reused[-1].end if reused else loose.sealed
            if begin == loose.size:
                snapshot.seal(loose, found.pop(loose.id))
            while begin < loose.size:
                if batch and (
                    batch[0].loose.agent != loose.agent
                    or raw_bytes >= self._segment_bytes
                    or len(batch) >= SEAL_BATCH_FILES
                    or manifest_bytes >= MANIFEST_BYTES_MAX // 2
                ):
                    self._write_pack(snapshot, batch, found)
                    batch, raw_bytes, manifest_bytes = [], 0, 0
                end = min(loose.size, begin + self._segment_bytes - raw_bytes)
                batch.append(_Piece(loose, begin, end))
                raw_bytes += end - begin
                manifest_bytes += told_bytes(loose.path)
                begin = end
        if batch:
            self._write_pack(snapshot, batch, found)
        return told

    def _reused(self, loose: Loose, before: Snapshot | None, there: dict[str, bool]) -> list[Found]:
        """What of the loose bytes, from their beginning, the backup before has in objects that are still there."""
        taken: list[Found] = []
        at = loose.sealed
        for one in before.bytes_of(loose.uid, loose.sealed) if before is not None else ():
            name = one.segment.name
            if name not in there:
                there[name] = self._repository.segments.size(name) == one.segment.bytes
            if one.offset > at or at >= loose.size or not there[name]:
                break
            skip = at - one.offset
            length = min(one.end, loose.size) - at
            taken.append(Found(at, length, one.raw_offset + skip, one.segment))
            at += length
        return taken if len(taken) < BACKUP_EXTENTS_MAX else []

    def _write_pack(self, snapshot: Snapshot, batch: Sequence[_Piece], found: dict[int, list[Found]]) -> None:
        there = dataclasses.replace(self._rooms, segments=Segments(self._repository.segments))
        writer = SegmentWriter(there, batch[0].loose.agent, BACKUP_LEVEL)
        record = writer.write(lambda builder: self._feed(builder, batch))
        if record is not None:
            assert writer.manifest is not None
            self.taking.new_objects += 1
            self.taking.new_bytes += record.bytes
            extents = {generation.uid: generation.extents for generation in writer.manifest.generations}
            for piece in batch:
                found.setdefault(piece.loose.id, []).extend(
                    Found(e.offset, e.length, e.raw_offset, record)
                    for e in extents.get(piece.loose.uid, ())
                    if piece.begin <= e.offset < piece.end
                )
        for piece in batch:
            if piece.end == piece.loose.size:
                snapshot.seal(piece.loose, found.pop(piece.loose.id, []))

    def _feed(self, builder: Builder, batch: Sequence[_Piece]) -> Iterator[bytes]:
        for piece in batch:
            try:
                with open_generation(self._rooms, piece.loose.id) as reader:
                    for at in range(piece.begin, piece.end, COPY_BYTES):
                        data = reader.read_at(at, min(COPY_BYTES, piece.end - at))
                        yield from builder.add(known(piece.loose), at, data)
                        self.taking.bytes += len(data)
                        self._tell(self.taking)
            except (Damaged, NotFound, Later, OSError) as error:
                if isinstance(error, Later) and not of_the_disk(error):
                    raise
                self.taking.problem(f"{piece.loose.agent}/{piece.loose.path}: {error}")

    # Segments ---------------------------------------------------------------------------------------------------------

    def _copy_segments(self, snapshot: Snapshot) -> tuple[int, int]:
        """Copy those that are not there yet. Returns how many there are, and their bytes."""
        self._phase("copying segments")
        self.taking.bytes, self.taking.total_bytes = 0, snapshot.segment_bytes()
        count = 0
        for record in snapshot.segments():
            count += 1
            there = self._repository.segments.size(record.name)
            if there is not None and there != record.bytes:
                self._repository.segments.remove(record.name)  # objects come whole or not at all
            if there != record.bytes:
                self._copy(record)
            else:
                self.taking.bytes += record.bytes
            self._tell(self.taking)
        return count, self.taking.total_bytes

    def _copy(self, record: SegmentRecord) -> None:
        """As it is: of a damaged one the frames that are whole can still be read."""
        store = behind_cache(self._rooms.segments.store)
        seen = hashlib.sha256()

        def parts() -> Iterator[bytes]:
            for offset in range(0, record.bytes, COPY_BYTES):
                data = read_from(store, record.name, offset, COPY_BYTES)
                seen.update(data)
                self.taking.bytes += len(data)
                self._tell(self.taking)
                yield data

        try:
            size = self._repository.segments.put(record.name, parts())
        except NotFound:
            self.taking.problem(f"the segment store/{record.name} is missing")
            return
        except Damaged as error:  # not copied: the next backup tries again
            self.taking.problem(f"the segment store/{error.message}")
            return
        self.taking.new_objects += 1
        self.taking.new_bytes += size
        if record.sha256 not in ("", seen.hexdigest()):
            self.taking.problem(f"the segment store/{record.name} is damaged: its sha256 is {seen.hexdigest()}")

    # What else belongs to it ------------------------------------------------------------------------------------------

    def _journal(self, snapshot: Snapshot, told: Mapping[str, Sequence[str]]) -> Iterator[bytes]:
        """The journal, ending with the names as of the moment of the backup."""
        for agent in snapshot.agents():
            last: dict[str, tuple[str, int, int | None] | None] = dict.fromkeys(told.get(agent, ()))
            for note in self._rooms.journal.read(agent):
                last[note.uid] = (note.path, note.number, note.ended_ns)
                yield _line([agent, *note])
            for uid, name in last.items():
                now = snapshot.name_of(uid)
                if now is not None and now != name:
                    yield _line([agent, *Note(uid, *now)])


def _listed(snapshot: Snapshot) -> Iterator[bytes]:
    for record in snapshot.segments():
        yield _line([record.name, record.bytes, record.sha256])


def _line(values: Sequence[object]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def _blocks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while block := file.read(COPY_BYTES):
            yield block


def _name(taken_ns: int, taken: set[str]) -> str:
    """That of the moment; the next free one where two fall into one second."""
    first = f"{datetime.fromtimestamp(taken_ns / 1e9, UTC):%Y%m%dT%H%M%SZ}"
    name, number = first, 1
    while name in taken:
        number += 1
        name = f"{first}-{number}"
    return name
