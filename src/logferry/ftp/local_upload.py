"""Uploads into a folder of this machine: the hidden partial, and how it becomes the file.

A partial is locked (``flock``) while somebody writes to it, so two uploads of one name, even in two processes, never
mix; a lock dies with its process, so what a killed server leaves can be continued.

Not so what a power cut leaves: the disk may have a partial's length and not its bytes. So one that was last written to
before the machine was started counts only if it was synced when its upload broke off. A bit of its mode says that,
which means nothing for a file that nobody executes; it goes before the next byte is written.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat

from logferry.errors import Later, NotFound, Refused
from logferry.ftp.portable import O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK, booted_ns, lock_alone, sync_data, sync_file
from logferry.ftp.writeback import start_writeback
from logferry.limits import FTP_WRITEBACK_BYTES

_PARTIAL = re.compile(rb"\.~up-[0-9a-f]{16}(?:-[0-9a-f]{8})?")
_NEW_FILE_MODE = 0o644
_SYNCED = stat.S_IXGRP
"""In the mode of a partial: all of it is on the disk."""
# O_NONBLOCK: a FIFO that somebody with a shell has put in the way must not hang the session.
_PARTIAL_FLAGS = os.O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK
_NO_FILE = (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.EISDIR)


def partial_name(name: bytes) -> bytes:
    """Where an upload of ``name`` (one component) is kept until it is whole."""
    return b".~up-" + hashlib.blake2b(name, digest_size=8).hexdigest().encode()


def is_partial(name: bytes) -> bool:
    """Whether ``name`` is one that ``partial_name`` makes, or its variant for a second upload at the same time."""
    return name.startswith(b".~up-") and _PARTIAL.fullmatch(name) is not None


def is_whole(partial: os.stat_result) -> bool:
    """Whether all bytes that a partial seems to have are there."""
    return bool(partial.st_mode & _SYNCED) or partial.st_mtime_ns >= booted_ns()


class LocalUpload:
    """A file being written: a partial (``partial`` is its name), or the file itself when that is empty."""

    __slots__ = ("_began", "_fd", "_folder", "_name", "_partial", "_started", "_synced", "position")

    def __init__(self, fd: int, folder: int, name: bytes, partial: bytes, position: int) -> None:
        self._fd = fd
        self._folder = folder
        self._name = name
        self._partial = partial
        self.position = position
        self._started = position
        # Only what an append adds may be taken back: what was there before has been confirmed.
        self._began = position if partial else os.fstat(fd).st_size
        self._synced: bool | None = None
        """Whether the sync after the last byte was done; False: it failed."""

    def write(self, data: memoryview | bytes) -> None:
        written = os.pwrite(self._fd, data, self.position)
        self.position += written
        if written < len(data):
            rest = memoryview(data)
            while written < len(rest):
                rest = rest[written:]
                written = os.pwrite(self._fd, rest, self.position)
                self.position += written
        self._begin_writeback()

    def _begin_writeback(self) -> None:
        if self.position - self._started >= FTP_WRITEBACK_BYTES:
            start_writeback(self._fd, self._started, self.position - self._started)
            self._started = self.position

    def splice(self, pipe: int, count: int) -> None:
        """Take ``count`` bytes that wait in ``pipe``; the kernel moves them where the file system lets it."""
        while count:
            try:
                moved = os.splice(pipe, self._fd, count, offset_dst=self.position)
            except OSError as error:
                if error.errno != errno.EINVAL:  # that is: not on this file system
                    raise
                block = os.read(pipe, count)
                self.write(block)
                count -= len(block)
                continue
            self.position += moved
            count -= moved
        self._begin_writeback()

    def sync(self) -> None:
        """After the last byte: make all durable, but not visible yet. Raises OSError; then only ``abandon`` is left."""
        # A failed fsync may have dropped the bytes and says so only once: a second one must not be believed.
        self._synced = False
        sync_file(self._fd)
        self._synced = True

    def commit(self) -> None:
        """Bytes first, then the name, then the folder that holds the name: no crash shows half a file."""
        assert self._synced is not False, "after a sync that failed only abandon is left"
        try:
            if not self._synced:
                self.sync()
            if self._partial:
                os.rename(self._partial, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
                os.fsync(self._folder)
        except OSError:
            # Nothing here can be built on.
            self._discard()
            raise
        finally:
            self._close()

    def abandon(self) -> None:
        try:
            if self._synced is False or (self._partial and not self._worth_keeping()):
                self._discard()
            elif self._synced is None:
                sync_data(self._fd)
                if self._partial:
                    _set_mode(self._fd, stat.S_IMODE(os.fstat(self._fd).st_mode) | _SYNCED)
        except OSError:
            with contextlib.suppress(OSError):  # a disk that refuses this, too, gets a 426 like any other cut
                self._discard()
        finally:
            self._close()

    def _worth_keeping(self) -> bool:
        """Only the partial that REST finds again, and only where no file of that name would hide it."""
        if self.position == 0 or self._partial != partial_name(self._name):
            return False
        try:
            os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return True
        return False

    def _discard(self) -> None:
        """Make sure that nobody goes on behind bytes which may never have reached the disk."""
        if self._partial:
            _remove(self._folder, self._partial)
        elif os.fstat(self._fd).st_size == self.position > self._began:
            # SIZE must not count them, or the next REST would confirm what a sync that failed has dropped.
            os.ftruncate(self._fd, self._began)

    def _close(self) -> None:
        os.close(self._fd)
        os.close(self._folder)


def new_upload(folder: int, name: bytes) -> LocalUpload:
    """A new file ``name`` in the open ``folder``, which from now on belongs to the upload."""
    partial = partial_name(name)
    fd = _open_partial(folder, partial, os.O_CREAT)
    if fd is not None:
        if _hold(fd, folder, partial):
            os.ftruncate(fd, 0)
            _begin_again(fd)
            return LocalUpload(fd, folder, name, partial, 0)
        os.close(fd)
    # Somebody uploads the same name now, or has put something strange there: ours goes beside it, the last whole wins.
    partial += b"-" + secrets.token_hex(4).encode()
    fd = os.open(partial, _PARTIAL_FLAGS | os.O_CREAT | os.O_EXCL, _NEW_FILE_MODE, dir_fd=folder)
    return LocalUpload(fd, folder, name, partial, 0)


def _begin_again(fd: int) -> None:
    """Nothing that is written from now on is on the disk before it is synced."""
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    if mode & _SYNCED:
        _set_mode(fd, mode & ~_SYNCED)
        sync_file(fd)


def _set_mode(fd: int, mode: int) -> None:
    with contextlib.suppress(PermissionError):  # a file system without modes of its own, such as that of a USB stick
        os.fchmod(fd, mode)


def _open_partial(folder: int, partial: bytes, more: int = 0) -> int | None:
    """A partial opened for writing; None when what has that name is no file that could be written."""
    try:
        return os.open(partial, _PARTIAL_FLAGS | more, _NEW_FILE_MODE, dir_fd=folder)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise


def continue_partial(path: str, folder: int, name: bytes, *, offset: int | None) -> LocalUpload:
    """Go on with the partial of ``name`` at ``offset``, or at its end; bytes after it are dropped.

    Raises:
        NotFound: there is none. Refused: ``offset`` is beyond its end. Later: another session writes to it.
    """
    partial = partial_name(name)
    fd = _open_partial(folder, partial)
    if fd is None:
        raise NotFound(f"no such file: {path}", hint="nothing to continue; send it from the start")
    if not _hold(fd, folder, partial):
        os.close(fd)
        raise Later(f"{path} is being uploaded by another session", hint="wait until that one has ended")
    if not is_whole(os.fstat(fd)):
        os.ftruncate(fd, 0)  # a power cut may have taken any of it
    position = _position(path, fd, offset)
    os.ftruncate(fd, position)
    _begin_again(fd)
    return LocalUpload(fd, folder, name, partial, position)


def continued_file(path: str, fd: int, folder: int, name: bytes, *, offset: int | None) -> LocalUpload:
    """Write into the open file ``fd`` itself, at ``offset`` or at its end.

    Raises:
        Refused: it is no plain file, or ``offset`` is beyond its end.
        Later: another session writes to it. ``fd`` is closed then.
    """
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Refused(f"{path} is no plain file")
    if not lock_alone(fd):
        # Both would be told that their bytes are stored, at the same place.
        os.close(fd)
        raise Later(f"{path} is being written by another session", hint="wait until that one has ended")
    return LocalUpload(fd, folder, name, b"", _position(path, fd, offset))


def _position(path: str, fd: int, offset: int | None) -> int:
    size = os.fstat(fd).st_size
    if offset is None:
        return size
    if offset > size:
        os.close(fd)
        raise Refused(f"{size} bytes of {path} are here; cannot continue at {offset}", hint="ask SIZE first")
    return offset


def remove_idle_partial(folder: int, partial: bytes) -> bool:
    """Remove a partial that no upload writes to; whether that was done."""
    fd = _open_partial(folder, partial)
    if fd is None:
        return False
    try:
        idle = _hold(fd, folder, partial)
        if idle:
            os.unlink(partial, dir_fd=folder)
        return idle
    finally:
        os.close(fd)


def _hold(fd: int, folder: int, name: bytes) -> bool:
    """Whether the open file is ours alone now: locked in every process, still of that name and of no other."""
    if not lock_alone(fd):
        return False
    try:
        named = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    held = os.fstat(fd)
    return named.st_ino == held.st_ino and held.st_nlink == 1 and stat.S_ISREG(held.st_mode)


def _remove(folder: int, name: bytes) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
