"""A file layer that writes down what is done to an archive, and the disks that a power cut could have left behind.

What was synced is there. Of what was not, a state has any part: bytes may be missing, half there, or zeros; names may
not have changed yet. Two disks are played: one keeps the order of all changes of names and only loses the last of them
(as the journal of ext4 does), on the other each name that was not synced may have changed or not (as POSIX allows).
The catalog is as SQLite guarantees it: what the last commit left.
"""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from logferry.archive.durable import Data, Disk

ROOT = 0
"""The number of the data directory."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names appear (folder, name, what, whether it is a folder) and vanish (folder, name), all at once."""

    added: tuple[tuple[int, str, int, bool], ...]
    removed: tuple[tuple[int, str], ...]

    @property
    def folders(self) -> set[int]:
        """Where names changed."""
        return {one[0] for one in self.added} | {one[0] for one in self.removed}


@dataclass(frozen=True, slots=True)
class Bytes:
    """``data`` comes to lie at ``offset``; None: the file is ``offset`` bytes long from now on."""

    file: int
    offset: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Synced:
    """A file, a folder, or (None) everything is on the disk."""

    what: int | None


@dataclass(frozen=True, slots=True)
class Committed:
    """The catalog's database as it is from now on."""

    database: bytes


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """So many steps are done."""

    steps: int


Event = Names | Bytes | Synced | Committed | Acknowledged
Journal = Literal["ordered", "free"]


