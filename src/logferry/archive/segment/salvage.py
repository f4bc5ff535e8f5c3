"""What is left of a damaged segment: every whole frame, found by its marker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from logferry.archive.segment.frames import CRC, MARKER_MAGIC, SKIPPABLE_HEADER, crc32, expand, unpack_marker
from logferry.archive.segment.manifest import Piece, unpack_note
from logferry.archive.segment.segment import ReadAt
from logferry.errors import Damaged
from logferry.limits import FRAME_BYTES_MAX, MARKER_BYTES_MAX

_MAGIC = MARKER_MAGIC.to_bytes(4, "little")
_STEP_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Salvaged:
    """A whole frame of a damaged segment, with the places of its content."""

    segment_id: str
    agent: str
    number: int
    raw_offset: int
    content: bytes
    pieces: tuple[Piece, ...]


def salvage(read_at: ReadAt, size: int, *, where: str) -> Iterator[Salvaged]:
    """All whole frames in the ``size`` bytes that ``read_at`` reads, in the order in which they lie there.

    Whatever is damaged is passed over; frames of other segments that were pasted in are told by ``segment_id``.
    """
    at = 0
    while (at := _find(read_at, at, size)) < size:
        found = _frame(read_at, at, where)
        if found is None:
            at += 1
            continue
        salvaged, at = found
        yield salvaged


def _find(read_at: ReadAt, at: int, size: int) -> int:
    """Where the next marker may begin."""
    while at < size:
        data = read_at(at, _STEP_BYTES)
        place = data.find(_MAGIC)
        if place >= 0:
            return at + place
        if len(data) < _STEP_BYTES:
            return size
        at += len(data) - 3
    return size


def _frame(read_at: ReadAt, at: int, where: str) -> tuple[Salvaged, int] | None:
    head = read_at(at, SKIPPABLE_HEADER.size)
    if len(head) < SKIPPABLE_HEADER.size:
        return None
    length = SKIPPABLE_HEADER.size + SKIPPABLE_HEADER.unpack(head)[1]
    if not CRC.size < length <= MARKER_BYTES_MAX:
        return None
    marker = unpack_marker(read_at(at, length))
    if marker is None or marker.raw > FRAME_BYTES_MAX or marker.compressed > 2 * FRAME_BYTES_MAX:
        return None
    frame = read_at(at + length, marker.compressed)
    place = f"{where} at {at + length}"
    try:
        if len(frame) != marker.compressed or crc32(frame) != marker.crc32:
            return None
        content = expand(frame, marker.raw, where=place)
        agent, pieces = unpack_note(marker.note, where=place)
    except Damaged:
        return None  # nothing whole begins here; the search goes on behind it
    if sum(piece.length for piece in pieces) != marker.raw:
        return None
    found = Salvaged(marker.segment_id.hex(), agent, marker.number, marker.raw_offset, content, tuple(pieces))
    return found, at + length + marker.compressed
