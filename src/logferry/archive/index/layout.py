"""The index as bytes: header, directory, blocks. ``docs/design/index.md`` has it byte by byte."""

from __future__ import annotations

import enum
import struct
from collections import Counter
from dataclasses import dataclass

import numpy as np
import zstandard

from logferry.archive.index.version import FORMAT, TOKENIZER
from logferry.archive.segment.frames import crc32, expand
from logferry.archive.segment.segment import ReadAt
from logferry.errors import Damaged
from logferry.limits import INDEX_BLOCK_BYTES_MAX, INDEX_BLOCKS_MAX, SEGMENT_BYTES_MAX

BLOCK_GRANULES = 64
"""Granules whose lines share a block of types and one of times."""
_START_BYTES = 16 * 1024
"""Read first: header and, mostly, the whole directory."""
_WORD = b"LFi1"
_HEADER = struct.Struct("<4sHH16sQIIQII")
_CRC = struct.Struct("<I")
_ENTRY = np.dtype(
    [("kind", "<u2"), ("spare", "<u2"), ("number", "<u4"), ("offset", "<u8"), ("stored", "<u4"), ("raw", "<u4"),
     ("crc32", "<u4")]
)  # fmt: skip
_REBUILD = "an index is built again from its segment: logferry reindex"


class Kind(enum.IntEnum):
    """What a block is."""

    GRANULES = 1
    TYPE_TEXT = 2
    PAIRS = 3
    COLUMN = 4
    WORDS = 5
    GRAM_IDS = 6
    GRAM_ROWS = 7
    SPANS = 8
    TIMES = 9
    RARE_WORDS = 10
    LOOKS = 11


@dataclass(frozen=True, slots=True)
class Facts:
    """What an index says of itself. ``types`` counts the two special ones, ``lines`` counts parts of cut lines."""

    segment_id: bytes
    content_bytes: int
    granules: int
    types: int
    lines: int
    key_bits: int


@dataclass(frozen=True, slots=True)
class Block:
    """A block as it is stored. ``raw``: its size when expanded."""

    data: bytes
    raw: int


class Writer:
    """Collects compressed blocks, then lays them behind header and directory."""

    def __init__(self, level: int) -> None:
        """``level``: of zstd."""
        self._compressor = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)
        self._blocks: list[bytes] = []
        self._entries: list[tuple[int, int, int, int, int]] = []

    def compressed(self, raw: bytes) -> Block:
        """A block that is to be added later."""
        assert len(raw) <= INDEX_BLOCK_BYTES_MAX
        return Block(self._compressor.compress(raw), len(raw))

    def put(self, kind: Kind, number: int, block: Block) -> None:
        """Add block ``number`` of ``kind``."""
        self._blocks.append(block.data)
        self._entries.append((kind, number, len(block.data), block.raw, crc32(block.data)))

    def add(self, kind: Kind, number: int, raw: bytes) -> None:
        """Compress and add block ``number`` of ``kind``."""
        self.put(kind, number, self.compressed(raw))

    def finish(self, facts: Facts) -> bytes:
        """The whole index."""
        assert len(self._entries) <= INDEX_BLOCKS_MAX
        table = np.zeros(len(self._entries), _ENTRY)
        at = _HEADER.size + _CRC.size + table.nbytes
        for i, (kind, number, stored, raw, crc) in enumerate(self._entries):
            table[i] = (kind, 0, number, at, stored, raw, crc)
            at += stored
        head = _HEADER.pack(
            _WORD,
            FORMAT,
            TOKENIZER,
            facts.segment_id,
            facts.content_bytes,
            facts.granules,
            facts.types,
            facts.lines,
            facts.key_bits,
            len(table),
        )
        entries = table.tobytes()
        return b"".join([head, _CRC.pack(crc32(head + entries)), entries, *self._blocks])


