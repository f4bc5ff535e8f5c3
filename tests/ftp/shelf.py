"""A file system in memory that an FTP server can serve: the smallest one that keeps every rule of the protocols."""

from __future__ import annotations

from collections.abc import Iterator

from logferry.errors import Conflict, NotFound, Refused
from logferry.ftp import Entry


class _ShelfUpload:
    def __init__(self, shelf: Shelf, path: str, content: bytes) -> None:
        self._shelf = shelf
        self._path = path
        self._content = bytearray(content)

    @property
    def position(self) -> int:
        return len(self._content)

    def write(self, data: memoryview | bytes) -> None:
        self._content += data

    def commit(self) -> None:
        self._shelf.files[self._path] = bytes(self._content)

    def abandon(self) -> None:
        self._content.clear()


class _ShelfDownload:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def fileno(self) -> int | None:
        return None

    def read_at(self, offset: int, count: int) -> bytes:
        return self._content[offset : offset + count]

    def close(self) -> None:
        return


class Shelf:
    """Files by path, folders as a set of paths."""

    atomic = True

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.folders = {"/"}

    def stat(self, path: str) -> Entry:
        name = path.rpartition("/")[2]
        if path in self.folders:
            return Entry(name, True, 0, 0)
        if path in self.files:
            return Entry(name, False, len(self.files[path]), 0)
        raise NotFound(f"no such file or folder: {path}")

    def entries(self, path: str) -> Iterator[Entry]:
        if path not in self.folders:
            raise NotFound(f"no such folder: {path}")
        start = path.rstrip("/") + "/"
        below = [one for one in (*self.files, *self.folders) if one.startswith(start) and one != start]
        return iter([self.stat(one) for one in below if "/" not in one[len(start) :]])

    def size(self, path: str) -> int:
        return self.stat(path).size

    def open_download(self, path: str) -> _ShelfDownload:
        if path not in self.files:
            raise NotFound(f"no such file: {path}")
        return _ShelfDownload(self.files[path])

    def open_upload(self, path: str, *, offset: int, append: bool) -> _ShelfUpload:
        before = self.files.get(path, b"")
        if offset > len(before):
            raise Refused(f"only {len(before)} bytes of {path} are here")
        return _ShelfUpload(self, path, before if append else before[:offset])

    def make_folder(self, path: str) -> None:
        if path in self.folders or path in self.files:
            raise Conflict(f"{path} already exists")
        self.folders.add(path)

    def remove_folder(self, path: str) -> None:
        self.folders.discard(path)

    def remove_file(self, path: str) -> None:
        if self.files.pop(path, None) is None:
            raise NotFound(f"no such file: {path}")

    def rename(self, source: str, target: str) -> None:
        self.files[target] = self.files.pop(source)

    def set_modified(self, path: str, ns: int) -> None:
        self.stat(path)
