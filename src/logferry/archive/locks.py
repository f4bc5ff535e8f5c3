"""Who may write to a file: one connection, in whatever process; and when files may go.

The kernel lets go of all of these locks when a process ends, however that happens.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from logferry.errors import Busy, Conflict
from logferry.limits import SLIP_BYTES_MAX

BACKUP_LOCK, REMOVAL_LOCK, BOOT_LOCK = "backup.lock", "removal.lock", "boot.lock"


def locked(fd: int, path: str) -> None:
    """Keep every other upload, in whatever process, away from the file until ``fd`` is closed.

    Raises:
        Busy: another one is at it.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Busy(f"{path} is being written by another connection", hint="try again in a moment") from error


@contextmanager
def removing(data_dir: str) -> Iterator[bool]:
    """Whoever takes away what rows may still name is inside; whether that may be done now.

    False while a backup is being taken: it copies by rows of a moment ago. Then it is done later.
    """
    fd = _lock_file(data_dir, REMOVAL_LOCK)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


class Slip:
    """A few words in the file of a lock that we hold: whoever holds it next finds what a dead one was about."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self) -> str:
        """What was written last, empty where nothing was."""
        return os.pread(self._fd, SLIP_BYTES_MAX, 0).decode("ascii", "replace").strip()

    def write(self, words: str) -> None:
        """Durable when this returns."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, words.encode("ascii"), 0)
        os.fsync(self._fd)


@contextmanager
def backing_up(data_dir: str) -> Iterator[Slip]:
    """Inside, no other backup of the archive is taken, and nothing is removed.

    Raises:
        Conflict: there is another one.
    """
    with contextlib.ExitStack() as stack:
        slips: list[Slip] = []
        for name, how in ((BACKUP_LOCK, fcntl.LOCK_NB), (REMOVAL_LOCK, 0)):  # removals take a moment, backups hours
            fd = _lock_file(data_dir, name)
            stack.callback(os.close, fd)
            slips.append(Slip(fd))
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | how)
            except BlockingIOError as error:
                raise Conflict("another backup of this archive is being taken", hint="wait for its end") from error
        yield slips[0]


@contextmanager
def booting(data_dir: str) -> Iterator[Slip]:
    """Inside, nobody else sees to what another life of the machine left; the slip has that life's name."""
    fd = _lock_file(data_dir, BOOT_LOCK)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield Slip(fd)
    finally:
        os.close(fd)


def _lock_file(folder: str, name: str) -> int:
    return os.open(os.path.join(folder, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
