"""What a segment says about itself: its frames, and which bytes of which generations they hold."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import zstandard

from logferry.archive.segment.frames import CRC, DATA_MAGIC, MANIFEST_MAGIC, crc32, expand_bounded, skippable
from logferry.errors import Damaged, TooLarge
from logferry.limits import MANIFEST_BYTES_MAX, MANIFEST_VALUES_MAX, MARKER_BYTES_MAX, SEGMENT_BYTES_MAX

FORMAT = 1
_WORD = b"LFs1"
_LEVEL = 9
_NOTE_PLAIN_BYTES = 512
_UID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class FrameEntry:
    """One data frame. ``offset``: where its bytes begin in the segment (behind its marker)."""

    offset: int
    compressed: int
    raw_offset: int
    raw: int
    crc32: int

    @property
    def raw_end(self) -> int:
        """Where the frame's content ends in the segment's content."""
        return self.raw_offset + self.raw


@dataclass(frozen=True, slots=True)
class Extent:
    """``length`` bytes from ``offset`` of a generation, which lie from ``raw_offset`` in the segment's content."""

    offset: int
    length: int
    raw_offset: int

    @property
    def end(self) -> int:
        """Where the extent ends in the generation."""
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class HeldGeneration:
    """A generation with bytes in the segment, as it was known when they were sealed.

    Times are nanoseconds since 1970. ``size`` and ``sha256`` (hexadecimal, "" if not known) are of the whole
    generation at that time, which may lie in several segments.
    """

    uid: str
    path: str
    number: int
    size: int
    started_ns: int
    changed_ns: int
    modified_ns: int
    ended_ns: int | None
    sha256: str
    extents: tuple[Extent, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents list of one segment."""

    segment_id: str
    """32 hexadecimal digits."""
    agent: str
    created_ns: int
    frames: tuple[FrameEntry, ...]
    generations: tuple[HeldGeneration, ...]

    @property
    def raw_bytes(self) -> int:
        """Length of the segment's content."""
        return self.frames[-1].raw_end if self.frames else 0


def pack_manifest(manifest: Manifest) -> bytes:
    """The manifest as a skippable frame."""
    values = {
        "format": FORMAT,
        "segment": manifest.segment_id,
        "agent": manifest.agent,
        "created_ns": manifest.created_ns,
        "frames": {
            "offset": [f.offset for f in manifest.frames],
            "compressed": [f.compressed for f in manifest.frames],
            "raw": [f.raw for f in manifest.frames],
            "crc32": [f.crc32 for f in manifest.frames],
        },
        "generations": [_plain(g) for g in manifest.generations],
    }
    packed = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(_json(values))
    payload = _WORD + packed
    return skippable(MANIFEST_MAGIC, payload + CRC.pack(crc32(payload)))


def unpack_manifest(frame: bytes, *, where: str) -> Manifest:
    """The manifest in a whole skippable frame.

    Raises:
        Damaged: it is none, does not fit its checksum, or contradicts itself.
    """
    payload, crc = frame[8 : -CRC.size], frame[-CRC.size :]
    head = skippable(MANIFEST_MAGIC, b"")[:4] + len(frame[8:]).to_bytes(4, "little")
    if frame[:8] != head or payload[:4] != _WORD or CRC.pack(crc32(payload)) != crc:
        raise Damaged(f"{where}: the manifest is damaged", where=where, hint=_REPAIR)
    try:
        manifest = _manifest(_values(expand_bounded(payload[4:], MANIFEST_BYTES_MAX, where=where)))
    except (ValueError, KeyError, TypeError, TooLarge) as error:
        raise Damaged(f"{where}: the manifest makes no sense: {error}", where=where, hint=_REPAIR) from error
    _check(manifest, where)
    return manifest


_REPAIR = "logferry repair reads what its frames still tell"


def _plain(generation: HeldGeneration) -> dict[str, Any]:
    return {
        "uid": generation.uid,
        "path": generation.path,
        "number": generation.number,
        "size": generation.size,
        "started_ns": generation.started_ns,
        "changed_ns": generation.changed_ns,
        "modified_ns": generation.modified_ns,
        "ended_ns": generation.ended_ns,
        "sha256": generation.sha256,
        "extents": [[e.offset, e.length, e.raw_offset] for e in generation.extents],
    }


def _manifest(values: dict[str, Any]) -> Manifest:
    if values["format"] != FORMAT:
        raise ValueError(f"format {values['format']!r} is not known to this version")
    table = values["frames"]
    frames: list[FrameEntry] = []
    at = 0
    for offset, compressed, raw, crc in zip(
        table["offset"], table["compressed"], table["raw"], table["crc32"], strict=True
    ):
        frames.append(FrameEntry(_number(offset), _number(compressed), at, _number(raw), _number(crc)))
        at += raw
    return Manifest(
        segment_id=_uid(values["segment"]),
        agent=_text(values["agent"]),
        created_ns=_number(values["created_ns"]),
        frames=tuple(frames),
        generations=tuple(_generation(g) for g in values["generations"]),
    )


def _generation(values: dict[str, Any]) -> HeldGeneration:
    ended = values["ended_ns"]
    return HeldGeneration(
        uid=_uid(values["uid"]),
        path=_text(values["path"]),
        number=_number(values["number"]),
        size=_number(values["size"]),
        started_ns=_time(values["started_ns"]),
        changed_ns=_time(values["changed_ns"]),
        modified_ns=_time(values["modified_ns"]),
        ended_ns=None if ended is None else _time(ended),
        sha256=_text(values["sha256"]),
        extents=tuple(Extent(_number(a), _number(b), _number(c)) for a, b, c in values["extents"]),
    )


def _values(data: bytes) -> Any:
    """The values in JSON that may come from anybody.

    Raises:
        ValueError: it is none, or so many or so deeply nested values that it is made to do harm.
    """
    if _count_values(data) > MANIFEST_VALUES_MAX:
        # Perhaps it is the names in it that have commas and brackets.
        data_without = data.replace(b"\\\\", b"").replace(b'\\"', b"")
        if data_without.count(b'"') > 2 * MANIFEST_VALUES_MAX:
            raise ValueError("it has too many names")
        if sum(_count_values(outside) for outside in data_without.split(b'"')[::2]) > MANIFEST_VALUES_MAX:
            raise ValueError("it has too many values")
        del data_without
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _count_values(data: bytes) -> int:
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise ValueError(f"{value!r} is no number that can stand here")
    return value


def _time(value: object) -> int:
    """A node may say that a file is from before 1970."""
    if not isinstance(value, int) or isinstance(value, bool) or not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{value!r} is no time that can stand here")
    return value


def _uid(value: object) -> str:
    if not isinstance(value, str) or _UID.fullmatch(value) is None:
        raise ValueError(f"{value!r} is no id")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _check(manifest: Manifest, where: str) -> None:
    """Everything later code relies on: frames in order, extents inside the content and apart from each other."""
    if manifest.raw_bytes > SEGMENT_BYTES_MAX:
        raise Damaged(f"{where}: a segment of {manifest.raw_bytes} bytes", where=where)
    end = 0
    for frame in manifest.frames:
        if frame.offset < end or not frame.raw or not frame.compressed:
            raise Damaged(f"{where}: frames overlap", where=where)
        end = frame.offset + frame.compressed
    if any(not g.extents or any(e.length <= 0 for e in g.extents) for g in manifest.generations):
        raise Damaged(f"{where}: a generation of no bytes", where=where)
    taken = sorted((e.raw_offset, e.raw_offset + e.length) for g in manifest.generations for e in g.extents)
    end = 0
    for start, stop in taken:
        if start != end:
            raise Damaged(f"{where}: extents do not cover the content once", where=where)
        end = stop
    if end != manifest.raw_bytes:
        raise Damaged(f"{where}: extents of {end} bytes, content of {manifest.raw_bytes}", where=where)


# Notes in markers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of one generation inside one frame, in the order of the frame's content."""

    uid: str
    path: str
    number: int
    offset: int
    length: int


_TOLD_BYTES = 400


def told_bytes(path: str) -> int:
    """At most so many bytes of JSON tell of one generation of ``path`` with one extent."""
    return _TOLD_BYTES + len(_json(path))


def told_bytes_max(generations: int, path_chars: int) -> int:
    """At most so many bytes of JSON tell of so many of them, whose paths have so many characters together."""
    return generations * _TOLD_BYTES + 6 * path_chars


def pack_note(agent: str, pieces: Sequence[Piece]) -> bytes:
    """What a frame's marker says of its content: plain JSON, compressed when it is long."""
    data = _json([agent, *([p.uid, p.path, p.number, p.offset, p.length] for p in pieces)])
    return data if len(data) <= _NOTE_PLAIN_BYTES else zstandard.ZstdCompressor(level=3).compress(data)


def unpack_note(note: bytes, *, where: str) -> tuple[str, list[Piece]]:
    """Agent and pieces of a marker's note. Raises Damaged."""
    if note[:4] == DATA_MAGIC.to_bytes(4, "little"):
        try:
            note = expand_bounded(note, MARKER_BYTES_MAX, where=where)
        except TooLarge as error:
            raise Damaged(f"{where}: a marker that is too long", where=where) from error
    try:
        agent, *pieces = _values(note)
        return _text(agent), [
            Piece(_uid(uid), _text(path), _number(number), _number(offset), _number(length))
            for uid, path, number, offset, length in pieces
        ]
    except (ValueError, TypeError) as error:
        raise Damaged(f"{where}: a marker that makes no sense", where=where) from error


def _json(values: object) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
