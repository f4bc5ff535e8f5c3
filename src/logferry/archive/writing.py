"""Writing a segment into the store, durable and read back, before anybody relies on it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from logferry.archive.catalog.indexing import IndexRecord
from logferry.archive.catalog.sealing import SegmentRecord
from logferry.archive.index_making import IndexMaker
from logferry.archive.object_reader import ObjectReader
from logferry.archive.objects import SEGMENT_SUFFIX
from logferry.archive.rooms import Rooms
from logferry.archive.segment import Builder, Manifest, Segment
from logferry.archive.segment.segment import ignored
from logferry.archive.sidecars import SidecarWriter
from logferry.errors import Damaged


class SegmentWriter:
    """Writes one segment of one agent."""

    def __init__(self, rooms: Rooms, agent: str, level: int, maker: IndexMaker | None = None) -> None:
        """``level``: of zstd. ``maker``: of its index; without one the segment gets one later."""
        self._rooms = rooms
        self._agent = agent
        self._level = level
        self._maker = maker
        self._hash = hashlib.sha256()
        self.manifest: Manifest | None = None
        self.index: IndexRecord | None = None
        """The segment's index, or why there is none; its segment id is for whoever commits it to fill in."""

    def write(self, feed: Callable[[Builder], Iterator[bytes]]) -> SegmentRecord | None:
        """Put what ``feed`` gives the builder into the store; None when that is nothing.

        Returns:
            What the catalog has to know; nobody refers to the object yet.

        Raises:
            Damaged: the store gives other bytes back than were written.
        """
        now_ns = self._rooms.clock.now_ns()
        segment_id = secrets.token_bytes(16)
        month = f"{datetime.fromtimestamp(now_ns / 1e9, UTC):%Y/%m}"
        name = f"{self._agent}/{month}/{segment_id.hex()}{SEGMENT_SUFFIX}"
        builder = Builder(segment_id, self._agent, now_ns, level=self._level)
        store = self._rooms.segments.store
        size = store.put(name, self._parts(builder, feed))
        assert self.manifest is not None
        if not self.manifest.frames:
            store.remove(name)
            return None
        try:
            self._read_back(name, size)
        except Damaged:
            store.remove(name)  # nobody relies on it, and the sweep would take it for the only copy of something
            raise
        return SegmentRecord(
            0,
            self._agent,
            name,
            size,
            self.manifest.raw_bytes,
            self._hash.hexdigest(),
            self._level,
            now_ns,
            now_ns,
            None,
        )

    def _parts(self, builder: Builder, feed: Callable[[Builder], Iterator[bytes]]) -> Iterator[bytes]:
        for part in feed(builder):
            self._hash.update(part)
            yield part
        self.manifest, rest = builder.finish()
        for part in rest:
            self._hash.update(part)
            yield part

    def _read_back(self, name: str, size: int) -> None:
        """Compare what the store has with what was written: all of it is read once, hashed, and taken apart.

        Each frame is expanded once, and indexed on the way.
        """
        where = f"store/{name}"
        reading = ObjectReader(self._rooms.segments.store, name)
        try:
            segment = Segment.open(reading.read, size, where=where)
        except Damaged as error:
            raise _unlike(where, error.message) from error
        sidecar = SidecarWriter(self._rooms, self._maker, segment, name) if self._maker is not None else None
        for finding in segment.verify(sidecar.take if sidecar is not None else ignored):
            raise _unlike(where, finding.what)
        if (found := reading.hash_all(size)) != self._hash.hexdigest():
            raise _unlike(where, f"sha256 {found}")
        if sidecar is not None:
            self.index = sidecar.put()

    def drop(self, name: str) -> None:
        """Nobody will refer to the segment: remove it and its index from the store."""
        if self.index is not None and self.index.name:
            self._rooms.segments.store.remove(self.index.name)
        self._rooms.segments.store.remove(name)


def _unlike(where: str, found: str) -> Damaged:
    return Damaged(
        f"{where} reads back other bytes than were written",
        where=where,
        found=found,
        hint="nothing was removed; look at the disk or bucket, it is tried again",
    )
