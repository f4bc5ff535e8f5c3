"""Opening names so that the result lies beneath a folder, whatever links are planted or swapped meanwhile.

On Linux 5.6 and later the kernel does it (``openat2`` with RESOLVE_BENEATH): links that stay inside are followed,
those that lead out fail. Elsewhere the path is walked one component at a time and no link is followed at all.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Callable

from logferry.ftp.portable import O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH

_OPENAT2 = 437  # the same number on every architecture
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_ATTEMPTS_MAX = 64
"""openat2 answers EAGAIN while somebody renames folders along the way; an attacker must not keep us here."""

Opener = Callable[[int, bytes, int, int], int]
"""(root folder's descriptor, relative path, flags, mode) -> descriptor. Raises OSError."""


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def _kernel_opener() -> Opener:
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    size = ctypes.sizeof(_How)

    def open_beneath(root: int, path: bytes, flags: int, mode: int = 0) -> int:
        how = _How(flags | O_CLOEXEC, mode, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
        code = errno.EAGAIN
        for _ in range(_ATTEMPTS_MAX):
            fd: int = syscall(_OPENAT2, root, path or b".", ctypes.byref(how), size)
            if fd >= 0:
                return fd
            code = ctypes.get_errno()
            if code not in (errno.EAGAIN, errno.EINTR):
                break
        raise OSError(code, os.strerror(code), os.fsdecode(path))

    return open_beneath


def walk_beneath(root: int, path: bytes, flags: int, mode: int = 0) -> int:
    """Like ``openat2`` beneath ``root``, one component at a time and through no symbolic link."""
    *folders, name = [part for part in path.split(b"/") if part] or [b"."]
    if b".." in folders or name == b"..":
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), os.fsdecode(path))
    current = os.dup(root)
    try:
        for folder in folders:
            below = os.open(folder, os.O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, dir_fd=current)
            os.close(current)
            current = below
        fd = os.open(name, flags | O_NOFOLLOW | O_CLOEXEC, mode, dir_fd=current)
    finally:
        os.close(current)
    if stat.S_ISLNK(os.fstat(fd).st_mode):
        # O_PATH opens a link itself; nobody wants to look at that.
        os.close(fd)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(path))
    return fd


def best_opener() -> Opener:
    """``openat2`` where it works (the kernel may lack it, a sandbox may forbid it), else ``walk_beneath``."""
    if sys.platform != "linux":
        return walk_beneath
    opener = _kernel_opener()
    try:
        root = os.open("/", O_PATH | O_DIRECTORY)
        try:
            os.close(opener(root, b".", O_PATH, 0))
        finally:
            os.close(root)
    except OSError:
        return walk_beneath
    return opener
