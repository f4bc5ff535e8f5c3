"""Many small, whole files at once: new paths share one sync of the disk, one of each folder, and one transaction.

The order is that of a single upload: bytes into partials, synced; renamed into the live tree, folders synced; rows
committed. So what a crash leaves is what single uploads leave. Paths that have a file already, and temporary names,
take the way of a single upload, which compares and keeps generations.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from logferry.archive.catalog.filing import NewGeneration
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.changes import Sync, made_folder
from logferry.archive.durable import translated, translating
from logferry.archive.incoming import Incoming
from logferry.archive.live import Folder
from logferry.archive.partials import open_partial
from logferry.archive.records import Received
from logferry.archive.rooms import Rooms
from logferry.errors import Conflict, LogferryError, NotPermitted, OverQuota
from logferry.limits import STORED_TOGETHER_MAX
from logferry.names import checked_path, is_temporary, split


class WholeFile(NamedTuple):
    """A whole file for ``Archive.store_many``; ``modified_ns`` None: now."""

    path: str
    data: bytes
    modified_ns: int | None = None


Outcome = Received | LogferryError


class Uploads(Protocol):
    """Single uploads (``Archive``)."""

    def begin(self, agent: str, path: str, *, offset: int = 0, append: bool = False) -> Incoming: ...

    def set_modified(self, agent: str, path: str, ns: int, *, generation_id: int | None = None) -> None: ...


class _Partial:
    """One new file on its way: synced under its partial name and locked."""

    __slots__ = ("fd", "file", "folder", "index", "live", "modified_ns", "name", "outcome", "sha256")

    def __init__(self, index: int, file: WholeFile, folder: Folder, name: bytes, fd: int) -> None:
        self.index = index
        self.file = file
        self.folder = folder
        self.name = name
        self.fd = fd
        self.sha256 = hashlib.sha256(file.data).hexdigest()
        self.modified_ns = 0
        self.live: tuple[Folder, bytes] | None = None
        self.outcome: NewGeneration | LogferryError | None = None


class Many:
    """Stores files of one agent together. ``supersede`` ends a running upload of a path in this process."""

    def __init__(self, rooms: Rooms, uploads: Uploads, supersede: Callable[[str, str], None]) -> None:
        self._rooms = rooms
        self._uploads = uploads
        self._supersede = supersede

    def store(self, agent: str, files: Sequence[WholeFile], *, make_folders: bool) -> list[Outcome]:
        """See ``Archive.store_many``."""
        outcomes: list[Outcome | None] = [None] * len(files)
        for start in range(0, len(files), STORED_TOGETHER_MAX):
            part = range(start, min(start + STORED_TOGETHER_MAX, len(files)))
            try:
                self._rooms.check_room()
                self._together(agent, files, part, outcomes, make_folders=make_folders)
            except OverQuota:
                continue  # some of them may still find room, one by one
            except LogferryError as error:
                for index in part:
                    outcomes[index] = outcomes[index] or error
        return [
            outcome if outcome is not None else self._alone(agent, file)
            for file, outcome in zip(files, outcomes, strict=True)
        ]

    def _together(
        self,
        agent: str,
        files: Sequence[WholeFile],
        part: range,
        outcomes: list[Outcome | None],
        *,
        make_folders: bool,
    ) -> None:
        """Fill in the outcomes of those that are new; the others stay None."""
        partials: list[_Partial] = []
        try:
            for index in part:
                try:
                    with translating(files[index].path):
                        partial = self._begin(agent, index, files[index], make_folders=make_folders)
                except LogferryError as error:
                    outcomes[index] = error
                    continue
                if partial is not None:
                    partials.append(partial)
            if not partials:
                return
            self._sync(partials)
            try:
                self._rooms.catalog.writer.run(PublishMany(self._rooms, agent, partials))
            except OverQuota:
                for partial in partials:  # those that fit come again, alone
                    self._rooms.disk.unlink(partial.folder.fd, partial.name)
                raise
            for partial in partials:
                outcomes[partial.index] = _outcome(agent, partial)
        finally:
            for partial in partials:
                os.close(partial.fd)

    def _begin(self, agent: str, index: int, file: WholeFile, *, make_folders: bool) -> _Partial | None:
        """Write the partial of a new path; None when its way is that of a single upload."""
        path = checked_path(file.path)
        folder, name = self._rooms.live_folder(agent, path)
        if folder is None and not make_folders and split(path)[0]:
            raise NotPermitted(f"the folder of {path} is missing and this user may make none")
        if not path or is_temporary(split(path)[1]) or (folder is not None and folder.stat(name) is not None):
            return None
        self._supersede(agent, path)
        incoming, partial_name, fd, _ = open_partial(self._rooms, agent, path, 0)
        partial = _Partial(index, file, incoming, partial_name, fd)
        try:
            self._rooms.disk.write(fd, file.data, 0)
            if file.modified_ns is not None:
                os.utime(fd, ns=(file.modified_ns, file.modified_ns))
            partial.modified_ns = os.fstat(fd).st_mtime_ns
        except OSError:
            os.close(fd)
            raise
        return partial

    def _sync(self, partials: list[_Partial]) -> None:
        try:
            self._rooms.disk.sync_many([partial.fd for partial in partials])
        except OSError as error:
            # Nobody knows which bytes are on disk, and a second sync would not tell: start over.
            for partial in partials:
                self._rooms.disk.unlink(partial.folder.fd, partial.name)
            raise translated(error, f"{len(partials)} files") from error

    def _alone(self, agent: str, file: WholeFile) -> Outcome:
        try:
            incoming = self._uploads.begin(agent, file.path)
            try:
                incoming.write(file.data)
                received = incoming.commit()
            finally:
                incoming.abandon()
            if file.modified_ns is not None:
                self._uploads.set_modified(agent, file.path, file.modified_ns, generation_id=received.generation_id)
        except LogferryError as error:
            return error
        return received


def _outcome(agent: str, partial: _Partial) -> Outcome | None:
    """None where somebody was faster: then the single way finds out what is there."""
    outcome, size = partial.outcome, len(partial.file.data)
    if isinstance(outcome, NewGeneration):
        return Received(
            agent, partial.file.path, size, size, outcome.file_id, outcome.generation_id, outcome.number,
            outcome.is_new_file, True,
        )  # fmt: skip
    return None if isinstance(outcome, _Taken) else outcome


class _Taken(Conflict):
    """The path has a file by now. Look again."""


class PublishMany(Change[None]):
    """Whole, synced partials become the live files of paths without a current generation: each as ``Publish`` does.

    The caller holds their locks. One that cannot be published gets its own ``outcome`` and stops no other.
    """

    def __init__(self, rooms: Rooms, agent: str, partials: Sequence[_Partial]) -> None:
        self._rooms = rooms
        self._agent = agent
        self._partials = partials

    def stage(self, sync: Sync) -> None:
        # By folder: what is looked up of a folder is looked up once.
        folders: dict[str, Folder] = {}
        with self._rooms.catalog.readers.cursor() as cursor:
            for partial in self._partials:
                try:
                    self._publish(partial, cursor, folders, sync)
                except LogferryError as error:
                    partial.outcome = error
                except IsADirectoryError:
                    partial.outcome = Conflict(f"{partial.file.path} is a folder", hint="choose another name")

    def _publish(self, partial: _Partial, cursor: Any, folders: dict[str, Folder], sync: Sync) -> None:
        path = partial.file.path
        where, last = split(path)
        name = last.encode()
        folder = folders.get(where)
        if folder is None:
            folder = folders[where] = made_folder(self._rooms, self._agent, path, sync)[0]
        # We hold the path's lock, so a name that is free now stays so. A current generation without a file is damage.
        state = self._rooms.catalog.filing.at(cursor, self._agent, path)
        if folder.stat(name) is not None or (state is not None and state.is_current):
            raise _Taken(f"{path} is there")
        self._rooms.disk.rename(partial.folder.fd, partial.name, folder.fd, name)
        partial.live = folder, name
        sync(folder)

    def apply(self, transaction: Transaction) -> None:
        now_ns = self._rooms.clock.now_ns()
        for partial in self._partials:
            if partial.live is None:
                continue
            partial.outcome = self._rooms.catalog.filing.begin(
                transaction,
                self._agent,
                partial.file.path,
                size=len(partial.file.data),
                modified_ns=partial.modified_ns,
                now_ns=now_ns,
                sha256=partial.sha256,
            )

    def undo(self) -> None:
        """The names may not be durable, so they go back; the sender can continue from there."""
        self._rooms.live.close()
        for partial in self._partials:
            if partial.live is not None:
                folder, name = partial.live
                with contextlib.suppress(FileExistsError):
                    self._rooms.disk.link(folder.fd, name, partial.folder.fd, partial.name)
                self._rooms.disk.unlink(folder.fd, name)
                partial.live = None
