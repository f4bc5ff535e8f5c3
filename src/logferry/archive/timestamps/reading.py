"""What must be known besides a line to tell its time: when it arrived, and the zone of its file."""

from __future__ import annotations

import datetime
import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from logferry.zones import zone_named

NO_TIME = -(1 << 63)
"""Stands for the time of a line without one."""
SECOND_NS = 1_000_000_000
DAY_S = 86_400
FIRST_S = 631_152_000
"""1990-01-01: what is said to be older is no time of a log line."""
AHEAD_S = 2 * DAY_S
"""How far behind its arrival a line's time may lie: clocks and zones are set wrongly, by hardly more."""
YEARLESS_AHEAD_S = DAY_S
"""The same for dates without year, which would else be those of last year."""

_UTC = datetime.UTC
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=_UTC)


@dataclass(frozen=True, slots=True)
class Zone:
    """Offsets of a zone by local time: ``offsets_s[i]`` holds before ``breaks_s[i]`` (local seconds since 1970), the
    last one after all. Times that the clock skipped or showed twice are told with the offset before the change.
    """

    breaks_s: npt.NDArray[np.int64]
    offsets_s: npt.NDArray[np.int64]

    @classmethod
    def of(cls, zone: datetime.tzinfo, first_s: int = FIRST_S - DAY_S, last_s: int = 4_102_444_800) -> Zone:
        """The rules of ``zone`` between two times (seconds since 1970; by default 1990 to 2100)."""
        breaks, offsets = [], [_offset(zone, first_s)]
        for day in range(first_s, last_s, DAY_S):
            before, after = offsets[-1], _offset(zone, day + DAY_S)
            if after != before:
                breaks.append(_change(zone, day, day + DAY_S) + max(before, after))
                offsets.append(after)
        return cls(np.array(breaks, np.int64), np.array(offsets, np.int64))

    def offset_s(self, local_s: int) -> int:
        """Seconds east of UTC at a local time."""
        return int(self.offsets_s[np.searchsorted(self.breaks_s, local_s, side="right")])


def _offset(zone: datetime.tzinfo, at_s: int) -> int:
    offset = (_EPOCH + datetime.timedelta(seconds=at_s)).astimezone(zone).utcoffset()
    assert offset is not None, "an aware time has an offset"
    return offset // datetime.timedelta(seconds=1)


def _change(zone: datetime.tzinfo, low: int, high: int) -> int:
    """The first second of the offset that holds at ``high`` and not at ``low``."""
    after = _offset(zone, high)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == after:
            high = middle
        else:
            low = middle
    return high


@functools.lru_cache(maxsize=64)
def rules_of(name: str) -> Zone:
    """The rules of the zone of that name; working them out takes a moment. Raises Refused when there is none."""
    return UTC if name == "UTC" else Zone.of(zone_named(name))


UTC = Zone(np.zeros(0, np.int64), np.zeros(1, np.int64))


@dataclass(frozen=True, slots=True)
class Reading:
    """``arrival_ns``: when the lines arrived, nanoseconds since 1970. ``zone``: of lines that name none."""

    arrival_ns: int
    zone: Zone = UTC

    @property
    def last_ns(self) -> int:
        """The latest plausible time."""
        return self.arrival_ns + AHEAD_S * SECOND_NS

    @property
    def arrival_year(self) -> int:
        """Of UTC."""
        return (_EPOCH + datetime.timedelta(seconds=self.arrival_ns // SECOND_NS)).year
