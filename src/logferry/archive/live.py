"""Trees of plain files below one root, opened so that no name ever leads out of it.

A folder is resolved once, beneath the root and through no symbolic link (``openat2`` where the kernel has it, else
one component at a time with ``O_NOFOLLOW``), and stays open; files are then opened by their single name in it. So
neither ``..``, nor a link planted inside, nor a folder swapped for a link in the middle of it all leads astray.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator

from logferry.archive.durable import Disk
from logferry.errors import Conflict, NotPermitted
from logferry.limits import FOLDERS_OPEN_MAX

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPENAT2 = 437
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08


class Folder:
    """One open folder. It closes itself when the last user lets go of it (files in it are opened by name)."""

    __slots__ = ("fd", "named_durably")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.named_durably = False

    def __del__(self, close: Callable[[int], None] = os.close) -> None:  # bound: modules may be gone at exit
        close(self.fd)

    def open(self, name: bytes, flags: int = os.O_RDONLY, mode: int = 0o644) -> int:
        """Open the plain file ``name``; the caller closes the descriptor.

        Raises:
            FileNotFoundError: there is none.
            NotPermitted: the name is a symbolic link or anything else but a plain file.
        """
        try:
            # O_NONBLOCK: opening a planted FIFO must not hang; it means nothing on plain files.
            fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, mode, dir_fd=self.fd)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO):
                raise _planted(name) from error
            if error.errno == errno.EISDIR:
                raise Conflict(f"{_text(name)} is a folder") from error
            raise
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise _planted(name)
        return fd

    def stat(self, name: bytes) -> os.stat_result | None:
        """What ``name`` is (links not followed), or None."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self) -> Iterator[bytes]:
        """All names in it."""
        # A descriptor of our own: those who list through a shared one share its position and miss names.
        fd = os.open(b".", _DIRECTORY, dir_fd=self.fd)
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    yield os.fsencode(entry.name)
        finally:
            os.close(fd)


