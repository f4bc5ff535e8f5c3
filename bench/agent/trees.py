"""Files to send: trees of many, and files that grow. What they hold is drawn by seed."""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path

from logferry.testing import LineSource

_POOL_LINES = 40_000
_STEP = 7_919
_SYNC_FILES_MIN = 1_000


def lines(count: int) -> bytes:
    """At least ``count`` bytes of log lines."""
    source = LineSource("nginx", seed=4)
    text = b"".join(source.record() for _ in range(_POOL_LINES))
    return text * (-(-count // len(text)))


def many(tree: Path, files: int, folders: int, file_bytes: int, *, filled: bool = True) -> None:
    """``files`` files of ``file_bytes`` in ``folders`` folders; unless ``filled`` they are holes that hold no block."""
    pool = lines(2 * file_bytes + _STEP) if filled else b""
    for folder in range(folders):
        (tree / f"dir{folder:04d}").mkdir(parents=True)
    for number in range(files):
        path = tree / f"dir{number % folders:04d}" / f"app-{number:07d}.log"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        if filled:
            start = number * _STEP % (len(pool) - file_bytes)
            os.write(descriptor, pool[start : start + file_bytes])
        else:
            os.truncate(descriptor, file_bytes)
        os.close(descriptor)
    if filled and files >= _SYNC_FILES_MIN:
        os.sync()


class Growing:
    """``files`` files of ``base_bytes`` that grow by ``more_bytes`` and can be made small again."""

    def __init__(self, tree: Path, *, files: int, base_bytes: int, more_bytes: int) -> None:
        self.tree = tree
        self.files = files
        self.base_bytes = base_bytes
        self.more_bytes = more_bytes
        self._pool = memoryview(lines(base_bytes + more_bytes + files * _STEP))
        self.paths = [tree / f"dir{number % 10}" / f"app-{number:04d}.log" for number in range(files)]

    @property
    def grown_bytes(self) -> int:
        """What all of it grows by."""
        return self.files * self.more_bytes

    def begin(self) -> None:
        """All files anew, at their base size."""
        shutil.rmtree(self.tree, ignore_errors=True)
        for number, path in enumerate(self.paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._part(number, 0, self.base_bytes))

    def grow(self) -> None:
        """Append to every file, and let the disk have it, so that it does not get in the way afterwards."""
        for number, path in enumerate(self.paths):
            with path.open("ab", buffering=0) as file:
                file.write(self._part(number, self.base_bytes, self.base_bytes + self.more_bytes))
                os.fsync(file.fileno())

    def arrived(self, folder: Path, size: int) -> bool:
        """Whether every file has ``size`` bytes at its place below ``folder``."""
        try:
            return all(os.stat(folder / path.relative_to(self.tree)).st_size == size for path in self.paths)
        except FileNotFoundError:
            return False

    def verify(self, folder: Path) -> None:
        """SystemExit unless every byte is at its place below ``folder``."""
        for path in self.paths:
            there = folder / path.relative_to(self.tree)
            if not filecmp.cmp(path, there, shallow=False):
                raise SystemExit(f"{there} differs from {path}")

    def _part(self, number: int, start: int, end: int) -> memoryview:
        return self._pool[number * _STEP + start : number * _STEP + end]


def count(folder: Path, file_bytes: int) -> int:
    """How many files of ``file_bytes`` are below ``folder``."""
    found = 0
    for at, _, names in os.walk(folder):
        found += sum(os.stat(os.path.join(at, name)).st_size == file_bytes for name in names)
    return found


def newest_change_ns(folder: Path) -> int:
    """When anything below ``folder`` was changed last, in nanoseconds since 1970."""
    newest = 0
    for at, _, names in os.walk(folder):
        newest = max(newest, *(os.lstat(os.path.join(at, name)).st_ctime_ns for name in [*names, "."]))
    return newest
