"""A limit in bytes per second, by the time of day: ``08:00-18:00 1 MiB/s, else 10 MiB/s, zone Europe/Berlin``."""

from __future__ import annotations

import functools
import re
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from logferry.errors import BadConfig
from logferry.settings import rate_bytes_s

DAY_MIN = 24 * 60
LOCAL = "local"
_SPAN = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s+(.+)", re.ASCII)
_ELSE = re.compile(r"else\s+(.+)", re.I)
_ZONE = re.compile(r"zone\s+(\S+)", re.I)
_NO_LIMIT = ("no limit", "none", "unlimited")
_UNITS = (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024))
_RATE_MAX = 2**53
"""From here on a number of bytes is no exact one any more."""
_HINT = "write for example 08:00-18:00 1 MiB/s, else 10 MiB/s, zone Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of every day, in minutes since midnight; ``end_min`` before ``start_min`` goes over midnight."""

    start_min: int
    end_min: int
    rate_bytes_s: int

    def __post_init__(self) -> None:
        for minute in (self.start_min, self.end_min):
            if not 0 <= minute <= DAY_MIN:
                raise BadConfig(f"minute {minute} is not within a day", hint="00:00 to 24:00")
        if self.start_min == self.end_min or self.start_min == DAY_MIN:
            raise BadConfig(f"{self} is empty", hint="the whole day is 00:00-24:00")

    def holds(self, minute: int) -> bool:
        """Whether ``minute`` of the day lies in it; the end does not."""
        if self.start_min < self.end_min:
            return self.start_min <= minute < self.end_min
        return minute >= self.start_min or minute < self.end_min

    def __str__(self) -> str:
        return f"{_clock(self.start_min)}-{_clock(self.end_min)} {rate_text(self.rate_bytes_s)}"


@dataclass(frozen=True, slots=True)
class Timetable:
    """Rates over the day. 0 is no limit. ``zone`` is an IANA name, ``UTC``, or ``local``: that of the machine.

    Spans are kept in the order of the day and do not overlap; what none covers gets ``otherwise``. ``str`` gives the
    canonical text, which ``parse`` reads back to an equal value.
    """

    spans: tuple[Span, ...] = ()
    otherwise: int = 0
    zone: str = LOCAL

    def __post_init__(self) -> None:
        object.__setattr__(self, "spans", tuple(sorted(self.spans, key=lambda span: span.start_min)))
        taken: set[int] = set()
        for span in self.spans:
            minutes = {minute for minute in range(DAY_MIN) if span.holds(minute)}
            if taken & minutes:
                raise BadConfig(f"{span} overlaps another span", hint="each minute of the day has one limit")
            taken |= minutes
        _zone(self.zone)

    @classmethod
    def parse(cls, text: str) -> Timetable:
        """Read a timetable, or a single rate such as ``5 MiB/s`` for the whole day.

        Raises:
            BadConfig: what is wrong, and an example.
        """
        spans: list[Span] = []
        otherwise: int | None = None
        zone = LOCAL
        parts = [part.strip() for part in text.split(",")]
        for index, part in enumerate(parts):
            if found := _SPAN.fullmatch(part):
                spans.append(Span(_minute(found[1], found[2]), _minute(found[3], found[4]), _rate(found[5])))
            elif (found := _ZONE.fullmatch(part)) and index == len(parts) - 1:
                zone = found[1]
            elif (found := _ELSE.fullmatch(part)) and otherwise is None:
                otherwise = _rate(found[1])
            elif index == 0 and otherwise is None:
                otherwise = _rate(part)
            else:
                raise BadConfig(f"{part!r} in {text!r} is not understood", hint=_HINT)
        return cls(tuple(spans), otherwise or 0, zone)

    @property
    def constant(self) -> bool:
        """Whether it is the same all day."""
        return not self.spans

    def rate_at(self, now_ns: int) -> int:
        """The limit in bytes per second at ``now_ns`` (nanoseconds since 1970 UTC); 0 is no limit."""
        if not self.spans:
            return self.otherwise
        seconds = now_ns // 1_000_000_000
        zone = _zone(self.zone)
        moment = datetime.fromtimestamp(seconds, zone) if zone else datetime.fromtimestamp(seconds, UTC).astimezone()
        minute = moment.hour * 60 + moment.minute
        return next((span.rate_bytes_s for span in self.spans if span.holds(minute)), self.otherwise)

    def __str__(self) -> str:
        if not self.spans:
            return rate_text(self.otherwise)
        return ", ".join([*map(str, self.spans), f"else {rate_text(self.otherwise)}", f"zone {self.zone}"])


Rate = int | float | str
"""How limits are written: bytes per second, or the text of a ``Timetable``. 0 is no limit."""


@functools.lru_cache(maxsize=1024)
def timetable(rate: Rate) -> Timetable:
    """``rate`` as a timetable; cached, since sessions ask again and again. Raises BadConfig."""
    if isinstance(rate, str):
        return Timetable.parse(rate)
    if not 0 <= rate < _RATE_MAX:
        raise BadConfig(f"{rate} is not a rate", hint="bytes per second; 0 is no limit")
    return Timetable(otherwise=int(rate) if rate == 0 or rate >= 1 else 1)


def rate_text(rate: int) -> str:
    """``1048576`` -> ``1 MiB/s``; a rate that is no whole number of a larger unit is told in bytes."""
    if rate == 0:
        return "no limit"
    unit, size = next(((name, size) for name, size in _UNITS if rate % size == 0), ("B", 1))
    return f"{rate // size} {unit}/s"


def check_rates(**rates: Rate) -> None:
    """Raise BadConfig for the first rate that is none, with its name."""
    for name, rate in rates.items():
        try:
            timetable(rate)
        except BadConfig as error:
            raise BadConfig(f"{name}: {error.message}", hint=error.hint) from error


def strictest(rates: Iterable[int]) -> int:
    """The smallest of ``rates`` that is a limit; 0 when none is."""
    return min((rate for rate in rates if rate), default=0)


def _minute(hours: str, minutes: str) -> int:
    at = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or at > DAY_MIN:
        raise BadConfig(f"{hours}:{minutes} is not a time of day", hint="00:00 to 24:00")
    return at


def _rate(text: str) -> int:
    if text.strip().lower() in _NO_LIMIT:
        return 0
    try:
        rate = rate_bytes_s(text)
    except BadConfig as error:
        raise BadConfig(f"{text!r} is not a rate", hint=_HINT) from error
    if rate >= _RATE_MAX:
        raise BadConfig(f"{text!r} is not a rate", hint=_HINT)
    return rate


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@functools.cache
def _zone(name: str) -> tzinfo | None:
    """The zone of that name; None for the machine's own."""
    if name == LOCAL:
        return None
    if name == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadConfig(
            f"time zone {name!r} is not known", hint="an IANA name such as Europe/Berlin, or UTC"
        ) from error
