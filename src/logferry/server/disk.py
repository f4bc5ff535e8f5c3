"""How much room the archive's disk has, in numbers and in one sentence."""

from __future__ import annotations

import os
from dataclasses import dataclass

from logferry.server.config import ServerConfig, min_free_bytes
from logferry.server.runfiles import not_writable


@dataclass(frozen=True, slots=True)
class DiskRoom:
    """Bytes of the disk that holds the archive; ``floor`` is what must stay free."""

    total: int
    free: int
    floor: int

    @property
    def full(self) -> bool:
        """Whether uploads are answered 452 now."""
        return self.free < self.floor

    @property
    def message(self) -> str:
        """What an administrator should know, empty when there is room."""
        if not self.full:
            return ""
        return (
            f"disk almost full: {shown_bytes(self.free)} free of {shown_bytes(self.total)}, "
            f"{shown_bytes(self.floor)} must stay free; uploads wait (452) until there is room"
        )


def disk_room(config: ServerConfig) -> DiskRoom:
    """The room on the archive's disk now. Raises Refused when the folder is not there."""
    try:
        found = os.statvfs(config.data_dir)
    except OSError as error:
        raise not_writable(config.data_dir, error) from error
    total = found.f_blocks * found.f_frsize
    return DiskRoom(total, found.f_bavail * found.f_frsize, min_free_bytes(config.archive.min_free, total))


def shown_bytes(count: int) -> str:
    """``812 MB``, ``6.1 GB``: decimal units, as disks are sold."""
    size = float(count)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")
