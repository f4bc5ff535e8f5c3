"""Sealing: bytes at rest move from plain files into a segment, in an order that survives being cut off anywhere.

============================== ============================================ ====================================
step                            cut off after it                             what happens then
============================== ============================================ ====================================
write the segment, sync it      an object that no row names                  removed after the grace time
read it back, compare digests   the same                                     the same
write its index, sync it        two such objects                             the same
commit segment, extents, index      a file whose bytes are all sealed            a row says so: removed by the next run
remove the file                 a row about a file that is gone              removed by the next run
============================== ============================================ ====================================

An index that cannot be built holds up nothing: the segment counts without one, and gets it later (``reindex``).
A large generation is sealed in parts, one per segment; its file stays whole until the last part is committed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from logferry.archive.catalog.filing import SEALED, PathState
from logferry.archive.catalog.indexing import IndexRecord
from logferry.archive.catalog.sealing import SegmentRecord, Unsealed
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.changes import Sync, noted
from logferry.archive.durable import of_the_disk
from logferry.archive.index.encoding import encoding_of, last_utf16_line_end
from logferry.archive.index_making import IndexMaker
from logferry.archive.likeness import likeness
from logferry.archive.locks import locked, removing
from logferry.archive.objects import INDEX_SUFFIX, SEGMENT_SUFFIX, segment_of
from logferry.archive.reader import GenerationReader, held, open_generation
from logferry.archive.removal import RemoveFile
from logferry.archive.rooms import Rooms, base_of, place_of, too_short
from logferry.archive.segment import Builder, HeldGeneration, Manifest, Segment
from logferry.archive.segment.manifest import told_bytes
from logferry.archive.store.store import StoredObject
from logferry.archive.tails import Tail, tail_place
from logferry.archive.writing import SegmentWriter
from logferry.errors import Busy, Conflict, Damaged, Full, Later, LogferryError, NotFound
from logferry.limits import (
    COPY_BYTES,
    LINE_WINDOW_BYTES,
    MANIFEST_BYTES_MAX,
    MIB,
    SEAL_BATCH_FILES,
    SEAL_SCRATCH_BYTES_MIN,
    SEAL_TAIL_BYTES_MAX,
    SEGMENT_BYTES,
)


@dataclass(slots=True)
class Piece:
    """Bytes of one generation that a segment holds: from ``begin`` to ``end``."""

    state: PathState
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one run did."""

    segments: int = 0
    generations: int = 0
    raw_bytes: int = 0
    bytes: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: Sealed) -> Sealed:
        return Sealed(
            self.segments + other.segments,
            self.generations + other.generations,
            self.raw_bytes + other.raw_bytes,
            self.bytes + other.bytes,
            self.problems + other.problems,
        )


@dataclass(slots=True)
class _Batch:
    """What goes into one segment: of one agent, like beside like."""

    agent: str
    pieces: list[Piece] = field(default_factory=list)
    raw_bytes: int = 0
    told_bytes: int = 0
    """About how much of the manifest tells of it."""
    bytes_max: int = SEGMENT_BYTES
    """Content at most: a segment may turn out as large as that."""


