"""A hidden folder in a home where files wait to be published together.

It lies in the home, so that a rename publishes; it is locked (``flock``) while somebody uses it, and a lock dies with
its process: whoever makes the next one removes what a killed server has left.
"""

from __future__ import annotations

import contextlib
import os
import secrets

from logferry.errors import Later
from logferry.ftp.portable import O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, fcntl

_PARENT = b".~up-" + b"0" * 16
"""Where the stages of a home lie; hidden like every partial (``local_upload.is_partial``)."""
_ATTEMPTS_MAX = 20
_FOLDER = os.O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | O_NOFOLLOW | O_CLOEXEC


class Stage:
    """One stage, made when missing; ``root`` is the open home. Close it."""

    __slots__ = ("_name", "_parent", "_root", "fd")

    def __init__(self, root: int) -> None:
        self._root = root
        self._parent, self._name, self.fd = _made(root)
        self._sweep()

    def write(self, name: bytes, data: bytes, modified_ns: int | None, *, sync: bool) -> None:
        """A new file. Raises OSError."""
        fd = os.open(name, _NEW, 0o644, dir_fd=self.fd)
        try:
            written = os.write(fd, data)
            while written < len(data):
                written += os.write(fd, memoryview(data)[written:])
            if modified_ns is not None:
                os.utime(fd, ns=(modified_ns, modified_ns))
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Remove it and what is left in it."""
        try:
            _remove(self._parent, self._name, self.fd)
            # The last one takes the folder of all stages with it.
            with contextlib.suppress(OSError):
                os.rmdir(_PARENT, dir_fd=self._root)
        finally:
            os.close(self.fd)
            os.close(self._parent)

    def _sweep(self) -> None:
        """Remove stages whose process has died."""
        for entry in os.listdir(self._parent):
            name = os.fsencode(entry)
            if name == self._name:
                continue
            with contextlib.suppress(OSError):  # its owner is at it, or another sweeper
                fd = os.open(name, _FOLDER, dir_fd=self._parent)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(self._parent, name, fd)
                finally:
                    os.close(fd)


def _made(root: int) -> tuple[int, bytes, int]:
    """(the folder of all stages, the new stage's name in it, the new stage itself, locked)."""
    for _ in range(_ATTEMPTS_MAX):
        with contextlib.suppress(FileExistsError):
            os.mkdir(_PARENT, 0o700, dir_fd=root)
        parent = -1
        try:
            parent = os.open(_PARENT, _FOLDER, dir_fd=root)
            name = secrets.token_hex(8).encode()
            os.mkdir(name, 0o700, dir_fd=parent)
            fd = os.open(name, _FOLDER, dir_fd=parent)
        except FileNotFoundError:  # the last of the others took the folder with it just now
            if parent >= 0:
                os.close(parent)
            continue
        except BaseException:
            if parent >= 0:
                os.close(parent)
            raise
        if _hold(parent, name, fd):
            return parent, name, fd
        os.close(fd)
        os.close(parent)
    raise Later("no room to unpack could be made in the home", hint="try again")


def _hold(parent: int, name: bytes, fd: int) -> bool:
    """Whether the stage is ours now and still there: a sweeper may have taken it before it was locked."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.stat(name, dir_fd=parent, follow_symlinks=False), os.fstat(fd))
    except (BlockingIOError, FileNotFoundError):
        return False


def _remove(parent: int, name: bytes, fd: int) -> None:
    for entry in os.listdir(fd):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(entry, dir_fd=fd)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=parent)
