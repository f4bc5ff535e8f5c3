"""What all parts share: rounds, places, results."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.agent import network, places
from bench.agent.peers import Mirrors
from bench.agent.places import Place
from bench.figures import Figure, Options

MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 6 << 30
ROUNDS = 3

Result = Mapping[str, float]
"""What one run gave, by name: ``wall_s``, ``cpu_s`` and whatever else there is to say."""
Results = dict[str, list[Result]]
"""The runs of every program."""


class Bench:
    """The rounds, the folders, all raw results and the figures made of them."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder = folder
        self.quick = options.quick
        self.rounds = options.rounds or (1 if options.quick else ROUNDS)
        self.raw: dict[str, Any] = {}
        self.figures: list[Figure] = []
        self.mirrors = Mirrors(folder / "mirrors")
        self.roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES_MIN
        self.apart = network.apart()

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """A new folder for a bare server, on the memory file system where that has room; gone afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="logferry-bench-", dir=MEMORY if self.roomy else self.folder))
        folder.chmod(0o755)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
            if not self.roomy:
                os.sync()  # what one leaves to be written must not slow down the next

    @contextmanager
    def place(self, kind: str, tree: Path, *, tls: bool = False) -> Iterator[Place]:
        """An empty account on a server of ``kind`` that is started for it, to send ``tree`` to."""
        if kind == places.ARCHIVE:
            folder = self.folder / "archive-server"
            with places.ArchiveServer.running(folder) as server:
                yield server.place(tree, tls=tls)
            shutil.rmtree(folder)
            os.sync()
        else:
            with self.fresh() as folder, places.bare(kind, folder, tls=tls) as place:
                yield place

    def compare(self, name: str, runs: Mapping[str, Callable[[], Result]], *, rounds: int = 0) -> Results:
        """Run each once a round, in turn. A peer that fails has no results, and the reason stands in the raw ones."""
        found: Results = {program: [] for program in runs}
        for _ in range(rounds or self.rounds):
            for program, run in runs.items():
                if program not in found:
                    continue
                try:
                    result = run()
                except SystemExit as failure:
                    if program.startswith("ours"):
                        raise
                    del found[program]
                    self.raw[f"{name}: {program}"] = str(failure)
                    print(f"  {name}: {program} failed: {failure}", flush=True)
                    continue
                found[program].append(result)
                values = " ".join(f"{key}={value:.4g}" for key, value in result.items())
                print(f"  {name}: {program} {values}", flush=True)
        self.raw[name] = found
        return found

    def figure(self, name: str, found: Results, key: str, unit: str, target: float, *, more: bool = False) -> Figure:
        """A figure of the medians of ``key``; of it less is better unless ``more``."""
        middle = {
            program: statistics.median(result[key] for result in results)
            for program, results in found.items()
            if all(key in result for result in results)
        }
        ours = middle.pop("ours")
        peers = {program: value for program, value in middle.items() if not program.startswith("ours")}
        figure = Figure(f"agent-{name}", ours, unit, target, peers, less_is_better=not more)
        self.figures.append(figure)
        return figure

    @staticmethod
    def best_peer(found: Results, key: str, *, more: bool = False) -> float:
        """The best median of a peer that uses the network: the target where there is no other; 0 without peers."""
        medians = [
            statistics.median(result[key] for result in results)
            for program, results in found.items()
            if not program.startswith(("ours", "rsync"))
        ]
        return float(f"{(max if more else min)(medians, default=0.0):.4g}")
