"""Segments made in memory, for the tests of the format."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from logferry.archive.segment import Builder, HeldGeneration, Manifest, Segment

AGENT = "web-01"
SEGMENT_ID = bytes(range(16))


@dataclass(frozen=True, slots=True)
class Made:
    """A segment's bytes, its content, and what it was made of."""

    data: bytes
    content: bytes
    manifest: Manifest

    def read_at(self, offset: int, count: int) -> bytes:
        return self.data[offset : offset + count]

    def open(self) -> Segment:
        return Segment.open(self.read_at, len(self.data), where="test.zst")


def generation(number: int, size: int, *, path: str = "") -> HeldGeneration:
    """A generation as the catalog may know it."""
    return HeldGeneration(
        uid=f"{number:032x}",
        path=path or f"var/log/app-{number}.log",
        number=1,
        size=size,
        started_ns=1_700_000_000_000_000_000 + number,
        changed_ns=1_700_000_100_000_000_000 + number,
        modified_ns=1_700_000_050_000_000_000,
        ended_ns=None if number % 2 else 1_700_000_200_000_000_000,
        sha256="",
    )


def make(
    contents: Sequence[bytes], *, frame_bytes: int = 4096, level: int = 3, chunk: int = 1000, agent: str = AGENT
) -> Made:
    """A segment of one generation per content, fed in chunks."""
    builder = Builder(SEGMENT_ID, agent, 1_700_000_300_000_000_000, level=level, frame_bytes=frame_bytes)
    out: list[bytes] = []
    for number, content in enumerate(contents):
        held = generation(number, len(content))
        for at in range(0, len(content), chunk):
            out.extend(builder.add(held, at, content[at : at + chunk]))
    manifest, rest = builder.finish()
    data = b"".join([*out, *rest])
    assert builder.written_bytes == len(data)
    return Made(data, b"".join(contents), manifest)


def log_text(size: int, seed: int = 1) -> bytes:
    """About ``size`` bytes of lines that look like a log."""
    dice = random.Random(seed)
    lines = []
    total = 0
    while total < size:
        line = (
            f"2026-11-26T07:{dice.randrange(60):02}:{dice.randrange(60):02}Z host-{dice.randrange(9)} "
            f"{dice.choice(['GET', 'POST', 'error', 'accepted', 'closed'])} /item/{dice.randrange(10**6)} "
            f"took {dice.randrange(999)} ms\n"
        ).encode()
        lines.append(line)
        total += len(line)
    return b"".join(lines)