class LiveTree:
    """Folders below ``root`` (made when missing). Thread-safe.

    Raises from every method:
        NotPermitted: a component is a symbolic link.
        Conflict: a component is a file.
    """

    def __init__(
        self, root: str, disk: Disk, *, resolve: Callable[[int, bytes], int] | None = None, folder_mode: int = 0o755
    ) -> None:
        """``folder_mode``: of folders that are made."""
        os.makedirs(root, mode=folder_mode, exist_ok=True)
        self._disk = disk
        self._folder_mode = folder_mode
        self._root = Folder(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        self._resolve = resolve or resolver()
        self._lock = threading.Lock()
        self._open: OrderedDict[bytes, Folder] = OrderedDict()

    def folder(self, path: str) -> Folder | None:
        """The open folder at ``path`` (``a/b``, ``""`` the root itself), None where there is none."""
        key = path.encode()
        if not key:
            return self._root
        with self._lock:
            found = self._open.get(key)
            if found is not None:
                self._open.move_to_end(key)
                return found
        try:
            fd = self._resolve(self._root.fd, key)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _planted(key) from error
            if error.errno == errno.ENOTDIR:
                raise self._not_a_folder(key) from error
            raise
        return self._remember(key, Folder(fd))

    def make(self, path: str, sync: Callable[[Folder], None]) -> Folder:
        """The open folder at ``path``, made where missing; ``sync`` is told which parents have to be synced."""
        if not path:
            return self._root
        found = self.folder(path)
        if found is not None and self._is_there(path, found):
            if found.named_durably:
                return found
        else:
            found = None
        # Also when the folder is there: another process may have made it a moment ago and not synced it yet.
        parent_path, _, name = path.rpartition("/")
        parent = self.make(parent_path, sync)
        if found is None:
            self._disk.make_folder(parent.fd, name.encode(), self._folder_mode)
            found = self.folder(path)
        if found is None:
            raise Conflict(f"the folder {path} vanished while it was being made", hint="try again")
        sync(parent)
        found.named_durably = True
        return found

    def walk(self, path: str = "") -> Iterator[tuple[str, os.stat_result]]:
        """Everything below ``path`` that is no folder: (path, what it is), links not followed."""
        folder = self.folder(path)
        if folder is None:
            return
        for raw in sorted(folder.names()):
            name = raw.decode("utf-8", "backslashreplace")
            below = f"{path}/{name}" if path else name
            found = folder.stat(raw)
            if found is None:
                continue
            if stat.S_ISDIR(found.st_mode):
                yield from self.walk(below)
            else:
                yield below, found

    def count_names(self, path: str, file: os.stat_result) -> int:
        """How many names the file has below the folder ``path``. Looks at everything there."""
        return sum(os.path.samestat(found, file) for _, found in self.walk(path))

    def forget(self, path: str) -> None:
        """Let go of the folder ``path`` and everything below it: it was removed or moved."""
        key = path.encode()
        with self._lock:
            for known in [k for k in self._open if k == key or k.startswith(key + b"/")]:
                del self._open[known]

    def close(self) -> None:
        """Let go of all open folders."""
        with self._lock:
            self._open.clear()

    def _is_there(self, path: str, folder: Folder) -> bool:
        # Another process may have removed the folder since we opened it: then it has no name any more.
        if os.fstat(folder.fd).st_nlink > 0:
            return True
        self.forget(path)
        return False

    def _remember(self, key: bytes, folder: Folder) -> Folder:
        with self._lock:
            self._open[key] = folder
            if len(self._open) > FOLDERS_OPEN_MAX:
                self._open.popitem(last=False)
        return folder

    def _not_a_folder(self, key: bytes) -> Exception:
        """Which component stops us: a symbolic link is an attack, a file is a clash of names."""
        try:
            os.close(walk(self._root.fd, key))
        except OSError as error:
            if error.errno == errno.ELOOP:
                return _planted(key)
        return Conflict(f"{_text(key)} runs through a file", hint="a file and a folder cannot have the same name")


def walk(root: int, path: bytes) -> int:
    """Open the folder ``path`` below ``root`` one component at a time, through no link. For kernels without openat2."""
    current = os.dup(root)
    for part in path.split(b"/"):
        if part in (b"", b".", b".."):
            os.close(current)
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        try:
            following = os.open(part, _DIRECTORY, dir_fd=current)
        except OSError as error:
            # A link opened with O_NOFOLLOW | O_DIRECTORY shows as ENOTDIR; tell it from a file.
            if error.errno == errno.ENOTDIR and stat.S_ISLNK(
                os.stat(part, dir_fd=current, follow_symlinks=False).st_mode
            ):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
            raise
        finally:
            os.close(current)
        current = following
    return current


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def openat2(root: int, path: bytes) -> int:
    """Open the folder ``path`` below ``root`` in one step that the kernel keeps beneath it, through no link.

    Raises:
        OSError: ENOSYS or EPERM where the kernel (or a sandbox) has no openat2.
    """
    how = _OpenHow(os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS)
    while True:
        fd: int = _libc().syscall(_OPENAT2, root, path, ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return fd
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):  # a rename elsewhere in the tree was in the way: try again
            raise OSError(code, os.strerror(code), os.fsdecode(path))


def resolver() -> Callable[[int, bytes], int]:
    """``openat2`` where it works, ``walk`` elsewhere."""
    if sys.platform != "linux":
        return walk
    try:
        root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.close(openat2(root, b"."))
        finally:
            os.close(root)
    except (OSError, AttributeError):
        return walk
    return openat2


_loaded: list[ctypes.CDLL] = []


def _libc() -> ctypes.CDLL:
    if not _loaded:
        library = ctypes.CDLL(None, use_errno=True)
        library.syscall.argtypes = [
            ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_OpenHow), ctypes.c_size_t,
        ]  # fmt: skip
        library.syscall.restype = ctypes.c_long
        _loaded.append(library)
    return _loaded[0]


def _planted(name: bytes) -> NotPermitted:
    return NotPermitted(
        f"{_text(name)} is a symbolic link or no plain file",
        hint="somebody put it into the archive by hand; remove it there",
    )


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
