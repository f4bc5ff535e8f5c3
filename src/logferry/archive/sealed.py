"""Sealed bytes: open segments, the frames read lately, and the ranges of one generation in them."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence

from logferry.archive.catalog.sealing import SealedExtent
from logferry.archive.segment import Segment
from logferry.archive.store import CachedStore, Store
from logferry.errors import Damaged, NotFound
from logferry.limits import FRAMES_CACHED_BYTES_MAX, SEGMENTS_OPEN_MAX


class Segments:
    """Segments of one store, opened when needed and kept for the next. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Segment] = OrderedDict()
        self._frames: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._frame_bytes = 0

    def open(self, name: str, size: int) -> Segment:
        """The segment in the object ``name`` of ``size`` bytes.

        Raises:
            Damaged: it is missing, cut, or its manifest does not fit.
        """
        with self._lock:
            found = self._open.get(name)
            if found is not None:
                self._open.move_to_end(name)
                return found
        try:
            segment = self._opened(name, size)
        except NotFound as error:
            raise _missing(name) from error
        except Damaged:
            # Where a cache lies between us and the store, it may be the cache that is damaged.
            if not self._distrust(name):
                raise
            segment = self._opened(name, size)
        with self._lock:
            self._open[name] = segment
            if len(self._open) > SEGMENTS_OPEN_MAX:
                self._open.popitem(last=False)
        return segment

    def _opened(self, name: str, size: int) -> Segment:
        return Segment.open(lambda offset, count: self.store.read(name, offset, count), size, where=_place(name))

    def frame(self, name: str, size: int, number: int) -> bytes:
        """The content of one frame of a segment. Raises Damaged."""
        key = (name, number)
        with self._lock:
            found = self._frames.get(key)
            if found is not None:
                self._frames.move_to_end(key)
                return found
        try:
            content = self.open(name, size).frame(number)
        except NotFound as error:
            raise _missing(name) from error
        except Damaged:
            # Where a cache lies between us and the store, it may be the cache that is damaged.
            if not self._distrust(name):
                raise
            content = self.open(name, size).frame(number)
        with self._lock:
            self._frame_bytes += len(content) - len(self._frames.pop(key, b""))
            self._frames[key] = content
            while self._frame_bytes > FRAMES_CACHED_BYTES_MAX and len(self._frames) > 1:
                self._frame_bytes -= len(self._frames.popitem(last=False)[1])
        return content

    def forget(self, name: str) -> None:
        """The object is removed, or is to be read anew."""
        with self._lock:
            self._open.pop(name, None)
            for key in [key for key in self._frames if key[0] == name]:
                self._frame_bytes -= len(self._frames.pop(key))

    def _distrust(self, name: str) -> bool:
        """Whether reading again can help."""
        self.forget(name)
        if not isinstance(self.store, CachedStore):
            return False
        self.store.forget(name)
        return True

    def close(self) -> None:
        """Let go of everything; the store stays open."""
        with self._lock:
            self._open.clear()
            self._frames.clear()
            self._frame_bytes = 0


class _Gone(Damaged):
    """A segment is not in the store."""


class _Places:
    """Where bytes lie: extents in order, and the offsets at which they begin."""

    __slots__ = ("extents", "starts")

    def __init__(self, extents: Sequence[SealedExtent]) -> None:
        self.extents = extents
        self.starts = [extent.offset for extent in extents]


class SealedBytes:
    """The sealed beginning of one generation. Thread-safe."""

    def __init__(
        self,
        segments: Segments,
        extents: Sequence[SealedExtent],
        size: int,
        what: str,
        *,
        again: Callable[[], Sequence[SealedExtent]] | None = None,
    ) -> None:
        """``extents`` in order; what they do not cover is lost. ``what`` names the generation in errors.

        ``again`` looks the extents up anew: whoever reads for long may find that a segment was compacted meanwhile.
        """
        self.size = size
        self._segments = segments
        self._places = _Places(extents)
        self._what = what
        self._again = again

    def hole(self) -> tuple[int, int] | None:
        """The first bytes that no segment is known for, (from, to); None when all are covered."""
        end = 0
        for extent in self._places.extents:
            if extent.offset > end:
                return end, extent.offset
            end = extent.end
        return (end, self.size) if end < self.size else None

    def check(self) -> None:
        """Raise Damaged when there is a hole."""
        if (hole := self.hole()) is not None:
            raise lost(self._what, *hole)

    def read_at(self, offset: int, count: int) -> bytes:
        """The bytes from ``offset``, fewer than ``count`` only at the end. Raises Damaged."""
        count = min(count, self.size - offset)
        parts: list[bytes] = []
        while count > 0:
            part = self._some(offset, count)
            parts.append(part)
            offset += len(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _some(self, offset: int, count: int) -> bytes:
        """What one frame has of it."""
        while True:
            places = self._places
            try:
                return self._from_frame(places, offset, count)
            except _Gone:
                if not self._is_elsewhere(places):
                    raise

    def _is_elsewhere(self, before: _Places) -> bool:
        """Whether the catalog has other places for the bytes by now, which count from here on."""
        found = self._again() if self._again is not None else ()
        if not found or list(found) == list(before.extents):
            return False
        self._places = _Places(found)
        return True

    def _from_frame(self, places: _Places, offset: int, count: int) -> bytes:
        place = bisect_right(places.starts, offset) - 1
        if place < 0 or offset >= places.extents[place].end:
            following = places.starts[place + 1] if place + 1 < len(places.starts) else self.size
            raise lost(self._what, offset, following)
        extent = places.extents[place]
        within = offset - extent.offset
        segment = self._segments.open(extent.name, extent.bytes)
        raw_offset = extent.raw_offset + within
        number = segment.frame_at(raw_offset)
        start = raw_offset - segment.manifest.frames[number].raw_offset
        content = self._segments.frame(extent.name, extent.bytes, number)
        return content[start : start + min(count, extent.length - within)]


def lost(what: str, start: int, end: int) -> Damaged:
    """The error for bytes of a generation that lie in no segment."""
    return Damaged(
        f"{what}: the catalog knows no segment for bytes {start} to {end}",
        where=what,
        hint="logferry repair looks for them in the store",
    )


def _place(name: str) -> str:
    return f"store/{name}"


def _missing(name: str) -> Damaged:
    return _Gone(
        f"the segment {_place(name)} is missing",
        where=_place(name),
        hint="restore it from a backup; what is not in it stays readable",
    )
