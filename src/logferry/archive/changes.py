"""The changes of catalog and live tree, each safe to be cut off anywhere.

Every change moves files first and writes rows after the folders are synced, so that a row never points to a file
that is not there. What a crash in between leaves:

============ ======================================================= ==========================================
change       after the files, before the commit                       what happens then
============ ======================================================= ==========================================
Publish      a whole file without a row                                ``Adopt`` gives it a row when it is next met
Grow         bytes after the end the catalog knows                     cut off when the file is next written to
Extend       the same                                                  the same
Keep         a second name of the file in ``generations``              the next try finds it; ``check`` removes it
Move         a second name of the file at the target                   the same
============ ======================================================= ==========================================

After the commit of Keep and Move the old name is unlinked; where that did not happen, ``Adopt`` does it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Sequence

from logferry.archive.catalog.filing import SEALED, NewGeneration, PathState, changed
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.journal import Note
from logferry.archive.live import Folder
from logferry.archive.locks import locked
from logferry.archive.removal import made_free, made_free_above
from logferry.archive.rooms import Rooms
from logferry.archive.tails import Tail, lock_current
from logferry.errors import Conflict, Later
from logferry.limits import NAME_BYTES_MAX
from logferry.names import split

Sync = Callable[[Folder], None]


def made_folder(rooms: Rooms, agent: str, path: str, sync: Sync) -> tuple[Folder, bytes]:
    """The open folder of the live file ``path``, made when missing, and the file's name in it."""
    folder, name = split(path)
    return made_live(rooms, agent, folder, sync), name.encode()


def made_live(rooms: Rooms, agent: str, folder: str, sync: Sync) -> Folder:
    """The open live folder ``folder``, made when missing."""
    path = f"{agent}/{folder}" if folder else agent
    try:
        return rooms.live.make(path, sync)
    except Conflict:
        if not made_free_above(rooms, agent, folder):
            raise
        return rooms.live.make(path, sync)


def noted(state: PathState) -> Note:
    """A generation as the journal remembers it."""
    return Note(state.uid, state.path, state.own_number, state.ended_ns)


def forget_names(rooms: Rooms, moved: Iterable[PathState]) -> None:
    """Take away the live names of generations whose bytes have another place now, as the catalog says already.

    Durably: a name that came back after the file had lost its new one, too, would look like a file nobody knows.
    """
    folders: dict[int, Folder] = {}
    # If that fails, ``Adopt`` does it when the path is next met.
    with contextlib.suppress(OSError):
        for state in moved:
            folder, name = rooms.live_folder(state.agent, state.path)
            if folder is not None:
                folders[folder.fd] = folder
                rooms.disk.unlink(folder.fd, name)
    with contextlib.suppress(OSError):
        for folder in folders.values():
            rooms.disk.sync_folder(folder.fd)


class Publish(Change[NewGeneration]):
    """A whole, synced partial becomes the live file of a path that has no current generation.

    Its caller holds the lock of the partial, and that of the path where the partial has another name.
    """

    def __init__(
        self,
        rooms: Rooms,
        agent: str,
        path: str,
        partial: tuple[Folder, bytes],
        size: int,
        modified_ns: int,
        sha256: str | None,
    ) -> None:
        self._rooms = rooms
        self._agent = agent
        self._path = path
        self._partial = partial
        self._size = size
        self._modified_ns = modified_ns
        self._sha256 = sha256
        self._published: tuple[Folder, bytes] | None = None
        self._fd = -1

    def stage(self, sync: Sync) -> None:
        folder, name = made_folder(self._rooms, self._agent, self._path, sync)
        self._make_sure(folder, name)
        source, source_name = self._partial
        try:
            self._rooms.disk.rename(source.fd, source_name, folder.fd, name)
        except IsADirectoryError as error:
            raise Conflict(f"{self._path} is a folder", hint="a file and a folder cannot share a name") from error
        self._published = (folder, name)
        sync(folder)

    def apply(self, transaction: Transaction) -> NewGeneration:
        return self._rooms.catalog.filing.begin(
            transaction,
            self._agent,
            self._path,
            size=self._size,
            modified_ns=self._modified_ns,
            now_ns=self._rooms.clock.now_ns(),
            sha256=self._sha256,
        )

    def undo(self) -> None:
        """The name may not be durable, so it goes back; the sender can continue from there."""
        if self._published is not None:
            (folder, name), (source, source_name) = self._published, self._partial
            self._rooms.live.close()
            # Not a rename: by now another upload may have begun under the old name. Then that one goes on.
            with contextlib.suppress(FileExistsError):
                self._rooms.disk.link(folder.fd, name, source.fd, source_name)
            self._rooms.disk.unlink(folder.fd, name)

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _make_sure(self, folder: Folder, name: bytes) -> None:
        """Refuse to replace a file that is confirmed, or is just being so.

        Since the path was looked at, and before its lock was had, somebody else may have published there. Their lock
        went with the partial to the live name.
        """
        with contextlib.suppress(FileNotFoundError):
            self._fd = folder.open(name, os.O_RDWR)  # which a folder of that name refuses
            locked(self._fd, self._path)
        with self._rooms.catalog.readers.cursor() as cursor:
            state = self._rooms.catalog.filing.at(cursor, self._agent, self._path)
        if state is not None and state.is_current:
            raise changed(self._path)


