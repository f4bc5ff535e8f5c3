"""A file system that keeps to a quota, around any other one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from logferry.errors import NotFound, TooLarge
from logferry.ftp.bundle_files import BundleFilesystem, BundleMember, Outcome
from logferry.ftp.filesystem import (
    CountingFilesystem,
    Download,
    Entry,
    ExpectingFilesystem,
    Filesystem,
    PartialFilesystem,
    SpaceFilesystem,
    Upload,
    Usage,
)
from logferry.ftp.protocol import paths
from logferry.ftp.quota import Ledger, Ledgers, Limit
from logferry.ftp.users import User

_NO_LIMIT = Limit()


def with_quotas(make: Callable[[User], Filesystem], ledgers: Ledgers) -> Callable[[User], Filesystem]:
    """``make``, with a ``QuotaFilesystem`` around the file systems of users who have a quota, and only of those."""

    def made(user: User) -> Filesystem:
        inner = make(user)
        if user.quota_bytes is None and user.quota_files is None:
            ledgers.adjust(user)
            return inner
        return QuotaFilesystem(
            inner, ledgers.of(os.path.normpath(user.home)), ledgers.limit(user), lambda: _counted(make(user))
        )

    return made


def _counted(files: Filesystem) -> Usage:
    try:
        return usage_of(files)
    finally:
        close = getattr(files, "close", None)
        if close is not None:
            close()


def usage_of(files: Filesystem) -> Usage:
    """Count what ``files`` holds: by itself where it can, else by walking over it."""
    if isinstance(files, CountingFilesystem):
        return files.usage()
    size_bytes = count = 0
    folders = ["/"]
    while folders:
        folder = folders.pop()
        try:
            for entry in files.entries(folder):
                count += 1
                if entry.is_folder:
                    folders.append(paths.join(folder, entry.name))
                else:
                    size_bytes += entry.size
        except NotFound:
            continue  # removed while we came here
    return Usage(size_bytes, count)


class QuotaFilesystem:
    """``inner``, refusing what ``limit`` has no room for with TooLarge (552).

    An upload that replaces a file may be as large as the room that is left and the file together. One that is refused
    on its way leaves nothing behind; an append that is refused leaves what fitted. What ``inner`` offers besides the
    ``Filesystem`` protocol passes through. ``count`` counts the home (see ``Ledger``).
    """

    def __init__(self, inner: Filesystem, ledger: Ledger, limit: Limit, count: Callable[[], Usage]) -> None:
        self._inner = inner
        self._ledger = ledger
        self._limit = limit
        self._count = count
        self.atomic = inner.atomic
        self.mark = str(getattr(inner, "mark", ""))
        self.keeps = bool(getattr(inner, "keeps", False))
        """Whether what is replaced stays: then nothing is won by replacing."""
        for name in dir(inner):
            # Into the instance's own dictionary, because that is where runtime-checkable protocols look.
            if not name.startswith("_") and not hasattr(type(self), name):
                setattr(self, name, getattr(inner, name))
        if hasattr(inner, "publish_many"):
            self.publish_many = self._publish_many
        ledger.refresh(count)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    # Looking -----------------------------------------------------------------------------------------------------

    def stat(self, path: str) -> Entry:
        return self._inner.stat(path)

    def entries(self, path: str) -> Iterator[Entry]:
        return self._inner.entries(path)

    def size(self, path: str) -> int:
        return self._inner.size(path)

    def open_download(self, path: str) -> Download:
        return self._inner.open_download(path)

    def free_bytes(self, path: str) -> int:
        """Room in the quota, or on the disk where that is less. Raises NotFound."""
        rooms = [room for room in (self._ledger.room(self._limit),) if room is not None]
        if isinstance(self._inner, SpaceFilesystem):
            rooms.append(self._inner.free_bytes(path))
        return min(rooms, default=2**63 - 1)

    def expect(self, path: str, size_bytes: int) -> None:
        """Refuse an upload that cannot fit before it begins."""
        self._ready()
        room = self._ledger.room(self._limit)
        if room is not None and size_bytes > room + (self.file_size(path) or 0):
            self.refused()
            raise TooLarge(f"{size_bytes} bytes do not fit: {room} are left of your quota")
        if isinstance(self._inner, ExpectingFilesystem):
            self._inner.expect(path, size_bytes)

    def file_size(self, path: str) -> int | None:
        """Bytes of the file at ``path``; None when there is no file."""
        try:
            entry = self._inner.stat(path)
        except NotFound:
            return None
        return None if entry.is_folder else entry.size

    def partial_size(self, path: str) -> int | None:
        """Bytes kept of an interrupted upload of ``path``; None when there is none, or nobody can tell."""
        return self._inner.partial_size(path) if isinstance(self._inner, PartialFilesystem) else None

    def drop_partial(self, path: str) -> bool:
        """Throw an interrupted upload away, and count it out."""
        if not isinstance(self._inner, PartialFilesystem):
            return False
        size = self._inner.partial_size(path)
        dropped = self._inner.drop_partial(path)
        if dropped and size is not None:
            self._ledger.give(size, 1)
        return dropped

    def forget_partial(self, path: str) -> None:
        """Throw away an interrupted upload that is not counted."""
        if isinstance(self._inner, PartialFilesystem):
            self._inner.drop_partial(path)

    def _ready(self) -> None:
        self._ledger.refresh(self._count)
        self._ledger.wait()

    def refused(self) -> None:
        """The quota has refused something: see whether it was right to, for the next time."""
        self._ledger.doubt()
        self._ledger.refresh(self._count)

    # Changing ----------------------------------------------------------------------------------------------------

    def open_upload(self, path: str, *, offset: int, append: bool) -> Upload:
        self._ready()
        there = self.file_size(path)
        in_place = there is not None and bool(offset or append)
        replaces = there is not None and not in_place and not self.keeps
        if not replaces and self._ledger.room(self._limit) == 0:
            self.refused()
            raise TooLarge("your quota is used up", hint="remove something first")
        alone = self._ledger.begin(path, there if replaces and there else 0)
        kept = self.partial_size(path) if alone and not in_place else None
        taken_files = 0 if in_place or kept is not None else 1
        try:
            self._ledger.take(0, taken_files, _NO_LIMIT if replaces else self._limit)
            try:
                upload = self._inner.open_upload(path, offset=offset, append=append)
            except BaseException:
                self._ledger.give(0, taken_files)
                raise
        except BaseException:
            self._ledger.end(path)
            raise
        position = upload.position
        if in_place:
            assert there is not None
            return QuotaUpload(self, upload, path, self._ledger, self._limit, top=max(there, position), in_place=True)
        # A partial that was kept is counted already; what is not continued of it has just been cut off.
        self._ledger.give((kept or 0) - position)
        return QuotaUpload(self, upload, path, self._ledger, self._limit, top=position, in_place=False)

    def _publish_many(self, members: Sequence[BundleMember], *, make_folders: bool) -> list[Outcome]:
        """``publish_many`` of ``inner``: room is taken for all members together, and given back of those that failed.

        Where it is not there for all of them, none is published: each has the outcome TooLarge.
        """
        self._ready()
        there = [None if self.keeps else self.file_size(member.path) for member in members]
        grown = [len(member.data or b"") - (old or 0) for member, old in zip(members, there, strict=True)]
        new = [int(old is None) for old in there]
        try:
            self._ledger.take(sum(grown), sum(new), self._limit)
        except TooLarge as error:
            self.refused()
            return [error] * len(members)
        assert isinstance(self._inner, BundleFilesystem)
        try:
            outcomes = self._inner.publish_many(members, make_folders=make_folders)
        except BaseException:
            self._ledger.doubt()  # how many of them are there is not known: taken for all until the next count
            raise
        for outcome, size_bytes, files in zip(outcomes, grown, new, strict=True):
            if outcome is not None:
                self._ledger.give(size_bytes, files)
        self._ledger.doubt()  # folders above the members may have been made, too, or have been there
        return outcomes

    def make_folder(self, path: str) -> None:
        self._ready()
        self._ledger.take(0, 1, self._limit)
        try:
            self._inner.make_folder(path)
        except BaseException:
            self._ledger.give(0, 1)
            raise

    def remove_folder(self, path: str) -> None:
        self._inner.remove_folder(path)
        self._ledger.give(0, 1)
        if isinstance(self._inner, PartialFilesystem):
            self._ledger.doubt()  # partials of unknown size may have gone with it

    def remove_file(self, path: str) -> None:
        size = self.file_size(path)
        partial = self.partial_size(path) if size is None else None
        self._inner.remove_file(path)
        if size is not None:
            self._ledger.replaced(path, size)
        elif partial is not None:
            self._ledger.give(partial, 1)

    def rename(self, source: str, target: str) -> None:
        try:
            lost = None if source == target or self.keeps else self._inner.stat(target)
        except NotFound:
            lost = None
        self._inner.rename(source, target)
        if lost is not None:
            # A file, or an empty folder in the place of which another one is now.
            self._ledger.replaced(target, 0 if lost.is_folder else lost.size)

    def set_modified(self, path: str, ns: int) -> None:
        self._inner.set_modified(path, ns)


class QuotaUpload:
    """An upload that takes room before it writes. ``top`` is the end of what is counted already."""

    __slots__ = ("_files", "_in_place", "_inner", "_ledger", "_limit", "_losses", "_lost_at", "_path", "_refused",
                 "_start", "_top")  # fmt: skip

    def __init__(
        self,
        files: QuotaFilesystem,
        inner: Upload,
        path: str,
        ledger: Ledger,
        limit: Limit,
        *,
        top: int,
        in_place: bool,
    ) -> None:
        self._files = files
        self._inner = inner
        self._path = path
        self._ledger = ledger
        self._limit = limit
        self._start = self._top = top
        self._in_place = in_place
        self._refused = False
        self._losses = ledger.losses(path)
        self._lost_at: int | None = None
        """Where an append was when its file got lost: up to there it was counted out with the file."""

    @property
    def position(self) -> int:
        return self._inner.position

    def write(self, data: memoryview | bytes) -> None:
        if self._in_place:
            self._look_for_file()
        end = self._inner.position + len(data)
        if end > self._top:
            try:
                self._ledger.take(end - self._top, 0, self._limit, "" if self._in_place else self._path)
            except TooLarge:
                self._refused = True
                raise
            self._top = end
        self._inner.write(data)

    @property
    def _replacing_bytes(self) -> int:
        return 0 if self._in_place else self._top - self._start

    def _look_for_file(self) -> None:
        """An append goes into the file that was there when it began, even when another has the name by now."""
        if self._lost_at is None and self._ledger.losses(self._path) != self._losses:
            self._lost_at = self._top

    def sync(self) -> None:
        """Pass it on, where there is one."""
        sync = getattr(self._inner, "sync", None)
        if sync is not None:
            sync()

    def commit(self) -> None:
        replaced = None if self._in_place or self._files.keeps else self._files.file_size(self._path)
        try:
            self._inner.commit()
        except BaseException:
            self._settle()
            raise
        if replaced is not None:
            self._ledger.replaced(self._path, replaced, self._top)
        if self._in_place:
            self._look_for_file()
            if self._lost_at is not None:
                self._ledger.give(self._top - self._lost_at)
        last, crowded = self._ledger.end(self._path, self._replacing_bytes)
        if last and crowded:
            # Another upload of the name broke off before this one ended. Behind a whole file nobody finds its partial.
            self._files.forget_partial(self._path)

    def abandon(self) -> None:
        self._inner.abandon()
        last = self._settle()
        if self._refused:
            if last and not self._in_place:
                # It will never fit; hidden, it would only take the room of what would.
                self._files.drop_partial(self._path)
            self._files.refused()

    def _settle(self) -> bool:
        """Count only what is really there after an upload that came to nothing; whether it was the last of its path."""
        if self._in_place:
            self._look_for_file()
        last, _ = self._ledger.end(self._path, self._replacing_bytes)
        if self._in_place:
            kept_to = max(self._start, self._inner.position) if self._lost_at is None else self._lost_at
            self._ledger.give(self._top - kept_to)
            return last
        kept = self._files.partial_size(self._path) if last else None
        self._ledger.give(self._top - (kept or 0), 0 if kept is not None else 1)
        return last
