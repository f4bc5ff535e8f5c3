"""The index of sealed segments over a folder of logs: `python -m bench.index FOLDER [--granule BYTES]`.

FOLDER holds AGENT/SYSTEM/FILE. Every agent's files become segments of up to 256 MiB of content. Prints what the index
takes, kind by kind, how fast it is built, and how long answers take over all segments together.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from logferry.archive.index import Candidates, IndexBuilder, SegmentIndex, Stretch
from logferry.limits import FRAME_BYTES, GRANULE_BYTES, SEGMENT_BYTES

WORDS = (b"get", b"error", b"failed", b"zzqqy", b"needle7f3a9c41e2", b"ERRZX81")
LITERALS = (b"ession", b"zzqqy", b"failed password", b"needle7f3a9c4", b"10.251.43.210", b"blk_-16089996", b"took ")


def frames(path: Path) -> Iterator[tuple[bytes, Stretch]]:
    """The frames of a file, cut as a segment's are."""
    data = path.read_bytes()
    at = 0
    while at < len(data):
        end = min(at + FRAME_BYTES, len(data))
        if end < len(data):
            end = data.rfind(b"\n", at, end) + 1 or end
        yield data[at:end], Stretch(str(path), at, end - at, True, end == len(data))
        at = end


class Built:
    """Indexes of all segments, and what they took."""

    def __init__(self, folder: Path, granule_bytes: int) -> None:
        self.content = 0
        self.stored: list[bytes] = []
        self.add_s = self.finish_s = 0.0
        for agent in sorted(path for path in folder.iterdir() if path.is_dir()):
            self._agent(sorted(path for path in agent.rglob("*") if path.is_file()), granule_bytes)

    def _agent(self, files: list[Path], granule_bytes: int) -> None:
        builder, size = self._new(granule_bytes), 0
        for path in files:
            for content, stretch in frames(path):
                started = time.process_time()
                builder.add(content, [stretch])
                self.add_s += time.process_time() - started
                size += len(content)
                if size >= SEGMENT_BYTES:
                    self._finish(builder)
                    builder, size = self._new(granule_bytes), 0
                self.content += len(content)
        if size:
            self._finish(builder)

    def _new(self, granule_bytes: int) -> IndexBuilder:
        return IndexBuilder(len(self.stored).to_bytes(16, "big"), granule_bytes=granule_bytes)

    def _finish(self, builder: IndexBuilder) -> None:
        started = time.process_time()
        self.stored.append(builder.finish())
        self.finish_s += time.process_time() - started


def _timed(name: str, indexes: list[SegmentIndex], ask: Callable[[SegmentIndex], Candidates]) -> None:
    times: list[float] = []
    for _ in range(9):
        started = time.perf_counter()
        found = [ask(index) for index in indexes]
        lines = sum(one.lines() for one in found)
        times.append(time.perf_counter() - started)
    granules = sum(index.facts.granules for index in indexes)
    verify = sum(len(one.to_verify()) for one in found)
    middle = 1e3 * statistics.median(times)
    print(f"  {name:32} {lines:>9} lines, {verify:>6} of {granules} granules to read  {middle:8.3f} ms")


def main() -> None:
    """Build, print, ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--granule", type=int, default=GRANULE_BYTES)
    given = parser.parse_args()
    warm = IndexBuilder(bytes(16))
    warm.add(b"compiles 1 kernel\n", [Stretch("", 0, 18, True, True)])
    SegmentIndex.open(warm.finish(), where="warm").literal(b"kern")
    built = Built(given.folder, given.granule)
    megabytes = built.content / 1e6
    size = sum(map(len, built.stored))
    indexes = [SegmentIndex.open(data, where=str(number)) for number, data in enumerate(built.stored)]
    types = sum(index.facts.types for index in indexes)
    lines = sum(index.facts.lines for index in indexes)
    print(
        f"{megabytes:.0f} MB in {len(indexes)} segments, {lines} lines, {types} log types\n"
        f"pass {megabytes / built.add_s:.0f} MB/CPU-s, with packing {megabytes / (built.add_s + built.finish_s):.0f}; "
        f"index {size / 1e6:.2f} MB = {100 * size / built.content:.3f} % "
        f"(2.2 GB: {2210 * size / built.content:.1f} MB); "
        f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB"
    )
    sizes: Counter[str] = Counter()
    for index in indexes:
        for kind, (stored, _) in index.sizes().items():
            sizes[kind.name.lower()] += stored
    for kind_name, stored in sizes.items():
        print(f"  {kind_name:12} {stored / 1e6:8.3f} MB  {100 * stored / built.content:.3f} %")
    started = time.perf_counter()
    for index in indexes:
        index.literal(b"e")
    print(f"opening: {1e3 * (time.perf_counter() - started):.1f} ms for all segments")
    for word in WORDS:
        _timed(f"word {word.decode()}", indexes, lambda index, word=word: index.word(word))  # type: ignore[misc]
    _timed("words failed, password", indexes, lambda index: index.words(b"failed", b"password"))
    for literal in LITERALS:
        _timed(f"text {literal.decode()}", indexes, lambda index, text=literal: index.literal(text))  # type: ignore[misc]


if __name__ == "__main__":
    main()
