"""What a timestamp says of itself: whether it names a year and a zone. What it leaves out others have to add."""

from __future__ import annotations

from dataclasses import dataclass

from logferry.archive.timestamps.formats import FORMATS

_YEARS = ("y", "c", "epoch")
_ZONES = ("z", "epoch")


@dataclass(frozen=True, slots=True)
class Named:
    """Which parts of a time a timestamp names."""

    year: bool
    zone: bool


def named_in(stamp: bytes) -> Named | None:
    """What ``stamp``, the bytes of one timestamp, names; None when it is none."""
    for each in FORMATS:
        if found := each.pattern.fullmatch(stamp):
            groups = found.groupdict()
            return Named(any(groups.get(name) for name in _YEARS), any(groups.get(name) for name in _ZONES))
    return None
