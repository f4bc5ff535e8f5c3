"""The real parts of a server (FTP and care), started in no time and in a hurry: days are seconds.

Run as a program it has everything imported and forks a part for each line it reads: so a part can be killed hundreds
of times. The parts are those of the product; only the times that care waits are others.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from logferry.archive import Archive
from logferry.archive.retention import Retention
from logferry.ftp.waiting import readable
from logferry.server import care, runfiles
from logferry.server.config import RetentionConfig, ServerConfig
from logferry.server.parts import run_ftp, run_part
from tests.server.helpers import eventually

GONE = "gone"
"""What lies in a folder of this name is deleted by retention …"""
KEEP_S = 0.3
"""… after so long."""
TIMES = {
    "CARE_S": 0.02,
    "COMPACT_AFTER_S": 0.5,
    "COMPACT_EVERY_S": 0.1,
    "RETENTION_EVERY_S": 0.1,
    "SEAL_LEAST_BYTES": 1,
    "SEAL_WAIT_S": 0.05,
    "SEGMENT_GRACE_S": 0.5,
    "SWEEP_EVERY_S": 0.1,
}


def hurried(config: ServerConfig) -> ServerConfig:
    """The settings with which everything is sealed at once and what lies in ``gone`` is deleted."""
    archive = dataclasses.replace(config.archive, seal_after=1.0, seal_level=1)
    return dataclasses.replace(config, archive=archive, retention=(RetentionConfig(f"*/*/{GONE}/**", 3600.0),))


def run_care(config: ServerConfig) -> None:
    """The care part with times that no settings allow."""
    object.__setattr__(config.archive, "seal_after", 0.05)
    object.__setattr__(config.archive, "scrub_every", 1.0)
    object.__setattr__(config.retention[0], "keep", KEEP_S)
    care.run_care(config)


class Hurry:
    """The program that forks parts on the settings in ``config``, whose folder may be mounted anew in between."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = hurried(config)
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.archive.hurried"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        self._parts: dict[str, int] = {}
        self._pids: dict[str, int] = {}

    def start(self, part: str) -> None:
        """Start ``ftp`` or ``care``; returns when it works."""
        path = runfiles.run_path(self.config.data_dir, "hurried.json")
        runfiles.write_private(path, self.config.to_json())
        told = runfiles.part_file(self.config.data_dir, part)
        runfiles.remove(told)
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(json.dumps([part, path]).encode() + b"\n")
        self._program.stdin.flush()
        pid = int(self._program.stdout.readline())
        self._parts[part], self._pids[part] = os.pidfd_open(pid), pid
        eventually(lambda: runfiles.read_json(told) is not None or not self.is_running(part), within_s=60)
        assert self.is_running(part), f"the {part} part did not start"

    def address(self) -> tuple[str, int]:
        """Where the FTP part listens."""
        told: dict[str, Any] | None = runfiles.read_json(runfiles.part_file(self.config.data_dir, "ftp"))
        assert told is not None
        return told["host"], told["port"]

    def progress(self) -> int:
        """A number that grows with each segment made, and with each generation that expires."""
        url = f"file:{self.config.data_dir}/catalog.db?mode=ro"
        with closing(sqlite3.connect(url, uri=True, timeout=60)) as connection:
            rows = connection.execute("SELECT seq FROM sqlite_sequence WHERE name IN ('segments', 'expired')")
            return sum(row[0] for row in rows)

    def is_running(self, part: str) -> bool:
        """Whether the part has not ended."""
        return not readable(self._parts[part], timeout_s=0)

    def stop_dead(self) -> None:
        """SIGSTOP to all parts; returns when no thread of theirs can do anything more."""
        for fd in self._parts.values():
            signal.pidfd_send_signal(fd, signal.SIGSTOP)
        for part in self._parts:
            eventually(lambda part=part: self._stands_still(part), within_s=60)  # type: ignore[misc]

    def _stands_still(self, part: str) -> bool:
        """Every thread is stopped, or in a call to the kernel from which it will not return."""
        tasks = Path(f"/proc/{self._pids[part]}/task")
        return all((tasks / task / "stat").read_text().rpartition(") ")[2][0] in "TD" for task in os.listdir(tasks))

    def kill(self, part: str) -> None:
        """SIGKILL; returns when it is gone."""
        assert self.is_running(part), f"the {part} part ended by itself"
        fd = self._parts.pop(part)
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        assert readable(fd, timeout_s=60), f"the {part} part does not die"
        os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in list(self._parts):
            if self.is_running(part):
                self.kill(part)
        self._program.communicate()


RUNS = {"ftp": run_ftp, "care": run_care}


def main() -> None:
    """Fork a part for each line."""
    for name, value in TIMES.items():
        assert hasattr(care, name), name
        setattr(care, name, value)
    _change(Retention.__init__, "grace_s", 0.5)
    # Small segments, so that some come and go between any two kills.
    _change(Archive.sealer, "segment_bytes", 200_000)
    _change(Archive.compactor, "segment_bytes", 800_000)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead need nobody to wait for them
    for line in sys.stdin:
        part, path = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(null, 1)
            if "LOGFERRY_HURRIED_LOG" not in os.environ:
                os.dup2(null, 2)
            os._exit(run_part(RUNS[part], path))
        print(pid, flush=True)


def _change(function: Callable[..., object], name: str, value: object) -> None:
    """Another default for an argument."""
    defaults = function.__kwdefaults__
    assert defaults is not None
    assert name in defaults
    defaults[name] = value


if __name__ == "__main__":
    main()
