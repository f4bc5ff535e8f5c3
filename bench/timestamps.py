"""Times of the lines of a folder of logs: `python -m bench.timestamps FOLDER [--zone NAME]`.

FOLDER holds AGENT/SYSTEM/FILE. Prints, system by system, how many lines have a time, how fast one core tells them (the
best of three passes over each file), and the first line without one.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from logferry.archive.timestamps import NO_TIME, LineTimes, Reading, Zone
from logferry.names import shown

PASSES = 3
GRANULE_LINES = 4096


@dataclass(slots=True)
class Figures:
    """Of one system."""

    size: int = 0
    lines: int = 0
    timed: int = 0
    seconds: float = 0.0
    untimed: bytes = b""

    def row(self, name: str) -> str:
        """One line of the table."""
        speed = self.size / self.seconds / 1e6 if self.seconds else 0.0
        each = self.seconds / self.lines * 1e9 if self.lines else 0.0
        share = self.timed / self.lines if self.lines else 0.0
        without = f"  first without: {shown(self.untimed[:80].decode(errors='replace'))}" if self.untimed else ""
        return f"{name:16} {self.size / 1e6:8.1f} MB {share:8.2%} {speed:7.0f} MB/s {each:6.0f} ns/line{without}"


def measure(path: Path, reading: Reading, figures: Figures) -> None:
    """Add one file, given in granules as an index is built."""
    data = path.read_bytes()
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
    if data and not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1)) if len(ends) else ends
    best = float("inf")
    for _ in range(PASSES):
        times, untimed, begun = LineTimes(reading), -1, time.thread_time()
        timed = 0
        for at in range(0, len(starts), GRANULE_LINES):
            found = times(data, starts[at : at + GRANULE_LINES], ends[at : at + GRANULE_LINES])
            missing = np.flatnonzero(found.times == NO_TIME)
            timed += len(found.times) - len(missing)
            if len(missing) and untimed < 0:
                untimed = at + int(missing[0])
        best = min(best, time.thread_time() - begun)
    figures.size += len(data)
    figures.lines += len(starts)
    figures.timed += timed
    figures.seconds += best
    if untimed >= 0 and not figures.untimed:
        figures.untimed = data[starts[untimed] : ends[untimed]] or b"(empty)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--zone", default="UTC", help="of lines that name none")
    arguments = parser.parse_args()
    reading = Reading(time.time_ns(), Zone.of(ZoneInfo(arguments.zone)))
    begun = time.perf_counter()
    LineTimes(reading)(b"2026-11-26 07:15:00", [0], [19])
    print(f"first call (compiles where nothing is kept): {time.perf_counter() - begun:.1f} s")
    systems: dict[str, Figures] = {}
    for path in sorted(arguments.folder.glob("*/*/*")):
        if path.is_file():
            measure(path, reading, systems.setdefault(path.parent.name, Figures()))
    total = Figures()
    for name, figures in sorted(systems.items()):
        print(figures.row(name))
        total.size, total.lines = total.size + figures.size, total.lines + figures.lines
        total.timed, total.seconds = total.timed + figures.timed, total.seconds + figures.seconds
    print(total.row("all"))


if __name__ == "__main__":
    main()