class Sealer:
    """Seals generations of one archive. One at a time; any process may."""

    def __init__(
        self, rooms: Rooms, *, level: int, segment_bytes: int = SEGMENT_BYTES, maker: IndexMaker | None = None
    ) -> None:
        """``level``: of zstd. ``segment_bytes``: content of one segment, about. ``maker``: of indexes."""
        self._rooms = rooms
        self._level = level
        self._segment_bytes = segment_bytes
        self._maker = maker
        self._not_spare: set[str] = set()
        """Objects without a row that are kept, because nothing else has what they hold."""

    def seal(self, quiet_before_ns: int, *, least_bytes: int = 0) -> Iterator[Sealed]:
        """Seal what has ended or not grown since ``quiet_before_ns``, one segment at a time; yields after each.

        Where there is little room for a new segment beside the files that it replaces, segments are small. With almost
        none it ends with a problem that says so.

        Args:
            least_bytes: agents with less to seal wait until more has come together.
        """
        self.clean_up()
        batches = self._batches(quiet_before_ns, least_bytes)
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    return
                yield self._seal_batch(batch)
            except (Damaged, Later) as error:  # what stops one segment stops no other
                yield Sealed(problems=(str(error),))
            except Full as error:
                yield Sealed(problems=(str(error),))
                return

    def clean_up(self) -> int:
        """Remove files whose bytes are all sealed, or expired long enough ago; returns how many.

        Those that are being written to stay for now.
        """
        removed = 0
        after = ""
        now_ns = self._rooms.clock.now_ns()
        while found := self._rooms.catalog.sealing.removals(now_ns, SEAL_BATCH_FILES, after=after):
            for place in found:
                try:
                    self._rooms.catalog.writer.run(RemoveFile(self._rooms, place))
                    removed += 1
                except (Busy, Later):
                    pass  # the next run
            after = found[-1]
        return removed

    def sweep(self, grace_s: float) -> int:
        """Remove objects that nothing has referred to for ``grace_s`` seconds; returns how many.

        Readers that found a segment a moment ago finish meanwhile, and so does a sealer that has just written one.
        Nothing is removed while a backup is being taken.
        """
        with removing(self._rooms.data_dir) as may_remove:
            return self._sweep(self._rooms.clock.now_ns() - int(grace_s * 1e9)) if may_remove else 0

    def _sweep(self, before_ns: int) -> int:
        store, sealing = self._rooms.segments.store, self._rooms.catalog.sealing
        removed = store.sweep(before_ns)
        for record in sealing.gone(before_ns):
            now = sealing.segment(record.id)
            if now is None or now.gone_ns is None or sealing.held_in(record.id):
                continue  # a repair has taken it up again since
            self._remove(record)
            self._rooms.catalog.writer.run(ForgetSegment(self._rooms, record.id))
            removed += 1
        since_ns = sealing.since_ns()
        indexes: list[StoredObject] = []
        # Ours are named by us alone; a row that comes later than ``grace_s`` after its object is given up.
        for found in store.objects():
            if found.changed_ns >= before_ns:
                continue
            if found.name.endswith(INDEX_SUFFIX):
                indexes += [] if self._rooms.catalog.indexing.named(found.name) else [found]
            elif self._is_to_go(found, since_ns):
                store.remove(found.name)
                removed += 1
        for found in indexes:  # last, since one whose segment has just gone goes, too
            if self._is_index_to_go(found, since_ns):
                store.remove(found.name)
                removed += 1
        return removed

    def _remove(self, record: SegmentRecord) -> None:
        """A segment and its index, which goes first: alone it would be of no use."""
        index = self._rooms.catalog.indexing.of(record.id)
        if index is not None and index.name:
            self._rooms.segments.store.remove(index.name)
        self._rooms.indexes.forget(record.id)
        self._rooms.segments.store.remove(record.name)
        self._rooms.segments.forget(record.name)

    def _is_to_go(self, found: StoredObject, since_ns: int) -> bool:
        """Whether a segment that was written long ago belongs to nobody."""
        return (
            found.name.endswith(SEGMENT_SUFFIX)
            and since_ns <= found.changed_ns
            and not self._rooms.catalog.sealing.named(found.name)
            and self._is_spare(found.name, found.size)
        )

    def _is_index_to_go(self, found: StoredObject, since_ns: int) -> bool:
        """Whether an index without a row that was written long ago belongs to nobody.

        It holds nothing that its segment does not: one of a segment of ours is an earlier one. One of another segment
        goes when that is gone.
        """
        segment = segment_of(found.name)
        is_orphan = since_ns <= found.changed_ns and self._rooms.segments.store.size(segment) is None
        return is_orphan or self._rooms.catalog.sealing.named(segment) is not None

    def _is_spare(self, name: str, size: int) -> bool:
        """Whether all that an object without a row holds is found elsewhere, or was deleted here since.

        Else an older catalog was put back, or another archive writes there: then the object may be the only copy.
        """
        if name in self._not_spare:
            return False
        store = self._rooms.segments.store
        try:
            segment = Segment.open(lambda offset, count: store.read(name, offset, count), size, where=f"store/{name}")
            for told in segment.manifest.generations:
                self._find_elsewhere(segment.manifest.agent, told)
        except (Damaged, NotFound):
            self._not_spare.add(name)
            return False
        return True

    def _find_elsewhere(self, agent: str, told: HeldGeneration) -> None:
        """Raises NotFound, Damaged unless the catalog knows where the bytes of a generation are or why they went."""
        end = max(extent.end for extent in told.extents)
        with self._rooms.catalog.readers.cursor() as cursor:
            state = self._rooms.catalog.filing.by_uid(cursor, told.uid)
        if state is None and self._rooms.catalog.retaining.has_expired(agent, told.started_ns, end):
            return
        if state is None or state.size < end:
            raise NotFound(f"the catalog does not know {end} bytes of {told.path}")
        with open_generation(self._rooms, state.generation_id or 0) as reader:
            for offset in {0, end - 1}:
                reader.read_at(offset, 1)

    # Choosing --------------------------------------------------------------------------------------------------------

    def _batches(self, quiet_before_ns: int, least_bytes: int) -> Iterator[_Batch]:
        waiting: dict[str, list[Unsealed]] = {}
        after = 0
        while found := self._rooms.catalog.sealing.unsealed(
            quiet_before_ns, 2 * self._segment_bytes, after=after, limit=SEAL_BATCH_FILES
        ):
            after = found[-1].generation_id
            for unsealed in found:
                waiting.setdefault(unsealed.agent, []).append(unsealed)
        for agent in sorted(waiting):
            if sum(u.size - u.sealed for u in waiting[agent]) >= least_bytes:
                yield from self._of_agent(agent, sorted(waiting[agent], key=lambda u: likeness(u.path)))

    def _of_agent(self, agent: str, waiting: Sequence[Unsealed]) -> Iterator[_Batch]:
        batch = self._begun(agent)
        for unsealed in waiting:
            try:
                state = held(self._rooms, unsealed.generation_id)
            except NotFound:
                continue
            begin = state.sealed
            while begin < state.size:
                # A large generation spans several segments: its parts are committed in order, one with each.
                end = self._end_of_part(state, begin, begin + batch.bytes_max - batch.raw_bytes)
                batch.pieces.append(Piece(state, begin, end))
                batch.raw_bytes += end - begin
                batch.told_bytes += told_bytes(state.path)
                begin = end
                if (
                    end < state.size
                    or batch.raw_bytes >= batch.bytes_max
                    or len(batch.pieces) >= SEAL_BATCH_FILES
                    or batch.told_bytes >= MANIFEST_BYTES_MAX - MIB
                ):
                    yield batch
                    batch = self._begun(agent)
                    state = held(self._rooms, unsealed.generation_id)
                    if state.sealed != begin:  # it was not committed: the rest would leave a gap
                        break
        if batch.pieces:
            yield batch

    def _end_of_part(self, state: PathState, begin: int, most: int) -> int:
        """Where a part that begins at ``begin`` ends: at ``most``, or behind a line that ends near there.

        The index of a segment says nothing about a line that is cut, so every search would have to read it.
        """
        if most >= state.size:
            return state.size
        low = max(begin, most - LINE_WINDOW_BYTES)
        try:
            with open_generation(self._rooms, state.generation_id or 0) as reader:
                encoding = encoding_of(reader.read_at(0, 4))
                data = reader.read_at(low, most - low)
        except (LogferryError, OSError):  # told by whoever reads all of it
            return most
        if encoding == "bytes":
            place = data.rfind(b"\n") + 1
        else:
            place = last_utf16_line_end(data, low, 0, len(data), encoding)
        return low + place if place else most

    def _begun(self, agent: str) -> _Batch:
        """An empty batch, as large as there is room for. Raises Full."""
        room = self._rooms.scratch_bytes()
        if room is None:
            return _Batch(agent, bytes_max=self._segment_bytes)
        if room < SEAL_SCRATCH_BYTES_MIN:
            raise Full(
                f"sealing would give room back, but needs some first: {SEAL_SCRATCH_BYTES_MIN // 2**20} MiB beside the "
                f"{self._rooms.free_bytes_min // 2**20} MiB that stay free",
                hint="free some space on the archive's disk",
            )
        return _Batch(agent, bytes_max=min(self._segment_bytes, room))

    # One segment -----------------------------------------------------------------------------------------------------

    def _seal_batch(self, batch: _Batch) -> Sealed:
        writer = SegmentWriter(self._rooms, batch.agent, self._level, self._maker)
        feeding = _Feeding(self._rooms, batch)
        record = writer.write(feeding.parts)
        if record is None:
            return Sealed(problems=tuple(feeding.problems))
        assert writer.manifest is not None
        commit = CommitSegment(self._rooms, record, writer.manifest, feeding.pieces, writer.index)
        sealed = self._rooms.catalog.writer.run(commit)
        why = (writer.index.why,) if writer.index is not None and writer.index.why else ()
        problems = (*feeding.problems, *commit.problems, *why)
        if not sealed:
            writer.drop(record.name)
            return Sealed(problems=problems)
        self.clean_up()
        return Sealed(1, sealed, record.raw_bytes, record.bytes, problems)


