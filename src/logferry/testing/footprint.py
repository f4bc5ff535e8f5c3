"""How much an agent takes with very many files: a tree, a registry that knows it, and a real agent on both, measured.

``python -m logferry.testing.footprint FOLDER --files 1000000`` prints one line; the folder may lie on a tmpfs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from logferry.agent.config import SourceSettings
from logferry.agent.identity import EMPTY, Stat
from logferry.agent.registry import Registry
from logferry.agent.rows import Row, State
from logferry.agent.scan import Scanner
from logferry.agent.sources import Source
from logferry.agent.status import read_status
from logferry.errors import LogferryError

_CHUNK = 10_000
_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of an agent that knows ``files`` files, all delivered: memory (KiB) now and at its highest, CPU seconds to get
    there from its start, and CPU seconds of each further look that it made."""

    files: int
    rss_kib: int
    peak_kib: int
    start_cpu_s: float
    look_cpu_s: float


def plant(folder: Path, files: int, folders: int) -> None:
    """Make ``files`` empty files with names such as logs have, spread over ``folders`` folders."""
    for number in range(folders):
        below = folder / f"host-{number // 100:03d}" / f"service-{number:05d}"
        below.mkdir(parents=True)
        handle = os.open(below, os.O_RDONLY)
        try:
            for at in range(number, files, folders):
                os.close(os.open(f"access-{at:07d}.log", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=handle))
        finally:
            os.close(handle)


def _rows(registry: Registry, source: Source) -> Iterator[Row]:
    scanner = Scanner([source], look_files_max=sys.maxsize)
    for look in scanner.walk():
        for seen in look.seen:
            want = source.archive_path(seen.path)
            stat: Stat = seen.stat
            yield Row(registry.new_id(), seen.path, want, want, State.LIVE, stat.inode, 0, stat, EMPTY)


def enrol(state_dir: Path, source: SourceSettings) -> int:
    """Write a registry as if every (empty) file of ``source`` had been delivered; returns how many."""
    registry = Registry(state_dir / "registry.db", 0)
    count = 0
    chunk: list[Row] = []
    try:
        for row in _rows(registry, Source.of(source)):
            chunk.append(row)
            count += 1
            if len(chunk) == _CHUNK:
                registry.apply(chunk, now_ns=time.time_ns())
                chunk = []
        registry.apply(chunk, now_ns=time.time_ns())
    finally:
        registry.close()
    return count


def _memory_kib(pid: int) -> tuple[int, int]:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    rss, peak = (int(status.partition(f"{name}:")[2].split()[0]) for name in ("VmRSS", "VmHWM"))
    return rss, peak


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def measure(base: Path, files: int, folders: int, *, settle_s: float = 3.0, deadline_s: float = 600.0) -> Footprint:
    """Plant, enrol, start an agent (without a server: everything is delivered) and look at it. Linux only."""
    logs = base / "logs"
    plant(logs, files, folders)
    settings = SourceSettings(path=str(logs), to="/logs")
    assert enrol(base / "agent-state", settings) == files
    (base / "agent.secret").write_text("none\n", encoding="ascii")
    (base / "agent.toml").write_text(
        '[agent]\nid = "footprint"\nscan_interval = "1s"\n[server]\naddress = "127.0.0.1:9"\ntls = "off"\n'
        f'[[sources]]\npath = "{logs}"\nto = "/logs"\n',
        encoding="utf-8",
    )
    agent = subprocess.Popen(
        [sys.executable, "-m", "logferry.agent", str(base / "agent.toml")], stderr=subprocess.DEVNULL
    )
    try:
        end_s = time.monotonic() + deadline_s
        while _known(base) != files:  # the first status is written after the first look
            assert agent.poll() is None, "the agent ended"
            assert time.monotonic() < end_s, "the agent did not get to know all files"
            time.sleep(0.1)
        start_cpu_s = _cpu_s(agent.pid)
        time.sleep(settle_s)
        rss, peak = _memory_kib(agent.pid)
        return Footprint(files, rss, peak, start_cpu_s, _look_cpu_s(settings))
    finally:
        agent.terminate()
        agent.wait(30)


def _known(base: Path) -> int:
    try:
        return read_status(base / "agent-state").files
    except LogferryError:
        return -1


def _look_cpu_s(settings: SourceSettings) -> float:
    """CPU seconds of a look at files that are all as they were: the second one of a scanner."""
    scanner = Scanner([Source.of(settings)], look_files_max=sys.maxsize)
    for look in scanner.walk():
        for seen in look.seen:
            scanner.note(seen.path, seen.stat.mark)
    before_s = time.process_time()
    assert not any(look.seen or look.missing for look in scanner.walk())
    return time.process_time() - before_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty or new folder; what is made there stays")
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--folders", type=int, default=1_000)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print(measure(options.folder, options.files, options.folders))


if __name__ == "__main__":
    main()
