"""The tree as a node has it and FTP shows it: folders that are there, files with a current generation."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence

from sqlalchemy import update

from logferry.archive.catalog.filing import PathState
from logferry.archive.catalog.tables import folders
from logferry.archive.catalog.writer import Change, Transaction
from logferry.archive.changes import Sync, made_live
from logferry.archive.partials import partial_name
from logferry.archive.records import FolderPage, Node
from logferry.archive.rooms import Rooms
from logferry.errors import Conflict, NotFound
from logferry.names import is_temporary, split


class MakeFolder(Change[None]):
    """A folder and those above it are there."""

    def __init__(self, rooms: Rooms, agent: str, path: str) -> None:
        self._rooms = rooms
        self._agent = agent
        self._path = path

    def stage(self, sync: Sync) -> None:
        made_live(self._rooms, self._agent, self._path, sync)

    def undo(self) -> None:
        self._rooms.live.close()

    def apply(self, transaction: Transaction) -> None:
        chain = transaction.sums.chain(transaction.cursor, self._agent, self._path)
        transaction.sums.show(transaction.cursor, chain)


class HideFolders(Change[None]):
    """Folders that were renamed or removed are not there any more; what they held earlier stays."""

    def __init__(self, rooms: Rooms, agent: str, paths: Sequence[str]) -> None:
        self._rooms = rooms
        self._agent = agent
        self._paths = paths

    def apply(self, transaction: Transaction) -> None:
        these = (folders.c.agent_id == self._agent) & folders.c.path.in_(self._paths)
        transaction.connection.execute(update(folders).where(these).values(present=0))

    def clean_up(self) -> None:
        """After the commit: remove the folders from the live tree, as far as they are empty."""
        for path in sorted(self._paths, reverse=True):
            parent, name = self._rooms.live_folder(self._agent, path)
            self._rooms.live.forget(f"{self._agent}/{path}")
            if parent is not None:
                # Not empty: something lies there that the catalog does not know; it stays.
                with contextlib.suppress(OSError):
                    self._rooms.disk.remove_folder(parent.fd, name)


class SetModified(Change[None]):
    """The node's own time of a generation."""

    def __init__(self, tree: Tree, rooms: Rooms, generation_id: int, ns: int) -> None:
        self._tree = tree
        self._rooms = rooms
        self._generation_id = generation_id
        self._ns = ns

    def apply(self, transaction: Transaction) -> None:
        self._rooms.catalog.filing.set_modified(transaction, self._generation_id, self._ns)

    def committed(self) -> None:
        self._tree.written(self._generation_id, self._ns)


class Tree:
    """Looking at the tree and changing folders and times in it."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._lock = threading.Lock()
        # Times that were told but are not committed yet, by generation; the writer empties it within moments.
        self._told: dict[int, int] = {}

    def stat(self, agent: str, path: str) -> Node:
        """See ``Archive.stat``."""
        name = split(path)[1]
        if is_temporary(name):
            return self._partial(agent, path, name)
        state = self._at(agent, path)
        if state is not None and state.is_current:
            modified_ns = self._told.get(state.generation_id or 0, state.modified_ns)
            return Node(name, False, state.size, modified_ns)
        record = self._rooms.catalog.files.folder_record(agent, path)
        if record is not None and (not path or record.is_present):
            return Node(name, True, 0, record.changed_ns)
        if not path and self._rooms.catalog.agents.get(agent) is not None:
            return Node("", True, 0, 0)
        raise NotFound(f"no file or folder {path or agent}")

    def entries(self, agent: str, path: str) -> Iterator[Node]:
        """See ``Archive.entries``."""
        if not self.stat(agent, path).is_folder:
            raise NotFound(f"{path} is no folder")
        return self._entries(agent, path)

    def make_folder(self, agent: str, path: str) -> None:
        """See ``Archive.make_folder``."""
        if not path:
            return
        self._rooms.catalog.writer.run(MakeFolder(self._rooms, agent, path))

    def remove_folder(self, agent: str, path: str) -> None:
        """See ``Archive.remove_folder``."""
        if not path or not self.stat(agent, path).is_folder:
            raise NotFound(f"no folder {path}")
        if next(self._entries(agent, path), None) is not None:
            raise Conflict(f"the folder {path} is not empty")
        hide = HideFolders(self._rooms, agent, [path])
        self._rooms.catalog.writer.run(hide)
        hide.clean_up()

    def set_modified(self, agent: str, path: str, ns: int, generation_id: int | None) -> None:
        """See ``Archive.set_modified``."""
        if generation_id is None:
            state = None if is_temporary(split(path)[1]) else self._at(agent, path)
            if state is None or not state.is_current or state.generation_id is None:
                self._set_partial(agent, path, ns)
                return
            generation_id = state.generation_id
        with self._lock:
            self._told[generation_id] = ns
        self._rooms.catalog.writer.post(SetModified(self, self._rooms, generation_id, ns))
        folder, name = self._rooms.live_folder(agent, path)
        if folder is not None:
            with contextlib.suppress(FileNotFoundError):  # it has just moved; the catalog holds the time
                os.utime(name, ns=(ns, ns), dir_fd=folder.fd, follow_symlinks=False)

    def written(self, generation_id: int, ns: int) -> None:
        """The time told is in the catalog now."""
        with self._lock:
            if self._told.get(generation_id) == ns:
                del self._told[generation_id]

    # Inside ----------------------------------------------------------------------------------------------------------

    def _at(self, agent: str, path: str) -> PathState | None:
        with self._rooms.catalog.readers.cursor() as cursor:
            return self._rooms.catalog.filing.at(cursor, agent, path)

    def _entries(self, agent: str, path: str) -> Iterator[Node]:
        cursor: str | None = None
        while True:
            page: FolderPage = self._rooms.catalog.files.folder(agent, path, cursor=cursor)
            for folder in page.folders:
                if folder.is_present:
                    yield Node(folder.name, True, 0, folder.changed_ns)
            for file in page.files:
                if file.has_current:
                    modified_ns = self._told.get(file.generation_id, file.modified_ns)
                    yield Node(file.name, False, file.size, modified_ns)
            if page.next is None:
                return
            cursor = page.next

    def _partial(self, agent: str, path: str, name: str) -> Node:
        folder = self._rooms.incoming.folder(agent)
        found = folder.stat(partial_name(path)) if folder is not None else None
        if found is None:
            raise NotFound(f"no file {path}")
        return Node(name, False, found.st_size, found.st_mtime_ns)

    def _set_partial(self, agent: str, path: str, ns: int) -> None:
        folder = self._rooms.incoming.folder(agent)
        if folder is None:
            raise NotFound(f"no file {path}")
        try:
            os.utime(partial_name(path), ns=(ns, ns), dir_fd=folder.fd, follow_symlinks=False)
        except FileNotFoundError as error:
            raise NotFound(f"no file {path}") from error