class _Feeding:
    """Feeds a builder with the pieces of a batch; what cannot be read is left out and said."""

    def __init__(self, rooms: Rooms, batch: _Batch) -> None:
        self._rooms = rooms
        self._batch = batch
        self.pieces: list[Piece] = []
        self.problems: list[str] = []

    def parts(self, builder: Builder) -> Iterator[bytes]:
        """The segment's bytes as they become known."""
        for piece in self._batch.pieces:
            try:
                reader = open_generation(self._rooms, piece.state.generation_id or 0)
            except (LogferryError, OSError) as error:
                self.problems.append(str(error))
                continue
            with reader:
                yield from self._piece(builder, piece, reader)

    def _piece(self, builder: Builder, piece: Piece, reader: GenerationReader) -> Iterator[bytes]:
        """All of it or, where it turns out to be damaged, what comes before: that much is sealed."""
        facts = known(piece.state)
        at = piece.begin
        try:
            while at < piece.end:
                data = reader.read_at(at, min(COPY_BYTES, piece.end - at))
                yield from builder.add(facts, at, data)
                at += len(data)
        except (Damaged, Later) as error:
            if isinstance(error, Later) and not of_the_disk(error):
                raise
            self.problems.append(str(error))  # also what the disk refuses: the others are sealed all the same
        if at > piece.begin:
            self.pieces.append(Piece(piece.state, piece.begin, at))


