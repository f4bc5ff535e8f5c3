"""Bombs: small files that want to become large ones, and a child process in which they go off and are measured."""

from __future__ import annotations

import json
import os
import resource
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from logferry.archive.segment.frames import (
    EMPTY_CHECKSUM,
    MANIFEST_MAGIC,
    SEEK_MAGIC,
    SEEKABLE_MAGIC,
    Marker,
    SeekEntry,
    crc32,
    pack_marker,
    pack_seek_table,
    skippable,
)
from logferry.errors import LogferryError
from logferry.limits import GIB, MIB
from tests.archive.segment.making import AGENT, SEGMENT_ID

_BLOCK_BYTES = 128 * 1024
_ADDRESS_SPACE_BYTES = 2 * GIB
"""A bomb that no limit stops ends there, and not with the machine."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a bomb: the error that ended it ("" = none), how much memory and processor time that took."""

    error: str
    text: str
    rss_bytes: int
    seconds: float


def gone_off(work: Callable[[], object]) -> Outcome:
    """Run ``work`` in a child process with bounded address space."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, json.dumps(_measured(work)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        data = told.read()
    _, status = os.waitpid(pid, 0)
    assert data, f"the bomb ended its process: {status}"
    return Outcome(*json.loads(data))


def _measured(work: Callable[[], object]) -> tuple[str, str, int, float]:
    pages, resident = (int(field) for field in Path("/proc/self/statm").read_text().split()[:2])
    page = resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (pages * page + _ADDRESS_SPACE_BYTES,) * 2)
    error, text = "", ""
    start = time.process_time()
    try:
        work()
    except LogferryError as refusal:
        error, text = type(refusal).__name__, str(refusal)
    except BaseException as crash:  # noqa: BLE001 - whatever it is, it is told
        error, text = f"crash: {type(crash).__name__}", str(crash)
    seconds = time.process_time() - start
    return error, text, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - resident * page, seconds


# zstd by hand: RFC 8878, 3.1.1 --------------------------------------------------------------------------------------


def zeros_frame(
    holds: int, *, declares: int | None = -1, window_log: int | None = None, checksum: bool = True, more: bytes = b""
) -> bytes:
    """A frame of ``holds`` zeros in run-length blocks.

    Args:
        declares: the content size in its header; -1: the true one; None: none.
        window_log: of the window in its header; None: as large as the content (or 8 MiB without a size).
        checksum: it says that one follows, which is a wrong one.
        more: blocks before the others.
    """
    size = holds if declares == -1 else declares
    if size is None and window_log is None:
        window_log = 23
    descriptor = (0 if size is None else 3 << 6) | (0 if window_log is not None else 1 << 5) | checksum << 2
    head = struct.pack("<IB", 0xFD2FB528, descriptor)
    if window_log is not None:
        head += bytes([(window_log - 10) << 3])
    if size is not None:
        head += struct.pack("<Q", size)
    whole, rest = divmod(holds, _BLOCK_BYTES)
    blocks = _run(_BLOCK_BYTES) * whole + _run(rest, last=True)
    return head + more + blocks + (b"\x00" * 4 if checksum else b"")


def _run(size: int, *, last: bool = False) -> bytes:
    return (size << 3 | 1 << 1 | last).to_bytes(3, "little") + b"\x00"


EMPTY_FRAME = struct.pack("<IBB", 0xFD2FB528, 1 << 5, 0) + b"\x01\x00\x00"
EMPTY_BLOCK = b"\x00\x00\x00"
"""Not the last of its frame."""


# Segments by hand -------------------------------------------------------------------------------------------------


def manifest_values(raw: int, frame_at: int, compressed: int, crc: int) -> dict[str, Any]:
    """What a manifest of one frame and one generation says."""
    return {
        "format": 1,
        "segment": SEGMENT_ID.hex(),
        "agent": AGENT,
        "created_ns": 1,
        "frames": {"offset": [frame_at], "compressed": [compressed], "raw": [raw], "crc32": [crc]},
        "generations": [generation_values(0, raw)],
    }


def generation_values(number: int, length: int, *, path: str = "a.log", raw_offset: int = 0) -> dict[str, Any]:
    """What a manifest says of one generation."""
    return {
        "uid": f"{number:032x}", "path": path, "number": 1, "size": length, "started_ns": 1, "changed_ns": 1,
        "modified_ns": 1, "ended_ns": None, "sha256": "", "extents": [[0, length, raw_offset]],
    }  # fmt: skip


def note_of(raw: int, path: str = "a.log") -> bytes:
    """What a marker says of a frame of one generation."""
    return json.dumps([AGENT, ["0" * 32, path, 1, 0, raw]]).encode()


def manifest_frame(packed: bytes) -> bytes:
    """A manifest with a right checksum around whatever ``packed`` is."""
    payload = b"LFs1" + packed
    return skippable(MANIFEST_MAGIC, payload + struct.pack("<I", crc32(payload)))


def segment_of(
    frame: bytes,
    raw: int,
    *,
    note: bytes | None = None,
    change: Callable[[dict[str, Any]], object] | None = None,
    manifest: bytes | None = None,
    entries: Callable[[list[SeekEntry]], list[SeekEntry]] = list,
) -> bytes:
    """A segment of one ``frame`` that claims to hold ``raw`` bytes; every checksum is right.

    Args:
        note: of its marker.
        change: what to change in the manifest.
        manifest: the compressed manifest instead of any.
        entries: what to make of the seek table.
    """
    marker = pack_marker(
        Marker(SEGMENT_ID, 0, 0, raw, len(frame), crc32(frame), note_of(raw) if note is None else note)
    )
    values = manifest_values(raw, len(marker), len(frame), crc32(frame))
    if change is not None:
        change(values)
    packed = manifest_frame(manifest or zstandard.ZstdCompressor(level=3).compress(json.dumps(values).encode()))
    table = [
        SeekEntry(len(marker), 0, EMPTY_CHECKSUM),
        SeekEntry(len(frame), raw, int.from_bytes(frame[-4:], "little")),
        SeekEntry(len(packed), 0, EMPTY_CHECKSUM),
    ]
    return marker + frame + packed + pack_seek_table(entries(table))


def seek_table_of(count: int, body: bytes) -> bytes:
    """A seek table that says it has ``count`` entries."""
    return skippable(SEEK_MAGIC, body + struct.pack("<IBI", count, 0x80, SEEKABLE_MAGIC))


def big(pattern: bytes, size: int = 64 * MIB) -> bytes:
    """``pattern`` again and again, compressed with checksum and size."""
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(pattern * (size // len(pattern)))
