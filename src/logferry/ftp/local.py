"""The file system of a user whose home is a folder on this machine.

A new upload is written to a hidden *partial* in the folder where it belongs, synced, and appears by a rename; so it
is there whole or not at all. What an interrupted one has brought stays in the partial: SIZE tells how much, REST or
APPE continues it, listings never show it, and after days without use it is removed (``leftovers.py``). Appending to a
file that exists happens in place: its beginning is whole already.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import weakref
from collections.abc import Iterator, Sequence

from logferry.errors import BadConfig, BadName, Conflict, Full, NotFound, NotPermitted, Refused
from logferry.ftp.beneath import Opener, best_opener
from logferry.ftp.bundle_files import BundleMember, Outcome, publish_one
from logferry.ftp.filesystem import Entry, Usage
from logferry.ftp.leftovers import Sweeper
from logferry.ftp.local_bundle import LocalBatch
from logferry.ftp.local_room import RoomUpload, disk_free_bytes, usage_beneath
from logferry.ftp.local_upload import (
    LocalUpload,
    continue_partial,
    continued_file,
    is_partial,
    is_whole,
    new_upload,
    partial_name,
    remove_idle_partial,
)
from logferry.ftp.portable import (
    FOLDER_HANDLES,
    O_CLOEXEC,
    O_DIRECTORY,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_PATH,
    read_at,
    sync_data,
)

_FOLDER = os.O_RDONLY | O_DIRECTORY
_NEW_FOLDER_MODE = 0o755


class _Root:
    """An open home. Sessions of one home share it; it closes when the last lets go."""

    __slots__ = ("__weakref__", "fd")

    def __init__(self, home: str) -> None:
        self.fd = os.open(home, O_PATH | O_DIRECTORY | O_CLOEXEC)
        # Not ``__del__``: that runs before weak references are dead, so ``_root`` could hand out what is being closed.
        weakref.finalize(self, os.close, self.fd).atexit = False


_roots: weakref.WeakValueDictionary[str, _Root] = weakref.WeakValueDictionary()
_roots_lock = threading.Lock()


def _root(home: str) -> _Root:
    with _roots_lock:
        found = _roots.get(home)
        if found is None or not os.path.samestat(os.fstat(found.fd), os.stat(home)):
            found = _roots[home] = _Root(home)
        return found


class LocalFilesystem:
    """``home`` as one user's ``/``; it is created when missing. No name leads out of it.

    Uploads end with Full (452) while ``min_free_bytes`` are still free on its disk.

    Raises from every method, besides what the protocol says: OSError of the system calls.
    """

    atomic = True

    def __init__(self, home: str, *, opener: Opener | None = None, min_free_bytes: int = 0) -> None:
        if not FOLDER_HANDLES:
            raise BadConfig(
                "a folder cannot be guarded as a home on this system",
                hint="pass FtpServer(filesystem=…) one of your own; the client needs none",
            )
        os.makedirs(home, mode=_NEW_FOLDER_MODE, exist_ok=True)
        self._home = os.path.abspath(home)
        self._root = _root(self._home)
        self._open_beneath = opener or _OPENER
        self._min_free_bytes = min_free_bytes
        self._sized = ""
        """The last path whose SIZE was that of a partial: only then does APPE continue it."""

    # Looking --------------------------------------------------------------------------------------------------

    def stat(self, path: str) -> Entry:
        """The entry at ``path``; of a link, what it leads to beneath the home. Raises NotFound."""
        return _entry(path.rpartition("/")[2], self._look(_raw(path)))

    def entries(self, path: str) -> Iterator[Entry]:
        """What the folder holds, without the hidden files of uploads under way. Raises NotFound."""
        raw = _raw(path)
        fd = self._open(raw, _FOLDER)
        _SWEEPER.pass_by(self._home, raw, fd)
        found = self._entries(raw, fd)
        next(found)  # begun, it closes the folder even when nobody asks for an entry
        return found

    def _entries(self, raw: bytes, fd: int) -> Iterator[Entry]:
        try:
            yield _NOTHING
            with os.scandir(fd) as found:
                for one in found:
                    name = os.fsencode(one.name)
                    if is_partial(name):
                        continue
                    status = self._status(raw, name, one)
                    if status is not None:
                        yield _entry(name.decode("utf-8", "surrogateescape"), status)
        finally:
            os.close(fd)

    def _status(self, folder: bytes, name: bytes, one: os.DirEntry[str]) -> os.stat_result | None:
        """The status of a directory entry; a link counts as what it leads to. None when there is nothing to show."""
        try:
            if one.is_symlink():
                return self._look(folder + b"/" + name if folder else name)
            return one.stat(follow_symlinks=False)
        except (OSError, NotFound):  # it vanished meanwhile, or leads nowhere or outside
            return None

    def size(self, path: str) -> int:
        """The size of the file, or of what is kept of an interrupted upload of it."""
        raw = _raw(path)
        try:
            status = self._look(raw)
        except NotFound:
            partial = self._look_partial(raw)
            if partial is None or not is_whole(partial):
                raise
            self._sized = path
            return partial.st_size
        if stat.S_ISDIR(status.st_mode):
            raise Refused(f"{path} is a folder")
        return status.st_size

    def _open(self, raw: bytes, flags: int, mode: int = 0) -> int:
        """Open ``raw`` beneath the home; what leads outside is not found."""
        try:
            return self._open_beneath(self._root.fd, raw, flags, mode)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.EXDEV, errno.ENOTDIR, errno.EAGAIN):
                raise NotFound(f"no such file or folder: {_shown(raw)}") from error
            raise

    def _look(self, raw: bytes) -> os.stat_result:
        fd = self._open(raw, O_PATH)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def _look_partial(self, raw: bytes) -> os.stat_result | None:
        folder, _, name = raw.rpartition(b"/")
        try:
            return self._look(b"%s/%s" % (folder, partial_name(name)) if folder else partial_name(name))
        except NotFound:
            return None

    # Transfers ------------------------------------------------------------------------------------------------

    def open_download(self, path: str) -> LocalDownload:
        """Open a file, of the size it has now. Raises NotFound, Refused (no plain file)."""
        # O_NONBLOCK: a FIFO in the way must not hang the session; it means nothing for a file.
        fd = self._open(_raw(path), os.O_RDONLY | O_NONBLOCK)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise Refused(f"{path} is no plain file")
        return LocalDownload(fd, status.st_size)

    def open_upload(self, path: str, *, offset: int, append: bool) -> LocalUpload:
        """Upload beside the name and take it at ``commit``; an append goes to the file itself. Raises Full."""
        if not self._min_free_bytes:
            return self._open_upload(path, offset=offset, append=append)
        if self._room() == 0:
            raise Full("no room left on the disk", hint="make room on the server")
        upload = self._open_upload(path, offset=offset, append=append)
        return RoomUpload(upload, self._room)

    def _open_upload(self, path: str, *, offset: int, append: bool) -> LocalUpload:
        raw = _raw(path)
        sized, self._sized = self._sized, ""
        folder, name = self._folder(raw)
        try:
            if offset or append:
                return self._continue(path, raw, folder, name, offset=offset, append=append, sized=sized == path)
            _SWEEPER.pass_by(self._home, raw[: -len(name) - 1], folder)
            return new_upload(folder, name)
        except BaseException:
            os.close(folder)
            raise

    def _continue(
        self, path: str, raw: bytes, folder: int, name: bytes, *, offset: int, append: bool, sized: bool
    ) -> LocalUpload:
        """Continue the file itself, else a partial of it (an APPE only when the client has asked for its size)."""
        try:
            fd = self._open(raw, os.O_WRONLY | O_NONBLOCK)
        except NotFound:
            if append and not sized:
                return new_upload(folder, name)
            return continue_partial(path, folder, name, offset=None if append else offset)
        return continued_file(path, fd, folder, name, offset=None if append else offset)

    def open_hash(
        self,
        path: str,
        algorithm: str,  # noqa: ARG002 - the protocol's name
        start: int,  # noqa: ARG002
        stop: int | None,  # noqa: ARG002
        *,
        may_read: bool,
    ) -> LocalDownload:
        """HASH: the bytes SIZE tells of, also those of an interrupted upload; synced, so one can build on them."""
        if not may_read:
            raise NotPermitted(f"{path} may not be read")
        try:
            download = self.open_download(path)
        except NotFound:
            download = self._open_partial(path)
        try:
            fd = download.fileno()
            assert fd is not None
            sync_data(fd)
        except BaseException:
            download.close()
            raise
        return download

    def _open_partial(self, path: str) -> LocalDownload:
        folder, name = self._folder(_raw(path))
        try:
            fd = os.open(partial_name(name), os.O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, dir_fd=folder)
        except FileNotFoundError as error:
            raise NotFound(f"no such file: {path}") from error
        finally:
            os.close(folder)
        status = os.fstat(fd)
        if not is_whole(status):
            os.close(fd)
            raise NotFound(f"no such file: {path}")
        return LocalDownload(fd, status.st_size)

    def publish_many(self, members: Sequence[BundleMember], *, make_folders: bool) -> list[Outcome]:
        """Many small files at once (``BundleFilesystem``)."""
        if sum(len(member.data or b"") for member in members) > self._room():
            full = Full("they do not fit on the disk", hint="make room on the server")
            return [full] * len(members)
        batch = LocalBatch(self._root.fd, lambda raw: self._open(raw, _FOLDER), _raw, make_folders=make_folders)
        outcomes = batch.publish(members)
        for index, outcome in enumerate(outcomes):
            if isinstance(outcome, OSError) and outcome.errno == errno.EXDEV:  # its folder is on another disk
                outcomes[index] = publish_one(self, members[index], make_folders=make_folders)
        return outcomes

    # Room -----------------------------------------------------------------------------------------------------

    def free_bytes(self, path: str) -> int:
        """Bytes free on the disk under the folder ``path``, without those that are to stay free."""
        fd = self._open(_raw(path), _FOLDER)
        try:
            return max(disk_free_bytes(fd) - self._min_free_bytes, 0)
        finally:
            os.close(fd)

    def expect(self, path: str, size_bytes: int) -> None:
        """Refuse an upload that cannot fit before it begins."""
        if size_bytes > self._room():
            raise Full(f"{size_bytes} bytes of {path} do not fit on the disk", hint="make room on the server")

    def _room(self) -> int:
        """Bytes that an upload may still bring."""
        return max(disk_free_bytes(self._root.fd) - self._min_free_bytes, 0)

    def usage(self) -> Usage:
        """What the home holds."""
        return usage_beneath(lambda raw: self._open(raw, _FOLDER))

    def partial_size(self, path: str) -> int | None:
        """Bytes kept of an interrupted upload of ``path``."""
        found = self._look_partial(_raw(path))
        return None if found is None else found.st_size

    def drop_partial(self, path: str) -> bool:
        """Throw an interrupted upload away, unless somebody writes to it now."""
        folder, name = self._folder(_raw(path))
        try:
            return remove_idle_partial(folder, partial_name(name))
        finally:
            os.close(folder)

    # Changing -------------------------------------------------------------------------------------------------

    def make_folder(self, path: str) -> None:
        """Create one folder, durably. Raises Conflict when the name is taken."""
        folder, name = self._folder(_raw(path))
        try:
            os.mkdir(name, _NEW_FOLDER_MODE, dir_fd=folder)
            os.fsync(folder)
        except FileExistsError as error:
            raise Conflict(f"{path} already exists") from error
        finally:
            os.close(folder)

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder; interrupted uploads in it go with it."""
        raw = _raw(path)
        self._remove_partials(raw)
        folder, name = self._folder(raw)
        try:
            os.rmdir(name, dir_fd=folder)
        finally:
            os.close(folder)

    def _remove_partials(self, raw: bytes) -> None:
        """A folder that looks empty to its user must go; partials nobody writes to must not keep it."""
        fd = self._open(raw, _FOLDER)
        try:
            names = [os.fsencode(name) for name in os.listdir(fd)]
            if all(is_partial(name) for name in names):
                for name in names:
                    remove_idle_partial(fd, name)
        finally:
            os.close(fd)

    def remove_file(self, path: str) -> None:
        """Remove a file, durably."""
        folder, name = self._folder(_raw(path))
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            # The client gives up an interrupted upload.
            if not remove_idle_partial(folder, partial_name(name)):
                raise
        finally:
            os.close(folder)

    def rename(self, source: str, target: str) -> None:
        """Give ``source`` the name ``target``, durably; a file that was there is replaced."""
        from_folder, from_name = self._folder(_raw(source))
        try:
            to_folder, to_name = self._folder(_raw(target))
            try:
                os.rename(from_name, to_name, src_dir_fd=from_folder, dst_dir_fd=to_folder)
                os.fsync(to_folder)
                if os.fstat(from_folder).st_ino != os.fstat(to_folder).st_ino:
                    os.fsync(from_folder)
            finally:
                os.close(to_folder)
        finally:
            os.close(from_folder)

    def set_modified(self, path: str, ns: int) -> None:
        """Set the modification time to ``ns`` since 1970 UTC."""
        fd = self._open(_raw(path), os.O_RDONLY | O_NONBLOCK)
        try:
            os.utime(fd, ns=(ns, ns))
        finally:
            os.close(fd)

    def set_mode(self, path: str, mode: int) -> None:
        """SITE CHMOD. Only the nine permission bits."""
        fd = self._open(_raw(path), os.O_RDONLY | O_NONBLOCK)
        try:
            os.fchmod(fd, mode & 0o777)
        finally:
            os.close(fd)

    def _folder(self, raw: bytes) -> tuple[int, bytes]:
        """The open folder that holds ``raw``, and the name in it. The caller closes it."""
        folder, _, name = raw.rpartition(b"/")
        if not name:
            raise BadName("/ is the home")
        return self._open(folder, _FOLDER), name


_NOTHING = Entry("", is_folder=True, size=0, modified_ns=0)


def _raw(path: str) -> bytes:
    """The bytes of a virtual path, relative to the home. Partials have no name that a client could say."""
    raw = path.encode("utf-8", "surrogateescape")[1:]
    if b".~up-" in raw and any(is_partial(part) for part in raw.split(b"/")):
        raise BadName(f"{path} is a name kept for uploads under way")
    return raw


def _shown(raw: bytes) -> str:
    return "/" + raw.decode("utf-8", "surrogateescape")


def _entry(name: str, status: os.stat_result) -> Entry:
    return Entry(
        name=name,
        is_folder=stat.S_ISDIR(status.st_mode),
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        mode=status.st_mode & 0o777,
        unique=f"{status.st_dev:x}g{status.st_ino:x}",
    )


class LocalDownload:
    """A file opened for RETR."""

    __slots__ = ("_fd", "size")

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self.size = size

    def fileno(self) -> int | None:
        return self._fd

    def read_at(self, offset: int, count: int) -> bytes:
        return read_at(self._fd, count, offset)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


_OPENER = best_opener()
_SWEEPER = Sweeper()
