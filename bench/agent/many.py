"""Many small new files from one node into our server, near and behind a long line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from bench.agent import network, peers, trees
from bench.agent.bench import Bench, Result, Results
from bench.agent.ours import Ours
from bench.agent.places import ARCHIVE, Place
from bench.agent.processes import Cost
from bench.ftp import distance

FILES, FOLDERS, FILE_BYTES = 100_000, 1_000, 1_000
PEER_FILES = {"rclone": 1_000, "lftp": 4_000}
"""The peers' rates do not depend on how many there are; with all files they would take up to ten minutes a run."""
FAR_FILES = 10_000
FAR_PEER_FILES = 100
ROUND_TRIP_S = 0.02


def measure(bench: Bench) -> None:
    """100,000 files of 1 KB in 1,000 folders, into our server on the disk."""
    files = FILES // 10 if bench.quick else FILES
    few = {name: count // 4 if bench.quick else count for name, count in PEER_FILES.items()}
    found = _measure(bench, "many", files, few, rounds=1 if bench.quick else 2)
    bench.figure("many-small-files", found, "files_s", "files/s", 8_000, more=True)


def measure_far(bench: Bench) -> None:
    """The same 20 ms of round trip away."""
    files = FAR_FILES // 5 if bench.quick else FAR_FILES
    few = dict.fromkeys(PEER_FILES, FAR_PEER_FILES // 2 if bench.quick else FAR_PEER_FILES)
    found = _measure(bench, "far", files, few, far=True)
    bench.figure("far-small-files", found, "files_s", "files/s", 5_000, more=True)


def _measure(
    bench: Bench, name: str, files: int, few: dict[str, int], *, far: bool = False, rounds: int = 0
) -> Results:
    tree = bench.folder / name
    trees.many(tree, files, FOLDERS if files > FOLDERS * 10 else 100, FILE_BYTES)
    runs: dict[str, Callable[[], Result]] = {"ours": lambda: _ours(bench, name, files, far=far)}
    for peer in peers.here("rclone", "lftp"):
        small = bench.folder / f"{name}-{peer}"
        trees.many(small, few[peer], max(1, few[peer] // 100), FILE_BYTES)
        runs[peer] = partial(_peer, bench, name, peer, few[peer], far=far)
    found = bench.compare(name, runs, rounds=rounds)
    for folder in (tree, *(bench.folder / f"{name}-{peer}" for peer in few)):
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _ours(bench: Bench, name: str, files: int, *, far: bool) -> Result:
    tree = bench.folder / name

    def send(place: Place) -> Cost:
        return Ours(bench.folder / f"{name}-agent", tree, place).once()

    return _sent(bench, name, files, send, far=far)


def _peer(bench: Bench, name: str, peer: str, files: int, *, far: bool) -> Result:
    run = getattr(bench.mirrors, peer)
    folder = f"{name}-{peer}"
    return _sent(bench, folder, files, lambda place: run(bench.folder / folder, place), far=far)


def _sent(bench: Bench, name: str, files: int, send: Callable[[Place], Cost], *, far: bool) -> Result:
    with bench.place(ARCHIVE, bench.folder / name) as place:
        before = network.travelled()
        if far:
            with distance.far(place.port, ROUND_TRIP_S) as port:
                cost = send(place.seen_from(distance.ADDRESS, port))
        else:
            cost = send(place)
        travelled = network.travelled() - before
        if (arrived := trees.count(place.folder, FILE_BYTES)) != files:
            raise SystemExit(f"{name}: {arrived} of {files} files arrived whole")
    return {"files_s": files / cost.wall_s, "travelled_mb": travelled / 1e6, **asdict(cost)}
