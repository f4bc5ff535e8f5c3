"""The archive beside zstd files, DuckDB's Parquet and chdb: disk, sealing, reading, verifying, repair.

Parts of a corpus are measured and told apart: what grew from samples repeats itself more than real logs do. Without a
corpus (``BENCH_CORPUS``) logs are drawn by seed. Everything lies on the disk. CPU seconds are those of the process
that does the work, by its own count, with all its threads.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.archive import ours, peers, reads, repair
from bench.archive.spent import Result, told
from bench.archive.trees import Part, parts
from bench.figures import Figure, Options

GENERATED_BYTES = 200_000_000
QUICK_BYTES = 16_000_000
ROUNDS = 3
DESIGN_MB = 2210.0
"""Of the logs that the targets of disk are about."""
SEALED_MB, COMPACTED_MB = 290.0, 265.0
DESIGN_ZSTD_MB = 233.0
"""What plain files of zstd -3 took of these logs. How well a tree compresses is neither our fault nor our merit, so
disk is told as a share of such files of the same tree, too; the targets in bytes stay where they were."""
TIMES_SMALLER = 8.0


class Bench:
    """Rounds, raw results, figures."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder = folder
        self.options = options
        self.rounds = options.rounds or (1 if options.quick else ROUNDS)
        self.figures: list[Figure] = []
        self.raw: dict[str, Any] = {}
        self.peers = peers.here()

    def figure(self, name: str, values: dict[str, float], unit: str, target: float, *, more: bool = False) -> None:
        """Ours is ``values["ours"]``, the others are peers."""
        rest = {peer: value for peer, value in values.items() if peer != "ours" and value}
        self.figures.append(
            Figure(f"archive-{name}", values["ours"], unit, float(f"{target:.4g}"), rest, less_is_better=not more)
        )

    def say(self, name: str, result: Result) -> None:
        """One raw result, shown while it goes on."""
        shown = " ".join(f"{key}={value:.4g}" for key, value in result.items())
        print(f"  {name}: {shown}", flush=True)


def measure(
    folder: Path, options: Options, wanted: Sequence[str] = ("disk", "repair")
) -> tuple[list[Figure], dict[str, Any]]:
    """Measure in ``folder`` (empty). Returns the figures and every single result."""
    bench = Bench(folder, options)
    print(f"  {bench.rounds} rounds; peers: {', '.join(bench.peers) or 'none'}", flush=True)
    for part in wanted:
        PARTS[part](bench)
    return bench.figures, bench.raw


# Disk, sealing, reading -------------------------------------------------------------------------------------------


def _measure_disk(bench: Bench) -> None:
    bench.say("loading the kernels", told("bench.archive.ours", "load", bench.folder))
    found: dict[str, dict[str, list[Result]]] = {}
    all_parts = parts(bench.folder, QUICK_BYTES if bench.options.quick else GENERATED_BYTES)
    for _ in range(bench.rounds):
        for part in all_parts:
            results = found.setdefault(part.kind, {})
            for name, result in _round(bench, part).items():
                results.setdefault(name, []).append(result)
    bench.raw["parts"] = {part.kind: {"bytes": part.bytes, "files": len(list(part.files()))} for part in all_parts}
    bench.raw["results"] = found
    disk_figures(bench, {part.kind: part.bytes for part in all_parts}, found)


def disk_figures(bench: Bench, sizes: dict[str, int], found: dict[str, dict[str, list[Result]]]) -> None:
    """From the results of all rounds, by kind of part and name."""
    middle = {kind: {name: _median(results) for name, results in of_kind.items()} for kind, of_kind in found.items()}
    for kind, size in sizes.items():
        _disk_figures(bench, f"-{kind}", size, middle[kind])
    if len(sizes) > 1:
        _disk_figures(bench, "", sum(sizes.values()), _sum(list(middle.values())))
    _read_figures(bench, middle[next(iter(sizes))])


def _round(bench: Bench, part: Part) -> dict[str, Result]:
    """All of them once: ours first, as its data are read afterwards."""
    data = bench.folder / "data"
    found: dict[str, Result] = {}
    ours.fill(data, part)
    steps: dict[str, Callable[[], Result]] = {
        "ours": lambda: told("bench.archive.ours", "seal", data),
        "reads": lambda: _reads(bench, data),
        "verify": lambda: told("bench.archive.ours", "verify", data),
        "compacted": lambda: told("bench.archive.ours", "compact", data),
        "compacted reads": lambda: _reads(bench, data),
    }
    for name, step in steps.items():
        found[name] = step()
        bench.say(f"{part.kind} {name}", found[name])
    shutil.rmtree(data)
    for name in bench.peers:
        out = bench.folder / name
        out.mkdir()
        found[name] = told("bench.archive.peers", name, part.root, out)
        bench.say(f"{part.kind} {name}", found[name])
        if name == "zstd":
            found["zstd reads"] = reads.zstd_reads(out)
            bench.say(f"{part.kind} zstd reads", found["zstd reads"])
        shutil.rmtree(out)
    return found


