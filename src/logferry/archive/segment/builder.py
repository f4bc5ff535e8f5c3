"""Building a segment: content goes in by extents, the segment's bytes come out in order."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator

from logferry.archive.segment.frames import (
    EMPTY_CHECKSUM,
    Marker,
    SeekEntry,
    crc32,
    frame_checksum,
    pack_marker,
    pack_seek_table,
)
from logferry.archive.segment.levels import compressor
from logferry.archive.segment.manifest import (
    Extent,
    FrameEntry,
    HeldGeneration,
    Manifest,
    Piece,
    pack_manifest,
    pack_note,
    told_bytes,
)
from logferry.limits import FRAME_BYTES, FRAME_BYTES_MAX, MARKER_BYTES_MAX


class Builder:
    """One segment of one agent. ``add`` and ``finish`` return the bytes that follow, as they become known.

    Frames are cut behind a line end where one lies within the frame, so that a line lies in one frame; a longer line
    is cut anywhere. Small generations share frames.
    """

    def __init__(
        self, segment_id: bytes, agent: str, created_ns: int, *, level: int, frame_bytes: int = FRAME_BYTES
    ) -> None:
        """``segment_id``: 16 bytes, never used before. ``level``: of zstd, 1 to 22 (see ``levels``)."""
        assert len(segment_id) == 16
        assert 0 < frame_bytes <= FRAME_BYTES_MAX
        self._id = segment_id
        self._agent = agent
        self._created_ns = created_ns
        self._frame_bytes = frame_bytes
        self._compressor = compressor(level, frame_bytes)
        self._waiting = bytearray()
        self._pieces: deque[Piece] = deque()
        self._told_bytes = 0
        self._extents: dict[str, list[Extent]] = {}
        self._generations: dict[str, HeldGeneration] = {}
        self._frames: list[FrameEntry] = []
        self._seek: list[SeekEntry] = []
        self._at = 0
        self.raw_bytes = 0
        """Content taken so far."""

    @property
    def written_bytes(self) -> int:
        """Bytes of the segment returned so far."""
        return self._at

    def add(self, generation: HeldGeneration, offset: int, data: bytes) -> Iterator[bytes]:
        """Take the bytes of ``generation`` from ``offset``; parts of one extent follow each other. Exhaust the result.

        Args:
            generation: as it is known now, without its extents; the last one given for a ``uid`` stands in the
                manifest.
        """
        assert data
        self._generations[generation.uid] = generation
        extents = self._extents.setdefault(generation.uid, [])
        last = extents[-1] if extents else None
        if last is not None and last.end == offset and last.raw_offset + last.length == self.raw_bytes:
            extents[-1] = Extent(last.offset, last.length + len(data), last.raw_offset)
        else:
            extents.append(Extent(offset, len(data), self.raw_bytes))
        self.raw_bytes += len(data)
        at = 0
        while len(data) - at > (room := self._frame_bytes - len(self._waiting)):
            end = data.rfind(b"\n", at, at + room) + 1
            if not end and self._waiting and (before := self._waiting.rfind(b"\n") + 1):
                yield from self._cut(before)
                continue
            end = end or at + room
            self._note(generation, offset + at, end - at)
            yield from self._cut_with(data, at, end)
            at = end
        self._waiting += memoryview(data)[at:]
        self._note(generation, offset + at, len(data) - at)
        if self._told_bytes > MARKER_BYTES_MAX // 2:  # many small ones: their marker has to hold all their names
            yield from self._cut(len(self._waiting))

    def _note(self, generation: HeldGeneration, offset: int, length: int) -> None:
        if not length:
            return
        last = self._pieces[-1] if self._pieces else None
        if last is not None and last.uid == generation.uid and last.offset + last.length == offset:
            self._pieces[-1] = Piece(last.uid, last.path, last.number, last.offset, last.length + length)
        else:
            self._pieces.append(Piece(generation.uid, generation.path, generation.number, offset, length))
            self._told_bytes += told_bytes(generation.path)

    def _cut_with(self, data: bytes, start: int, end: int) -> Iterator[bytes]:
        """One frame of all that waits and ``data[start:end]``, which is mostly the whole frame and not copied then."""
        if not self._waiting:
            with memoryview(data) as view, view[start:end] as content:
                frame = self._compressor.compress(content)
            yield from self._frame(frame, end - start)
            return
        with memoryview(data) as view:
            self._waiting += view[start:end]
        yield from self._cut(len(self._waiting))

    def _cut(self, end: int) -> Iterator[bytes]:
        """One frame of the first ``end`` bytes that wait."""
        with memoryview(self._waiting) as waiting, waiting[:end] as content:
            frame = self._compressor.compress(content)
        del self._waiting[:end]
        yield from self._frame(frame, end)

    def _frame(self, frame: bytes, end: int) -> Iterator[bytes]:
        """Marker and frame of ``end`` bytes of content."""
        crc = crc32(frame)
        raw_offset = self._frames[-1].raw_end if self._frames else 0
        marker = pack_marker(
            Marker(
                self._id,
                len(self._frames),
                raw_offset,
                end,
                len(frame),
                crc,
                pack_note(self._agent, self._take_pieces(end)),
            )
        )
        self._seek.append(SeekEntry(len(marker), 0, EMPTY_CHECKSUM))
        self._seek.append(SeekEntry(len(frame), end, frame_checksum(frame)))
        self._frames.append(FrameEntry(self._at + len(marker), len(frame), raw_offset, end, crc))
        self._at += len(marker) + len(frame)
        yield marker
        yield frame

    def _take_pieces(self, count: int) -> list[Piece]:
        taken: list[Piece] = []
        while count:
            piece = self._pieces[0]
            if piece.length <= count:
                taken.append(self._pieces.popleft())
                self._told_bytes -= told_bytes(piece.path)
                count -= piece.length
                continue
            taken.append(Piece(piece.uid, piece.path, piece.number, piece.offset, count))
            self._pieces[0] = Piece(piece.uid, piece.path, piece.number, piece.offset + count, piece.length - count)
            count = 0
        return taken

    def finish(self) -> tuple[Manifest, list[bytes]]:
        """The manifest, and what is left to write: the last frames, the manifest, the seek table."""
        parts: list[bytes] = []
        if self._waiting:
            parts += self._cut(len(self._waiting))
        manifest = Manifest(
            self._id.hex(),
            self._agent,
            self._created_ns,
            tuple(self._frames),
            tuple(
                dataclasses.replace(generation, extents=tuple(self._extents[uid]))
                for uid, generation in self._generations.items()
            ),
        )
        packed = pack_manifest(manifest)
        self._seek.append(SeekEntry(len(packed), 0, EMPTY_CHECKSUM))
        table = pack_seek_table(self._seek)
        self._at += len(packed) + len(table)
        return manifest, [*parts, packed, table]
