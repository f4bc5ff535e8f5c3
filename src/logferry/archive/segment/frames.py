"""The pieces a segment is made of, as bytes: skippable frames, markers, the seek table, and bounded decompression.

Sources: RFC 8878 (Zstandard; 3.1.2 skippable frames) and the seekable format of the zstd project, version 0.1.0.
All numbers are little-endian.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

import zstandard

from logferry.errors import Damaged, TooLarge
from logferry.limits import FRAME_WINDOW_BYTES_MAX

MANIFEST_MAGIC = 0x184D2A5C
MARKER_MAGIC = 0x184D2A5D
SEEK_MAGIC = 0x184D2A5E
DATA_MAGIC = 0xFD2FB528
SEEKABLE_MAGIC = 0x8F92EAB1

SKIPPABLE_HEADER = struct.Struct("<II")
_SEEK_ENTRY = struct.Struct("<III")
_SEEK_FOOTER = struct.Struct("<IBI")
_WITH_CHECKSUMS = 0x80
EMPTY_CHECKSUM = 0x51D8E999
"""The low half of XXH64 of nothing: the checksum of a frame that holds no bytes."""

_MARKER = struct.Struct("<4s16sIQIII")
_MARKER_WORD = b"LFm1"
CRC = struct.Struct("<I")
MARKER_HEAD_BYTES = SKIPPABLE_HEADER.size + _MARKER.size
SEEK_FOOTER_BYTES = _SEEK_FOOTER.size


def skippable(magic: int, payload: bytes) -> bytes:
    """A skippable frame: every zstd tool passes over it."""
    return SKIPPABLE_HEADER.pack(magic, len(payload)) + payload


def crc32(data: bytes) -> int:
    """CRC-32 as in gzip and zip."""
    return zlib.crc32(data)


def frame_checksum(frame: bytes) -> int:
    """The checksum that ends a zstd frame: the low half of XXH64 of its content."""
    return int.from_bytes(frame[-4:], "little")


# Markers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Marker:
    """What stands before a data frame, so that the frame explains itself when the rest of the segment is lost."""

    segment_id: bytes
    """16 bytes."""
    number: int
    """Of the frame in its segment, from 0."""
    raw_offset: int
    """Where the frame's content begins in the segment's content."""
    raw: int
    """Length of the content."""
    compressed: int
    """Length of the frame."""
    crc32: int
    """Of the frame's bytes."""
    note: bytes = b""
    """What the content is: see ``manifest.pack_note``."""


def pack_marker(marker: Marker) -> bytes:
    """The marker as a skippable frame."""
    payload = _MARKER.pack(
        _MARKER_WORD,
        marker.segment_id,
        marker.number,
        marker.raw_offset,
        marker.raw,
        marker.compressed,
        marker.crc32,
    )
    payload += marker.note
    return skippable(MARKER_MAGIC, payload + CRC.pack(crc32(payload)))


def unpack_marker(frame: bytes) -> Marker | None:
    """The marker in a skippable frame; None if it is none, or damaged."""
    if len(frame) < MARKER_HEAD_BYTES + CRC.size:
        return None
    magic, length = SKIPPABLE_HEADER.unpack_from(frame)
    payload = frame[SKIPPABLE_HEADER.size : -CRC.size]
    if magic != MARKER_MAGIC or length != len(payload) + CRC.size or CRC.pack(crc32(payload)) != frame[-CRC.size :]:
        return None
    word, segment_id, number, raw_offset, raw, compressed, crc = _MARKER.unpack_from(payload)
    if word != _MARKER_WORD:
        return None
    return Marker(segment_id, number, raw_offset, raw, compressed, crc, payload[_MARKER.size :])


# The seek table -----------------------------------------------------------------------------------------------------


class SeekEntry(NamedTuple):
    """One frame of the seek table, skippable ones included (their content is empty).

    A tuple, as a segment is opened with a thousand of them, and they take half of that time as objects.
    """

    compressed: int
    raw: int
    checksum: int


def pack_seek_table(entries: list[SeekEntry]) -> bytes:
    """The seek table as the last, skippable frame of a file."""
    body = b"".join(_SEEK_ENTRY.pack(e.compressed, e.raw, e.checksum) for e in entries)
    return skippable(SEEK_MAGIC, body + _SEEK_FOOTER.pack(len(entries), _WITH_CHECKSUMS, SEEKABLE_MAGIC))


def seek_table_bytes(tail: bytes) -> int | None:
    """How long the seek table frame is, from the last bytes of a file; None if no such table ends there."""
    if len(tail) < SEEK_FOOTER_BYTES:
        return None
    count, descriptor, magic = _SEEK_FOOTER.unpack(tail[-SEEK_FOOTER_BYTES:])
    if magic != SEEKABLE_MAGIC or descriptor != _WITH_CHECKSUMS:
        return None
    return int(SKIPPABLE_HEADER.size + count * _SEEK_ENTRY.size + SEEK_FOOTER_BYTES)


def unpack_seek_table(frame: bytes) -> list[SeekEntry] | None:
    """The entries of a whole seek table frame; None if it is none."""
    if seek_table_bytes(frame) != len(frame):
        return None
    if SKIPPABLE_HEADER.unpack_from(frame) != (SEEK_MAGIC, len(frame) - SKIPPABLE_HEADER.size):
        return None
    body = frame[SKIPPABLE_HEADER.size : -SEEK_FOOTER_BYTES]
    return list(map(SeekEntry._make, _SEEK_ENTRY.iter_unpack(body)))


# Decompression --------------------------------------------------------------------------------------------------------


def expand(frame: bytes, raw: int, *, where: str) -> bytes:
    """The content of one zstd frame, which must be exactly ``raw`` bytes.

    Memory stays below ``raw`` plus the window whatever the frame says of itself: its declared size is compared first,
    since the one-shot call of the library trusts it.

    Raises:
        Damaged: the frame declares or holds something else, or its checksum does not fit.
    """
    try:
        facts = zstandard.get_frame_parameters(frame)
        if facts.content_size != raw or facts.window_size > FRAME_WINDOW_BYTES_MAX or not facts.has_checksum:
            raise Damaged(f"{where}: the frame is not the one that was written", where=where)
        content = zstandard.ZstdDecompressor(max_window_size=FRAME_WINDOW_BYTES_MAX).decompress(
            frame, max_output_size=raw, read_across_frames=False, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise Damaged(f"{where}: {error}", where=where) from error
    if len(content) != raw:
        raise Damaged(f"{where}: {len(content)} bytes instead of {raw}", where=where)
    return content


def expand_bounded(data: bytes, limit: int, *, where: str) -> bytes:
    """The content of foreign zstd data, at most ``limit`` bytes, with a bounded window.

    Raises:
        TooLarge: it holds more.
        Damaged: it is no zstd data, or cut.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=FRAME_WINDOW_BYTES_MAX)
    parts: list[bytes] = []
    left = limit + 1
    try:
        with decompressor.stream_reader(data, read_across_frames=True) as stream:
            while left and (part := stream.read(min(left, 1 << 20))):
                parts.append(part)
                left -= len(part)
    except zstandard.ZstdError as error:
        raise Damaged(f"{where}: {error}", where=where) from error
    if not left:
        raise TooLarge(f"{where} holds more than {limit} bytes", hint="it is not read further")
    return b"".join(parts)
