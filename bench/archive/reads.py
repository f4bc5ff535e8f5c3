"""Reading sealed bytes: random places, from memory and from the disk; a far place of a large file; opening.

``cold`` readers find nothing in the page cache, nothing expanded and no open segment; ``warm`` ones find the store in
the page cache and have read elsewhere before.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.archive.ours import opened
from logferry.archive import Archive
from logferry.archive.records import GenerationRecord

READ_BYTES = 64 * 1024
READS = 2_000
COLD_READS = 200
PEER_READS = 40


class Places:
    """Random places of what is archived: a generation as often as it has bytes."""

    def __init__(self, archive: Archive, seed: int = 5) -> None:
        self.generations = [found for found in archive.catalog.files.every_generation() if found.size]
        self._weights = [found.size for found in self.generations]
        self._rng = random.Random(seed)

    def draw(self) -> tuple[GenerationRecord, int]:
        """A generation and an offset in it, so that a whole read fits where it is large enough."""
        (generation,) = self._rng.choices(self.generations, self._weights)
        return generation, self._rng.randrange(max(1, generation.size - READ_BYTES))

    @property
    def largest(self) -> GenerationRecord:
        """The generation with most bytes."""
        return max(self.generations, key=lambda found: found.size)


def random_reads(data: Path, count: int) -> dict[str, float]:
    """``count`` opens and reads of 64 KiB by one archive that has just started: ms."""
    with opened(data) as archive:
        places = Places(archive)
        took: list[float] = []
        opening: list[float] = []
        used: list[float] = []
        cpu_s = time.process_time()
        for generation, offset in (places.draw() for _ in range(count)):
            started, used_s = time.perf_counter(), time.process_time()
            with archive.open(generation.id) as reader:
                opened_at = time.perf_counter()
                data_read = reader.read_at(offset, READ_BYTES)
            took.append(time.perf_counter() - started)
            used.append(time.process_time() - used_s)  # what a busy machine lets us wait is not in it
            opening.append(opened_at - started)
            if len(data_read) != min(READ_BYTES, generation.size - offset):
                raise SystemExit(f"generation {generation.id} at {offset}: {len(data_read)} bytes")
        found = {"read_cpu_ms": 1e3 * (time.process_time() - cpu_s) / count}
        for what, seconds in (("read", took), ("open", opening), ("read_cpu", used)):
            found |= {f"{what}_{name}": ms for name, ms in _spread(seconds).items()}
        return found


def cold_reads(data: Path, count: int) -> dict[str, float]:
    """Each by an archive that knows nothing yet of segments, of a store that the page cache does not hold: ms."""
    took: list[float] = []
    with opened(data) as archive:
        drawn = [Places(archive).draw() for _ in range(count)]
        for generation, offset in drawn:
            forget(data / "store")
            archive._rooms.segments.close()  # only the segments: catalog and process stay as warm as they are
            started = time.perf_counter()
            with archive.open(generation.id) as reader:
                reader.read_at(offset, READ_BYTES)
            took.append(time.perf_counter() - started)
    return {f"cold_{name}": ms for name, ms in _spread(took).items()}


def seeks(data: Path, count: int) -> dict[str, float]:
    """A random place of the largest generation, nothing of its segments being open or expanded: ms."""
    took: list[float] = []
    rng = random.Random(7)
    with opened(data) as archive:
        largest = Places(archive).largest
        for _ in range(count):
            archive._rooms.segments.close()
            offset = rng.randrange(max(1, largest.size - READ_BYTES))
            started = time.perf_counter()
            with archive.open(largest.id) as reader:
                reader.read_at(offset, READ_BYTES)
            took.append(time.perf_counter() - started)
    return {f"seek_{name}": ms for name, ms in _spread(took).items()}


def zstd_reads(tree: Path, count: int = PEER_READS) -> dict[str, float]:
    """What it takes to get 64 KiB out of files that ``zstd`` made: everything before them is expanded: ms."""
    files = [path for path in sorted(tree.rglob("*.zst")) if path.is_file()]
    rng = random.Random(5)
    took: list[float] = []
    for path in rng.choices(files, [path.stat().st_size for path in files], k=count):
        size = int(subprocess.run(["sh", "-c", 'zstd -dc "$0" | wc -c', path], capture_output=True, check=True).stdout)
        offset = rng.randrange(max(1, size - READ_BYTES))
        started = time.perf_counter()
        cut = f'zstd -dc "$0" | tail -c +{offset + 1} | head -c {READ_BYTES}'
        subprocess.run(["sh", "-c", cut, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        took.append(time.perf_counter() - started)
    return {f"read_{name}": ms for name, ms in _spread(took).items()}


def forget(folder: Path) -> None:
    """Put the files below ``folder`` out of the page cache. They must be synced, or they stay."""
    for path in folder.rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(fd)


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    pick: Callable[[float], float] = lambda share: 1e3 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]  # noqa: E731
    return {"p50_ms": 1e3 * statistics.median(ordered), "p99_ms": pick(0.99)}
