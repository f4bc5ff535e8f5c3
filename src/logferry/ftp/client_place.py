"""Where a download goes on this machine: a partial beside its name, made whole, then renamed. No link is followed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from logferry.errors import Full, LogferryError, Refused
from logferry.ftp.portable import sync_folder

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def disk_trouble(doing: str, error: OSError) -> LogferryError:
    """The error to raise for a local disk that failed with ``error``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Full(f"{doing}: no room left here", hint="make room, then repeat; it goes on where it stopped")
    return Refused(f"{doing}: {error.strerror}", hint="check folder and rights")


class LocalPlace:
    """``name`` in a folder, given by its path or, so that nobody can move it away meanwhile, as open ``descriptor``."""

    def __init__(self, folder: str, name: str, partial: str, descriptor: int | None = None) -> None:
        self._folder = folder
        self._descriptor = descriptor
        self._name = self._at(name)
        self._partial = self._at(partial)
        self.shown = os.path.join(folder, name)
        """For messages."""

    def _at(self, name: str) -> str:
        return name if self._descriptor is not None else os.path.join(self._folder, name)

    def open_partial(self) -> int:
        """The partial, what is there of it. Raises Refused, Full."""
        try:
            descriptor = os.open(self._partial, _FLAGS | _NO_LINK, 0o644, dir_fd=self._descriptor)
        except OSError as error:
            raise disk_trouble(f"cannot write {self.shown}", error) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Refused(f"cannot write {self.shown}: {self._partial} is no plain file", hint="remove it")
        return descriptor

    def set_modified(self, descriptor: int, ns: int) -> None:
        """Give the partial its time."""
        if os.utime in os.supports_fd:
            os.utime(descriptor, ns=(ns, ns))
        else:
            os.utime(self._partial, ns=(ns, ns))

    def discard(self) -> None:
        """Remove the partial: nothing worth keeping."""
        with contextlib.suppress(OSError):  # a left-over is harmless
            os.unlink(self._partial, dir_fd=self._descriptor)

    def publish(self) -> None:
        """The partial becomes the file, durably. Raises Refused, Full."""
        try:
            os.replace(self._partial, self._name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            self._sync()
        except OSError as error:
            raise disk_trouble(f"cannot write {self.shown}", error) from error

    def _sync(self) -> None:
        """Make the rename survive a power cut."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)
        else:
            sync_folder(self._folder)