class Blocks:
    """The blocks of an index. Each is verified and expanded when it is asked for."""

    def __init__(self, read_at: ReadAt, size: int, *, where: str) -> None:
        """Check header and directory of an index of ``size`` bytes.

        Raises:
            Damaged: they are not whole, or of another format or tokenizer: build the index again.
        """
        self._read_at = read_at
        self.stored_bytes = size
        self.where = where
        start = read_at(0, min(size, _START_BYTES))
        if len(start) < _HEADER.size + _CRC.size:
            raise Damaged(f"{where} is no index, or cut", where=where, hint=_REBUILD)
        head = start[: _HEADER.size]
        (word, version, tokenizer, segment_id, content_bytes, granules, types, lines, key_bits, count) = _HEADER.unpack(
            head
        )
        if word != _WORD or (version, tokenizer) != (FORMAT, TOKENIZER):
            raise Damaged(f"{where} is no index that this version knows", where=where, hint=_REBUILD)
        at = _HEADER.size + _CRC.size
        length = count * _ENTRY.itemsize if count <= INDEX_BLOCKS_MAX else 0
        entries = start[at : at + length] if at + length <= len(start) else read_at(at, length)
        if _CRC.pack(crc32(head + entries)) != start[_HEADER.size : at] or content_bytes > SEGMENT_BYTES_MAX:
            raise Damaged(f"{where}: header or directory is damaged", where=where, hint=_REBUILD)
        self.facts = Facts(segment_id, content_bytes, granules, types, lines, key_bits)
        table = np.frombuffer(entries, _ENTRY)
        self._entries = {
            (int(e["kind"]), int(e["number"])): (int(e["offset"]), int(e["stored"]), int(e["raw"]), int(e["crc32"]))
            for e in table
        }
        self._counts = Counter(table["kind"].tolist())

    def sizes(self) -> dict[Kind, tuple[int, int]]:
        """Per kind of block: bytes stored and expanded."""
        found = dict.fromkeys(Kind, (0, 0))
        for name in self.names():
            _, stored, raw, _ = self._entries[name]
            found[name[0]] = (found[name[0]][0] + stored, found[name[0]][1] + raw)
        return found

    def count(self, kind: Kind) -> int:
        """How many blocks of a kind there are, if they are numbered without gaps."""
        return self._counts.get(int(kind), 0)

    def names(self) -> list[tuple[Kind, int]]:
        """The blocks in the order in which they lie there."""
        known = {int(kind) for kind in Kind}
        return [(Kind(kind), number) for kind, number in self._entries if kind in known]

    def has(self, kind: Kind, number: int) -> bool:
        """Whether there is such a block."""
        return (kind, number) in self._entries

    def read(self, kind: Kind, number: int = 0) -> bytes:
        """A block as it was added. Raises Damaged."""
        where = f"{self.where} {kind.name.lower()} {number}"
        entry = self._entries.get((kind, number))
        if entry is None:
            raise Damaged(f"{where} is missing", where=where, hint=_REBUILD)
        offset, stored, raw, crc = entry
        if raw > INDEX_BLOCK_BYTES_MAX or stored > 2 * INDEX_BLOCK_BYTES_MAX:
            raise Damaged(f"{where} has {max(raw, stored)} bytes", where=where, hint=_REBUILD)
        block = self._read_at(offset, stored)
        if len(block) != stored or crc32(block) != crc:
            raise Damaged(f"{where} does not fit its checksum", where=where, hint=_REBUILD)
        return expand(block, raw, where=where)

    def verify(self) -> None:
        """Read every block. Raises Damaged."""
        end = _HEADER.size + _CRC.size + len(self._entries) * _ENTRY.itemsize
        for offset, stored, _, _ in self._entries.values():
            if offset != end:
                raise Damaged(f"{self.where}: bytes that belong to no block", where=self.where, hint=_REBUILD)
            end += stored
        if end != self.stored_bytes:
            raise Damaged(f"{self.where}: bytes that belong to no block", where=self.where, hint=_REBUILD)
        for kind, number in self.names():
            self.read(kind, number)
