"""Whoever is asked: a child process that has an engine open, ripgrep, or our server's API."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.search.questions import Question
from logferry.testing.demo.programs import Programs


def ripgrep_here() -> bool:
    """Whether it is installed."""
    return _ripgrep() is not None


def _ripgrep() -> str | None:
    beside = Path(sys.executable).parent / "rg"
    return str(beside) if beside.exists() else shutil.which("rg")


def chdb_here() -> bool:
    """Whether it is installed."""
    return importlib.util.find_spec("chdb") is not None


def duckdb_here() -> bool:
    """Whether it is installed."""
    return importlib.util.find_spec("duckdb") is not None


class Child:
    """``python -m MODULE ARGUMENTS``: takes questions on standard input, answers {"ms": …, "count": …} or null."""

    def __init__(self, module: str, *arguments: str | Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def can(self, question: Question) -> bool:
        """Whether it can be asked that."""
        return self._told({"can": True, **question.as_json()}) is True

    def ask(self, question: Question, *, again: bool = False) -> tuple[float, int]:
        """Milliseconds and how many it found. ``again``: it may remember the answer."""
        found = self._told({**question.as_json(), "again": again})
        return float(found["ms"]), int(found["count"])

    def _told(self, message: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the process ended: {self._process.wait()}")
        return json.loads(line)

    def peak_mb(self) -> float:
        """The most memory it had."""
        return peak_mb(self._process.pid)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Ripgrep:
    """ripgrep over the plain files, which the system holds in memory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._program = _ripgrep() or "rg"

    def can(self, question: Question) -> bool:
        """All but histograms, and ANDs, which it does not know."""
        return question.kind != "histogram" and bool(question.literal or question.pattern)

    def ask(self, question: Question) -> tuple[float, int]:
        """Milliseconds of the whole run, and how many lines."""
        what = ["-F", question.literal] if question.literal else ["-e", question.pattern]
        case = ["-i"] if question.any_case else ["-s"]
        command = [self._program, "--no-config", "-a", "--no-filename", "-c", *case, *what, str(self._root)]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, check=False)
        ms = 1e3 * (time.perf_counter() - started)
        return ms, sum(int(line) for line in done.stdout.split())

    def close(self) -> None:
        """Nothing is open."""


class Http:
    """The API of a running server on the archive below ``folder``, over one connection."""

    def __init__(self, folder: Path) -> None:
        self._programs = Programs(folder)
        self._programs.start_server()
        self._programs.set_up()
        self._api = self._programs.api()

    def can(self, _question: Question) -> bool:
        """Everything."""
        return True

    def ask(self, question: Question) -> tuple[float, int]:
        """Milliseconds until the answer has ended."""
        started = time.perf_counter()
        if question.kind in ("hits", "newest"):
            count = sum(row.get("type") == "hit" for row in self._api.search(q=question.text, limit=100))
        elif question.kind == "histogram":
            *_, told = self._api.tally("histogram", q=question.text, by="hour")
            count = int(told["total"])
        else:
            *_, told = self._api.tally("count", q=question.text)
            count = int(told["total"])
        return 1e3 * (time.perf_counter() - started), count

    def ask_first(self, question: Question) -> tuple[float, float]:
        """Start the server anew and ask as soon as it listens: seconds until that, milliseconds of the answer."""
        self._api.close()
        self._programs.stop("server")
        started = time.perf_counter()
        self._programs.start_server()
        up_s = time.perf_counter() - started
        self._api = self._programs.api()
        return up_s, self.ask(question)[0]

    def peaks_mb(self) -> dict[str, float]:
        """The most memory each part of the server had, and its search workers together."""
        folder = self._programs.data / "run"
        pids = {part: int(json.loads((folder / f"{part}.json").read_text())["pid"]) for part in ("web", "ftp", "care")}
        workers = sum(map(peak_mb, _children(pids["web"])))
        return {**{part: peak_mb(pid) for part, pid in pids.items()}, "workers": workers}

    def close(self) -> None:
        """Stop the server."""
        self._api.close()
        self._programs.stop_all()


def _children(pid: int) -> list[int]:
    """The processes that a process started and that run."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text().split()]


def peak_mb(pid: int) -> float:
    """The most memory a process had."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("\nVmHWM:")[2].split()[0]) * 1024 / 1e6
