"""Reading a segment: any range of its content, verified on the way."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from logferry.archive.segment.frames import (
    EMPTY_CHECKSUM,
    SeekEntry,
    crc32,
    expand,
    frame_checksum,
    seek_table_bytes,
    unpack_marker,
    unpack_seek_table,
)
from logferry.archive.segment.manifest import Manifest, unpack_manifest, unpack_note
from logferry.errors import Damaged
from logferry.limits import FRAME_BYTES_MAX, MANIFEST_BYTES_MAX, MARKER_BYTES_MAX, SEEK_ENTRIES_MAX

ReadAt = Callable[[int, int], bytes]
"""``read(offset, count)``: bytes of the segment, fewer only at its end."""

_TAIL_BYTES = 64 * 1024


def ignored(_number: int, _content: bytes) -> None:
    """Takes a frame and does nothing with it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a segment that is not as it was written. ``frame``: its number, -1 = not in a data frame."""

    frame: int
    offset: int
    what: str


class Segment:
    """A segment whose manifest and seek table are whole. Frames are verified as they are read."""

    def __init__(
        self, read_at: ReadAt, size: int, manifest: Manifest, table: Sequence[SeekEntry], *, where: str
    ) -> None:
        """Use ``open``."""
        self.manifest = manifest
        self.size = size
        self.where = where
        self._read_at = read_at
        self._table = table
        self._starts = [frame.raw_offset for frame in manifest.frames]

    @classmethod
    def open(cls, read_at: ReadAt, size: int, *, where: str) -> Segment:
        """Read manifest and seek table and compare them.

        Args:
            size: of the segment, bytes.
            where: names the segment in errors.

        Raises:
            Damaged: one of them is not whole, or they disagree.
        """
        table, manifest_at, told = _seek_table(read_at, size, where)
        manifest = unpack_manifest(told, where=where)
        if not _agree(table, manifest, manifest_at):
            raise Damaged(f"{where}: seek table and manifest disagree", where=where, hint=_REPAIR)
        return cls(read_at, size, manifest, table, where=where)

    def frame_at(self, raw_offset: int) -> int:
        """Number of the frame that holds this byte of the content."""
        return bisect_right(self._starts, raw_offset) - 1

    def frame(self, number: int) -> bytes:
        """The content of one frame. Raises Damaged."""
        entry = self.manifest.frames[number]
        where = f"{self.where} frame {number}"
        data = self._read_at(entry.offset, entry.compressed)
        if len(data) != entry.compressed or crc32(data) != entry.crc32:
            raise Damaged(f"{where} does not fit its checksum", where=where)
        return expand(data, entry.raw, where=where)

    def read(self, raw_offset: int, count: int) -> bytes:
        """Content from ``raw_offset``, fewer than ``count`` bytes only at its end. Raises Damaged."""
        count = min(count, self.manifest.raw_bytes - raw_offset)
        parts: list[bytes] = []
        while count > 0:
            number = self.frame_at(raw_offset)
            start = raw_offset - self.manifest.frames[number].raw_offset
            part = self.frame(number)[start : start + count]
            parts.append(part)
            raw_offset += len(part)
            count -= len(part)
        return b"".join(parts)

    def verify(self, take: Callable[[int, bytes], None] = ignored) -> Iterator[Finding]:
        """Compare every byte of the segment with what it says of itself; yields what does not fit.

        Args:
            take: gets number and content of each frame that is whole.
        """
        at = 0
        number = 0
        for entry in self._table:
            data = self._read_at(at, entry.compressed)
            if entry.raw:
                yield from self._verify_frame(number, data, entry, take)
                number += 1
            elif number < len(self.manifest.frames):
                yield from self._verify_marker(number, at, data)
            at += entry.compressed

    def _verify_frame(
        self, number: int, data: bytes, entry: SeekEntry, take: Callable[[int, bytes], None]
    ) -> Iterator[Finding]:
        frame = self.manifest.frames[number]
        try:
            content = self.frame(number)
        except Damaged as error:
            yield Finding(number, frame.offset, error.message)
            return
        take(number, content)
        if frame_checksum(data) != entry.checksum:
            yield Finding(number, frame.offset, f"{self.where}: the seek table has another checksum")

    def _verify_marker(self, number: int, at: int, data: bytes) -> Iterator[Finding]:
        frame = self.manifest.frames[number]
        marker = unpack_marker(data)
        where = f"{self.where} frame {number}"
        if marker is None:
            yield Finding(number, at, f"{where}: its marker is damaged")
            return
        facts = (marker.segment_id.hex(), marker.number, marker.raw_offset, marker.raw, marker.compressed, marker.crc32)
        agent, _ = unpack_note(marker.note, where=where)
        if (*facts, agent) != (
            self.manifest.segment_id,
            number,
            frame.raw_offset,
            frame.raw,
            frame.compressed,
            frame.crc32,
            self.manifest.agent,
        ):
            yield Finding(number, at, f"{where}: its marker belongs elsewhere")


def _seek_table(read_at: ReadAt, size: int, where: str) -> tuple[list[SeekEntry], int, bytes]:
    """The seek table, and the manifest before it: where it begins, and its bytes.

    Mostly both lie in the last bytes, which are read once: a disk or a bucket is asked once to open a segment.
    """
    tail = read_at(max(0, size - _TAIL_BYTES), min(size, _TAIL_BYTES))
    length = seek_table_bytes(tail)
    if length is None or length > size or length > SEEK_ENTRIES_MAX * 12:
        raise Damaged(f"{where} does not end in a seek table: it is cut or damaged", where=where, hint=_REPAIR)
    if length > len(tail):
        tail = read_at(size - length, length)
    table = unpack_seek_table(tail[-length:])
    if not table or any(entry.raw > FRAME_BYTES_MAX for entry in table):
        raise Damaged(f"{where}: the seek table is damaged", where=where, hint=_REPAIR)
    last = table[-1].compressed
    if last > MANIFEST_BYTES_MAX or last + length > size or table[-1].raw:
        raise Damaged(f"{where}: the seek table is damaged", where=where, hint=_REPAIR)
    start = size - length - last
    if length + last <= len(tail):
        return table, start, tail[len(tail) - length - last : len(tail) - length]
    return table, start, read_at(start, last)


def _agree(table: Sequence[SeekEntry], manifest: Manifest, manifest_at: int) -> bool:
    """Whether the table lists marker and frame in turn, as the manifest has them, and the manifest last."""
    *before, last = table
    if len(before) != 2 * len(manifest.frames) or last.raw or last.checksum != EMPTY_CHECKSUM:
        return False
    at = 0
    for marker, data, frame in zip(before[::2], before[1::2], manifest.frames, strict=True):
        at += marker.compressed
        if marker.raw or marker.checksum != EMPTY_CHECKSUM:
            return False
        if marker.compressed > MARKER_BYTES_MAX or data.compressed > 2 * FRAME_BYTES_MAX:
            return False  # nobody wrote that, and nobody shall have to read it at once
        if (at, data.compressed, data.raw) != (frame.offset, frame.compressed, frame.raw):
            return False
        at += data.compressed
    return at == manifest_at


_REPAIR = "logferry repair reads what its frames still tell"
