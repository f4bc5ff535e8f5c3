"""File systems made for a test: small ones that get full, and one that gives the same inode number again."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_TRIES_MAX = 50_000


@contextlib.contextmanager
def mounted(place: Path, *, kind: str, source: str, options: str) -> Iterator[Path]:
    """A file system at ``place`` (made if missing). The test is skipped, and says so, where nothing may be mounted."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a file system")
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", kind, "-o", options, source, str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing may be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextlib.contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A file system of ``size`` (``"2m"``) at ``place``, in memory."""
    with mounted(place, kind="tmpfs", source="none", options=f"size={size},mode=777") as made:
        yield made


@contextlib.contextmanager
def ext4(place: Path, image: Path) -> Iterator[Path]:
    """A new ext4 at ``place``."""
    if shutil.which("mkfs.ext4") is None and not os.path.exists("/usr/sbin/mkfs.ext4"):
        pytest.skip("needs mkfs.ext4")
    with image.open("wb") as file:
        file.truncate(32 * 1024 * 1024)
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", str(image)], check=True)
    with mounted(place, kind="ext4", source=str(image), options="loop") as made:
        yield made


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """No byte is free on ``disk`` meanwhile."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for block in (bytes(1 << 20), bytes(4096)):
            with contextlib.suppress(OSError):
                while True:
                    file.write(block)
    try:
        yield
    finally:
        ballast.unlink()


def file_with_inode(path: bytes, inode: int, spare: Path) -> bool:
    """Make an empty file at ``path`` that has this inode number, as file systems that use numbers again do sooner or
    later: files are made until it comes. ``spare``: a folder of the same file system. Whether it did."""
    others = []
    try:
        for number in range(_TRIES_MAX):
            name = spare / f"try-{number}"
            try:
                name.touch()
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                return False  # every free number was tried: another file has it now, such as the agent's status
            if name.stat().st_ino == inode:
                os.rename(name, path)
                return True
            others.append(name)
    finally:
        for name in others:
            name.unlink()
    return False