def _reads(bench: Bench, data: Path) -> Result:
    few = 10 if bench.options.quick else 1
    return (
        reads.random_reads(data, reads.READS // few)
        | reads.cold_reads(data, reads.COLD_READS // few)
        | reads.seeks(data, reads.COLD_READS // few)
    )


def _disk_figures(bench: Bench, suffix: str, count: int, middle: dict[str, Result]) -> None:
    """``middle``: medians by name. Targets of all and of the grown part are DESIGN's, by bytes; else eight times."""
    mb = count / 1e6
    beside = [name for name in bench.peers if name in middle]
    disk = {name: (middle[name]["bytes"] + middle[name]["index_bytes"]) / 1e6 for name in ["ours", *beside]}
    by_design = suffix in {"", "-grown"}
    bench.figure(f"disk-sealed{suffix}", disk, "MB", SEALED_MB * mb / DESIGN_MB if by_design else mb / TIMES_SMALLER)
    last = disk | {"ours": (middle["compacted"]["bytes"] + middle["compacted"]["index_bytes"]) / 1e6}
    bench.figure(f"disk{suffix}", last, "MB", COMPACTED_MB * mb / DESIGN_MB if by_design else mb / TIMES_SMALLER)
    if disk.get("zstd"):
        share = {"ours": disk["ours"] / disk["zstd"]}
        bench.figure(f"disk-sealed-share{suffix}", share, "x", SEALED_MB / DESIGN_ZSTD_MB)
        bench.figure(f"disk-share{suffix}", {"ours": last["ours"] / disk["zstd"]}, "x", COMPACTED_MB / DESIGN_ZSTD_MB)
    data = {name: middle[name]["bytes"] / 1e6 for name in beside} | {"ours": middle["compacted"]["bytes"] / 1e6}
    bench.figure(f"disk-data{suffix}", data, "MB", mb / TIMES_SMALLER)
    index = {name: middle[name]["index_bytes"] / 1e6 for name in beside}
    index["ours"] = middle["compacted"]["index_bytes"] / 1e6
    bench.figure(f"disk-index{suffix}", index, "MB", 0.025 * mb)
    speed = {name: mb / middle[name]["cpu_s"] for name in ["ours", *beside]}
    bench.figure(f"seal{suffix}", speed, "MB/CPU-s", 90.0, more=True)
    memory = {name: middle[name]["peak_mb"] for name in ["ours", *(set(beside) - {"zstd"})]}
    bench.figure(f"seal-memory{suffix}", memory, "MB", 400.0)
    bench.figure(f"compact{suffix}", {"ours": mb / middle["compacted"]["cpu_s"]}, "MB/CPU-s", 60.0, more=True)
    bench.figure(f"verify{suffix}", {"ours": mb / middle["verify"]["cpu_s"]}, "MB/CPU-s", 300.0, more=True)


def _read_figures(bench: Bench, middle: dict[str, Result]) -> None:
    """Of the first part."""
    targets = {
        "read_p50": 1.0,
        "read_p99": 3.0,
        "read_cpu": 0.5,
        "read_cpu_p99": 3.0,
        "cold_p50": 10.0,
        "cold_p99": 30.0,
        "seek_p50": 10.0,
        "open_p50": 0.2,
    }
    for state, stored in (("", "reads"), ("-compacted", "compacted reads")):
        for name, target in targets.items():
            if f"{name}_ms" not in middle[stored]:
                continue  # results of before it was measured
            values = {"ours": middle[stored][f"{name}_ms"]}
            if f"{name}_ms" in middle.get("zstd reads", {}):
                values["zstd"] = middle["zstd reads"][f"{name}_ms"]
            bench.figure(f"{name.replace('_', '-')}{state}", values, "ms", target)


def _median(results: Sequence[Result]) -> Result:
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def _sum(middle: Sequence[dict[str, Result]]) -> dict[str, Result]:
    """Of all parts together; of memory the most."""
    found: dict[str, Result] = {}
    for name in middle[0]:
        keys = middle[0][name]
        found[name] = {
            key: (max if key.startswith("peak") else sum)(of_part[name][key] for of_part in middle) for key in keys
        }
    return found


# Repair -----------------------------------------------------------------------------------------------------------


def _measure_repair(bench: Bench) -> None:
    data = bench.folder / "repair"
    known = repair.prepare(data, repair.SEGMENTS // (10 if bench.options.quick else 1))
    results = [repair.rebuild(data, known) for _ in range(bench.rounds)]
    bench.raw["repair"] = {"segments": len(known), "results": results}
    shutil.rmtree(data)
    seconds = _median(results)["wall_s"] * repair.SEGMENTS / len(known)
    bench.figure("repair-1000", {"ours": seconds}, "s", 10.0)


PARTS: dict[str, Callable[[Bench], None]] = {"disk": _measure_disk, "repair": _measure_repair}