class RecordingDisk(Disk):
    """A ``Disk`` below ``root`` that remembers everything in ``events``."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.events: list[Event] = []
        self._root = root
        self._lock = threading.RLock()
        self._numbers: dict[int, int] = {}
        self._next = ROOT + 1
        self._names: dict[tuple[int, str], int] = {}
        self._look()
        self._take_snapshot()

    def step(self, name: str) -> None:
        with self._lock:
            self._look()
            if name == "committed":
                self._take_snapshot()

    def write(self, fd: int, data: Data, offset: int) -> None:
        with self._lock:
            super().write(fd, data, offset)
            self._note_bytes(fd, offset, bytes(data))

    def truncate(self, fd: int, size: int) -> None:
        with self._lock:
            super().truncate(fd, size)
            self._note_bytes(fd, size, None)

    def sync_data(self, fd: int) -> None:
        with self._lock:
            super().sync_data(fd)
            self._note_sync(fd)

    def sync_file(self, fd: int) -> None:
        with self._lock:
            super().sync_file(fd)
            self._note_sync(fd)

    def sync_many(self, fds: Sequence[int]) -> None:
        with self._lock:
            super().sync_many(fds)
            self.events.append(Synced(None))

    def sync_folder(self, folder_dir: int) -> None:
        with self._lock:
            super().sync_folder(folder_dir)
            self._note_sync(folder_dir)

    def acknowledge(self, steps: int) -> None:
        """So many steps are done."""
        with self._lock:
            self._look()
            self.events.append(Acknowledged(steps))

    def _note_bytes(self, fd: int, offset: int, data: bytes | None) -> None:
        number = self._numbers.get(os.fstat(fd).st_ino)
        if number is not None:
            self.events.append(Bytes(number, offset, data))

    def _note_sync(self, fd: int) -> None:
        number = self._numbers.get(os.fstat(fd).st_ino)
        if number is not None:
            self.events.append(Synced(number))

    def _take_snapshot(self) -> None:
        with sqlite3.connect(self._root / "catalog.db") as connection:
            self.events.append(Committed(connection.serialize()))
        connection.close()

    def _look(self) -> None:
        """Which names have changed since the last step: those of one call together, then files that were made."""
        there: dict[tuple[int, str], int] = {}
        made: list[tuple[int, str, int, bool]] = []
        linked: list[tuple[int, str, int, bool]] = []
        inodes: set[int] = set()
        self._walk(self._root, ROOT, there, made, linked, inodes)
        removed = tuple(key for key in self._names if key not in there)
        if linked or removed:
            self.events.append(Names(tuple(linked), removed))
        self.events += [Names((one,), ()) for one in made]
        self._names = there
        self._numbers = {inode: number for inode, number in self._numbers.items() if inode in inodes}

    def _walk(
        self,
        folder: Path,
        number: int,
        there: dict[tuple[int, str], int],
        made: list[tuple[int, str, int, bool]],
        linked: list[tuple[int, str, int, bool]],
        inodes: set[int],
    ) -> None:
        for name in sorted(os.listdir(folder)):
            if number == ROOT and name.startswith("catalog.db"):
                continue
            facts = os.lstat(folder / name)
            is_folder = stat.S_ISDIR(facts.st_mode)
            inodes.add(facts.st_ino)
            known = self._numbers.get(facts.st_ino)
            if known is None:
                known = self._numbers[facts.st_ino] = self._next
                self._next += 1
                made.append((number, name, known, is_folder))
            elif self._names.get((number, name)) != known:
                linked.append((number, name, known, is_folder))
            there[number, name] = known
            if is_folder:
                self._walk(folder / name, known, there, made, linked, inodes)


@dataclass
class _File:
    """What a file may hold: bytes that are on the disk for sure, and what has been done to them since."""

    sure: bytearray = field(default_factory=bytearray)
    unsure: list[Bytes] = field(default_factory=list)

    def settle(self) -> None:
        """Everything is on the disk."""
        for event in self.unsure:
            _apply(self.sure, event)
        self.unsure.clear()

    def after(self, dice: random.Random | None) -> bytes:
        """After a power cut; without ``dice`` nothing that was not synced is there."""
        found = bytearray(self.sure)
        for event in self.unsure if dice is not None else ():
            luck = dice.random() if dice is not None else 0.0
            if luck < 0.5:
                _apply(found, event)
            elif luck < 0.7 and event.data:
                _apply(found, Bytes(event.file, event.offset, event.data[: dice.randrange(len(event.data) + 1)]))  # type: ignore[union-attr]
            elif luck < 0.85 and event.data:
                _apply(found, Bytes(event.file, event.offset, bytes(len(event.data))))
        return bytes(found)


def _apply(content: bytearray, event: Bytes) -> None:
    if event.data is None:
        del content[event.offset :]
        content.extend(bytes(event.offset - len(content)))
        return
    if len(content) < event.offset:
        content.extend(bytes(event.offset - len(content)))
    content[event.offset : event.offset + len(event.data)] = event.data


def leave_behind(events: Sequence[Event], folder: Path, *, journal: Journal, dice: random.Random | None) -> int:
    """Make in ``folder`` what a power cut after ``events`` leaves; returns how many steps were acknowledged.

    Args:
        dice: what decides; without them nothing is there that was not synced.
    """
    files: dict[int, _File] = {}
    database, steps = b"", 0
    # What was there when the recording began was there long before.
    first = next(place for place, event in enumerate(events) if isinstance(event, Committed))
    sure = set(range(first))
    pending: list[int] = []
    for place, event in enumerate(events):
        if isinstance(event, Committed):
            database = event.database
        elif isinstance(event, Acknowledged):
            steps = event.steps
        elif isinstance(event, Bytes):
            files.setdefault(event.file, _File()).unsure.append(event)
        elif isinstance(event, Names):
            if place not in sure:
                pending.append(place)
        else:
            for number in files if event.what is None else {event.what} & files.keys():
                files[number].settle()
            pending = _still_pending(events, pending, event, sure, journal)
    _lose(pending, sure, journal, dice)
    _build(folder, events, sure, files, dice)
    (folder / "catalog.db").write_bytes(database)
    return steps


def _still_pending(
    events: Sequence[Event], pending: list[int], event: Synced, sure: set[int], journal: Journal
) -> list[int]:
    """Which changes of names may still be lost after ``event``; the others become sure."""
    if event.what is None:
        sure.update(pending)
        return []
    done = [place for place in pending if _touches(events[place], event.what)]
    if journal == "ordered" and done:  # the journal is written up to there
        done = [place for place in pending if place <= done[-1]]
    sure.update(done)
    return [place for place in pending if place not in sure]


def _touches(event: Event, folder: int) -> bool:
    return isinstance(event, Names) and folder in event.folders


def _lose(pending: Sequence[int], sure: set[int], journal: Journal, dice: random.Random | None) -> None:
    """Decide which of the changes of names that were not synced are on the disk all the same."""
    if dice is None:
        return
    if journal == "ordered":
        sure.update(pending[: dice.randrange(len(pending) + 1)])
    else:
        sure.update(place for place in pending if dice.random() < 0.5)


def _build(
    folder: Path, events: Sequence[Event], sure: set[int], files: dict[int, _File], dice: random.Random | None
) -> None:
    names: dict[tuple[int, str], tuple[int, bool]] = {}
    for place, event in enumerate(events):
        if isinstance(event, Names) and place in sure:
            for key in event.removed:
                names.pop(key, None)
            for parent, name, number, is_folder in event.added:
                names[parent, name] = (number, is_folder)
    inside: dict[int, list[tuple[str, int, bool]]] = {}
    for (parent, name), (number, is_folder) in names.items():
        inside.setdefault(parent, []).append((name, number, is_folder))
    made: dict[int, Path] = {}
    folders = [(ROOT, folder)]
    while folders:
        parent, at = folders.pop()
        for name, number, is_folder in inside.get(parent, []):
            if is_folder:
                (at / name).mkdir()
                folders.append((number, at / name))
            elif number in made:
                os.link(made[number], at / name)
            else:
                made[number] = at / name
                made[number].write_bytes(files[number].after(dice) if number in files else b"")
