"""The FTP server beside vsftpd, pure-ftpd, proftpd and pyftpdlib: every FTP figure, in one interleaved run.

Everybody gets the same client on the same machine, in turn, several rounds; a figure is the median. Files land on a
memory file system (``/dev/shm``) where that has room, so that the engines are compared and not what they leave undone:
at 226 ours has synced file and folder, no peer has. The figures whose name ends in ``-disk`` are on a real disk, where
that difference is part of ours and of nobody else's.
"""

from __future__ import annotations

import functools
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.figures import Figure, Options
from bench.ftp import bundles, distance, idle, large
from bench.ftp.load import Work, small_files
from bench.ftp.servers import Running, kinds, running, takes_processes

MEMORY, DISK = Path("/dev/shm"), Path("/var/tmp")
ROUNDS = 3
ROUND_TRIP_S = 0.02
IDLE_SESSIONS = 10_000
IDLE_PEER_SESSIONS = {"pyftpdlib": 2_000, "vsftpd": 200, "proftpd": 100, "pure-ftpd": 10}
"""Peers that make a process or two for each session (and take a second for a login): so many, then scaled."""

Results = dict[str, list[tuple[float, float]]]
"""(rate, server CPU seconds) of each round, by server."""


class Bench:
    """The rounds, the places where files go, and all raw results."""

    def __init__(self, options: Options) -> None:
        self.quick = options.quick
        self.rounds = options.rounds or (1 if options.quick else ROUNDS)
        self.raw: dict[str, Any] = {}
        self.figures: list[Figure] = []
        self.large_bytes = (256 << 20) if options.quick else (2 << 30)
        self.roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 3 * self.large_bytes

    @property
    def fast(self) -> Path:
        """The memory file system, or the disk when there is none."""
        return MEMORY if self.roomy else DISK

    def compare(
        self,
        name: str,
        measure: Callable[[Running], tuple[float, float]],
        *,
        among: list[str] | None = None,
        tls: bool = False,
        place: Path | None = None,
        rounds: int = 0,
    ) -> Results:
        """Measure each server once a round, in turn, each time started anew in an empty folder."""
        found: Results = {kind: [] for kind in among or kinds()}
        for _ in range(rounds or self.rounds):
            for kind, results in found.items():
                with fresh(place or self.fast) as folder, running(kind, folder, tls=tls) as server:
                    results.append(measure(server))
        self.raw[name] = found
        self._say(name, found)
        return found

    def figure(
        self, name: str, found: Results, unit: str, target: float, *, ours: str = "ours", column: int = 0
    ) -> None:
        """Make a figure of the medians; ``column`` 1 is the CPU time, of which less is better."""
        middle = {kind: statistics.median(result[column] for result in results) for kind, results in found.items()}
        peers = {kind: value for kind, value in middle.items() if not kind.startswith("ours")}
        self.add(Figure(name, middle[ours], unit, target, peers, less_is_better=column == 1))

    def add(self, figure: Figure) -> None:
        """One more figure."""
        self.figures.append(figure)

    def _say(self, name: str, found: Results) -> None:
        shown = (f"{kind} " + "/".join(f"{rate:.0f}" for rate, _ in results) for kind, results in found.items())
        print(f"  {name}: {', '.join(shown)}", flush=True)