def known(state: PathState) -> HeldGeneration:
    """A generation as a manifest tells it."""
    return HeldGeneration(
        uid=state.uid,
        path=state.path,
        number=state.own_number,
        size=state.size,
        started_ns=state.started_ns,
        changed_ns=state.changed_ns,
        modified_ns=state.modified_ns,
        ended_ns=state.ended_ns,
        sha256=(state.sha256 or "") if state.sha256_size == state.size else "",
    )


class CommitSegment(Change[int]):
    """A segment that is in the store counts from now on. The result: of how many generations it holds bytes.

    A generation that grew meanwhile gets a tail with what is new; one that moved or ended is left for the next
    run, unless a part of it was sealed before. One that somebody is writing to just now is left out, too: its bytes in
    the segment are of no use.
    """

    def __init__(
        self,
        rooms: Rooms,
        record: SegmentRecord,
        manifest: Manifest,
        pieces: Iterable[Piece],
        index: IndexRecord | None = None,
    ) -> None:
        self._rooms = rooms
        self._record = record
        self._extents = {g.uid: g.extents for g in manifest.generations}
        self._pieces = list(pieces)
        self._index = index
        self._ready: list[tuple[PathState, PathState]] = []
        self._release: list[int | Tail] = []
        self.problems: list[str] = []

    def stage(self, sync: Sync) -> None:
        for piece in self._pieces:
            try:
                self._prepare(piece, sync)
            except Busy:
                continue  # the next run
            except (Conflict, NotFound, Damaged) as error:
                self.problems.append(str(error))

    def _prepare(self, piece: Piece, sync: Sync) -> None:
        generation_id = piece.state.generation_id or 0
        before = held(self._rooms, generation_id)
        fd = self._hold(before)
        now = held(self._rooms, generation_id)
        if (now.state, now.place, now.path) != (before.state, before.place, before.path):
            raise Conflict(f"{now.path} moved meanwhile; it is sealed by the next run")
        if now.sealed != piece.begin or now.size < piece.end:
            raise Conflict(f"{now.path} was sealed by somebody else meanwhile")
        if not piece.begin and noted(now) != noted(piece.state):
            # Nothing of it was sealed, so the journal has no note, and the manifest tells the old name.
            raise Conflict(f"{piece.state.path} was renamed or ended meanwhile; it is sealed by the next run")
        if now.size - piece.end > SEAL_TAIL_BYTES_MAX:
            self._ready.append((now, now._replace(sealed=piece.end)))
            return
        becomes = now._replace(state=SEALED, sealed=piece.end, place="")
        if now.size > piece.end:
            becomes = becomes._replace(place=self._tail(now, becomes, fd, sync))
        self._ready.append((now, becomes))

    def _hold(self, state: PathState) -> int:
        """The file with the unsealed bytes, locked."""
        if state.state == SEALED:
            tail = Tail.open(self._rooms, state)
            self._release.append(tail)
            return tail.fd
        fd = self._rooms.open_bytes(state)
        assert fd is not None
        self._release.append(fd)
        locked(fd, state.path)
        return fd

    def _tail(self, now: PathState, becomes: PathState, fd: int, sync: Sync) -> str:
        """Copy what is not sealed yet into a file of its own; returns its place."""
        tail = Tail.open(self._rooms, becomes)
        self._release.append(tail)
        self._rooms.disk.truncate(tail.fd, 0)
        for offset in range(becomes.sealed, now.size, COPY_BYTES):
            count = min(COPY_BYTES, now.size - offset)
            data = os.pread(fd, count, offset - base_of(now))
            if len(data) < count:
                raise too_short(place_of(now), now.size, offset + len(data))
            self._rooms.disk.write(tail.fd, data, offset - becomes.sealed)
        self._rooms.disk.sync_data(tail.fd)
        sync(tail.folder)
        place = tail_place(becomes)
        tail.state = becomes._replace(place=place)
        return place

    def apply(self, transaction: Transaction) -> int:
        if not self._ready:
            return 0
        sealing = self._rooms.catalog.sealing
        segment_id = sealing.add_segment(transaction, self._record)
        if self._index is not None:
            self._rooms.catalog.indexing.put(transaction, self._index._replace(segment_id=segment_id))
        for now, becomes in self._ready:
            pieces = [
                (e.offset, min(e.end, becomes.sealed) - e.offset, e.raw_offset)
                for e in self._extents[now.uid]
                if now.sealed <= e.offset < becomes.sealed
            ]
            sealing.seal(transaction, now, becomes, segment_id, pieces)
            if becomes.state == SEALED and place_of(now) != "store":
                sealing.to_go(transaction, place_of(now), self._record.created_ns)
        return len(self._ready)

    def release(self) -> None:
        while self._release:
            one = self._release.pop()
            if isinstance(one, Tail):
                one.close()
            else:
                os.close(one)


class ForgetSegment(Change[None]):
    """The object of a segment that nothing refers to is gone."""

    def __init__(self, rooms: Rooms, segment_id: int) -> None:
        self._rooms = rooms
        self._segment_id = segment_id

    def apply(self, transaction: Transaction) -> None:
        self._rooms.catalog.sealing.forget(transaction, self._segment_id)
