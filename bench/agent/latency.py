"""A line is written: how long until it is on record as delivered, and until it can be read at the destination.

*Confirmed* is the hard end: the server has synced the bytes and said so, and the agent's registry holds that, durably.
*Arrived* is when the bytes can be read at the destination, which is all there is to see of a peer.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from bench.agent import peers
from bench.agent.bench import Bench, Result
from bench.agent.ours import Ours
from bench.agent.places import ARCHIVE
from bench.agent.processes import Resident, until, until_quiet
from bench.agent.trees import Growing
from bench.ftp.servers import kinds

LINES, LINES_QUICK, LINES_SLOW = 200, 50, 5
FILES = 100
POLL_S = 0.0005
PAUSE_S = (0.03, 0.13)
_LINE = b'127.0.0.1 - - [26/Nov/2026:05:48:04 +0000] "GET /index.html HTTP/1.1" 200 5316 "-" "bench"\n'

Seen = Callable[[], int]
"""Bytes of one file that are there by now."""


def measure(bench: Bench) -> None:
    """Lines at random moments into 100 files, one after the other."""
    lines = LINES_QUICK if bench.quick else LINES
    growing = Growing(bench.folder / "latency", files=FILES, base_bytes=20_000, more_bytes=0)
    runs: dict[str, Callable[[], Result]] = {"ours": lambda: _ours(bench, growing, ARCHIVE, lines)}
    if "vsftpd" in kinds():
        runs["ours-vsftpd"] = lambda: _ours(bench, growing, "vsftpd", lines)
    found = peers.here("rsyslog", "lsyncd")
    if "rsyslog" in found:
        runs["rsyslog"] = lambda: _rsyslog(bench, growing, lines)
    if "lsyncd" in found:
        runs["lsyncd"] = lambda: _lsyncd(bench, growing)
    results = bench.compare("latency", runs)
    bench.figure("latency-p50", results, "p50_ms", "ms", 30)
    bench.figure("latency-p95", results, "p95_ms", "ms", 60)
    bench.figure("latency-max", results, "max_ms", "ms", 250)


def _ours(bench: Bench, growing: Growing, kind: str, lines: int) -> Result:
    growing.begin()
    with bench.place(kind, growing.tree) as place:
        agent = Ours(bench.folder / "latency-agent", growing.tree, place)
        with agent.running() as program:
            until("the base is there", lambda: growing.arrived(place.folder, growing.base_bytes))
            until_quiet(program)
            cpu_s = program.cpu_s()
            path = growing.paths[FILES // 2]
            confirmed = agent.confirmed(path)
            there = place.folder / path.relative_to(growing.tree)
            ends = written(path, lines, {"": confirmed.offset, "arrived_": lambda: os.stat(there).st_size})
            confirmed.close()
            return ends | {"cpu_ms_per_line": 1e3 * (program.cpu_s() - cpu_s) / lines}


def _rsyslog(bench: Bench, growing: Growing, lines: int) -> Result:
    growing.begin()
    out = bench.folder / "latency-rsyslog.log"
    out.unlink(missing_ok=True)
    with peers.rsyslog(bench.folder, f"{growing.tree}/*/*.log", out) as program:
        return _peer(program, growing.paths[FILES // 2], out, lines)


def _lsyncd(bench: Bench, growing: Growing) -> Result:
    growing.begin()
    copy = bench.folder / "latency-copy"
    path = growing.paths[FILES // 2]
    with peers.lsyncd(bench.folder, growing.tree, copy) as program:
        return _peer(program, path, copy / path.relative_to(growing.tree), LINES_SLOW)


def _peer(program: Resident, path: Path, there: Path, lines: int) -> Result:
    with path.open("ab") as file:
        file.write(b"\n")  # ends the last line, which rsyslog holds back until then
    until_quiet(program)
    cpu_s, before = program.cpu_s(), os.stat(there).st_size - os.stat(path).st_size
    ends = written(path, lines, {"": lambda: os.stat(there).st_size - before})
    return ends | {"cpu_ms_per_line": 1e3 * (program.cpu_s() - cpu_s) / lines}


def written(path: Path, lines: int, ends: dict[str, Seen]) -> dict[str, float]:
    """Write lines to ``path`` and wait each time until all ``ends`` have it; p50, p95 and the longest, in ms."""
    dice = random.Random(7)
    took: dict[str, list[float]] = {name: [] for name in ends}
    with path.open("ab", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        for _ in range(lines):
            time.sleep(dice.uniform(*PAUSE_S))
            size += len(_LINE)
            started = time.perf_counter()
            file.write(_LINE)
            waiting = dict(ends)

            def all_there(size: int = size, started: float = started, waiting: dict[str, Seen] = waiting) -> bool:
                for name, seen in list(waiting.items()):
                    if seen() >= size:
                        took[name].append(1e3 * (time.perf_counter() - started))
                        del waiting[name]
                return not waiting

            until("the line is there", all_there, every_s=POLL_S, within_s=60)
    return {
        f"{name}{key}": value
        for name, values in took.items()
        for key, value in (
            ("p50_ms", statistics.median(values)),
            ("p95_ms", statistics.quantiles(values, n=20)[-1]),
            ("max_ms", max(values)),
        )
    }
