"""Kinds of work an agent has, and what may happen to the files until it is started again.

A *place* is a node of its own: logs with a ledger of every byte, settings, and a folder of its own on the server.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from logferry.testing.ledger import Ledger
from logferry.testing.logtree import LogTree, Rotation
from tests.agent.crash.keepers import Target
from tests.agent.truth import differences

LOG = b"app.log"
MANY = tuple(b"many/%02d.log" % number for number in range(9))


class Place:
    """One node and what it delivers; also a ``Shelf`` for the truth check."""

    def __init__(self, base: Path, name: str, target: Target, *, address: tuple[str, int], state: Path) -> None:
        self.base = base
        self.name = name
        self.target = target
        self.address = target.address
        self.state = state
        self.folder = f"{name}/logs"
        base.mkdir(parents=True)
        self.ledger = Ledger(base / "ledger")
        self.tree = LogTree(base / "logs", (), ledger=self.ledger, keep=50)
        self._serial = 0
        secret = base / "agent.secret"
        secret.write_text(target.password + "\n")
        secret.chmod(0o600)
        to = "/".join(part for part in (target.home, self.folder) if part)
        self.config = base / "agent.toml"
        self.config.write_text(
            f'limits.connections = 1\n[agent]\nid = "web-01"\nscan_interval = "20ms"\nstate_dir = "{state}"\n'
            f'[server]\naddress = "{address[0]}:{address[1]}"\ntls = "off"\nuser = "{target.user}"\n'
            f'[[sources]]\npath = "{base / "logs"}"\nto = "/{to}"\n'
        )

    def lines(self, size: int) -> bytes:
        """``size`` bytes that are nowhere else in any file."""
        made: list[bytes] = []
        length = 0
        while length < size:
            self._serial += 1
            line = b"%s %08d some words of a line of a log\n" % (self.name.encode(), self._serial)
            made.append(line)
            length += len(line)
        return b"".join(made)[:size]

    def append(self, size: int, path: bytes = LOG) -> None:
        """Some more lines."""
        self.tree.append(path, self.lines(size))

    def rotate(self, size: int, path: bytes = LOG) -> None:
        """Rename, then begin the file anew."""
        self.tree.rotate(path, Rotation.RENAME)
        self.append(size, path)

    def refill(self, size: int, path: bytes = LOG) -> None:
        """Truncate to nothing and write other lines."""
        os.truncate(self.tree.absolute(path), 0)
        self.ledger.removed(path)
        self.append(size, path)

    def current(self) -> dict[str, bytes]:
        """What the server shows of this node."""
        return self.target.current(self.folder)

    def generations(self, name: str) -> list[bytes]:
        """What the server keeps of it."""
        return self.target.generations(self.folder, name)

    def start(self) -> None:
        """A shelf can be started; servers of the walk run already."""

    def stop(self) -> None:
        """A shelf can be stopped; see ``start``."""

    def wrong(self) -> list[str]:
        """Everything lost, doubled or mixed up; empty when each byte ever written is there once."""
        return differences(self.ledger, self)


Deed = Callable[[Place], None]


@dataclass(frozen=True, slots=True)
class Work:
    """``before`` is delivered first, without faults; ``do`` makes the work whose delivery is broken."""

    name: str
    about: str
    before: Deed
    do: Deed


def _nothing(place: Place) -> None:
    """The node has no file yet."""


def _several(place: Place) -> None:
    for number, path in enumerate(MANY):
        place.append(200 + 150 * number, path)


WORKS = {
    work.name: work
    for work in (
        Work("new small file", "3,000 bytes, one upload under its own name", _nothing, lambda p: p.append(3_000)),
        Work("new big file", "60,000 bytes in slices of 24 KiB, published when it is whole", _nothing,
             lambda p: p.append(60_000)),
        Work("growth", "5,000 bytes are delivered; 3,000 more are written", lambda p: p.append(5_000),
             lambda p: p.append(3_000)),
        Work("rename", "5,000 bytes are delivered; `app.log` becomes `app.log.1` and a new `app.log` of 2,000 begins",
             lambda p: p.append(5_000), lambda p: p.rotate(2_000)),
        Work("new generation", "5,000 bytes are delivered; the file is truncated and filled with 2,000 others",
             lambda p: p.append(5_000), lambda p: p.refill(2_000)),
        Work("bundle", "nine new small files, sent as one", _nothing, _several),
    )
}  # fmt: skip


def _first(place: Place) -> bytes:
    return LOG if LOG in place.ledger.current() else MANY[0]


MEANWHILE: dict[str, Deed] = {
    "nothing": lambda place: None,
    "grown": lambda place: place.append(1_500, _first(place)),
    "rotated": lambda place: place.rotate(1_500, _first(place)),
    "refilled": lambda place: place.refill(1_500, _first(place)),
}
"""What happens to the source while nobody looks."""
