"""How much room the archive's disk has, in numbers and in one sentence."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from logferry.archive.catalog.disk_days import DAY_NS, DiskDay
from logferry.limits import DISK_PACE_DAYS, DISK_PACE_DAYS_MIN
from logferry.server.config import ServerConfig, min_free_bytes
from logferry.server.runfiles import not_writable


@dataclass(frozen=True, slots=True)
class DiskRoom:
    """Bytes of the disk that holds the archive; ``floor`` is what must stay free."""

    total: int
    free: int
    floor: int

    @property
    def used_share(self) -> int:
        """Percent of the disk in use."""
        return round(100 * (self.total - self.free) / self.total) if self.total else 0

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


@dataclass(frozen=True, slots=True)
class DiskPace:
    """How fast the disk fills: so many bytes a day (fewer than none: it empties) over the last ``days`` days.

    ``days_left``: after how many more days of it uploads are refused; None: never, at this pace.
    """

    bytes_per_day: int
    days: int
    days_left: int | None


def disk_pace(room: DiskRoom, looks: Sequence[DiskDay], now_ns: int) -> DiskPace | None:
    """The pace of the last days, from ``looks`` by time; None where they are too few to tell.

    A disk of another size is another disk, so what was seen of that does not count.
    """
    own = [look for look in looks if look.total == room.total and look.seen_ns <= now_ns]
    recent = [look for look in own if look.seen_ns > now_ns - (DISK_PACE_DAYS + 1) * DAY_NS]
    if not recent or now_ns - recent[0].seen_ns < DISK_PACE_DAYS_MIN * DAY_NS:
        return None
    days = (now_ns - recent[0].seen_ns) / DAY_NS
    per_day = (room.total - room.free - recent[0].used) / days
    left = max(0, room.free - room.floor)
    return DiskPace(round(per_day), round(days), int(left / per_day) if per_day > 0 else None)


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
