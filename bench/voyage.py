"""The voyage: 2,000 files of 50 KiB from one node into the server, by our agent, by rclone and by lftp.

All three deliver over plain FTP into the same running server, each time as a new agent with an empty home, in turn,
three rounds; the time is that of the whole command, start-up included. Durable for all: the server answers 226
only when file, folder and catalog are synced.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from bench.figures import Figure, Options, interleaved, medians
from logferry.testing import LineSource
from logferry.testing.demo.nodes import Node
from logferry.testing.demo.programs import Programs

FILES = 2000
FILE_BYTES = 50 * 1024
ROUNDS = 3
STREAMS = 4
TARGET_FILES_S = 1500.0


def make_tree(folder: Path) -> None:
    """The files, in 20 folders, of log lines drawn by seed."""
    source = LineSource("nginx", seed=2)
    for number in range(FILES):
        path = folder / f"day{number % 20:02d}" / f"access-{number:04d}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = b"".join(source.record() for _ in range(FILE_BYTES // 100))
        content += b"".join(source.record() for _ in range(1 + (FILE_BYTES - len(content)) // 60))
        path.write_bytes(content[:FILE_BYTES].ljust(FILE_BYTES, b"."))


class Voyage:
    """A server, and the three ways into it."""

    def __init__(self, folder: Path) -> None:
        self.programs = Programs(folder, "--tls", "explicit")
        self.tree = folder / "tree"
        self._count = 0

    def ours(self) -> float:
        """``logferry agent once``; files per second."""
        node, config = self._join()
        text = config.read_text().replace('tls = "required"', 'tls = "off"').replace('tls = "explicit"', 'tls = "off"')
        config.write_text(text)
        return self._timed(node, lambda: self.programs.run("agent", "once", "--config", str(config)))

    def rclone(self) -> float:
        """``rclone copy`` with four transfers; files per second."""
        node, config = self._join()
        password = (config.parent / "agent.secret").read_text().strip()
        hidden = subprocess.run(
            ["rclone", "obscure", password], capture_output=True, text=True, check=True
        ).stdout.strip()
        host, _, port = self.programs.ftp.rpartition(":")
        target = f":ftp,host={host},port={port},user={node.agent},pass={hidden}:/"
        command = ["rclone", "copy", "--transfers", str(STREAMS), "--config", "/dev/null", str(self.tree), target]
        return self._timed(node, lambda: self._run(command))

    def lftp(self) -> float:
        """``lftp mirror -R`` with four in parallel; files per second."""
        node, config = self._join()
        password = (config.parent / "agent.secret").read_text().strip()
        host, _, port = self.programs.ftp.rpartition(":")
        script = (
            "set ftp:ssl-allow no; set cmd:fail-exit yes; set net:max-retries 1; set mirror:set-permissions no; "
            f"open -p {port} -u {node.agent},{password} {host}; mirror -R --parallel={STREAMS} {self.tree} /"
        )
        return self._timed(node, lambda: self._run(["lftp", "-c", script]))

    def _join(self) -> tuple[Node, Path]:
        self._count += 1
        node = Node(f"bench-{self._count}", "bench", [self.tree])
        self.programs.join(node)
        return node, self.programs.agent_file(node)

    def _timed(self, node: Node, run: Any) -> float:
        started = time.monotonic()
        run()
        seconds = time.monotonic() - started
        arrived = [
            p for p in (self.programs.data / "live" / node.agent).rglob("*.log") if p.stat().st_size == FILE_BYTES
        ]
        if len(arrived) != FILES:
            raise SystemExit(f"{node.agent}: {len(arrived)} of {FILES} files arrived whole")
        return FILES / seconds

    def _run(self, command: list[str]) -> str:
        home = {"HOME": str(self.programs.folder), "LFTP_HOME": str(self.programs.folder / "lftp")}
        done = subprocess.run(command, env=os.environ | home, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise SystemExit(f"{command[0]} returned {done.returncode}: {done.stderr.strip()[-400:]}")
        return done.stdout


def measure(folder: Path, options: Options) -> tuple[list[Figure], dict[str, Any]]:
    """Measure in ``folder`` (empty). Returns the figures and every single result."""
    voyage = Voyage(folder)
    make_tree(voyage.tree)
    runs = {"ours": voyage.ours}
    runs |= {name: run for name, run in (("rclone", voyage.rclone), ("lftp", voyage.lftp)) if shutil.which(name)}
    try:
        voyage.programs.start_server()
        results = interleaved(runs, options.rounds or (1 if options.quick else ROUNDS))
    finally:
        voyage.programs.stop_all()
    files_s = medians(results)
    mb_s = {name: value * FILE_BYTES / 1e6 for name, value in files_s.items()}
    target_mb_s = TARGET_FILES_S * FILE_BYTES / 1e6
    peers = [name for name in runs if name != "ours"]
    figures = [
        Figure("voyage-files", files_s["ours"], "files/s", TARGET_FILES_S, {p: files_s[p] for p in peers}),
        Figure("voyage-bytes", mb_s["ours"], "MB/s", round(target_mb_s, 1), {p: mb_s[p] for p in peers}),
    ]
    raw = {"files": FILES, "file_bytes": FILE_BYTES, "streams": STREAMS, "files_per_s": results}
    return figures, raw
