"""A segment gives back what went in, to us and to any zstd tool, and names every change of a bit."""

from __future__ import annotations

import io
import random

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from logferry.archive.segment import Segment, salvage
from logferry.errors import Damaged
from tests.archive.segment.making import AGENT, SEGMENT_ID, Made, log_text, make
from tests.security.amounts import amount

MIXED = [
    log_text(9_000),
    b"no line end",
    b"",
    log_text(30, 2),
    bytes(range(256)) * 40,
    b"x" * 20_000,
    log_text(5_000, 3),
]
SOME = [content for content in MIXED if content]


def test_any_range_of_the_content_is_read_back() -> None:
    made = make(SOME)
    segment = made.open()
    assert segment.manifest == made.manifest
    assert segment.manifest.raw_bytes == len(made.content)
    dice = random.Random(5)
    for _ in range(300):
        start = dice.randrange(len(made.content) + 10)
        count = dice.randrange(12_000)
        assert segment.read(start, count) == made.content[start : start + count]
    assert list(segment.verify()) == []


def test_each_generation_is_its_extents() -> None:
    made = make(SOME)
    segment = made.open()
    for held, content in zip(segment.manifest.generations, SOME, strict=True):
        assert b"".join(segment.read(e.raw_offset, e.length) for e in held.extents) == content
        assert [e.offset for e in held.extents] == [0]


def test_a_plain_zstd_reader_gives_exactly_the_content() -> None:
    made = make(SOME)
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(made.data), read_across_frames=True) as stream:
        assert stream.read() == made.content


def test_frames_end_behind_line_ends_where_there_are_some() -> None:
    made = make([log_text(50_000)], frame_bytes=4096)
    segment = made.open()
    contents = [segment.frame(number) for number in range(len(segment.manifest.frames))]
    assert len(contents) > 10
    assert all(content.endswith(b"\n") and len(content) <= 4096 for content in contents)


def test_frames_of_a_line_without_end_are_cut_at_their_size() -> None:
    made = make([b"y" * 50_000], frame_bytes=4096)
    frames = made.open().manifest.frames
    assert {frame.raw for frame in frames[:-1]} == {4096}


@pytest.mark.parametrize("chunk", [61, 1000, 4095, 4096, 4097, 8192, 1 << 20])
def test_the_bytes_of_a_segment_are_the_same_however_its_content_comes(chunk: int) -> None:
    line = log_text(100)
    contents = [log_text(30_000), b"x" * 9_000, line + b"y" * 5_000 + b"\n" + log_text(5_000), b"\n" * 4096, b"z"]
    assert make(contents, chunk=chunk).data == make(contents, chunk=300).data


def test_an_empty_segment_is_one() -> None:
    made = make([])
    segment = made.open()
    assert segment.read(0, 10) == b""
    assert list(segment.verify()) == []


@settings(max_examples=150, deadline=None)
@given(
    contents=st.lists(st.binary(min_size=1, max_size=3_000) | st.text("ab\n", min_size=1).map(str.encode), max_size=12),
    frame_bytes=st.integers(1, 2_000),
    chunk=st.integers(1, 4_000),
)
def test_whatever_goes_in_comes_back(contents: list[bytes], frame_bytes: int, chunk: int) -> None:
    made = make(contents, frame_bytes=frame_bytes, chunk=chunk)
    segment = made.open()
    assert segment.read(0, len(made.content) + 1) == made.content
    assert list(segment.verify()) == []
    found = list(salvage(made.read_at, len(made.data), where="test"))
    assert b"".join(s.content for s in found) == made.content
    places = {(piece.uid, piece.offset) for s in found for piece in s.pieces}
    assert len(places) >= len(contents)


def _complaints(data: bytes, content: bytes) -> list[str]:
    """What reading everything says; also checks that nothing wrong is given out."""
    read_at = Made(data, content, make([]).manifest).read_at
    try:
        segment = Segment.open(read_at, len(data), where="test.zst")
    except Damaged as error:
        return [error.message]
    found = [finding.what for finding in segment.verify()]
    for number, frame in enumerate(segment.manifest.frames):
        try:
            assert segment.frame(number) == content[frame.raw_offset : frame.raw_end], "wrong bytes given out as good"
        except Damaged as error:
            found.append(error.message)
    return found


