"""Frames of every level are zstd frames like any other; those set for logs pay on logs."""

from __future__ import annotations

import pytest
import zstandard

from logferry.archive.segment.frames import expand
from logferry.archive.segment.levels import compressor
from logferry.limits import COMPACT_LEVEL, FRAME_BYTES, FRAME_BYTES_MAX, FRAME_WINDOW_BYTES_MAX
from logferry.testing import KINDS, LineSource


def logs(count: int) -> bytes:
    """At least ``count`` bytes of lines of every kind, kind after kind."""
    found = bytearray()
    for kind in KINDS:
        source = LineSource(kind, seed=3)
        end = len(found) + -(-count // len(KINDS))
        while len(found) < end:
            found += source.record()
    return bytes(found)


@pytest.mark.parametrize("level", range(1, 23))
@pytest.mark.parametrize("frame_bytes", [1, 1000, 64 * 1024])
def test_every_level_restores_every_frame(level: int, frame_bytes: int) -> None:
    """Size and checksum stand in the frame, whatever its size; our own reader takes it."""
    content = logs(64 * 1024)[:frame_bytes]
    frame = compressor(level, frame_bytes).compress(content)
    facts = zstandard.get_frame_parameters(frame)
    assert (facts.content_size, facts.has_checksum) == (len(content), True)
    assert expand(frame, len(content), where="frame") == content


@pytest.mark.parametrize("level", [*range(5, 13), 22])
def test_no_frame_needs_more_window_than_every_decoder_has(level: int) -> None:
    """Not even the largest one."""
    content = logs(100_000) * (FRAME_BYTES_MAX // 100_000)
    if level == 22:
        content = content[: FRAME_BYTES_MAX // 8]
    frame = compressor(level, FRAME_BYTES_MAX).compress(content)
    assert zstandard.get_frame_parameters(frame).window_size <= FRAME_WINDOW_BYTES_MAX
    assert expand(frame, len(content), where="frame") == content


def test_levels_that_count_are_smaller_than_those_of_zstd() -> None:
    """On logs, and the harder one is the smaller one."""
    content = logs(FRAME_BYTES)
    ours = {level: len(compressor(level, FRAME_BYTES).compress(content)) for level in (5, 6, COMPACT_LEVEL, 12)}
    for level, size in ours.items():
        assert size < 1.01 * len(zstandard.ZstdCompressor(level=level).compress(content))
    assert ours[6] < 0.98 * len(zstandard.ZstdCompressor(level=6).compress(content))
    assert list(ours.values()) == sorted(ours.values(), reverse=True)
