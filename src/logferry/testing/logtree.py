"""A log tree that behaves as on a real node: files grow, are rotated in the three usual ways, some have odd names.

Everything is drawn from one seed, so a failing run can be repeated. Writers keep no handle: each write opens,
appends and closes, so a write after a rename goes to the new file at once.
"""

from __future__ import annotations

import enum
import os
import random
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from logferry.testing.ledger import Ledger
from logferry.testing.loggen import START, LineSource


class Rotation(enum.Enum):
    """How a log ends one generation and begins the next."""

    RENAME = "rename"
    """``app.log`` becomes ``app.log.1``, older ones move up, a new file begins."""
    COPYTRUNCATE = "copytruncate"
    """``app.log`` is copied to ``app.log.1`` and cut to nothing; its inode stays."""
    REPLACE = "replace"
    """A new file is renamed over ``app.log``; the old content is gone from the node."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """One log of a tree: relative path (bytes, as the file system has it), kind of lines, way of rotation."""

    path: bytes
    kind: str
    rotation: Rotation = Rotation.RENAME
    weight: int = 1
    """How often it is written to, beside the others."""


WEB = (
    LogFile(b"nginx/access.log", "nginx", Rotation.RENAME, 6),
    LogFile(b"nginx/api.log", "apache", Rotation.COPYTRUNCATE, 2),
    LogFile(b"app/service.json", "json", Rotation.RENAME, 3),
    LogFile(b"syslog", "syslog", Rotation.RENAME, 1),
)
DATABASE = (
    LogFile(b"server/server.log", "java", Rotation.RENAME, 4),
    LogFile(b"server/audit.json", "json", Rotation.COPYTRUNCATE, 2),
    LogFile(b"syslog", "syslog", Rotation.RENAME, 1),
)
PLANT = (
    LogFile(b"Logs/TrackSimulator/track.txt", "crlf", Rotation.REPLACE, 3),
    LogFile(b"Logs/PumpControl/pump 100%.txt", "crlf", Rotation.RENAME, 3),
    LogFile("Logs/Übersicht/tür.txt".encode(), "crlf", Rotation.COPYTRUNCATE, 1),
)
ODD_NAMES = (
    LogFile(b"odd/line\nbreak.log", "syslog"),
    LogFile(b"odd/not-utf8-\xff\xfe.log", "syslog"),
    LogFile(b"odd/%41 percent.log", "syslog"),
    LogFile("odd/right\u202eto\u202cleft.log".encode(), "syslog"),
    LogFile(b"odd/'quoted' \"name\" $HOME;.log", "syslog"),
)


class LogTree:
    """Logs under ``root``. With a ``ledger``, every byte written is also kept there, per life of a file."""

    def __init__(
        self,
        root: Path,
        files: tuple[LogFile, ...] = WEB,
        *,
        seed: int = 1,
        ledger: Ledger | None = None,
        start: datetime = START,
        keep: int = 5,
    ) -> None:
        self.root = root
        self.files = files
        self.ledger = ledger
        self._keep = keep
        self._rng = random.Random(seed)
        self._sources = {f.path: LineSource(f.kind, seed=seed + i, start=start) for i, f in enumerate(files)}
        root.mkdir(parents=True, exist_ok=True)

    def absolute(self, path: bytes) -> bytes:
        """Where a relative path lies on disk."""
        return os.path.join(os.fsencode(self.root), path)

    def grow(self, records: int = 100) -> int:
        """Write about ``records`` records over all files. Returns the bytes written."""
        chosen = self._rng.choices(self.files, [f.weight for f in self.files], k=records)
        count = {f.path: chosen.count(f) for f in self.files}
        return sum(
            self.append(path, b"".join(self._sources[path].piece() for _ in range(n))) for path, n in count.items()
        )

    def settle(self) -> int:
        """Write what records still miss, so that every file ends at a line end. Returns the bytes written."""
        return sum(self.append(path, source.rest()) for path, source in self._sources.items())

    def plant(self, path: bytes, text: bytes) -> bytes:
        """Write one line holding ``text`` into ``path``, on a line of its own. Returns the line."""
        line = b"planted " + text + b" here\n"
        self.append(path, self._sources[path].rest() + line)
        return line

    def append(self, path: bytes, data: bytes) -> int:
        """Append bytes to a file, making it and its folders if need be. Returns their number."""
        absolute = self.absolute(path)
        os.makedirs(os.path.dirname(absolute), exist_ok=True)
        with open(absolute, "ab") as file:
            file.write(data)
        if self.ledger:
            self.ledger.written(path, data)
        return len(data)

    def rotate(self, path: bytes, how: Rotation | None = None) -> Rotation:
        """End the generation at ``path`` the way its ``LogFile`` says, or ``how``. Returns the way taken."""
        way = how or next(f.rotation for f in self.files if f.path == path)
        if way is Rotation.RENAME:
            self._move_up(path)
            self._rename(path, path + b".1")
        elif way is Rotation.COPYTRUNCATE:
            self._move_up(path)
            self._copy_truncate(path)
        else:
            self._replace(path)
        return way

    def rotate_all(self) -> None:
        """Rotate every file that exists, each in its own way, and begin the next generation with a few records."""
        for file in self.files:
            if os.path.exists(self.absolute(file.path)):
                self.rotate(file.path)
                self.append(file.path, b"".join(self._sources[file.path].piece() for _ in range(3)))

    def paths(self) -> list[bytes]:
        """Relative paths of all files on disk, sorted."""
        root = os.fsencode(self.root)
        found = [os.path.join(at, name) for at, _, names in os.walk(root) for name in names]
        return sorted(os.path.relpath(path, root) for path in found)

    def _move_up(self, path: bytes) -> None:
        oldest = path + b".%d" % self._keep
        if os.path.exists(self.absolute(oldest)):
            os.unlink(self.absolute(oldest))
            if self.ledger:
                self.ledger.removed(oldest)
        for number in range(self._keep - 1, 0, -1):
            if os.path.exists(self.absolute(path + b".%d" % number)):
                self._rename(path + b".%d" % number, path + b".%d" % (number + 1))

    def _rename(self, old: bytes, new: bytes) -> None:
        os.rename(self.absolute(old), self.absolute(new))
        if self.ledger:
            self.ledger.renamed(old, new)

    def _copy_truncate(self, path: bytes) -> None:
        shutil.copyfile(self.absolute(path), self.absolute(path + b".1"))
        os.truncate(self.absolute(path), 0)
        if self.ledger:
            self.ledger.copied(path, path + b".1")
            self.ledger.removed(path)
            self.ledger.written(path, b"")

    def _replace(self, path: bytes) -> None:
        fresh = self._sources[path].rest() + self._sources[path].record()
        beside = self.absolute(path) + b".new"
        with open(beside, "wb") as file:
            file.write(fresh)
        os.replace(beside, self.absolute(path))
        if self.ledger:
            self.ledger.removed(path)
            self.ledger.written(path, fresh)
