"""What a rename means in the archive: publishing, moving a file or a folder, filing an earlier generation."""

from __future__ import annotations

import os
from collections.abc import Callable

from logferry.archive.catalog.filing import PathState
from logferry.archive.changes import Adopt, Extend, Keep, Move, Publish, locked
from logferry.archive.durable import translated
from logferry.archive.live import Folder
from logferry.archive.partials import partial_name
from logferry.archive.rooms import Rooms
from logferry.archive.tree import HideFolders, Tree
from logferry.errors import Conflict, NotFound, Refused
from logferry.limits import COPY_BYTES, RENAME_BATCH_FILES
from logferry.names import is_aside_of, is_temporary, split


class Renames:
    """Renames within one agent's tree. ``supersede`` ends a running upload of a path."""

    def __init__(self, rooms: Rooms, tree: Tree, supersede: Callable[[str, str], None]) -> None:
        self._rooms = rooms
        self._tree = tree
        self._supersede = supersede

    def rename(self, agent: str, source: str, target: str) -> None:
        """See ``Archive.rename``."""
        if not source or not target:
            raise Refused("the root cannot be renamed")
        if source == target:
            return
        (source_folder, source_name), (target_folder, target_name) = split(source), split(target)
        self._supersede(agent, source)
        self._supersede(agent, target)
        try:
            if is_temporary(source_name):
                self._from_temporary(agent, source, target)
            elif source_folder == target_folder and is_aside_of(target_name, source_name):
                self._keep(agent, source)
            elif self._at(agent, source) is not None:
                self._move(agent, source, target)
            else:
                self._move_folder(agent, source, target)
        except OSError as error:
            raise translated(error, target) from error

    def remove_file(self, agent: str, path: str) -> None:
        """See ``Archive.remove_file``."""
        self._supersede(agent, path)
        state = None if is_temporary(split(path)[1]) else self._at(agent, path)
        if state is not None:
            self._keep(agent, path)
            return
        folder = self._rooms.incoming.folder(agent)
        if folder is None or folder.stat(partial_name(path)) is None:
            raise NotFound(f"no file {path}")
        self._rooms.disk.unlink(folder.fd, partial_name(path))

    # One file --------------------------------------------------------------------------------------------------------

    def _keep(self, agent: str, path: str) -> None:
        keep = Keep(self._rooms, agent, path)
        self._rooms.catalog.writer.run(keep)
        keep.clean_up()

    def _move(self, agent: str, source: str, target: str) -> None:
        if is_temporary(split(target)[1]):
            raise Refused(f"{source} is published already", hint="only unfinished uploads have temporary names")
        self._make_way(agent, target)
        move = Move(self._rooms, agent, [(source, target)])
        self._rooms.catalog.writer.run(move)
        move.clean_up()

    def _make_way(self, agent: str, target: str) -> None:
        """End and keep what is current at ``target``."""
        folder, name = self._rooms.live_folder(agent, target)
        if folder is None or folder.stat(name) is None:
            return
        if self._at(agent, target) is not None or self._rooms.catalog.writer.run(Adopt(self._rooms, agent, target)):
            self._keep(agent, target)

    def _at(self, agent: str, path: str) -> PathState | None:
        """The path's state if it has a current generation."""
        with self._rooms.catalog.readers.cursor() as cursor:
            state = self._rooms.catalog.filing.at(cursor, agent, path)
        return state if state is not None and state.is_current else None

    # A temporary name ------------------------------------------------------------------------------------------------

    def _from_temporary(self, agent: str, source: str, target: str) -> None:
        folder = self._rooms.incoming.folder(agent)
        try:
            fd = folder.open(partial_name(source), os.O_RDWR) if folder is not None else -1
        except FileNotFoundError:
            fd = -1
        if folder is None or fd < 0:
            raise NotFound(f"no file {source}", hint="it was published already, or never sent")
        try:
            locked(fd, source)
            if is_temporary(split(target)[1]):
                self._rooms.disk.rename(folder.fd, partial_name(source), folder.fd, partial_name(target))
                self._rooms.disk.sync_folder(folder.fd)
            else:
                self._publish(agent, target, fd, (folder, partial_name(source)))
        finally:
            os.close(fd)

    def _publish(self, agent: str, target: str, fd: int, partial: tuple[Folder, bytes]) -> None:
        writer = self._rooms.catalog.writer
        self._rooms.disk.sync_data(fd)
        facts = os.fstat(fd)
        live, name = self._rooms.live_folder(agent, target)
        if live is not None and live.stat(name) is not None and self._at(agent, target) is None:
            writer.run(Adopt(self._rooms, agent, target))
        current = self._at(agent, target)
        if current is not None and facts.st_size >= current.size and self._begins_with(fd, current):
            if facts.st_size == current.size:  # sent a second time
                self._rooms.disk.unlink(partial[0].fd, partial[1])
            else:
                writer.run(Extend(self._rooms, current, facts.st_size, partial, facts.st_mtime_ns))
            return
        if current is not None:
            writer.run(Keep(self._rooms, agent, target))
        writer.run(Publish(self._rooms, agent, target, partial, facts.st_size, facts.st_mtime_ns, None))

    def _begins_with(self, fd: int, current: PathState) -> bool:
        """Whether the file behind ``fd`` begins with all bytes of ``current``."""
        stored = self._rooms.open_bytes(current)
        try:
            for offset in range(0, current.size, COPY_BYTES):
                count = min(COPY_BYTES, current.size - offset)
                if os.pread(fd, count, offset) != os.pread(stored, count, offset):
                    return False
            return True
        finally:
            os.close(stored)

    # A folder --------------------------------------------------------------------------------------------------------

    def _move_folder(self, agent: str, source: str, target: str) -> None:
        """Move everything current below ``source``, some files at a time; cut off, it goes on when asked again."""
        files = self._rooms.catalog.files
        record = files.folder_record(agent, source)
        if record is None or not record.is_present:
            raise NotFound(f"no file or folder {source}")
        if f"{target}/".startswith(f"{source}/"):
            raise Refused(f"{source} cannot move into itself")
        if self._at(agent, target) is not None:
            raise Conflict(f"{target} is a file", hint="a file and a folder cannot share a name")
        self._tree.make_folder(agent, target)
        while paths := files.current_below(agent, source, RENAME_BATCH_FILES):
            pairs = [(path, target + path[len(source) :]) for path in paths]
            for pair in pairs:
                self._supersede(agent, pair[0])
                self._make_way(agent, pair[1])
            move = Move(self._rooms, agent, pairs)
            self._rooms.catalog.writer.run(move)
            move.clean_up()
        folders = files.folders_below(agent, source)
        for path in folders:
            self._tree.make_folder(agent, target + path[len(source) :])
        hide = HideFolders(self._rooms, agent, [source, *folders])
        self._rooms.catalog.writer.run(hide)
        hide.clean_up()
