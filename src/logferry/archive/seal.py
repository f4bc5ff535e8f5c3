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

from collections.abc import Iterator
from dataclasses import dataclass

from logferry.archive.batches import Batch, Batches, Piece
from logferry.archive.committing import CommitSegment
from logferry.archive.durable import of_the_disk
from logferry.archive.facts import known
from logferry.archive.index_making import IndexMaker
from logferry.archive.reader import GenerationReader, open_generation
from logferry.archive.rooms import Rooms
from logferry.archive.segment import Builder
from logferry.archive.sweep import Sweeper
from logferry.archive.writing import SegmentWriter
from logferry.errors import Conflict, Full, Later, LogferryError
from logferry.limits import COPY_BYTES, SEGMENT_BYTES


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


class Sealer:
    """Seals generations of one archive. One at a time; any process may."""

    def __init__(
        self, rooms: Rooms, *, level: int, segment_bytes: int = SEGMENT_BYTES, maker: IndexMaker | None = None
    ) -> None:
        """``level``: of zstd. ``segment_bytes``: content of one segment, about. ``maker``: of indexes."""
        self._rooms = rooms
        self._level = level
        self._batches = Batches(rooms, segment_bytes)
        self._maker = maker
        self._sweeper = Sweeper(rooms)

    def seal(self, quiet_before_ns: int, *, least_bytes: int = 0) -> Iterator[Sealed]:
        """Seal what has ended or not grown since ``quiet_before_ns``, one segment at a time; yields after each.

        Where there is little room for a new segment beside the files that it replaces, segments are small. With almost
        none it ends with a problem that says so. Whatever else goes wrong stops one file or one segment, and is named.

        Args:
            least_bytes: agents with less to seal wait until more has come together.
        """
        self.clean_up()
        batches = self._batches.due(quiet_before_ns, least_bytes)
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    return
                yield self._seal_batch(batch)
            except Full as error:  # there is none for any other either
                yield Sealed(problems=(str(error),))
                return
            except LogferryError as error:
                yield Sealed(problems=(str(error),))

    def clean_up(self) -> int:
        """See ``Sweeper.clean_up``."""
        return self._sweeper.clean_up()

    def sweep(self, grace_s: float) -> int:
        """See ``Sweeper.sweep``."""
        return self._sweeper.sweep(grace_s)

    @property
    def left(self) -> tuple[str, ...]:
        """See ``Sweeper.left``."""
        return self._sweeper.left

    def _seal_batch(self, batch: Batch) -> Sealed:
        writer = SegmentWriter(self._rooms, batch.agent, self._level, self._maker)
        feeding = _Feeding(self._rooms, batch)
        record = writer.write(feeding.parts)
        if record is None:
            return Sealed(problems=tuple(feeding.problems))
        assert writer.manifest is not None
        commit = CommitSegment(self._rooms, record, writer.manifest, feeding.pieces, writer.index)
        try:
            sealed = self._rooms.catalog.writer.run(commit)
        except Conflict as error:  # refused for sure: nothing refers to it
            writer.drop(record.name)
            return Sealed(problems=(*feeding.problems, *commit.problems, str(error)))
        why = (writer.index.why,) if writer.index is not None and writer.index.why else ()
        problems = (*feeding.problems, *commit.problems, *why)
        if not sealed:
            writer.drop(record.name)
            return Sealed(problems=problems)
        self.clean_up()
        return Sealed(1, sealed, record.raw_bytes, record.bytes, problems)


class _Feeding:
    """Feeds a builder with the pieces of a batch; what cannot be read is left out and said."""

    def __init__(self, rooms: Rooms, batch: Batch) -> None:
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
        while at < piece.end:
            try:
                data = reader.read_at(at, min(COPY_BYTES, piece.end - at))
            except LogferryError as error:
                if isinstance(error, Later) and not of_the_disk(error):
                    raise
                self.problems.append(str(error))  # also what the disk refuses: the others are sealed all the same
                break
            yield from builder.add(facts, at, data)
            at += len(data)
        if at > piece.begin:
            self.pieces.append(Piece(piece.state, piece.begin, at))
