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

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Sequence

from logferry.archive.catalog.filing import NewGeneration, PathState
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.live import Folder
from logferry.archive.rooms import Rooms
from logferry.errors import Busy, Conflict, Damaged, Later, NotFound
from logferry.limits import NAME_BYTES_MAX
from logferry.names import split


def locked(fd: int, path: str) -> None:
    """Keep every other upload, in whatever process, away from the file until ``fd`` is closed.

    Raises:
        Busy: another one is at it.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Busy(f"{path} is being written by another connection", hint="try again in a moment") from error


def _changed(path: str) -> Conflict:
    return Conflict(f"{path} changed meanwhile", hint="ask for its size again, then decide")


class Publish(Change[NewGeneration]):
    """A whole, synced partial becomes the live file of a path that has no current generation."""

    def __init__(
        self, rooms: Rooms, agent: str, path: str, partial: tuple[Folder, bytes], size: int, modified_ns: int,
        sha256: str | None,
    ) -> None:  # fmt: skip
        self.keys = frozenset([(agent, path)])
        self._rooms = rooms
        self._agent = agent
        self._path = path
        self._partial = partial
        self._size = size
        self._modified_ns = modified_ns
        self._sha256 = sha256
        self._published: tuple[Folder, bytes] | None = None

    def stage(self, transaction: Transaction) -> None:
        state = self._rooms.catalog.filing.at(transaction.cursor, self._agent, self._path)
        if state is not None and state.is_current:
            raise _changed(self._path)
        folder_path, name = split(self._path)
        folder = self._rooms.live.make(f"{self._agent}/{folder_path}" if folder_path else self._agent, transaction.sync)
        source, source_name = self._partial
        try:
            self._rooms.disk.rename(source.fd, source_name, folder.fd, name.encode())
        except IsADirectoryError as error:
            raise Conflict(f"{self._path} is a folder", hint="a file and a folder cannot share a name") from error
        self._published = (folder, name.encode())
        transaction.sync(folder)

    def apply(self, transaction: Transaction) -> NewGeneration:
        return self._rooms.catalog.filing.begin(
            transaction, self._agent, self._path, size=self._size, modified_ns=self._modified_ns,
            now_ns=self._rooms.clock.now_ns(), sha256=self._sha256,
        )  # fmt: skip

    def undo(self) -> None:
        """The name may not be durable, so it goes back; the sender can continue from there."""
        if self._published is not None:
            (folder, name), (source, source_name) = self._published, self._partial
            self._rooms.live.close()
            self._rooms.disk.rename(folder.fd, name, source.fd, source_name)


class Grow(Change[int]):
    """The current generation has more bytes, synced in its live file. The result is its number."""

    def __init__(self, rooms: Rooms, generation: PathState, size: int) -> None:
        self.keys = frozenset([(generation.agent, generation.path)])
        self._rooms = rooms
        self._generation = generation
        self._size = size

    def apply(self, transaction: Transaction) -> int:
        now_ns = self._rooms.clock.now_ns()
        if not self._rooms.catalog.filing.grow(transaction, self._generation, self._size, now_ns):
            raise _changed(self._generation.path)
        return self._generation.shown or 0


class Extend(Grow):
    """A synced partial that begins with all bytes of the current generation takes the place of its live file."""

    def __init__(
        self, rooms: Rooms, generation: PathState, size: int, partial: tuple[Folder, bytes], modified_ns: int
    ) -> None:
        super().__init__(rooms, generation, size)
        self._partial = partial
        self._modified_ns = modified_ns

    def stage(self, transaction: Transaction) -> None:
        agent, path = self._generation.agent, self._generation.path
        if self._rooms.catalog.filing.at(transaction.cursor, agent, path) != self._generation:
            raise _changed(path)
        folder, name = self._rooms.live_folder(agent, path)
        if folder is None:
            raise _changed(path)
        source, source_name = self._partial
        self._rooms.disk.rename(source.fd, source_name, folder.fd, name)
        transaction.sync(folder)

    def apply(self, transaction: Transaction) -> int:
        number = super().apply(transaction)
        generation_id = self._generation.generation_id or 0
        self._rooms.catalog.filing.set_modified(transaction, generation_id, self._modified_ns)
        return number


class Keep(Change[PathState]):
    """The current generation of a path ends; its file gets its place among the older ones.

    The live name stays for now: the caller unlinks it (``clean_up``) or publishes over it.
    """

    def __init__(self, rooms: Rooms, agent: str, path: str) -> None:
        self.keys = frozenset([(agent, path)])
        self._rooms = rooms
        self._agent = agent
        self._path = path
        self._place = ""
        self._state: PathState | None = None

    def stage(self, transaction: Transaction) -> None:
        state = self._rooms.catalog.filing.at(transaction.cursor, self._agent, self._path)
        if state is None or not state.is_current:
            raise NotFound(f"{self._path} has no current generation")
        self._state = state
        fd, folder, name = self._rooms.open_live(state)
        try:
            locked(fd, self._path)
            self._place = self._link(state, folder, name, os.fstat(fd), transaction)
        finally:
            os.close(fd)

    def apply(self, transaction: Transaction) -> PathState:
        if self._state is None:
            raise AssertionError("a change is staged before it is applied")
        self._rooms.catalog.filing.end(transaction, self._state, self._place, self._rooms.clock.now_ns())
        return self._state

    def clean_up(self) -> None:
        """After the commit: take the live name away."""
        folder, name = self._rooms.live_folder(self._agent, self._path)
        if folder is not None:
            self._rooms.disk.unlink(folder.fd, name)

    def _link(
        self, state: PathState, folder: Folder, name: bytes, file: os.stat_result, transaction: Transaction
    ) -> str:
        folder_path = "/".join(part for part in (self._agent, split(self._path)[0]) if part)
        for place_folder, place_name in _places(folder_path, split(self._path)[1], state):
            try:
                kept = self._rooms.kept.make(place_folder, transaction.sync)
                self._rooms.disk.link(folder.fd, name, kept.fd, place_name.encode())
            except FileExistsError:
                there = kept.stat(place_name.encode())
                if there is None or there.st_ino != file.st_ino:
                    continue  # taken by another file: the next place
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    continue
                raise
            transaction.sync(kept)
            return f"generations/{place_folder}/{place_name}"
        raise Later(f"no place found to keep {self._path}", hint="look at the folder `generations`")


def _places(folder: str, name: str, state: PathState) -> Sequence[tuple[str, str]]:
    """Where to keep a generation: beside its siblings by name, else by a name that nothing else can have."""
    plain = f"{name}.~{state.shown}~"
    agent = folder.partition("/")[0]
    short = hashlib.blake2b(f"{folder}/{name}".encode(), digest_size=12).hexdigest()
    fallback = (agent, f"{short}.~{state.shown}~.{state.generation_id}")
    return [(folder, plain), fallback] if len(plain.encode()) <= NAME_BYTES_MAX else [fallback]


class Move(Change[list[NewGeneration]]):
    """Current generations move to other paths of their agent that have no current one, all or none.

    The result has one entry per pair, in order. ``clean_up`` unlinks the old names after the commit.
    """

    def __init__(self, rooms: Rooms, agent: str, pairs: Sequence[tuple[str, str]]) -> None:
        self.keys = frozenset((agent, path) for pair in pairs for path in pair)
        self._rooms = rooms
        self._agent = agent
        self._pairs = pairs
        self._states: list[PathState] = []
        self._linked: list[tuple[Folder, bytes]] = []

    def stage(self, transaction: Transaction) -> None:
        for source, target in self._pairs:
            state = self._rooms.catalog.filing.at(transaction.cursor, self._agent, source)
            if state is None or not state.is_current:
                raise NotFound(f"{source} has no current generation")
            there = self._rooms.catalog.filing.at(transaction.cursor, self._agent, target)
            if there is not None and there.is_current:
                raise _changed(target)
            self._link(state, target, transaction)
            self._states.append(state)

    def apply(self, transaction: Transaction) -> list[NewGeneration]:
        now_ns = self._rooms.clock.now_ns()
        filing = self._rooms.catalog.filing
        return [
            filing.move(transaction, state, target, now_ns)
            for state, (_, target) in zip(self._states, self._pairs, strict=True)
        ]

    def undo(self) -> None:
        """The new names may not be durable: take them away, the old ones are still there."""
        self._rooms.live.close()
        for folder, name in self._linked:
            self._rooms.disk.unlink(folder.fd, name)

    def clean_up(self) -> None:
        """After the commit: take the old names away."""
        for source, _ in self._pairs:
            folder, name = self._rooms.live_folder(self._agent, source)
            if folder is not None:
                self._rooms.disk.unlink(folder.fd, name)

    def _link(self, state: PathState, target: str, transaction: Transaction) -> None:
        fd, source_folder, source_name = self._rooms.open_live(state)
        try:
            locked(fd, state.path)
            folder_path, name = split(target)
            folder = self._rooms.live.make(
                f"{self._agent}/{folder_path}" if folder_path else self._agent, transaction.sync
            )
            try:
                self._rooms.disk.link(source_folder.fd, source_name, folder.fd, name.encode())
                self._linked.append((folder, name.encode()))
            except FileExistsError as error:
                there = folder.stat(name.encode())
                if there is None or there.st_ino != os.fstat(fd).st_ino:
                    raise Conflict(f"{target} is in the way", hint="try again") from error
            transaction.sync(folder)
        finally:
            os.close(fd)


class Adopt(Change[bool]):
    """A live file that the catalog does not know gets its row, or goes if it is only a second name.

    A whole file without a row is what a crash between publishing and commit leaves, or what an administrator has put
    there. A second name of a generation that was kept or moved is what a crash after the commit leaves. The result
    tells whether there is a current generation afterwards.
    """

    def __init__(self, rooms: Rooms, agent: str, path: str) -> None:
        self.keys = frozenset([(agent, path)])
        self._rooms = rooms
        self._agent = agent
        self._path = path
        self._found: os.stat_result | None = None
        self._is_current = False

    def stage(self, transaction: Transaction) -> None:
        filing = self._rooms.catalog.filing
        state = filing.at(transaction.cursor, self._agent, self._path)
        self._is_current = state is not None and state.is_current
        folder, name = self._rooms.live_folder(self._agent, self._path)
        if self._is_current or folder is None:
            return
        found = folder.stat(name)
        if found is None or stat.S_ISDIR(found.st_mode):
            return
        fd = folder.open(name)
        try:
            locked(fd, self._path)
            if found.st_nlink > 1 and self._is_second_name(transaction, state, found):
                self._rooms.disk.unlink(folder.fd, name)
                return
            self._rooms.disk.sync_data(fd)
        finally:
            os.close(fd)
        transaction.sync(folder)
        self._found = found

    def apply(self, transaction: Transaction) -> bool:
        if self._found is None:
            return self._is_current
        self._rooms.catalog.filing.begin(
            transaction, self._agent, self._path, size=self._found.st_size, modified_ns=self._found.st_mtime_ns,
            now_ns=self._rooms.clock.now_ns(), sha256=None,
        )  # fmt: skip
        return True

    def _is_second_name(self, transaction: Transaction, state: PathState | None, found: os.stat_result) -> bool:
        if state is None:
            return False
        for other in self._rooms.catalog.filing.last_known(transaction.cursor, state.file_id):
            try:
                fd = self._rooms.open_bytes(other)
            except Damaged:  # told by whoever reads it
                continue
            file = os.fstat(fd)
            os.close(fd)
            if (file.st_ino, file.st_dev) == (found.st_ino, found.st_dev):
                return True
        return False