def _about(size: int) -> Made:
    """A segment of at least ``size`` bytes in several frames."""
    content = log_text(4 * size)
    while len((made := make([content, b"tail without end"], frame_bytes=2 * size)).data) < size:
        content += log_text(size // 2, len(content))
    return made


def test_each_flipped_bit_of_a_segment_is_named_and_the_other_frames_are_read() -> None:
    """``HEAVY=1``: of one of 64 KiB."""
    made = _about(amount("flipped_segment_bytes", 400, 64 * 1024))
    owner = {
        at: number
        for number, frame in enumerate(made.manifest.frames)
        for at in range(frame.offset, frame.offset + frame.compressed)
    }
    data = bytearray(made.data)
    for bit in range(len(made.data) * 8):
        data[bit // 8] ^= 1 << bit % 8
        complaints = _complaints(bytes(data), made.content)
        assert complaints, f"bit {bit} of {len(made.data) * 8}"
        if bit // 8 in owner:  # a frame's own bytes: only that one is named
            assert {f"test.zst frame {owner[bit // 8]}"} == {c[: c.index(" does not")] for c in complaints}
        data[bit // 8] ^= 1 << bit % 8
    print(f"{len(made.data) * 8} bits of {len(made.data)} bytes in {len(made.manifest.frames)} frames: all named")


def test_a_flipped_bit_leaves_the_other_frames_readable() -> None:
    made = make([log_text(40_000)], frame_bytes=4096)
    segment = made.open()
    frame = segment.manifest.frames[3]
    data = bytearray(made.data)
    data[frame.offset + frame.compressed // 2] ^= 4
    hurt = Made(bytes(data), made.content, made.manifest).open()
    assert {finding.frame for finding in hurt.verify()} == {3}
    with pytest.raises(Damaged, match=r"test\.zst frame 3"):
        hurt.read(frame.raw_offset, 1)
    for number, other in enumerate(hurt.manifest.frames):
        if number != 3:
            assert hurt.frame(number) == made.content[other.raw_offset : other.raw_end]


def test_a_segment_cut_anywhere_says_so_and_gives_its_whole_frames() -> None:
    """``HEAVY=1``: one of 64 KiB."""
    made = _about(amount("cut_segment_bytes", 1_000, 64 * 1024))
    for length in range(len(made.data)):
        data = made.data[:length]
        read_at = Made(data, b"", made.manifest).read_at
        with pytest.raises(Damaged):
            Segment.open(read_at, length, where="test.zst")
        whole = sum(1 for frame in made.manifest.frames if frame.offset + frame.compressed <= length)
        found = list(salvage(read_at, length, where="test.zst"))
        assert [s.number for s in found] == list(range(whole))
        assert b"".join(s.content for s in found) == made.content[: sum(len(s.content) for s in found)]
    print(f"cut at each of {len(made.data)} offsets: each said, whole frames given")


def test_frames_that_changed_places_or_come_from_elsewhere_are_named() -> None:
    made = make([b"".join(b"%06d same length\n" % i for i in range(400))], frame_bytes=1_900)
    other = make([b"".join(b"%06d same length\n" % i for i in range(400, 800))], frame_bytes=1_900)
    frames = made.manifest.frames
    first, second = frames[1], frames[2]
    start, middle, end = (
        frames[0].offset + frames[0].compressed,
        first.offset + first.compressed,
        second.offset + second.compressed,
    )
    swapped = made.data[:start] + made.data[middle:end] + made.data[start:middle] + made.data[end:]
    assert _complaints(swapped, made.content)
    pasted = bytearray(made.data)
    foreign = other.data[other.manifest.frames[1].offset :][: first.compressed]
    pasted[first.offset : first.offset + len(foreign)] = foreign
    assert _complaints(bytes(pasted), made.content)
    assert {s.segment_id for s in salvage(made.read_at, len(made.data), where="t")} == {SEGMENT_ID.hex()}
    assert {s.agent for s in salvage(made.read_at, len(made.data), where="t")} == {AGENT}