class Grow(Change[int]):
    """The current generation has more bytes, synced in its live file. The result is its number.

    Its caller holds the lock of the live file. Where the beginning is sealed, ``place`` is that of the tail, in
    ``folder``.
    """

    def __init__(
        self,
        rooms: Rooms,
        generation: PathState,
        size: int,
        *,
        place: str | None = None,
        folder: Folder | None = None,
    ) -> None:
        self._rooms = rooms
        self._generation = generation
        self._size = size
        self._place = place
        self._folder = folder

    def stage(self, sync: Sync) -> None:
        if self._folder is not None and self._place != self._generation.place:
            sync(self._folder)  # the tail is new

    def apply(self, transaction: Transaction) -> int:
        now_ns = self._rooms.clock.now_ns()
        self._rooms.catalog.filing.grow(transaction, self._generation, self._size, now_ns, self._place)
        return self._generation.shown or 0


class Extend(Grow):
    """A synced partial that begins with all bytes of the current generation takes the place of its live file.

    Its caller holds the locks of both files. Refused rows leave the longer file: what it has more is not confirmed.
    """

    def __init__(
        self, rooms: Rooms, generation: PathState, size: int, partial: tuple[Folder, bytes], modified_ns: int
    ) -> None:
        super().__init__(rooms, generation, size)
        self._partial = partial
        self._modified_ns = modified_ns

    def stage(self, sync: Sync) -> None:
        folder, name = made_folder(self._rooms, self._generation.agent, self._generation.path, sync)
        source, source_name = self._partial
        self._rooms.disk.rename(source.fd, source_name, folder.fd, name)
        sync(folder)

    def undo(self) -> None:
        self._rooms.live.close()

    def apply(self, transaction: Transaction) -> int:
        number = super().apply(transaction)
        generation_id = self._generation.generation_id or 0
        self._rooms.catalog.filing.set_modified(transaction, generation_id, self._modified_ns)
        return number


class Keep(Change[None]):
    """The current generation of a path ends; its file gets its place among the older ones.

    The live name stays for now: the caller unlinks it (``clean_up``) or publishes over it. A sealed generation has
    none: only its rows change.
    """

    def __init__(self, rooms: Rooms, state: PathState) -> None:
        self._rooms = rooms
        self._state = state
        self._place = ""
        self._fd = -1
        self._tail: Tail | None = None
        self._now_ns = 0
        self._noted: list[Note] = []

    def stage(self, sync: Sync) -> None:
        file = lock_current(self._rooms, self._state)
        self._state = file.state
        self._now_ns = self._rooms.clock.now_ns()
        if isinstance(file, Tail):
            self._tail = file
            self._place = file.state.place
        else:
            self._fd = file.fd
            self._place = self._link(file.folder, file.name, sync)
        if self._state.sealed:
            self._noted = [noted(self._state)]
            self._rooms.journal.write(self._state.agent, [noted(self._state)._replace(ended_ns=self._now_ns)])

    def apply(self, transaction: Transaction) -> None:
        self._rooms.catalog.filing.end(transaction, self._state, self._place, self._now_ns)

    def release(self) -> None:
        if self._tail is not None:
            self._tail.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def clean_up(self) -> None:
        """After the commit: take the live name away."""
        if self._tail is None:
            forget_names(self._rooms, [self._state])

    def undo(self) -> None:
        """The new name is one too many, but harmless; folders made for it may not be durable."""
        self._rooms.kept.close()
        self._rooms.journal.write(self._state.agent, self._noted)

    def _link(self, folder: Folder, name: bytes, sync: Sync) -> str:
        inode = os.fstat(self._fd).st_ino
        for place_folder, place_name in places(self._state):
            try:
                kept = self._rooms.kept.make(place_folder, sync)
            except Conflict:
                continue  # another file is kept under the folder's name: the next place
            try:
                self._rooms.disk.link(folder.fd, name, kept.fd, place_name.encode())
            except FileExistsError:
                there = kept.stat(place_name.encode())
                if there is None or there.st_ino != inode:
                    continue  # taken by another file: the next place
            sync(kept)
            return f"generations/{place_folder}/{place_name}"
        raise Later(f"no place found to keep {self._state.path}", hint="look into the folder `generations`")


def places(state: PathState) -> list[tuple[str, str]]:
    """Where to keep a generation, (folder, name): beside its siblings, else under a name that nothing else can have."""
    folder, name = split(state.path)
    plain = f"{name}.~{state.shown}~"
    hashed = hashlib.blake2b(state.path.encode(), digest_size=12).hexdigest()
    fallback = (state.agent, f"{hashed}.~{state.shown}~.{state.generation_id}")
    if len(plain.encode()) > NAME_BYTES_MAX:
        return [fallback]
    return [(f"{state.agent}/{folder}" if folder else state.agent, plain), fallback]


