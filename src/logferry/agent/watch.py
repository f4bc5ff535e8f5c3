"""The watcher's port: who tells the agent where to look before the next full look. ``inotify.py`` has one for Linux."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Protocol

from logferry.agent.journal import Journal


@dataclass(slots=True)
class Hints:
    """Where something happened: names per folder. ``everywhere``: events were lost, a full look is needed."""

    names: dict[bytes, set[bytes]] = field(default_factory=dict)
    everywhere: bool = False

    def __bool__(self) -> bool:
        return self.everywhere or bool(self.names)


class Watcher(Protocol):
    """Says where to look. A watcher may miss things (the full look finds them), but never blocks."""

    def fileno(self) -> int | None:
        """A descriptor that gets readable when there are hints, or None: then only the full look finds changes."""
        ...

    def watch(self, folder: bytes) -> None:
        """From now on report changes directly in ``folder``. Called before the folder is listed; may be repeated."""
        ...

    def read(self) -> Hints:
        """All hints since the last call."""
        ...

    @property
    def complete(self) -> bool:
        """Whether every folder is watched; False: some rely on the full look, which must then be frequent."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...


class NoWatcher:
    """Polling only."""

    complete = False

    def fileno(self) -> int | None:
        return None

    def watch(self, folder: bytes) -> None:
        """Nothing to do."""

    def read(self) -> Hints:
        return Hints()

    def close(self) -> None:
        """Nothing to do."""


def best_watcher(journal: Journal) -> Watcher:
    """The system's watcher where there is one, else polling."""
    if sys.platform == "linux":
        from logferry.agent.inotify import Inotify

        try:
            return Inotify(journal)
        except OSError as error:
            journal.state("watching", f"polling: inotify: {error.strerror}")
    return NoWatcher()
