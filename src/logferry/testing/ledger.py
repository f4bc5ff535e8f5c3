"""The ledger: every byte that was ever written to a log tree, per life of a file, kept apart from the tree itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Life:
    """One generation as its writer knows it. ``copy`` holds its bytes; ``paths`` every name it had, newest last."""

    copy: Path
    paths: list[bytes] = field(default_factory=list)
    size: int = 0
    on_disk: bool = True
    """Whether the node still has all these bytes. Once truncated, replaced or deleted, a shipper that was late
    can hold no more than a prefix."""

    @property
    def path(self) -> bytes:
        """Where it lies, or last lay, relative to the tree."""
        return self.paths[-1]

    def read(self) -> bytes:
        """All bytes ever written to it."""
        return self.copy.read_bytes()

    def sha256(self) -> str:
        """Digest of ``read()``, hexadecimal."""
        with self.copy.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class Ledger:
    """Lives of a tree, oldest first, with their bytes in ``folder`` (made if missing; must lie outside the tree)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lives: list[Life] = []
        self._current: dict[bytes, Life] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def current(self) -> dict[bytes, Life]:
        """What lies on the node now, by relative path."""
        return dict(self._current)

    def written(self, path: bytes, data: bytes) -> None:
        """Bytes were appended at ``path``; a path not known begins a life."""
        self.added(self._current.get(path) or self._begin(path), data)

    def added(self, life: Life, data: bytes) -> None:
        """Bytes were written to ``life`` through a handle its writer kept, wherever it lies by now."""
        with life.copy.open("ab") as file:
            file.write(data)
        life.size += len(data)

    def renamed(self, old: bytes, new: bytes) -> None:
        """The file moved; what lay at ``new`` is gone from the node."""
        self.removed(new)
        life = self._current.pop(old)
        life.paths.append(new)
        self._current[new] = life

    def copied(self, old: bytes, new: bytes) -> None:
        """A copy of ``old`` was made at ``new``: a life of its own."""
        self.removed(new)
        self.written(new, self._current[old].read())

    def removed(self, path: bytes) -> None:
        """The bytes at ``path`` were truncated, replaced or deleted. Nothing there is no error."""
        life = self._current.pop(path, None)
        if life is not None:
            life.on_disk = False

    def _begin(self, path: bytes) -> Life:
        life = Life(self.folder / f"{len(self.lives):06d}.bytes", [path])
        life.copy.write_bytes(b"")
        self.lives.append(life)
        self._current[path] = life
        return life
