"""Writing a segment into the store, durable and read back, before anybody relies on it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from logferry.archive.catalog.sealing import SegmentRecord
from logferry.archive.rooms import Rooms
from logferry.archive.segment import Builder, Manifest, Segment
from logferry.errors import Damaged
from logferry.limits import COPY_BYTES

SEGMENT_SUFFIX = ".zst"


class SegmentWriter:
    """Writes one segment of one agent."""

    def __init__(self, rooms: Rooms, agent: str, level: int) -> None:
        self._rooms = rooms
        self._agent = agent
        self._level = level
        self._hash = hashlib.sha256()
        self.manifest: Manifest | None = None

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
        self._read_back(name, size)
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
        """Compare what the store has with what was written, and expand every frame once."""
        where = f"store/{name}"
        store = self._rooms.segments.store
        found = hashlib.sha256()
        for offset in range(0, size, COPY_BYTES):
            found.update(store.read(name, offset, COPY_BYTES))
        segment = Segment.open(lambda offset, count: store.read(name, offset, count), size, where=where)
        for finding in segment.verify():
            raise _unlike(where, finding.what)
        if found.digest() != self._hash.digest():
            raise _unlike(where, f"sha256 {found.hexdigest()}")


def _unlike(where: str, found: str) -> Damaged:
    return Damaged(
        f"{where} reads back other bytes than were written",
        where=where,
        found=found,
        hint="nothing was removed; look at the disk or bucket, it is tried again",
    )
