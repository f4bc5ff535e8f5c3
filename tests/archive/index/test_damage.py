"""An index that is damaged, cut or made to lie is refused, never believed."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import zstandard

from logferry.archive.index import Buckets, SegmentIndex
from logferry.archive.index.layout import Facts, Kind, Writer
from logferry.archive.index.planes import pack
from logferry.errors import Damaged
from tests.archive.index.making import made, prose
from tests.archive.segment.making import log_text

SMALL = made([log_text(2_500), b"words of prose without end or number\n"], frame_bytes=2_048, granule_bytes=512).data
PROSE = made([prose(random.Random(2), 2_200)], frame_bytes=65_536, granule_bytes=32_768).data


def _use(data: bytes) -> None:
    """Everything a search asks for."""
    index = SegmentIndex.open(data, where="hurt.lfi")
    for literal in (b"error", b"ccept", b"took 5", b"host-3", b"2026"):
        found = index.literal(literal) & ~index.word(b"get")
        for granule in found.granules().tolist():
            found.rows(granule, index.row_types(granule))
            index.row_seconds(granule)
        index.histogram(found, Buckets(0, 60, 10))
    index.line_ends(0, index.facts.content_bytes)
    assert index.looks is not None
    index.verify()


def test_each_flipped_bit_is_named() -> None:
    _use(SMALL)
    for bit in range(len(SMALL) * 8):
        hurt = bytearray(SMALL)
        hurt[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Damaged):
            SegmentIndex.open(bytes(hurt), where="hurt.lfi").verify()


def test_flipped_bits_give_no_wrong_answer() -> None:
    dice = random.Random(1)
    for _ in range(300):
        hurt = bytearray(SMALL)
        hurt[dice.randrange(len(hurt))] ^= 1 << dice.randrange(8)
        with pytest.raises(Damaged):
            _use(bytes(hurt))


def test_a_cut_index_is_refused() -> None:
    for length in range(len(SMALL)):
        with pytest.raises(Damaged):
            SegmentIndex.open(SMALL[:length], where="hurt.lfi").verify()


def _with_block(kind: Kind, change: Callable[[bytes], bytes]) -> bytes:
    """A small index with the contents of one kind of block changed, all checksums right."""
    index = SegmentIndex.open(PROSE if kind is Kind.RARE_WORDS else SMALL, where="x")
    assert index._blocks.has(kind, 0)
    writer = Writer(3)
    blocks = index._blocks
    for found, number in blocks.names():
        raw = blocks.read(found, number)
        writer.add(found, number, change(raw) if found == kind and number == 0 else raw)
    return writer.finish(index.facts)


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.TIMES])
def test_contents_that_lie_are_refused_or_harmless(kind: Kind) -> None:
    """Right checksums over wrong numbers: an error or an answer, never a crash, never memory without end."""
    dice = random.Random(kind)

    def change(raw: bytes) -> bytes:
        hurt = bytearray(raw)
        for _ in range(dice.randrange(1, 6)):
            if hurt:
                hurt[dice.randrange(len(hurt))] = dice.randrange(256)
        return bytes(hurt[: dice.randrange(len(hurt) + 1)] if dice.random() < 0.2 else hurt)

    outcomes = set()
    for _ in range(150):
        try:
            _use(_with_block(kind, change))
            outcomes.add("answered")
        except Damaged:
            outcomes.add("refused")
    assert "refused" in outcomes


def test_bombs_stop_at_their_limit() -> None:
    facts = SegmentIndex.open(SMALL, where="x").facts
    zeros = zstandard.ZstdCompressor(level=3, write_checksum=True).compress(bytes(1 << 20))
    assert len(zeros) < 200
    writer = Writer(3)
    writer.add(Kind.GRANULES, 0, pack([np.zeros(1 << 27, np.uint8)] * 7))  # numbers that take no bytes
    with pytest.raises(Damaged, match="make no sense"):
        _ = SegmentIndex.open(writer.finish(facts), where="x").runs
    data = bytearray(SMALL)
    struct.pack_into("<I", data, 60 + 20, 1 << 31)  # the first block claims to be 2 GiB
    struct.pack_into("<I", data, 56, _crc_of_head(data))
    with pytest.raises(Damaged):
        _use(bytes(data))


def _crc_of_head(data: bytearray) -> int:
    count = struct.unpack_from("<I", data, 52)[0]
    return zlib.crc32(bytes(data[:56]) + bytes(data[60 : 60 + 28 * count]))


def test_an_index_of_another_version_says_so() -> None:
    data = bytearray(SMALL)
    struct.pack_into("<H", data, 6, 9)  # tokenizer
    struct.pack_into("<I", data, 56, _crc_of_head(data))
    with pytest.raises(Damaged, match="no index that this version knows"):
        SegmentIndex.open(bytes(data), where="later.lfi")


def test_an_empty_segment_has_an_empty_index() -> None:
    data = Writer(3).finish(Facts(bytes(16), 0, 0, 3, 0, 16))
    with pytest.raises(Damaged, match="make no sense"):
        SegmentIndex.open(data, where="x").word(b"a")
    there = made([])
    assert there.index.word(b"a").is_empty
    assert there.index.literal(b"a").lines_at_most() == 0
    assert there.index.facts.lines == 0