@contextmanager
def fresh(place: Path) -> Iterator[Path]:
    """A new folder that everybody may enter; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="logferry-bench-", dir=place))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.sync()  # what one leaves to be written must not slow down the next


def _small(bench: Bench) -> None:
    files = 1_000 if bench.quick else 5_000
    work = Work(files)
    found = bench.compare("small-files", lambda server: small_files(server, work))
    bench.figure("ftp-small-files", found, "files/s", 2_000)
    bench.figure("ftp-small-files-cpu", found, "s", 1.2 * files / 5_000, column=1)
    ahead = Work(files, ahead=True)
    found = bench.compare("small-files-pipelined", lambda server: small_files(server, ahead), among=["ours"])
    bench.figure("ftp-small-files-pipelined", found, "files/s", 2_000)
    found = bench.compare("small-files-disk", lambda server: small_files(server, work), place=DISK)
    bench.figure("ftp-small-files-disk", found, "files/s", 2_000)
    ours = ["ours-2"] if takes_processes() else []
    for clients in (4, 8):
        shared = functools.partial(small_files, work=Work(files, clients=clients))
        found = bench.compare(f"small-files-{clients}-clients", shared, among=ours + kinds())
        bench.figure(f"ftp-small-files-{clients}-clients", found, "files/s", 4_000, ours=(ours or ["ours"])[0])


def _small_tls(bench: Bench) -> None:
    work = Work(200 if bench.quick else 1_000, tls=True)
    found = bench.compare("small-files-tls", lambda server: small_files(server, work), tls=True)
    bench.figure("ftp-small-files-tls", found, "files/s", 800)


def _large(bench: Bench) -> None:
    with fresh(bench.fast) as folder:
        source = folder / "source"
        large.make_source(source, bench.large_bytes)
        for tls in (False, True):
            work = Work(1, bench.large_bytes, tls=tls)
            suffix = "-tls" if tls else ""
            _large_both_ways(bench, source, work, suffix)
        work = Work(1, bench.large_bytes)
        found = bench.compare("large-up-disk", lambda server: large.up(server, source, work), place=DISK, rounds=1)
        bench.figure("ftp-large-up-disk", found, "MB/s", _fastest(found))


def _large_both_ways(bench: Bench, source: Path, work: Work, suffix: str) -> None:
    downs: Results = {kind: [] for kind in kinds()}

    def both(server: Running) -> tuple[float, float]:
        result = large.up(server, source, work)
        downs[server.kind].append(large.down(server, work))
        return result

    ups = bench.compare(f"large-up{suffix}", both, tls=work.tls)
    bench.raw[f"large-down{suffix}"] = downs
    for way, found in (("up", ups), ("down", downs)):
        bench.figure(f"ftp-large-{way}{suffix}", found, "MB/s", _fastest(found))


def _fastest(found: Results) -> float:
    """The best peer's median: what ours is to reach."""
    peers = [statistics.median(rate for rate, _ in results) for kind, results in found.items() if kind != "ours"]
    return round(max(peers, default=0.0), 1)


def _idle(bench: Bench) -> None:
    sessions = 1_000 if bench.quick else IDLE_SESSIONS
    found: dict[str, dict[str, float]] = {}
    for kind in kinds():
        count = min(IDLE_PEER_SESSIONS.get(kind, sessions), sessions)
        with fresh(bench.fast) as folder, running(kind, folder) as server:
            found[kind] = idle.idle_memory(server, count)
    bench.raw["idle"] = found
    whole = {kind: idle.scaled(result, IDLE_SESSIONS) for kind, result in found.items()}
    bench.add(Figure("ftp-idle-10000", whole.pop("ours"), "MB", 150, whole, less_is_better=True))


def _far(bench: Bench) -> None:
    for clients, files in ((1, 20), (8, 80)):
        work = Work(files, clients=clients, host=distance.ADDRESS, round_trip_s=ROUND_TRIP_S)

        def measure(server: Running, work: Work = work) -> tuple[float, float]:
            with distance.far(server.port, ROUND_TRIP_S) as port:
                return small_files(server, work, port)

        name = f"far-{clients}-clients"
        found = bench.compare(name, measure, rounds=1)
        bench.figure(f"ftp-{name}", found, "files/s", 9 * clients)  # ftplib: 9 a connection


PARTS: dict[str, Callable[[Bench], None]] = {
    "small": _small,
    "small-tls": _small_tls,
    "large": _large,
    "idle": _idle,
    "far": _far,
    "bundles": bundles.measure,
}


def measure(
    _folder: Path, options: Options, parts: Sequence[str] = tuple(PARTS)
) -> tuple[list[Figure], dict[str, Any]]:
    """Every FTP figure. Returns them and every single result. The places where files go are fixed."""
    bench = Bench(options)
    print(f"  files go to {bench.fast} and (-disk) {DISK}; {bench.rounds} rounds", flush=True)
    for part in parts:
        PARTS[part](bench)
    return bench.figures, bench.raw
