"""What a piece of work costs the process that does it, and how such a process is run and asked."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.agent.processes import Resident

Result = dict[str, float]


class Spent:
    """Counts from its making on: this process and one ``beside`` it, or its ``children`` that have ended."""

    def __init__(self, *, children: bool = False, beside: int | None = None) -> None:
        """``beside``: id of a process that works for this one."""
        self._who = resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF
        self._beside = beside
        self._cpu_s = self._cpu()
        self._wall_s = time.perf_counter()

    def result(self, **more: float) -> Result:
        """Seconds of CPU and clock so far, the most memory the process had (MB), and ``more``."""
        peak_mb = _peak_mb("self") + (_peak_mb(self._beside) if self._beside else 0.0)
        wall_s = time.perf_counter() - self._wall_s
        return {"cpu_s": self._cpu() - self._cpu_s, "wall_s": wall_s, "peak_mb": peak_mb, **more}

    def _cpu(self) -> float:
        used = resource.getrusage(self._who)
        beside_s = Resident(self._beside).cpu_s() if self._beside else 0.0
        return used.ru_utime + used.ru_stime + beside_s


def _peak_mb(pid: int | str) -> float:
    """Of the program alone: ``ru_maxrss`` would begin with that of whoever started it."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("\nVmHWM:")[2].split()[0]) * 1024 / 1e6


def told(module: str, *arguments: str | Path) -> Any:
    """Run ``python -m module arguments`` and return the JSON it prints. SystemExit with what it said when it fails."""
    command: Sequence[str] = [sys.executable, "-m", module, *map(str, arguments)]
    # What is compiled once is kept: nobody starts a server that forgets it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[2:4])} returned {done.returncode}: {done.stderr.strip()[-800:]}")
    return json.loads(done.stdout.splitlines()[-1])
