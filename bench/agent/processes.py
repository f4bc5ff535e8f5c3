"""What a program costs: one that runs to its end, and one that stays."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.ftp.servers import family

STOP_S_MAX = 15.0
WAIT_S_MAX = 300.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run: seconds by the clock, CPU seconds with all children."""

    wall_s: float
    cpu_s: float


def measured(command: Sequence[str], *, log: Path, environment: Mapping[str, str], ok: Sequence[int] = (0,)) -> Cost:
    """Run ``command`` to its end. SystemExit with the end of ``log`` when it fails."""
    with log.open("wb") as out:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in ok:
        raise SystemExit(f"{command[0]} returned {process.returncode}: {log.read_text(errors='replace')[-800:]}")
    return Cost(wall_s, used.ru_utime + used.ru_stime)


@dataclass(frozen=True, slots=True)
class Resident:
    """A program that stays, with all its children."""

    pid: int

    def cpu_s(self) -> float:
        """CPU seconds so far of the threads that live now, exact to the nanosecond (the usual count is in ticks)."""
        total = 0
        for pid in family(self.pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one has just ended
                for task in Path(f"/proc/{pid}/task").iterdir():
                    total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def rss_mb(self) -> float:
        """Resident memory now, in MB (10^6 bytes)."""
        return sum(int(_status(pid, "VmRSS").split()[0]) for pid in family(self.pid)) * 1024 / 1e6

    def wakeups(self) -> int:
        """How often its threads went to sleep of themselves: each of them is a wake-up."""
        total = 0
        for pid in family(self.pid):
            for task in Path(f"/proc/{pid}/task").iterdir():
                total += int(_status(f"{pid}/task/{task.name}", "voluntary_ctxt_switches"))
        return total

    def handles(self) -> int:
        """Open descriptors now."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in family(self.pid))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop it; it goes on when the block ends."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            until(f"process {self.pid} stops", lambda: _status(self.pid, "State").startswith("T"))
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)


@contextmanager
def staying(command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> Iterator[Resident]:
    """Start a program that stays; it is ended with the block."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # rsyslog takes two handles a file
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            yield Resident(process.pid)
            if process.poll() is not None:
                raise SystemExit(f"{command[0]} ended by itself: {log.read_text(errors='replace')[-800:]}")
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, in the end SIGKILL."""
    process.terminate()
    try:
        process.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until(what: str, holds: Callable[[], bool], *, every_s: float = 0.005, within_s: float = WAIT_S_MAX) -> None:
    """Wait until ``holds()``. SystemExit naming ``what`` when it takes too long."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {within_s:.0f} s")
        time.sleep(every_s)


def until_quiet(program: Resident, *, for_s: float = 2.0, cpu_s_max: float = 0.01) -> None:
    """Wait until ``program`` has used next to nothing for a while."""

    def quiet() -> bool:
        before = program.cpu_s()
        time.sleep(for_s)
        return program.cpu_s() - before < cpu_s_max

    until(f"process {program.pid} comes to rest", quiet)


def _status(process: int | str, name: str) -> str:
    text = Path(f"/proc/{process}/status").read_text()
    return text.partition(f"\n{name}:")[2].partition("\n")[0].strip()
