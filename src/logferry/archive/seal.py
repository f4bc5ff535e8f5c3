"""Sealing: bytes at rest move from plain files into a segment, in an order that survives being cut off anywhere.

============================== ============================================ ====================================
step                            cut off after it                             what happens then
============================== ============================================ ====================================
write the segment, sync it      an object that no row names                  removed after the grace time
read it back, compare digests   the same                                     the same
commit segment and extents      a file whose bytes are all sealed            a row says so: removed by the next run
remove the file                 a row about a file that is gone              removed by the next run
============================== ============================================ ====================================

A large generation is sealed in parts, one per segment; its file stays whole until the last part is committed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from logferry.archive import partials
from logferry.archive.catalog.filing import LIVE, SEALED, PathState
from logferry.archive.catalog.sealing import SegmentRecord, Unsealed
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.changes import Sync, noted
from logferry.archive.likeness import likeness
from logferry.archive.locks import locked
from logferry.archive.reader import GenerationReader, held, open_generation
from logferry.archive.rooms import Rooms, base_of, place_of, too_short
from logferry.archive.segment import Builder, HeldGeneration, Manifest, Segment
from logferry.archive.segment.manifest import told_bytes
from logferry.archive.tails import Tail, tail_place
from logferry.archive.writing import SEGMENT_SUFFIX, SegmentWriter
from logferry.errors import Busy, Conflict, Damaged, Later, LogferryError, NotFound
from logferry.limits import COPY_BYTES, MANIFEST_BYTES_MAX, SEAL_BATCH_FILES, SEAL_TAIL_BYTES_MAX, SEGMENT_BYTES


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


class Sealer:
    """Seals generations of one archive. One at a time; any process may."""

    def __init__(self, rooms: Rooms, *, level: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        """``level``: of zstd. ``segment_bytes``: content of one segment, about."""
        self._rooms = rooms
        self._level = level
        self._segment_bytes = segment_bytes
        self._not_spare: set[str] = set()
        """Objects without a row that are kept, because nothing else has what they hold."""

    def seal(self, quiet_before_ns: int, *, least_bytes: int = 0) -> Iterator[Sealed]:
        """Seal what has ended or not grown since ``quiet_before_ns``, one segment at a time; yields after each.

        Args:
            least_bytes: agents with less to seal wait until more has come together.
        """
        self.clean_up()
        for batch in self._batches(quiet_before_ns, least_bytes):
            try:
                yield self._seal_batch(batch)
            except (Damaged, Later) as error:  # what stops one segment stops no other
                yield Sealed(problems=(str(error),))

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
        """
        before_ns = self._rooms.clock.now_ns() - int(grace_s * 1e9)
        store, sealing = self._rooms.segments.store, self._rooms.catalog.sealing
        removed = store.sweep(before_ns)
        for record in sealing.gone(before_ns):
            now = sealing.segment(record.id)
            if now is None or now.gone_ns is None or sealing.held_in(record.id):
                continue  # a repair has taken it up again since
            store.remove(record.name)
            self._rooms.segments.forget(record.name)
            self._rooms.catalog.writer.run(ForgetSegment(self._rooms, record.id))
            removed += 1
        since_ns = sealing.since_ns()
        for found in store.objects():
            # Ours are named by us alone; a row that comes later than ``grace_s`` after its object is given up.
            if (
                since_ns <= found.changed_ns < before_ns
                and found.name.endswith(SEGMENT_SUFFIX)
                and not sealing.named(found.name)
                and self._is_spare(found.name, found.size)
            ):
                store.remove(found.name)
                removed += 1
        return removed

    def _is_spare(self, name: str, size: int) -> bool:
        """Whether all that an object without a row holds is found elsewhere.

        Else an older catalog was put back, or another archive writes there: then the object may be the only copy.
        """
        if name in self._not_spare:
            return False
        store = self._rooms.segments.store
        try:
            segment = Segment.open(lambda offset, count: store.read(name, offset, count), size, where=f"store/{name}")
            for told in segment.manifest.generations:
                self._find_elsewhere(told)
        except (Damaged, NotFound):
            self._not_spare.add(name)
            return False
        return True

    def _find_elsewhere(self, told: HeldGeneration) -> None:
        """Raises NotFound, Damaged unless the catalog knows where the bytes of a generation are."""
        end = max(extent.end for extent in told.extents)
        with self._rooms.catalog.readers.cursor() as cursor:
            state = self._rooms.catalog.filing.by_uid(cursor, told.uid)
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
        batch = _Batch(agent)
        for unsealed in waiting:
            try:
                state = held(self._rooms, unsealed.generation_id)
            except NotFound:
                continue
            begin = state.sealed
            while begin < state.size:
                # A large generation spans several segments: its parts are committed in order, one with each.
                end = min(state.size, begin + self._segment_bytes - batch.raw_bytes)
                batch.pieces.append(Piece(state, begin, end))
                batch.raw_bytes += end - begin
                batch.told_bytes += told_bytes(state.path)
                begin = end
                if (
                    batch.raw_bytes >= self._segment_bytes
                    or len(batch.pieces) >= SEAL_BATCH_FILES
                    or batch.told_bytes >= MANIFEST_BYTES_MAX // 2
                ):
                    yield batch
                    batch = _Batch(agent)
                    state = held(self._rooms, unsealed.generation_id)
                    if state.sealed != begin:  # it was not committed: the rest would leave a gap
                        break
        if batch.pieces:
            yield batch

    # One segment -----------------------------------------------------------------------------------------------------

    def _seal_batch(self, batch: _Batch) -> Sealed:
        writer = SegmentWriter(self._rooms, batch.agent, self._level)
        feeding = _Feeding(self._rooms, batch)
        record = writer.write(feeding.parts)
        if record is None:
            return Sealed(problems=tuple(feeding.problems))
        assert writer.manifest is not None
        commit = CommitSegment(self._rooms, record, writer.manifest, feeding.pieces)
        sealed = self._rooms.catalog.writer.run(commit)
        problems = (*feeding.problems, *commit.problems)
        if not sealed:
            self._rooms.segments.store.remove(record.name)
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
        except (Damaged, OSError) as error:  # also what the disk refuses: the others are sealed all the same
            self.problems.append(str(error))
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

    def __init__(self, rooms: Rooms, record: SegmentRecord, manifest: Manifest, pieces: Iterable[Piece]) -> None:
        self._rooms = rooms
        self._record = record
        self._extents = {g.uid: g.extents for g in manifest.generations}
        self._pieces = list(pieces)
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


