"""Our agent as people run it: the command, its settings, its registry."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.agent.places import Place
from bench.agent.processes import Cost, Resident, measured, staying, until
from logferry.agent.config import AgentConfig, load_config
from logferry.agent.identity import DIGEST_BYTES, Fingerprint, Stat
from logferry.agent.registry import Registry
from logferry.agent.rows import Row, State
from logferry.agent.sources import Source

_BATCH_ROWS = 10_000


class Ours:
    """An agent that sends ``tree`` to ``place``; its settings and its state are in ``folder``."""

    def __init__(self, folder: Path, tree: Path, place: Place, *, connections: int = 4) -> None:
        self.folder = folder
        self.tree = tree
        self.place = place
        self.state = folder / "state"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        secret = folder / "agent.secret"
        secret.touch(mode=0o600)
        secret.write_text(place.password + "\n")
        self.file = folder / "agent.toml"
        pin = f'pin = ["{place.pin}"]\n' if place.tls else ""
        self.file.write_text(
            f'limits.connections = {connections}\n[agent]\nid = "bench-1"\nstate_dir = "{self.state}"\n'
            f'[server]\naddress = "{place.host}:{place.port}"\nuser = "{place.user}"\n'
            f'tls = "{"required" if place.tls else "off"}"\n{pin}'
            f'[[sources]]\npath = "{tree}"\nto = "{place.remote}"\n'
        )

    @property
    def environment(self) -> dict[str, str]:
        """No variable of whoever measures may change what the agent does, nor make it compile itself at each start."""
        left_out = ("LOGFERRY_", "PYTHONDONTWRITEBYTECODE")
        return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}

    def config(self) -> AgentConfig:
        """The settings, read."""
        return load_config(self.file)

    def once(self) -> Cost:
        """``logferry agent once``."""
        command = [sys.executable, "-m", "logferry.cli", "agent", "once", "--config", str(self.file)]
        return measured(command, log=self.folder / "once.log", environment=self.environment)

    @contextmanager
    def running(self) -> Iterator[Resident]:
        """``logferry agent run``, until the end of the block."""
        command = [sys.executable, "-m", "logferry.cli", "agent", "run", "--config", str(self.file)]
        with staying(command, log=self.folder / "run.log", environment=self.environment) as program:
            until("the agent has started", lambda: (self.state / "status.json").exists())
            yield program

    def remember(self, paths: Iterable[Path]) -> int:
        """Begin a registry that says of every file that it was delivered as it is now; returns how many.

        The digests in it are of no file; nobody looks at them as long as a file does not change.
        """
        shutil.rmtree(self.state, ignore_errors=True)
        registry = Registry(self.state / "registry.db", 0)
        source = Source.of(self.config().sources[0])
        count = 0
        batch: list[Row] = []
        for path in paths:
            batch.append(_row(registry.new_id(), os.fsencode(path), source))
            count += 1
            if len(batch) == _BATCH_ROWS:
                registry.apply(batch, now_ns=0)
                batch.clear()
        registry.apply(batch, now_ns=0)
        registry.close()
        return count

    def confirmed(self, path: Path) -> Confirmed:
        """What the registry says of one file, asked again and again."""
        return Confirmed(self.state / "registry.db", os.fsencode(path))


class Confirmed:
    """How many bytes of a file are on record as delivered."""

    def __init__(self, registry: Path, path: bytes) -> None:
        self._db = sqlite3.connect(f"file:{registry}?mode=ro", uri=True, isolation_level=None)
        self._path = path

    def offset(self) -> int:
        """Bytes confirmed by the server and recorded durably."""
        found = self._db.execute("SELECT offset FROM files WHERE path = ?", (self._path,)).fetchone()
        return int(found[0]) if found else 0

    def close(self) -> None:
        """Release the registry."""
        self._db.close()


def _row(row_id: int, path: bytes, source: Source) -> Row:
    status = os.lstat(path)
    want = source.archive_path(path)
    digest = hashlib.blake2b(path, digest_size=DIGEST_BYTES).digest() if status.st_size else b""
    return Row(
        row_id,
        path,
        want,
        want,
        State.LIVE,
        status.st_ino,
        0,
        seen=Stat(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns),
        print=Fingerprint(status.st_size, digest, digest),
        target=status.st_size,
    )


def files_below(tree: Path) -> Iterator[Path]:
    """Every file of a tree."""
    for at, _, names in os.walk(tree):
        for name in names:
            yield Path(at, name)
