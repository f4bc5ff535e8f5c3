"""Objects as plain files below one directory, synced before they get their name."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator

from logferry.archive.durable import Disk, translating
from logferry.archive.live import Folder, LiveTree
from logferry.archive.store.store import StoredObject, checked_object_name, is_object_name
from logferry.errors import Conflict, NotFound
from logferry.limits import STORE_OPEN_MAX

_UNFINISHED = b".part-"
"""Begins the names of objects being written; no object's name begins with a dot."""


class LocalStore:
    """A ``Store`` in a directory."""

    def __init__(
        self, root: str, disk: Disk | None = None, *, file_mode: int = 0o644, folder_mode: int = 0o755
    ) -> None:
        """``root`` is made when missing. The modes: of what is made."""
        self._disk = disk or Disk()
        self._file_mode = file_mode
        self._tree = LiveTree(root, self._disk, folder_mode=folder_mode)
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _OpenObject] = OrderedDict()

    def put(self, name: str, parts: Iterable[bytes]) -> int:
        """See ``Store.put``."""
        folder_path, _, last = checked_object_name(name).rpartition("/")
        with translating(name):
            folder = self._tree.make(folder_path, lambda parent: self._disk.sync_folder(parent.fd))
            temporary = _UNFINISHED + secrets.token_hex(8).encode()
            fd = folder.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._file_mode)
            try:
                size = self._write(fd, parts)
                self._refuse_second(folder, name)
                self._disk.rename(folder.fd, temporary, folder.fd, last.encode())
            except BaseException:
                with contextlib.suppress(OSError):
                    self._disk.unlink(folder.fd, temporary)
                raise
            finally:
                os.close(fd)
            self._disk.sync_folder(folder.fd)
        return size

    def _refuse_second(self, folder: Folder, name: str) -> None:
        if folder.stat(name.rpartition("/")[2].encode()) is not None:
            raise Conflict(f"the store has an object {name} already")

    def _write(self, fd: int, parts: Iterable[bytes]) -> int:
        at = 0
        for part in parts:
            self._disk.write(fd, part, at)
            at += len(part)
        self._disk.sync_data(fd)
        return at

    def read(self, name: str, offset: int, count: int) -> bytes:
        """See ``Store.read``."""
        opened = self._opened(checked_object_name(name))
        with translating(name):
            data = os.pread(opened.fd, count, offset)
            while data and len(data) < count and (more := os.pread(opened.fd, count - len(data), offset + len(data))):
                data += more
        return data

    def _opened(self, name: str) -> _OpenObject:
        with self._lock:
            found = self._open.get(name)
            if found is not None:
                self._open.move_to_end(name)
                return found
        folder_path, _, last = name.rpartition("/")
        with translating(name):
            folder = self._tree.folder(folder_path)
            if folder is None:
                raise NotFound(f"the store has no object {name}")
            try:
                opened = _OpenObject(folder.open(last.encode()))
            except FileNotFoundError as error:
                raise NotFound(f"the store has no object {name}") from error
        with self._lock:
            self._open[name] = opened
            if len(self._open) > STORE_OPEN_MAX:
                self._open.popitem(last=False)
        return opened

    def size(self, name: str) -> int | None:
        """See ``Store.size``."""
        folder_path, _, last = checked_object_name(name).rpartition("/")
        folder = self._tree.folder(folder_path)
        found = folder.stat(last.encode()) if folder is not None else None
        return None if found is None else found.st_size

    def objects(self, prefix: str = "") -> Iterator[StoredObject]:
        """See ``Store.objects``."""
        folder = self._tree.folder(checked_object_name(prefix) if prefix else "")
        if folder is not None:
            yield from self._objects_in(folder, f"{prefix}/" if prefix else "")

    def _objects_in(self, folder: Folder, above: str) -> Iterator[StoredObject]:
        for raw in sorted(folder.names()):
            facts = folder.stat(raw)
            if facts is None or raw.startswith(b"."):
                continue
            name = above + os.fsdecode(raw)
            if not is_object_name(name):
                continue  # no part of a store, such as lost+found, which only root may open
            if stat.S_ISDIR(facts.st_mode):
                inner = self._tree.folder(name)
                if inner is not None:
                    yield from self._objects_in(inner, name + "/")
            elif stat.S_ISREG(facts.st_mode):
                yield StoredObject(name, facts.st_size, facts.st_mtime_ns)

    def remove(self, name: str) -> None:
        """See ``Store.remove``."""
        folder_path, _, last = checked_object_name(name).rpartition("/")
        with self._lock:
            self._open.pop(name, None)
        folder = self._tree.folder(folder_path)
        if folder is not None:
            with translating(name):
                self._disk.unlink(folder.fd, last.encode())
                self._disk.sync_folder(folder.fd)

    def sweep(self, before_ns: int) -> int:
        """See ``Store.sweep``."""
        removed = 0
        for path, facts in list(self._tree.walk()):
            folder_path, _, last = path.rpartition("/")
            if last.encode().startswith(_UNFINISHED) and facts.st_mtime_ns < before_ns:
                folder = self._tree.folder(folder_path)
                if folder is not None:
                    self._disk.unlink(folder.fd, last.encode())
                    removed += 1
        return removed

    def close(self) -> None:
        """See ``Store.close``."""
        with self._lock:
            self._open.clear()
        self._tree.close()


class _OpenObject:
    """A descriptor that closes itself when the last reader lets go of it."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)
