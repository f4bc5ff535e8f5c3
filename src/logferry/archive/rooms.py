"""What every part of the archive works with: the trees of files, the store, the catalog, the disk, the clock."""

from __future__ import annotations

import os
from dataclasses import dataclass

from logferry.archive.catalog import Catalog
from logferry.archive.catalog.filing import LIVE, SEALED, PathState, changed
from logferry.archive.catalog.sealing import SealedExtent
from logferry.archive.durable import Disk
from logferry.archive.indexes import Indexes
from logferry.archive.journal import Journal
from logferry.archive.live import Folder, LiveTree
from logferry.archive.sealed import SealedBytes, Segments
from logferry.archive.store import LocalStore, Store
from logferry.clock import Clock
from logferry.errors import Conflict, Damaged, Full
from logferry.limits import DISK_RESERVE_BYTES
from logferry.names import split


@dataclass(frozen=True, slots=True)
class Rooms:
    """One archive's folders and its store.

    ``live``: as on the nodes; ``kept``: older generations; ``tails``: what has come after sealed bytes; ``incoming``:
    partials. ``segments``: what is sealed; ``indexes``: of segments; ``journal``: what was renamed since.
    """

    data_dir: str
    live: LiveTree
    kept: LiveTree
    incoming: LiveTree
    tails: LiveTree
    journal: Journal
    segments: Segments
    indexes: Indexes
    catalog: Catalog
    disk: Disk
    clock: Clock
    free_bytes_min: int

    @classmethod
    def at(
        cls, data_dir: str, catalog: Catalog, disk: Disk, clock: Clock, min_free_bytes: int, store: Store | None
    ) -> Rooms:
        """The folders below ``data_dir``, made when missing. ``store`` None: the folder ``store`` beside them."""
        live, kept, incoming, tails = (
            LiveTree(os.path.join(data_dir, name), disk) for name in ("live", "generations", "incoming", "tails")
        )
        segments = Segments(store or LocalStore(os.path.join(data_dir, "store"), disk))
        fd = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            disk.sync_folder(fd)
        finally:
            os.close(fd)
        floor = max(min_free_bytes, DISK_RESERVE_BYTES)
        journal = Journal(LiveTree(os.path.join(data_dir, "journal"), disk), disk)
        indexes = Indexes(segments.store, catalog, clock)
        return cls(data_dir, live, kept, incoming, tails, journal, segments, indexes, catalog, disk, clock, floor)

    def check_room(self) -> None:
        """Raises Full when there is less free disk than the server keeps in reserve."""
        facts = os.statvfs(self.data_dir)
        free = facts.f_bavail * facts.f_frsize
        if free < self.free_bytes_min:
            raise Full(
                f"only {free // 2**20} MiB are free, {self.free_bytes_min // 2**20} MiB are kept in reserve",
                hint="free some space; the sender then repeats",
            )

    def scratch_bytes(self) -> int | None:
        """How large a new segment may be so that the reserve stays free; None: the store is not on our disk."""
        if not isinstance(self.segments.store, LocalStore):
            return None
        facts = os.statvfs(self.data_dir)
        return max(0, facts.f_bavail * facts.f_frsize - self.free_bytes_min)

    def live_folder(self, agent: str, path: str) -> tuple[Folder | None, bytes]:
        """The open folder that holds the live file ``path`` (None: there is no such folder), and its name in it."""
        folder, name = split(path)
        try:
            return self.live.folder(f"{agent}/{folder}" if folder else agent), name.encode()
        except Conflict:
            parts = folder.split("/")
            above = (f"live/{agent}/{'/'.join(parts[: count + 1])}" for count in range(len(parts)))
            if not any(map(self.catalog.sealing.is_to_go, above)):
                raise
            return None, name.encode()  # a file that waits to be removed has its name

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
        if self.still_current(generation).state != generation.state:
            raise changed(generation.path)  # sealed since
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

    def open_bytes(self, generation: PathState) -> int | None:
        """Open the file that holds the generation's unsealed bytes, for reading; None where all are sealed.

        The caller closes the descriptor.

        Raises:
            Damaged: it is not where the catalog says.
            Conflict: it is elsewhere by now.
        """
        if generation.state == LIVE:
            return self.open_live(generation)[0]
        if generation.state == SEALED and not generation.place:
            return None
        tree, _, path = generation.place.partition("/")
        folder_path, _, name = path.rpartition("/")
        folder = {"generations": self.kept, "tails": self.tails}[tree].folder(folder_path)
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
    """Where the generation's unsealed bytes lie below the data directory; ``store`` where all are sealed."""
    if generation.state == LIVE:
        return f"live/{generation.agent}/{generation.path}"
    return generation.place or "store"


def base_of(generation: PathState) -> int:
    """The byte of the generation with which the file of its unsealed bytes begins."""
    if generation.state != SEALED:
        return 0
    return int(generation.place.rpartition(".")[2]) if generation.place else generation.sealed


def sealed_of(rooms: Rooms, generation: PathState) -> SealedBytes | None:
    """The sealed bytes of a generation, None where there are none."""
    if generation.state != SEALED:
        return None
    generation_id = generation.generation_id or 0

    def look_up() -> list[SealedExtent]:
        return rooms.catalog.sealing.extents(generation_id)

    what = f"{generation.agent}/{generation.path}"
    return SealedBytes(rooms.segments, look_up(), generation.sealed, what, again=look_up)
