"""Nothing happens for a while: what the programs cost that stay."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from bench.agent import peers, places, trees
from bench.agent.bench import Bench, Result
from bench.agent.ours import Ours, files_below
from bench.agent.processes import Resident, until_quiet

FILES, FOLDERS, FILE_BYTES = 10_000, 100, 1024
IDLE_S = 30.0
IDLE_QUICK_S = 10.0
SETTLE_S = 12.0
"""An agent has told the server once that it lives by then."""


def measure(bench: Bench) -> None:
    """All of them beside each other, in the same seconds: they do not disturb one another, since nothing happens."""
    seconds = IDLE_QUICK_S if bench.quick else IDLE_S
    tree = bench.folder / "idle"
    trees.many(tree, FILES, FOLDERS, FILE_BYTES)
    with bench.fresh() as folder, places.bare("ours", folder) as place, ExitStack() as stack:
        agent = Ours(bench.folder / "idle-agent", tree, place)
        agent.remember(files_below(tree))
        programs = {"ours": stack.enter_context(agent.running())}
        found = peers.here("rsyslog", "lsyncd")
        if "rsyslog" in found:
            out = bench.folder / "idle-rsyslog.log"
            programs["rsyslog"] = stack.enter_context(peers.rsyslog(bench.folder, f"{tree}/*/*.log", out))
        if "lsyncd" in found:
            programs["lsyncd"] = stack.enter_context(peers.lsyncd(bench.folder, tree, _copy(bench)))
        for program in programs.values():
            until_quiet(program)
        time.sleep(SETTLE_S)
        results: dict[str, list[Result]] = {name: [] for name in programs}
        for _ in range(bench.rounds):
            for name, result in _rest(programs, seconds).items():
                results[name].append(result)
                print(f"  idle: {name} {' '.join(f'{key}={value:.4g}' for key, value in result.items())}", flush=True)
    bench.raw["idle"] = results
    bench.figure("idle-cpu", results, "cpu_percent", "%", 0.1)
    bench.figure("idle-memory", results, "rss_mb", "MB", 40)
    bench.figure("idle-handles", results, "handles", "", 100)


def _rest(programs: dict[str, Resident], seconds: float) -> dict[str, Result]:
    before = {name: (program.cpu_s(), program.wakeups()) for name, program in programs.items()}
    time.sleep(seconds)
    return {
        name: {
            "cpu_percent": 100 * (program.cpu_s() - before[name][0]) / seconds,
            "wakeups_s": (program.wakeups() - before[name][1]) / seconds,
            "rss_mb": program.rss_mb(),
            "handles": program.handles(),
        }
        for name, program in programs.items()
    }


def _copy(bench: Bench) -> Path:
    return bench.folder / "idle-copy"
