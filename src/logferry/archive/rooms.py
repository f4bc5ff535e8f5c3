"""What every part of the archive works with: the three trees of files, the catalog, the disk, the clock."""

from __future__ import annotations

import os
from dataclasses import dataclass

from logferry.archive.catalog import Catalog
from logferry.archive.catalog.filing import LIVE, PathState, changed
from logferry.archive.durable import Disk
from logferry.archive.live import Folder, LiveTree
from logferry.clock import Clock
from logferry.errors import Damaged, Full
from logferry.limits import DISK_RESERVE_BYTES
from logferry.names import split


@dataclass(frozen=True, slots=True)
class Rooms:
    """One archive's folders: ``live`` (as on the nodes), ``kept`` (older generations), ``incoming`` (partials)."""

    data_dir: str
    live: LiveTree
    kept: LiveTree
    incoming: LiveTree
    catalog: Catalog
    disk: Disk
    clock: Clock
    free_bytes_min: int

    @classmethod
    def at(cls, data_dir: str, catalog: Catalog, disk: Disk, clock: Clock, min_free_bytes: int) -> Rooms:
        """The folders below ``data_dir``, made when missing."""
        live, kept, incoming = (
            LiveTree(os.path.join(data_dir, name), disk) for name in ("live", "generations", "incoming")
        )
        fd = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            disk.sync_folder(fd)
        finally:
            os.close(fd)
        return cls(data_dir, live, kept, incoming, catalog, disk, clock, max(min_free_bytes, DISK_RESERVE_BYTES))

    def check_room(self) -> None:
        """Raises Full when there is less free disk than the server keeps in reserve."""
        facts = os.statvfs(self.data_dir)
        free = facts.f_bavail * facts.f_frsize
        if free < self.free_bytes_min:
            raise Full(
                f"only {free // 2**20} MiB are free, {self.free_bytes_min // 2**20} MiB are kept in reserve",
                hint="free some space; the sender then repeats",
            )

    def live_folder(self, agent: str, path: str) -> tuple[Folder | None, bytes]:
        """The open folder that holds the live file ``path`` (None: there is no such folder), and its name in it."""
        folder, name = split(path)
        return self.live.folder(f"{agent}/{folder}" if folder else agent), name.encode()

    def open_live(self, generation: PathState, *, writable: bool = False) -> tuple[int, Folder, bytes]:
        """Open the live file of a current generation: (descriptor, its folder, its name). The caller closes it.

        Raises:
            Damaged: it is not there.
            Conflict: it is not there because it is no longer current, or at another path.
        """
        flags = os.O_RDWR if writable else os.O_RDONLY
        for _ in range(2):
            folder, name = self.live_folder(generation.agent, generation.path)
            if folder is None:
                break
            try:
                return folder.open(name, flags), folder, name
            except FileNotFoundError:
                # The folder we hold open may have been removed and made anew by another process: look again.
                self.live.forget(f"{generation.agent}/{split(generation.path)[0]}".rstrip("/"))
        self.still_current(generation)
        raise missing(generation)

    def still_current(self, state: PathState) -> PathState:
        """What the catalog says now of a current generation. Ask under the lock of its file: then it stays so.

        Raises:
            Conflict: it is no longer current, or at another path.
        """
        with self.catalog.readers.cursor() as cursor:
            now = self.catalog.filing.at(cursor, state.agent, state.path)
        if now is None or now.generation_id != state.generation_id or not now.is_current:
            raise changed(state.path)
        return now

    def open_bytes(self, generation: PathState) -> int:
        """Open the file that holds the generation's bytes, for reading. The caller closes the descriptor.

        Raises:
            Damaged: it is not where the catalog says.
            Conflict: it is elsewhere by now.
        """
        if generation.state == LIVE:
            return self.open_live(generation)[0]
        folder_path, _, name = generation.place.removeprefix("generations/").rpartition("/")
        folder = self.kept.folder(folder_path)
        if folder is None:
            raise missing(generation)
        try:
            return folder.open(name.encode())
        except FileNotFoundError as error:
            raise missing(generation) from error


def missing(generation: PathState) -> Damaged:
    """The error for a generation whose file is not where the catalog says."""
    where = place_of(generation)
    return Damaged(f"{where} is missing", where=where, hint="restore it from a copy; `logferry verify` lists more")


def too_short(place: str, expected: int, found: int) -> Damaged:
    """The error for a file that has lost confirmed bytes."""
    return Damaged(
        f"{place} is shorter than what was confirmed",
        where=place,
        expected=f"{expected} bytes",
        found=f"{found} bytes",
        hint="restore it from a copy",
    )


def place_of(generation: PathState) -> str:
    """Where the generation's bytes lie below the data directory."""
    if generation.state == LIVE:
        return f"live/{generation.agent}/{generation.path}"
    return generation.place
