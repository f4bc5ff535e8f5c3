"""The commit of a segment that is in the store: from then on it is where its bytes lie, and their files go."""

from __future__ import annotations

import os
from collections.abc import Iterable

from logferry.archive.batches import Piece
from logferry.archive.catalog.filing import SEALED, PathState
from logferry.archive.catalog.indexing import IndexRecord
from logferry.archive.catalog.sealing import SegmentRecord
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.changes import Sync, noted
from logferry.archive.durable import translating
from logferry.archive.locks import locked
from logferry.archive.reader import held
from logferry.archive.rooms import Rooms, base_of, place_of, too_short
from logferry.archive.segment import Manifest
from logferry.archive.tails import Tail, release, tail_place
from logferry.errors import Busy, Conflict, LogferryError
from logferry.limits import COPY_BYTES, SEAL_TAIL_BYTES_MAX


class CommitSegment(Change[int]):
    """A segment that is in the store counts from now on. The result: of how many generations it holds bytes.

    A generation that grew meanwhile gets a tail with what is new; one that moved or ended is left for the next
    run, unless a part of it was sealed before. One that somebody is writing to just now is left out, too: its bytes in
    the segment are of no use. What cannot be sealed for another reason is left out and named in ``problems``.

    Conflict when nothing is left: then nobody refers to the segment.
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
        self._changed: list[str] = []
        self._left_out: list[str] = []

    @property
    def problems(self) -> list[str]:
        """What was left out, and why."""
        return self._left_out + self._changed

    def stage(self, sync: Sync) -> None:
        for piece in self._pieces:
            try:
                with translating(piece.state.path):
                    self._prepare(piece, sync)
            except Busy:
                continue  # the next run
            except LogferryError as error:
                self._left_out.append(str(error))

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
        try:
            for offset in range(becomes.sealed, now.size, COPY_BYTES):
                count = min(COPY_BYTES, now.size - offset)
                data = os.pread(fd, count, offset - base_of(now))
                if len(data) < count:
                    raise too_short(place_of(now), now.size, offset + len(data))
                self._rooms.disk.write(tail.fd, data, offset - becomes.sealed)
            self._rooms.disk.sync_data(tail.fd)
        except (LogferryError, OSError):
            self._rooms.disk.truncate(tail.fd, 0)  # the others are committed without it; let go of empty, it goes
            raise
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
        self._changed = []  # it may be applied twice
        for now, becomes in self._ready:
            pieces = [
                (e.offset, min(e.end, becomes.sealed) - e.offset, e.raw_offset)
                for e in self._extents[now.uid]
                if now.sealed <= e.offset < becomes.sealed
            ]
            try:
                sealing.seal(transaction, now, becomes, segment_id, pieces)
            except Conflict as error:  # nothing of it was written
                self._changed.append(str(error))
                continue
            if becomes.state == SEALED and place_of(now) != "store":
                sealing.to_go(transaction, place_of(now), self._record.created_ns)
        if len(self._changed) == len(self._ready):
            raise Conflict(f"nothing of store/{self._record.name} is as it was when it was sealed")
        return len(self._ready) - len(self._changed)

    def release(self) -> None:
        release(self._release)
