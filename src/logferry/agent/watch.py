"""The watcher's port: who tells the agent where to look before the next full look.

``inotify.py`` is the one for Linux, ``watch_files.py`` the one for Windows and macOS; without either, looking is all.
"""

from __future__ import annotations

import sys
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Protocol

from logferry.agent.journal import Journal


@dataclass(slots=True)
class Hints:
    """Where something happened: names per folder, in paths as they are now.

    ``everywhere``: events were lost or a whole tree went away, a full look is needed.
    """

    names: dict[bytes, set[bytes]] = field(default_factory=dict)
    renamed: dict[bytes, bytes] = field(default_factory=dict)
    """For files that the system saw renamed: where they are now -> where they were first. Of several renames of one
    file only the two ends are left."""
    everywhere: bool = False

    def __bool__(self) -> bool:
        return self.everywhere or bool(self.names) or bool(self.renamed)

    def at(self, folder: bytes, name: bytes) -> None:
        """Something happened to ``name`` in ``folder``."""
        names = self.names.get(folder)
        if names is None:
            names = self.names[folder] = set()
        names.add(name)

    def file_renamed(self, old: bytes, new: bytes) -> None:
        """A file went from ``old`` to ``new``; what was at ``new`` is no more."""
        self.renamed[new] = self.renamed.pop(old, old)

    def folder_renamed(self, old: bytes, new: bytes) -> None:
        """A folder went from ``old`` to ``new`` with everything in it, and so do the hints that lie in it."""
        for folder in [f for f in self.names if f == old or f.startswith(old + b"/")]:
            self.names.setdefault(new + folder[len(old) :], set()).update(self.names.pop(folder))
        for path in [p for p in self.renamed if p.startswith(old + b"/")]:
            self.renamed[new + path[len(old) :]] = self.renamed.pop(path)


class Watcher(Protocol):
    """Says where to look. A watcher may miss things (the full look finds them), but never blocks."""

    kind: str
    """What the status calls it."""
    overflows: int
    """How often it knows that events were lost, since its start."""

    def fileno(self) -> int | None:
        """A descriptor that gets readable when there are hints, or None: then only looking finds changes."""
        ...

    def watch(self, folder: bytes) -> None:
        """From now on report changes directly in ``folder``. Called before the folder is listed; may be repeated."""
        ...

    def read(self) -> Hints:
        """All hints since the last call."""
        ...

    @property
    def polled(self) -> Set[bytes]:
        """Folders of which it cannot tell: they have to be looked at often. ``watch`` tries again each time."""
        ...

    @property
    def complete(self) -> bool:
        """Whether nothing can happen to any of the folders that it would not tell, as far as it knows."""
        ...

    def looked(self) -> None:
        """A full look is over: every folder that still matters was given to ``watch`` since the last call."""
        ...

    def close(self) -> None:
        """Release everything."""
        ...


class NoWatcher:
    """Looking only."""

    polled: Set[bytes] = frozenset()
    kind = "polling"
    overflows = 0
    complete = False

    def fileno(self) -> int | None:
        return None

    def watch(self, folder: bytes) -> None:
        """Nothing to do."""

    def read(self) -> Hints:
        return Hints()

    def looked(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def best_watcher(journal: Journal) -> Watcher:
    """The system's watcher where there is one, else looking only, which it says."""
    try:
        return _inotify(journal) if _HAS_INOTIFY else _watch_files(journal)
    except OSError as error:
        journal.state("watching", f"polling: no watcher: {error.strerror}")
    except ImportError as error:
        journal.state("watching", f"polling: no watcher: {error}", hint="pip install watchfiles")
    return NoWatcher()


_HAS_INOTIFY: bool = sys.platform == "linux"


def _inotify(journal: Journal) -> Watcher:
    from logferry.agent.inotify import Inotify

    return Inotify(journal)


def _watch_files(journal: Journal) -> Watcher:
    from logferry.agent.watch_files import WatchFiles

    return WatchFiles(journal)
