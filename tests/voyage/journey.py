"""A whole journey: a node whose logs grow and rotate, a real agent process, a real FTP part, and the reckoning."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from logferry.archive import Archive
from logferry.names import escape_path, temporary_name
from logferry.testing.ledger import Ledger, Life
from logferry.testing.logtree import ODD_NAMES, WEB, LogTree, Rotation
from tests.ports import free_port
from tests.server.site import Site

AGENT = "web-01"


class Writers(threading.Thread):
    """Lets a tree grow and rotate until told to stop. Names of renamed files are never used up, so none is deleted."""

    def __init__(self, tree: LogTree, seed: int) -> None:
        super().__init__()
        self._tree = tree
        self._dice = random.Random(seed)
        self._enough = threading.Event()
        self.rotations = 0

    def run(self) -> None:
        while not self._enough.wait(self._dice.uniform(0.0, 0.1)):
            self._tree.grow(self._dice.randrange(1, 40))
            if self._dice.random() < 0.08:
                file = self._dice.choice(self._tree.files)
                if os.path.exists(self._tree.absolute(file.path)):
                    self._tree.rotate(file.path, self._dice.choice([Rotation.RENAME, Rotation.RENAME, *Rotation]))
                    self.rotations += 1

    def stop(self) -> None:
        """End after the write under way."""
        self._enough.set()
        self.join()


class Journey:
    """Node, settings and archive of one test, below ``base``."""

    def __init__(self, base: Path, seed: int) -> None:
        self.site = Site.make(base / "data", listen=f"127.0.0.1:{free_port()}")
        joined = self.site.join(AGENT)
        self.ledger = Ledger(base / "ledger")
        self.tree = LogTree(base / "node", WEB + ODD_NAMES, seed=seed, ledger=self.ledger, keep=100_000)
        self.writers = Writers(self.tree, seed)
        self.config = base / "agent.toml"
        secret = base / "agent.secret"
        secret.write_text(joined.password + "\n")
        secret.chmod(0o600)
        self.config.write_text(
            f'[agent]\nid = "{AGENT}"\nscan_interval = "50ms"\nstate_dir = "{base / "state"}"\n'
            f'[server]\naddress = "{self.site.config.ftp.listen}"\ntls = "off"\npassword_file = "{secret}"\n'
            f'[[sources]]\npath = "{self.tree.root}"\nto = "/logs"\ninclude = ["*"]\nexclude = ["*.new"]\n'
        )

    def agent(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the agent as a process."""
        return subprocess.Popen(
            [sys.executable, "-m", "logferry.agent", str(self.config), *arguments], stderr=subprocess.DEVNULL
        )

    def deliver_the_rest(self) -> None:
        """Run the agent until it says that everything is on the server."""
        for _ in range(5):
            if self.agent("--once").wait(120) == 0:
                return
        raise AssertionError("the agent did not finish in five runs")

    def stored_bytes(self) -> int:
        """What the live tree and the kept generations hold just now, in bytes on disk."""
        total = 0
        for room in ("live", "generations"):
            for folder, _, names in os.walk(os.path.join(self.site.config.data_dir, room)):
                for name in names:
                    try:
                        total += os.stat(os.path.join(folder, name)).st_size
                    except FileNotFoundError:
                        continue
        return total

    def reckon(self) -> Reckoning:
        """Compare every generation in the archive with every life in the ledger, byte by byte."""
        catalog = self.site.catalog
        archive = Archive(self.site.config.data_dir, catalog)
        held: list[tuple[str, bytes]] = []
        current: dict[str, bytes] = {}
        try:
            for path in _paths(self.site):
                file = catalog.files.at(AGENT, path)
                assert file is not None
                for generation in catalog.files.generations(file.id):
                    with archive.open(generation.id) as reader:
                        data = reader.read_at(0, reader.size)
                    assert len(data) == generation.size, path
                    held.append((path, data))
                    if generation.current:
                        current[path] = data
        finally:
            archive.close()
        return Reckoning.of(self.ledger, current, held)


def _paths(site: Site) -> list[str]:
    found, cursor = [], None
    while True:
        page = site.catalog.files.find(agent_glob=AGENT, cursor=cursor, limit=1000)
        found += [file.path for file in page.files]
        cursor = page.next
        if cursor is None:
            return found


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What is wrong with an archive, and how much of what the node itself destroyed could not be saved."""

    different: tuple[str, ...]
    """Paths on the node whose archived bytes differ or are missing."""
    twice: tuple[str, ...]
    """Archived generations that are not the (beginning of the) one life they belong to."""
    unsaved_lives: int
    """Lives that were truncated or replaced before the agent could send their last bytes."""
    lives: int

    @classmethod
    def of(cls, ledger: Ledger, current: dict[str, bytes], held: list[tuple[str, bytes]]) -> Reckoning:
        different = []
        for raw, life in ledger.current().items():
            path = "logs/" + escape_path(raw)
            if current.get(path) != life.read():
                different.append(path)
        for path in current:
            assert not path.rpartition("/")[2].startswith(temporary_name("")[:5]), f"unpublished: {path}"
        # Give each life the longest archived generation that is a beginning of it; what then remains is too much.
        remaining = [(path, data) for path, data in held if data]
        unsaved = 0
        for life in sorted(ledger.lives, key=lambda life: not life.on_disk):
            best = _take_best(remaining, life)
            if best < life.size:
                unsaved += 1
                assert not life.on_disk or different, life.path
        return cls(tuple(different), tuple(path for path, _ in remaining), unsaved, len(ledger.lives))


def _take_best(remaining: list[tuple[str, bytes]], life: Life) -> int:
    whole = life.read()
    best = max(
        (i for i, (_, data) in enumerate(remaining) if len(data) <= len(whole) and whole.startswith(data)),
        key=lambda i: len(remaining[i][1]),
        default=None,
    )
    return len(remaining.pop(best)[1]) if best is not None else 0