class RemoveFile(Change[None]):
    """A file whose bytes are all sealed goes, unless its name is another file's by now; then its row.

    Raises Busy while somebody writes there.
    """

    def __init__(self, rooms: Rooms, place: str) -> None:
        self._rooms = rooms
        self._place = place
        self._stack = contextlib.ExitStack()

    def stage(self, sync: Sync) -> None:
        tree, _, path = self._place.partition("/")
        folder_path, _, name = path.rpartition("/")
        folder = {"live": self._rooms.live, "generations": self._rooms.kept, "tails": self._rooms.tails}[tree].folder(
            folder_path
        )
        if folder is None:
            return
        agent, _, inner = path.partition("/")
        if tree == "live":  # nobody else puts a file there
            self._stack.enter_context(partials.held(self._rooms, agent, [inner]))
        try:
            fd = folder.open(name.encode())
        except FileNotFoundError:
            return
        self._stack.callback(os.close, fd)
        # Whoever has just put it there, and not committed it yet, has its lock: only after that does the catalog tell
        # whose it is.
        locked(fd, self._place)
        if tree == "live":
            with self._rooms.catalog.readers.cursor() as cursor:
                state = self._rooms.catalog.filing.at(cursor, agent, inner)
            used = state is not None and state.is_current and state.state == LIVE
        else:
            used = self._rooms.catalog.files.holds(self._place)
        if not used:
            self._rooms.disk.unlink(folder.fd, name.encode())
            sync(folder)

    def apply(self, transaction: Transaction) -> None:
        self._rooms.catalog.sealing.removed(transaction, self._place)

    def release(self) -> None:
        self._stack.close()