class Move(Change[list[NewGeneration]]):
    """Current generations move to other paths of their agent that have no current one, all or none.

    The result has one entry per pair, in order. ``clean_up`` unlinks the old names after the commit. The caller
    holds the locks of the targets.
    """

    def __init__(self, rooms: Rooms, moves: Sequence[tuple[PathState, str]]) -> None:
        self._rooms = rooms
        self._moves = moves
        self._fds: list[int] = []
        self._tails: list[Tail] = []
        self._linked: list[tuple[Folder, bytes]] = []
        self._noted: list[Note] = []

    def stage(self, sync: Sync) -> None:
        self._moves = [(self._link(state, target, sync), target) for state, target in self._moves]
        sealed = [(state, target) for state, target in self._moves if state.sealed]
        if sealed:
            self._noted = [noted(state) for state, _ in sealed]
            with self._rooms.catalog.readers.cursor() as cursor:
                self._rooms.journal.write(sealed[0][0].agent, [self._will_be(cursor, *move) for move in sealed])

    def _will_be(self, cursor: object, state: PathState, target: str) -> Note:
        # The target is held, so nobody else takes the number.
        there = self._rooms.catalog.filing.at(cursor, state.agent, target)
        return noted(state)._replace(path=target, number=(there.number if there else 0) + 1)

    def apply(self, transaction: Transaction) -> list[NewGeneration]:
        now_ns = self._rooms.clock.now_ns()
        filing = self._rooms.catalog.filing
        return [filing.move(transaction, state, target, now_ns) for state, target in self._moves]

    def undo(self) -> None:
        """The new names may not be durable: take them away, the old ones are still there."""
        self._rooms.live.close()
        for folder, name in self._linked:
            self._rooms.disk.unlink(folder.fd, name)
        if self._noted:
            self._rooms.journal.write(self._moves[0][0].agent, self._noted)

    def release(self) -> None:
        while self._tails:
            self._tails.pop().close()
        while self._fds:
            os.close(self._fds.pop())

    def clean_up(self) -> None:
        """After the commit: take the old names away."""
        forget_names(self._rooms, [state for state, _ in self._moves if state.state != SEALED])

    def _link(self, state: PathState, target: str, sync: Sync) -> PathState:
        file = lock_current(self._rooms, state)
        if isinstance(file, Tail):
            self._tails.append(file)
            return file.state
        fd, state = file.fd, file.state
        self._fds.append(fd)
        folder, name = made_folder(self._rooms, state.agent, target, sync)
        try:
            self._rooms.disk.link(file.folder.fd, file.name, folder.fd, name)
            self._linked.append((folder, name))
        except FileExistsError as error:
            there = folder.stat(name)
            if there is None or there.st_ino != os.fstat(fd).st_ino:
                if not made_free(self._rooms, state.agent, target, is_held=True):
                    raise Conflict(f"{target} is in the way", hint="try again") from error
                self._rooms.disk.link(file.folder.fd, file.name, folder.fd, name)
                self._linked.append((folder, name))
        sync(folder)
        return state


class Adopt(Change[bool]):
    """A live file that the catalog does not know gets its row, or goes if it is only a second name.

    A whole file without a row is what a crash between publishing and commit leaves, or what an administrator has put
    there. A second name of a generation that was kept or moved is what a crash after the commit leaves. The result
    tells whether it got a row.

    Its caller holds the path: else the name could be another file's by the time it is unlinked.
    """

    def __init__(self, rooms: Rooms, agent: str, path: str) -> None:
        self._rooms = rooms
        self._agent = agent
        self._path = path
        self._fd = -1
        self._found: os.stat_result | None = None

    def stage(self, sync: Sync) -> None:
        folder, name = self._rooms.live_folder(self._agent, self._path)
        found = folder.stat(name) if folder is not None else None
        if folder is None or found is None or stat.S_ISDIR(found.st_mode):
            return
        self._fd = folder.open(name)
        locked(self._fd, self._path)
        # What the catalog says counts from here on: whoever published or moved the file held its lock until then.
        with self._rooms.catalog.readers.cursor() as cursor:
            state = self._rooms.catalog.filing.at(cursor, self._agent, self._path)
        if state is not None and state.is_current:
            return
        found = os.fstat(self._fd)
        if self._rooms.catalog.sealing.is_to_go(f"live/{self._agent}/{self._path}"):
            return  # all of it is sealed; the sealer removes it
        if found.st_nlink > 1 and self._has_another_name(found):
            self._rooms.disk.unlink(folder.fd, name)
            sync(folder)
            return
        self._rooms.disk.sync_data(self._fd)
        sync(folder)
        self._found = found

    def apply(self, transaction: Transaction) -> bool:
        if self._found is None:
            return False
        self._rooms.catalog.filing.begin(
            transaction,
            self._agent,
            self._path,
            size=self._found.st_size,
            modified_ns=self._found.st_mtime_ns,
            now_ns=self._rooms.clock.now_ns(),
            sha256=None,
        )
        return True

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _has_another_name(self, found: os.stat_result) -> bool:
        """Whether the archive holds the file under another name too. Slow, but only ever needed after a crash."""
        names = self._rooms.live.count_names(self._agent, found)
        return names > 1 or self._rooms.kept.count_names(self._agent, found) > 0
