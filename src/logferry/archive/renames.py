"""What a rename means in the archive: publishing, moving a file or a folder, filing an earlier generation."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from logferry.archive.catalog.filing import SEALED, PathState
from logferry.archive.changes import Adopt, Extend, Keep, Move, Publish
from logferry.archive.current import CurrentFile, opened_current
from logferry.archive.live import Folder
from logferry.archive.locks import locked
from logferry.archive.partials import held, partial_name
from logferry.archive.rooms import Rooms
from logferry.archive.second_names import drop_second_names
from logferry.archive.settled import forget
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
        if is_temporary(source_name):
            self._from_temporary(agent, source, target)
            return
        state = self._unheld(agent, source)
        if state is None:
            self._move_folder(agent, source, target)
        elif source_folder == target_folder and is_aside_of(target_name, source_name):
            with held(self._rooms, agent, [source]):
                self._keep(state)
        else:
            self._move(state, target)

    def remove_file(self, agent: str, path: str) -> None:
        """See ``Archive.remove_file``."""
        self._supersede(agent, path)
        state = None if is_temporary(split(path)[1]) else self._at(agent, path)
        if state is not None:
            with held(self._rooms, agent, [path]):
                self._keep(state)
            return
        folder = self._rooms.incoming.folder(agent)
        if folder is None or folder.stat(partial_name(path)) is None:
            raise NotFound(f"no file {path}")
        self._rooms.disk.unlink(folder.fd, partial_name(path))

    # One file --------------------------------------------------------------------------------------------------------

    def _keep(self, state: PathState) -> None:
        """The caller holds the path: nothing may be published there before the old name is gone."""
        keep = Keep(self._rooms, state)
        self._rooms.catalog.writer.run(keep)
        keep.clean_up()

    def _move(self, state: PathState, target: str) -> None:
        if is_temporary(split(target)[1]):
            raise Refused(f"{state.path} is published already", hint="only unfinished uploads have temporary names")
        with held(self._rooms, state.agent, [state.path, target]):
            self._make_way(state.agent, target)
            move = Move(self._rooms, [(state, target)])
            self._rooms.catalog.writer.run(move)
            move.clean_up()

    def _make_way(self, agent: str, target: str) -> None:
        """End and keep what is current at ``target``."""
        current = self._known(agent, target)
        if current is not None:
            self._keep(current)

    def _unheld(self, agent: str, path: str) -> PathState | None:
        """As ``_known``, for a path that the caller does not hold."""
        state = self._at(agent, path)
        if state is None and self._is_live(agent, path):
            with held(self._rooms, agent, [path]):
                state = self._known(agent, path)
        return state

    def _known(self, agent: str, path: str) -> PathState | None:
        """The path's state if it has a current generation, after picking up what a crash may have left there.

        The caller holds the path.
        """
        state = self._at(agent, path)
        if state is None and self._is_live(agent, path):
            self._rooms.catalog.writer.run(Adopt(self._rooms, agent, path))
            state = self._at(agent, path)
        return state

    def _is_live(self, agent: str, path: str) -> bool:
        folder, name = self._rooms.live_folder(agent, path)
        return folder is not None and folder.stat(name) is not None

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
                with held(self._rooms, agent, [target]):
                    self._publish(agent, target, fd, (folder, partial_name(source)))
                forget(fd)
        finally:
            os.close(fd)

    def _publish(self, agent: str, target: str, fd: int, partial: tuple[Folder, bytes]) -> None:
        writer = self._rooms.catalog.writer
        self._rooms.disk.sync_data(fd)
        facts = os.fstat(fd)
        current = self._known(agent, target)
        if current is not None and self._extended(current, fd, facts, partial):
            return
        if current is not None:
            writer.run(Keep(self._rooms, current))
        writer.run(Publish(self._rooms, agent, target, partial, facts.st_size, facts.st_mtime_ns, None))

    def _extended(self, current: PathState, fd: int, facts: os.stat_result, partial: tuple[Folder, bytes]) -> bool:
        """Whether the partial is the current generation again, or more of it; then it takes its place."""
        file = opened_current(self._rooms, current)
        try:
            current = file.state
            if facts.st_size < current.size or not _begin_alike(fd, file, current.size):
                return False
            if facts.st_size == current.size:  # sent a second time
                self._rooms.disk.unlink(partial[0].fd, partial[1])
            elif current.state == SEALED:
                self._append(file, fd, facts)
                self._rooms.disk.unlink(partial[0].fd, partial[1])
            else:
                drop_second_names(self._rooms, current.agent, file.fd, f"live/{current.agent}/{current.path}")
                self._rooms.catalog.writer.run(Extend(self._rooms, current, facts.st_size, partial, facts.st_mtime_ns))
            return True
        finally:
            file.close()

    def _append(self, file: CurrentFile, fd: int, facts: os.stat_result) -> None:
        """What the partial has more goes behind the sealed bytes, whose file holds nothing else."""
        for offset in range(file.state.size, facts.st_size, COPY_BYTES):
            self._rooms.disk.write(file.fd, os.pread(fd, COPY_BYTES, offset), offset - file.base)
        self._rooms.disk.sync_data(file.fd)
        file.grow(facts.st_size)
        self._tree.set_modified(file.state.agent, file.state.path, facts.st_mtime_ns, file.state.generation_id)

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
        # What a crash left there gets its row and moves too, or goes.
        for path, _ in list(self._rooms.live.walk(f"{agent}/{source}")):
            self._unheld(agent, path.removeprefix(f"{agent}/"))
        self._tree.make_folder(agent, target)
        while paths := files.current_below(agent, source, RENAME_BATCH_FILES):
            self._move_some(agent, [(path, target + path[len(source) :]) for path in paths])
        folders = files.folders_below(agent, source)
        for path in folders:
            self._tree.make_folder(agent, target + path[len(source) :])
        hide = HideFolders(self._rooms, agent, [source, *folders])
        self._rooms.catalog.writer.run(hide)
        hide.clean_up()

    def _move_some(self, agent: str, pairs: Sequence[tuple[str, str]]) -> None:
        for source, target in pairs:
            self._supersede(agent, source)
            self._supersede(agent, target)
        with held(self._rooms, agent, dict.fromkeys(path for pair in pairs for path in pair)):
            for _, target in pairs:
                self._make_way(agent, target)
            states = [(self._at(agent, source), target) for source, target in pairs]
            move = Move(self._rooms, [(state, target) for state, target in states if state is not None])
            self._rooms.catalog.writer.run(move)
            move.clean_up()


def _begin_alike(one: int, other: CurrentFile, size: int) -> bool:
    """Whether a file begins with the ``size`` bytes of a generation."""
    for offset in range(0, size, COPY_BYTES):
        count = min(COPY_BYTES, size - offset)
        if os.pread(one, count, offset) != other.stored(offset, count):
            return False
    return True
