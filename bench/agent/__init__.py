"""The agent beside lftp, rclone, rsync, rsyslog and lsyncd: every agent figure, interleaved, medians of rounds.

Sources lie on the disk, warm in the page cache and with nothing left to be written; the folders of bare FTP servers on
a memory file system, where that has room, so that what sends is compared and not the disk; those of our own server,
which syncs what it confirms, on the disk. Programs that run once (``agent once``, lftp, rclone, rsync) are measured
with their start-up, CPU time includes all their children, and everything runs in a network of its own, where all bytes
on the wire are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.agent import append, idle, latency, many, unchanged
from bench.agent.bench import Bench
from bench.figures import Figure, Options

PARTS: dict[str, Callable[[Bench], None]] = {
    "unchanged": unchanged.measure,
    "idle": idle.measure,
    "append": append.measure,
    "append-tls": append.measure_tls,
    "latency": latency.measure,
    "many": many.measure,
    "far": many.measure_far,
    "million": unchanged.measure_million,
}


def measure(folder: Path, options: Options, parts: Sequence[str] = tuple(PARTS)) -> tuple[list[Figure], dict[str, Any]]:
    """Measure in ``folder`` (empty). Returns the figures and every single result."""
    bench = Bench(folder, options)
    servers = "memory" if bench.roomy else "the disk"
    network = (
        "a network of its own" if bench.apart else "the machine's network (not root): no count of bytes on the wire"
    )
    print(f"  {bench.rounds} rounds; bare servers on {servers}; {network}", flush=True)
    for part in parts:
        PARTS[part](bench)
    return bench.figures, bench.raw
