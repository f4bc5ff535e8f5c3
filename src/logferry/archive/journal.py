"""The journal: what was renamed or ended after it was sealed, so that segments and files alone tell where it belongs.

A segment's manifest says what its generations were called when it was written, and is never changed. The journal has
what came later: one file per agent, one line of JSON per change, appended and synced before the change is committed.
It is read only when the catalog is lost. The last line about a generation counts.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from logferry.archive.durable import Disk
from logferry.archive.live import LiveTree
from logferry.limits import COPY_BYTES

_SUFFIX = ".jsonl"


class Note(NamedTuple):
    """Where a generation belongs: its path, its number there, and when it ended (None: it is current)."""

    uid: str
    path: str
    number: int
    ended_ns: int | None


class Journal:
    """One journal per agent below a folder. Several processes may write."""

    def __init__(self, tree: LiveTree, disk: Disk) -> None:
        self._tree = tree
        self._disk = disk

    def write(self, agent: str, notes: Sequence[Note]) -> None:
        """Append and sync; nothing happens without notes."""
        if not notes:
            return
        lines = b"".join(json.dumps(note, ensure_ascii=True, separators=(",", ":")).encode() + b"\n" for note in notes)
        folder = self._tree.make("", lambda parent: self._disk.sync_folder(parent.fd))
        name = f"{agent}{_SUFFIX}".encode()
        is_new = folder.stat(name) is None
        fd = folder.open(name, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            end = os.fstat(fd).st_size
            # A line that a crash cut off must not swallow ours.
            torn = end > 0 and os.pread(fd, 1, end - 1) != b"\n"
            self._disk.write(fd, b"\n" + lines if torn else lines, end)
            self._disk.sync_data(fd)
        finally:
            os.close(fd)
        if is_new:
            self._disk.sync_folder(folder.fd)

    def read(self, agent: str) -> Iterator[Note]:
        """All whole lines, oldest first."""
        folder = self._tree.folder("")
        assert folder is not None
        try:
            fd = folder.open(f"{agent}{_SUFFIX}".encode())
        except FileNotFoundError:
            return
        with os.fdopen(fd, "rb", COPY_BYTES) as file:
            for line in file:
                note = _read(line)
                if note is not None:
                    yield note

    def close(self) -> None:
        """Let go of the folder."""
        self._tree.close()


def _read(line: bytes) -> Note | None:
    try:
        uid, path, number, ended_ns = json.loads(line)
    except (ValueError, TypeError):
        return None  # cut off by a crash: its change was never committed
    known = isinstance(uid, str) and isinstance(path, str) and isinstance(number, int)
    return Note(uid, path, number, ended_ns) if known and (ended_ns is None or isinstance(ended_ns, int)) else None
