"""Nothing new: what it costs to look at files that have not changed, and what it takes to know a million of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median

from bench.agent import peers, places, trees
from bench.agent.bench import Bench, Result
from bench.agent.ours import Ours, files_below
from bench.agent.processes import Cost, until_quiet

FILES = 100_000
FOLDERS = 100
FILE_BYTES = 1024
LOOKS = 7
MILLION = 1_000_000


def measure(bench: Bench) -> None:
    """One cycle over 100,000 unchanged files, by an agent that runs, from a cold start, and by the peers."""
    files = FILES // 5 if bench.quick else FILES
    tree, copy = bench.folder / "unchanged", bench.folder / "unchanged-copy"
    trees.many(tree, files, FOLDERS, FILE_BYTES, filled=False)
    with bench.fresh() as folder, places.bare("pyftpdlib", folder) as place:
        agent = Ours(bench.folder / "unchanged-agent", tree, place)
        agent.remember(files_below(tree))
        runs: dict[str, Callable[[], Result]] = {
            "ours": lambda: _looks(agent, files),
            "ours-cold": lambda: asdict(agent.once()),
        }
        found = peers.here("rsync", "rclone", "lftp")
        if "rsync" in found:
            bench.mirrors.rsync(tree, copy)
            bench.mirrors.rsync(tree, place.folder)
            runs["rsync"] = lambda: asdict(bench.mirrors.rsync(tree, copy))
        for name in {"rclone", "lftp"} & set(found):
            run = partial(getattr(bench.mirrors, name), tree, place)
            run()  # what it makes of the copies' times is its own affair: from here on nothing is new
            runs[name] = partial(_nothing_sent, place.folder, run)
        results = bench.compare("unchanged", runs)
    bench.figure("unchanged-cpu", results, "cpu_s", "s", 0.6 * files / FILES)
    cold = {"ours": results["ours-cold"]} | {name: results[name] for name in results if not name.startswith("ours")}
    bench.figure("unchanged-cold-start", cold, "wall_s", "s", 1.0)


def measure_million(bench: Bench) -> None:
    """What an agent needs that knows a million files."""
    files = FILES if bench.quick else MILLION
    tree = bench.folder / "million"
    trees.many(tree, files, files // 1000, FILE_BYTES, filled=False)
    with bench.fresh() as folder, places.bare("ours", folder) as place:
        agent = Ours(bench.folder / "million-agent", tree, place)
        agent.remember(files_below(tree))

        def all_of_it() -> Result:
            cold = agent.once()
            with agent.running() as program:
                until_quiet(program)
                rss_mb = program.rss_mb()
            return {**_looks(agent, files, 3), "rss_mb": rss_mb, "cold_s": cold.wall_s, "cold_cpu_s": cold.cpu_s}

        results = bench.compare("million", {"ours": all_of_it}, rounds=1)
    share = files / MILLION
    bench.figure("million-memory", results, "rss_mb", "MB", 250 if share == 1 else 40 + 210 * share)
    bench.figure("million-cpu", results, "cpu_s", "s", 6.0 * share)
    bench.figure("million-cold-start", results, "cold_s", "s", max(1.0, 10.0 * share))


def _looks(agent: Ours, files: int, looks: int = LOOKS) -> Result:
    """The median of some looks after the first one; the agent is a process of its own."""
    command = [sys.executable, "-m", "bench.agent.cycle", str(agent.file), str(looks)]
    done = subprocess.run(command, env=agent.environment, capture_output=True, text=True, check=False)
    if done.returncode or f'"files": {files},' not in (agent.state / "status.json").read_text():
        raise SystemExit(f"the agent did not look at {files} files: {done.stderr[-800:]}")
    said = json.loads(done.stdout)
    warm = {"cpu_s": median(said["cpu_s"][1:]), "wall_s": median(said["wall_s"][1:])}
    return warm | {"first_cpu_s": said["cpu_s"][0], "rss_mb": said["rss_mb"], "peak_mb": said["peak_mb"]}


def _nothing_sent(there: Path, run: Callable[[], Cost]) -> Result:
    before_ns = trees.newest_change_ns(there)
    cost = run()
    if trees.newest_change_ns(there) != before_ns:
        raise SystemExit(f"files below {there} were sent again")
    return asdict(cost)
