"""The catalog of 1,000 segments is lost: how long until it is there again, equal to what it was."""

from __future__ import annotations

import time
from pathlib import Path

from bench.archive.ours import opened, seal
from bench.archive.spent import Result
from logferry.archive import Archive
from logferry.testing import LineSource

SEGMENTS = 1_000
_SEGMENT_BYTES = 32 * 1024


def prepare(data: Path, segments: int = SEGMENTS) -> dict[tuple[str, str], tuple[int, str]]:
    """An archive of so many segments, all of one agent. Returns what is in it."""
    source = LineSource("nginx", seed=9)
    with opened(data) as archive:
        archive.catalog.agents.add("repair-1")
        for number in range(segments):
            content = b"".join(source.record() for _ in range(_SEGMENT_BYTES // 80))
            incoming = archive.begin("repair-1", f"log/{number:04d}.log")
            incoming.write(content[:_SEGMENT_BYTES])
            incoming.commit()
        told = _told(archive)
    found = int(seal(data, _SEGMENT_BYTES)["segments"])
    if found != segments:
        raise SystemExit(f"{found} segments instead of {segments}")
    return told


def rebuild(data: Path, told: dict[tuple[str, str], tuple[int, str]]) -> Result:
    """Lose the catalog, build it anew. SystemExit when it says anything else than before."""
    for path in data.glob("catalog.db*"):
        path.unlink()
    with opened(data) as archive:
        started, cpu_s = time.perf_counter(), time.process_time()
        for found in archive.rebuild():
            if found.problems:
                raise SystemExit("\n".join(found.problems))
        took = {"wall_s": time.perf_counter() - started, "cpu_s": time.process_time() - cpu_s}
        if _told(archive) != told:
            raise SystemExit("the catalog that was built anew differs")
    return took


def _told(archive: Archive) -> dict[tuple[str, str], tuple[int, str]]:
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for file in archive.catalog.files.each():
        for generation in archive.catalog.files.generations(file.id):
            found[file.agent, f"{file.path} {generation.number}"] = (generation.size, generation.sha256 or "")
    return found
