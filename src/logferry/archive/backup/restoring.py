"""Bringing a backup back into an empty data folder, in an order that can be cut off anywhere and gone on with.

============================== ============================================ ====================================
step                            cut off after it                             what happens then
============================== ============================================ ====================================
``restore.json``                an empty archive that says what it waits for no server starts on it
segments into the store         objects without a catalog                    the next run goes on behind them
journal, extras, empty files    the same                                     written again
the catalog                     a whole archive                              it is restored
remove ``restore.json``         the same                                     the same
============================== ============================================ ====================================

The catalog comes as the file ``catalog.db``, in one rename, or goes to a PostgreSQL server, in one transaction. All
bytes lie in segments then, also those that were in plain files; files go on growing in tails.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from logferry.archive.backup.records import Backup, Listed, altered, json_object, read_from
from logferry.archive.backup.repository import CATALOG, JOURNAL, Repository
from logferry.archive.catalog import Place
from logferry.archive.catalog.copying import check_empty, copy_in, fact_at
from logferry.archive.catalog.facts import RESTORED
from logferry.archive.catalog.snapshot import Snapshot, check_copy
from logferry.archive.durable import Disk, translating
from logferry.archive.live import Folder, LiveTree
from logferry.archive.store import Store
from logferry.errors import BadName, Conflict, Damaged, NotFound
from logferry.limits import COPY_BYTES
from logferry.names import checked_agent_id

MARKER = "restore.json"
"""In a data folder to which a backup is being restored: without it, what lies there belongs to somebody."""
CATALOG_FILE = "catalog.db"
_NEW = CATALOG_FILE + ".restored"


def refuse_unfinished(data_dir: str) -> None:
    """Raise Conflict where a restore was begun and is not at its end: what lies there is no whole archive."""
    if os.path.exists(os.path.join(data_dir, MARKER)):
        raise Conflict(
            f"a backup is being restored to {data_dir}, or that was cut off",
            hint="wait for its end, or run logferry restore again: it goes on where it was",
        )


@dataclass(slots=True)
class Restoring:
    """How far it is; grows while it goes on."""

    bytes: int = 0
    total_bytes: int = 0
    objects: int = 0
    problems: list[str] = field(default_factory=list)


Tell = Callable[[Restoring], None]


class Restorer:
    """Restores one backup. Only one at a time may work on a data folder: the caller sees to that."""

    def __init__(
        self,
        repository: Repository,
        backup: Backup,
        data_dir: str,
        store: Store,
        *,
        catalog: Place | None = None,
        disk: Disk | None = None,
        tell: Tell = lambda _: None,
    ) -> None:
        """``store``: where the archive's segments lie from now on; ``catalog``: on which PostgreSQL server its catalog
        is then, None: in the data folder."""
        self._repository = repository
        self._backup = backup
        self._data_dir = data_dir
        self._store = store
        self._catalog = catalog
        self._disk = disk or Disk()
        self._tell = tell
        self._tree = LiveTree(data_dir, self._disk)
        self._restore_id = ""
        self.done = Restoring()

    def restore(self) -> None:
        """Returns when the archive is whole and durable, but for what ``done.problems`` names.

        Raises:
            Conflict: the data folder has an archive, the catalog's server has one, or another backup was begun to be
                restored there.
            Unreachable: the catalog's server does not answer; when it does, it goes on where it was.
            Damaged: the backup's catalog is not whole, or things of no archive are in it.
            Full: no room; with room it goes on where it was.
        """
        extras = [(self._backup.place_of(part), part) for part in self._backup.extras()]
        with translating(self._data_dir):
            if self._is_done():
                self._forget_marker()
                return
            marker = {"backup": self._backup.name, "archive": self._backup.archive, "restored": self._restore_id}
            self._write(MARKER, [json.dumps(marker).encode()])
        self._copy_segments()
        with translating(self._data_dir):
            self._write_journals()
            for name, part in extras:
                self._write(name, self._repository.content(part))
            self._write_catalog()
            self._forget_marker()

    def _is_done(self) -> bool:
        """Whether this backup was restored here already, but for the marker. Raises Conflict."""
        # Agents compare all their files with the archive when they meet one that comes of another restore.
        self._restore_id = secrets.token_hex(8)
        try:
            with open(os.path.join(self._data_dir, MARKER), "rb") as file:
                marker = json_object(file.read()) or {}  # else it was just being written
        except FileNotFoundError:
            self._refuse_others()
            return False
        begun = marker.get("backup")
        if begun not in (None, self._backup.name):
            raise Conflict(
                f"the backup {begun} was begun to be restored to {self._data_dir}",
                hint="go on with that one (--backup), or empty the folder",
            )
        if self._catalog is None:
            return os.path.exists(os.path.join(self._data_dir, CATALOG_FILE))
        self._restore_id = str(marker.get("restored") or self._restore_id)
        return fact_at(self._catalog, RESTORED) == self._restore_id

    def _refuse_others(self) -> None:
        if self._catalog is not None:
            check_empty(self._catalog)
        for name in ("catalog.db", "live", "generations", "tails", "store", "journal", "incoming"):
            path = os.path.join(self._data_dir, name)
            if os.path.isfile(path) or any(files for _, _, files in os.walk(path)):
                raise Conflict(
                    f"there is an archive in {self._data_dir} already ({name})",
                    hint="restore into an empty folder: set archive.root to one, or move the old one away",
                )

    # Segments ---------------------------------------------------------------------------------------------------------

    def _copy_segments(self) -> None:
        self.done.total_bytes = self._backup.object_bytes
        for one in self._repository.objects(self._backup):
            self.done.objects += 1
            there = self._store.size(one.name)
            if there == one.bytes:  # objects come whole or not at all
                self.done.bytes += one.bytes
                self._tell(self.done)
                continue
            if there is not None:
                self.done.problems.append(f"store/{one.name} is there with {there} bytes, and is {one.bytes} long")
                continue
            self._copy(one)

    def _copy(self, one: Listed) -> None:
        seen = hashlib.sha256()

        def parts() -> Iterator[bytes]:
            for offset in range(0, one.bytes, COPY_BYTES):
                data = read_from(self._repository.segments, one.name, offset, COPY_BYTES)
                seen.update(data)
                self.done.bytes += len(data)
                self._tell(self.done)
                yield data

        try:
            self._store.put(one.name, parts())
        except NotFound:
            self.done.problems.append(f"store/{one.name} is missing in the backup")
            return
        except Damaged as error:
            self.done.problems.append(f"of the backup, store/{error.message}")
            return
        if one.sha256 not in ("", seen.hexdigest()):
            # Its whole frames are read all the same, and verify names the others.
            self.done.problems.append(f"store/{one.name} is damaged in the backup")

    # What else belongs to it ------------------------------------------------------------------------------------------

    def _write_journals(self) -> None:
        part = self._backup.part(JOURNAL)

        def agent_of(line: list[Any]) -> str:
            try:
                return checked_agent_id(str(line[0]))
            except (IndexError, BadName) as error:
                raise altered(part.name) from error

        for agent, notes in itertools.groupby(self._repository.lines(part), key=agent_of):
            self._write(
                f"journal/{agent}.jsonl",
                (json.dumps(note[1:], ensure_ascii=True, separators=(",", ":")).encode() + b"\n" for note in notes),
            )

    def _write_catalog(self) -> None:
        part = self._backup.part(CATALOG)
        path = os.path.join(self._data_dir, _NEW)
        self._remove_copy()
        self._write(_NEW, self._repository.content(part))
        check_copy(path, part.name)
        snapshot = Snapshot(path)
        try:
            snapshot.put_fact(RESTORED, self._restore_id)
            for place in snapshot.empty_files():
                self._make_empty(place)
            snapshot.close()
        finally:
            snapshot.discard()
        with self._root() as root:
            if self._catalog is None:
                self._disk.rename(root, _NEW.encode(), root, CATALOG_FILE.encode())
            else:
                self._disk.step("copying the catalog")
                copy_in(path, self._catalog)
                self._disk.step("the catalog is copied")
                self._remove_copy()
            self._disk.sync_folder(root)

    def _make_empty(self, place: str) -> None:
        folder, name = self._folder(place)
        os.close(folder.open(name, os.O_WRONLY | os.O_CREAT))
        self._disk.sync_folder(folder.fd)

    def _folder(self, place: str) -> tuple[Folder, bytes]:
        folder_path, _, name = place.rpartition("/")
        return self._tree.make(folder_path, lambda parent: self._disk.sync_folder(parent.fd)), name.encode()

    def _forget_marker(self) -> None:
        with self._root() as root:
            self._remove_copy()  # of a run that was cut off behind the copying
            self._disk.unlink(root, MARKER.encode())
            self._disk.sync_folder(root)

    def _remove_copy(self) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self._data_dir, _NEW + suffix))

    @contextlib.contextmanager
    def _root(self) -> Iterator[int]:
        fd = os.open(self._data_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield fd
        finally:
            os.close(fd)

    def _write(self, name: str, content: Iterable[bytes]) -> None:
        """A file below the data directory, for its owner alone, whole or not at all."""
        folder, last = self._folder(name)
        temporary = b".restore-" + last  # that of a run that was cut off is written over
        fd = folder.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            at = 0
            for block in content:
                self._disk.write(fd, block, at)
                at += len(block)
            self._disk.sync_data(fd)
            self._disk.rename(folder.fd, temporary, folder.fd, last)
        except BaseException:
            with contextlib.suppress(OSError):
                self._disk.unlink(folder.fd, temporary)
            raise
        finally:
            os.close(fd)
        self._disk.sync_folder(folder.fd)
