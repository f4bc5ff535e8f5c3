"""A file system whose power can be cut: ext4 in an image, mounted through a loop device. For root, on Linux."""

from __future__ import annotations

import ctypes
import fcntl
import gc
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from logferry.limits import GIB, MIB
from tests.server.helpers import eventually

_NEW_MOUNTS = 0x20000
"""CLONE_NEWNS"""
_IMAGE_BYTES = 512 * MIB
_SHUTDOWN = 0x8004587D
"""FS_IOC_SHUTDOWN …"""
_NO_LOG_FLUSH = 2
"""… without writing the journal to the disk first: what is not synced is lost, as in a power cut."""


class Ext4:
    """A mounted ext4 file system at ``at``."""

    def __init__(self, folder: Path) -> None:
        self.at = folder / "mounted"
        self.at.mkdir()
        self._image = folder / "image"
        with open(self._image, "wb") as file:
            file.truncate(_IMAGE_BYTES)

    def make(self) -> str:
        """Make and mount it; returns what went wrong, if something did."""
        for command in (["mkfs.ext4", "-q", "-F", str(self._image)], self._mounting()):
            done = subprocess.run(command, capture_output=True, check=False)
            if done.returncode != 0:
                return f"{command[0]}: {done.stderr.decode().strip()}"
        return ""

    def _mounting(self) -> list[str]:
        return ["mount", "-o", "loop", str(self._image), str(self.at)]

    def cut(self) -> None:
        """The power goes: nothing that is not on the disk by now will be."""
        fd = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def mount_again(self) -> None:
        """The power is back: the journal is played back. Whoever had files open there is gone."""
        self.unmount()
        subprocess.run(self._mounting(), check=True)

    def unmount(self) -> None:
        """Nobody may use it."""
        gc.collect()  # an archive that was closed here lets go of its folders
        eventually(lambda: subprocess.run(["umount", str(self.at)], capture_output=True, check=False).returncode == 0)
        # While anybody has it mounted still, what is mounted next is the same dead file system again.
        eventually(lambda: not self._is_attached(), within_s=120)

    def _is_attached(self) -> bool:
        """Whether a loop device still has the image."""
        for told in Path("/sys/block").glob("loop*/loop/backing_file"):
            with suppress(OSError):  # it has just been let go
                if told.read_text().strip().startswith(str(self._image)):
                    return True
        return False


@contextmanager
def _own_mounts() -> Iterator[None]:
    """Inside, this thread has a mount namespace of its own, and so has what it starts.

    Else any other process that makes itself one meanwhile keeps copies of our mounts, and nothing can be unmounted.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    folder = os.getcwd()
    before = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
    try:
        if libc.unshare(_NEW_MOUNTS) != 0:
            pytest.skip(f"no mount namespace of our own: {os.strerror(ctypes.get_errno())}")
        try:
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            yield
        finally:
            assert libc.setns(before, _NEW_MOUNTS) == 0, os.strerror(ctypes.get_errno())
            os.chdir(folder)
    finally:
        os.close(before)


@contextmanager
def ext4() -> Iterator[Ext4]:
    """A file system; the test is skipped, and says why, where none can be made."""
    missing = [name for name in ("mkfs.ext4", "mount", "umount") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"power cuts need root and mkfs.ext4, to mount an image (missing: {missing or 'root'})")
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * GIB else None
    with _own_mounts(), tempfile.TemporaryDirectory(prefix="logferry-power-", dir=parent) as folder:
        made = Ext4(Path(folder))
        if problem := made.make():
            pytest.skip(f"no ext4 image can be mounted here: {problem}")
        try:
            yield made
        finally:
            made.unmount()
