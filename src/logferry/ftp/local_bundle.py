"""Many small files into a folder of this machine, each published atomically, all made durable together.

Order: the bytes of all into the stage, one sync; then each gets its name by a rename; then every folder that got a
name or a subfolder is synced once. A crash anywhere leaves whole files or none, and nothing was confirmed before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from logferry.errors import LogferryError, NotFound, NotPermitted
from logferry.ftp.bundle_files import BundleMember, Outcome, no_folder
from logferry.ftp.stage import Stage
from logferry.limits import SYNC_EACH_MAX
from logferry.syncfs import can_sync_disk, sync_disk

_NEW_FOLDER_MODE = 0o755
_NOT_TRIED = NotPermitted("not tried")

OpenFolder = Callable[[bytes], int]
"""Relative path -> open folder beneath the home. Raises NotFound, OSError."""
RawPath = Callable[[str], bytes]
"""Virtual path -> relative bytes. Raises BadName."""


class LocalBatch:
    """One batch of members on its way into the home ``root``."""

    def __init__(self, root: int, open_folder: OpenFolder, raw: RawPath, *, make_folders: bool) -> None:
        self._root = root
        self._open_folder = open_folder
        self._raw = raw
        self._make_folders = make_folders
        self._to_sync: set[bytes] = set()
        """Folders that got a new subfolder."""

    def publish(self, members: Sequence[BundleMember]) -> list[Outcome]:
        """See ``BundleFilesystem.publish_many``."""
        outcomes: list[Outcome] = [_NOT_TRIED] * len(members)
        folders: dict[bytes, list[tuple[int, bytes]]] = {}
        try:
            stage = Stage(self._root)
        except (LogferryError, OSError) as error:
            return [error] * len(members)
        try:
            self._stage(stage, members, folders, outcomes)
            for folder, inside in folders.items():
                self._fill(stage, folder, inside, outcomes)
            self._sync_parents(outcomes, members)
        finally:
            stage.close()
        return outcomes

    def _stage(
        self,
        stage: Stage,
        members: Sequence[BundleMember],
        folders: dict[bytes, list[tuple[int, bytes]]],
        outcomes: list[Outcome],
    ) -> None:
        """Write and sync the bytes; fill ``folders`` with (index, name) of what belongs in each."""
        each = not can_sync_disk() or len(members) <= SYNC_EACH_MAX
        for index, member in enumerate(members):
            try:
                raw = self._raw(member.path)
                if member.data is None:
                    folders.setdefault(raw, []).append((index, b""))
                    continue
                stage.write(b"%d" % index, member.data, member.modified_ns, sync=each)
            except (LogferryError, OSError) as error:
                outcomes[index] = error
                continue
            folder, _, name = raw.rpartition(b"/")
            folders.setdefault(folder, []).append((index, name))
        if each:
            return
        try:
            sync_disk(stage.fd)
        except OSError as error:
            # Whose bytes were lost is not told: none of these can be relied on.
            for inside in folders.values():
                for index, name in inside:
                    if name:
                        outcomes[index] = error
                inside[:] = [one for one in inside if not one[1]]

    def _fill(self, stage: Stage, folder: bytes, inside: list[tuple[int, bytes]], outcomes: list[Outcome]) -> None:
        """Give the files of one folder their names."""
        if not inside:
            return
        try:
            fd = self._folder(folder)
        except (LogferryError, OSError) as error:
            for index, _ in inside:
                outcomes[index] = error
            return
        try:
            for index, name in inside:
                try:
                    if name:
                        os.rename(b"%d" % index, name, src_dir_fd=stage.fd, dst_dir_fd=fd)
                    outcomes[index] = None
                except OSError as error:
                    outcomes[index] = error
            os.fsync(fd)
        except OSError as error:
            for index, _ in inside:
                outcomes[index] = outcomes[index] or error
        finally:
            os.close(fd)

    def _folder(self, raw: bytes) -> int:
        """The open folder, made with those above it where missing."""
        try:
            return self._open_folder(raw)
        except NotFound:
            if not raw:
                raise
            if not self._make_folders:
                raise no_folder("/" + raw.decode("utf-8", "surrogateescape")) from None
        above, _, name = raw.rpartition(b"/")
        parent = self._folder(above)
        try:
            os.mkdir(name, _NEW_FOLDER_MODE, dir_fd=parent)
        except FileExistsError:
            pass  # somebody else made it just now; or it is a file or leads outside, as opening it will tell
        finally:
            os.close(parent)
        self._to_sync.add(above)
        return self._open_folder(raw)

    def _sync_parents(self, outcomes: list[Outcome], members: Sequence[BundleMember]) -> None:
        """Make the names of new folders durable; where that fails, nothing below them is."""
        for folder in self._to_sync:
            try:
                fd = self._open_folder(folder)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
            except (LogferryError, OSError) as error:
                below = folder + b"/" if folder else b""
                for index, member in enumerate(members):
                    if outcomes[index] is None and self._raw(member.path).startswith(below):
                        outcomes[index] = error
