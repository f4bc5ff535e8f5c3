"""Which watch stands for which folder, also after folders were renamed. Pure."""

from __future__ import annotations

from collections.abc import Iterator


class Watchlist:
    """Descriptors of watches and paths of folders, each known by the other."""

    def __init__(self) -> None:
        self._paths: dict[int, bytes] = {}
        self._descriptors: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, folder: bytes) -> bool:
        return folder in self._descriptors

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._descriptors)

    def path(self, descriptor: int) -> bytes | None:
        """The folder that a watch stands for."""
        return self._paths.get(descriptor)

    def put(self, descriptor: int, folder: bytes) -> int | None:
        """``descriptor`` stands for ``folder``. Returns another watch that did so far and is of no use any more."""
        before = self._paths.get(descriptor)
        if before is not None and before != folder:
            del self._descriptors[before]
        other = self._descriptors.get(folder)
        if other == descriptor:
            return None
        if other is not None:
            del self._paths[other]
        self._paths[descriptor] = folder
        self._descriptors[folder] = descriptor
        return other

    def descriptor(self, folder: bytes) -> int | None:
        """The watch of a folder."""
        return self._descriptors.get(folder)

    def drop(self, descriptor: int) -> bytes | None:
        """Forget a watch; returns its folder."""
        folder = self._paths.pop(descriptor, None)
        if folder is not None:
            del self._descriptors[folder]
        return folder

    def drop_tree(self, folder: bytes) -> list[int]:
        """Forget the watches of ``folder`` and everything below it; returns their descriptors."""
        found = [self._descriptors[path] for path in self._tree(folder)]
        for descriptor in found:
            self.drop(descriptor)
        return found

    def rename(self, old: bytes, new: bytes) -> list[int]:
        """``old`` is called ``new`` now, with everything below. Returns watches of a tree that was at ``new``."""
        replaced = self.drop_tree(new)
        for path in self._tree(old):
            self.put(self._descriptors[path], new + path[len(old) :])
        return replaced

    def _tree(self, folder: bytes) -> list[bytes]:
        below = folder.rstrip(b"/") + b"/"
        return [path for path in self._descriptors if path == folder or path.startswith(below)]
