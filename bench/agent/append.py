"""1 GB appended to 100 files: how long until every byte is there, what it costs the client, what travels."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

from bench.agent import network, peers
from bench.agent.bench import Bench, Result, Results
from bench.agent.ours import Ours
from bench.agent.places import ARCHIVE, Place
from bench.agent.processes import Cost, until, until_quiet
from bench.agent.trees import Growing
from bench.ftp.servers import kinds

FILES = 100
FILE_BYTES = 10_000_000
QUICK_BYTES = 1_000_000
_ROOMS = ("vsftpd", "pyftpdlib", ARCHIVE)


def measure(bench: Bench) -> None:
    """Plain FTP: into bare servers, and into ours."""
    growing = _growing(bench)
    for kind in _ROOMS:
        if kind == ARCHIVE or kind in kinds():
            found = _into(bench, growing, kind)
            _figures(bench, growing, kind, found)
    shutil.rmtree(growing.tree)


def measure_tls(bench: Bench) -> None:
    """The same over TLS, into our server: no other one takes all these clients and keeps their bytes.

    In pyftpdlib the files of lftp end up short; vsftpd, which wants its session resumed, turns lftp and rclone away.
    """
    growing = _growing(bench)
    found = _into(bench, growing, ARCHIVE, tls=True)
    bench.figure(f"append-{ARCHIVE}-tls", found, "wall_s", "s", bench.best_peer(found, "wall_s"))
    shutil.rmtree(growing.tree)


def _growing(bench: Bench) -> Growing:
    count = QUICK_BYTES if bench.quick else FILE_BYTES
    return Growing(bench.folder / "append", files=FILES, base_bytes=count, more_bytes=count)


def _figures(bench: Bench, growing: Growing, kind: str, found: Results) -> None:
    gigabytes = growing.grown_bytes / 1e9
    start_s = 0.0 if gigabytes >= 1 else 0.5  # a small one is mostly the start of the program
    target_s = 2.0 * gigabytes + start_s if kind != ARCHIVE else bench.best_peer(found, "wall_s")
    bench.figure(f"append-{kind}", found, "wall_s", "s", target_s)
    running = {"ours": found["ours-running"]} | {name: found[name] for name in found if not name.startswith("ours")}
    bench.figure(f"append-{kind}-running", running, "wall_s", "s", target_s)
    bench.figure(f"append-{kind}-cpu", running, "cpu_s", "s", 0.3 * gigabytes + start_s)
    if bench.apart:
        bench.figure(f"append-{kind}-travelled", found, "travelled_mb", "MB", 1.05 * growing.grown_bytes / 1e6)


def _into(bench: Bench, growing: Growing, kind: str, *, tls: bool = False) -> Results:
    """All ways into servers of one kind; every run has a server of its own with an empty home."""

    @contextmanager
    def begun() -> Iterator[Place]:
        growing.begin()
        with bench.place(kind, growing.tree, tls=tls) as place:
            yield place
            growing.verify(place.folder)

    runs: dict[str, Callable[[], Result]] = {
        "ours": lambda: _ours(bench, growing, begun()),
        "ours-running": lambda: _ours_running(bench, growing, begun()),
    }
    found = peers.here("lftp", "rclone", "rsync")
    if "lftp" in found:
        runs["lftp"] = lambda: _mirror(growing, begun(), partial(bench.mirrors.lftp, resume=True))
    if "rclone" in found:
        runs["rclone"] = lambda: _mirror(growing, begun(), bench.mirrors.rclone)
    if "rsync" in found and not tls:
        runs["rsync-append-local"] = lambda: _local(bench, growing)
    return bench.compare(f"append-{kind}{'-tls' * tls}", runs)


def _ours(bench: Bench, growing: Growing, begun: AbstractContextManager[Place]) -> Result:
    """``agent once``, as the peers are run."""
    with begun as place:
        agent = Ours(bench.folder / "append-agent", growing.tree, place)
        agent.once()
        growing.grow()
        return _counted(agent.once)


def _ours_running(bench: Bench, growing: Growing, begun: AbstractContextManager[Place]) -> Result:
    """An agent that runs, from the moment it may look at files that have all grown."""
    with begun as place:
        agent = Ours(bench.folder / "append-agent", growing.tree, place)
        with agent.running() as program:
            until("the base is there", lambda: growing.arrived(place.folder, growing.base_bytes))
            until_quiet(program)
            with program.paused():
                growing.grow()
                cpu_s, travelled, started = program.cpu_s(), network.travelled(), time.perf_counter()
            size = growing.base_bytes + growing.more_bytes
            until("all has arrived", lambda: growing.arrived(place.folder, size), every_s=0.01)
            wall_s, travelled = time.perf_counter() - started, network.travelled() - travelled
            until_quiet(program, for_s=0.5)
            cost = Cost(wall_s, program.cpu_s() - cpu_s)
            rss_mb = program.rss_mb()
        return asdict(cost) | {"travelled_mb": travelled / 1e6, "rss_mb": rss_mb}


def _mirror(growing: Growing, begun: AbstractContextManager[Place], run: Callable[[Path, Place], Cost]) -> Result:
    with begun as place:
        run(growing.tree, place)
        growing.grow()
        return _counted(lambda: run(growing.tree, place))


def _local(bench: Bench, growing: Growing) -> Result:
    growing.begin()
    with bench.fresh() as folder:
        bench.mirrors.rsync(growing.tree, folder)
        growing.grow()
        cost = bench.mirrors.rsync(growing.tree, folder, "--append")
        growing.verify(folder)
        return asdict(cost)


def _counted(run: Callable[[], Cost]) -> Result:
    before = network.travelled()
    cost = run()
    return asdict(cost) | {"travelled_mb": (network.travelled() - before) / 1e6}
