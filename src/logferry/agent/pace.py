"""How fast the agent may send, by the time of day: the timetable of ``upload_rate`` together with ``quiet_hours``."""

from __future__ import annotations

import re
import threading

from logferry.clock import Clock
from logferry.errors import BadConfig
from logferry.ftp.throttle import TokenBucket
from logferry.ftp.timetable import Timetable, rate_text, strictest
from logferry.limits import FTP_SENDFILE_BYTES

NOTHING_BYTES_S = 1
"""The rate that stands for "nothing at all" in a timetable of quiet hours."""
_BARE_SPAN = re.compile(r"\d{1,2}:\d{2}\s*-\s*\d{1,2}:\d{2}", re.ASCII)
_QUIET_HINT = 'write for example "08:00-18:00", or "08:00-18:00 200 KiB/s, zone Europe/Berlin"'


def quiet_timetable(text: str) -> Timetable:
    """``08:00-12:00, 13:00-18:00 200 KiB/s, zone UTC``: spans in which nothing, or at most so much, is sent.

    Raises:
        BadConfig: what is wrong, and an example.
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    spans = [f"{part} {NOTHING_BYTES_S} B/s" if _BARE_SPAN.fullmatch(part) else part for part in parts]
    if not parts:
        return Timetable()
    try:
        found = Timetable.parse(", ".join(spans))
    except BadConfig as error:
        raise BadConfig(f"{text!r}: {error.message}", hint=_QUIET_HINT) from error
    if found.otherwise or not found.spans:
        raise BadConfig(f"{text!r} names no span of the day", hint=_QUIET_HINT)
    return found


class Pace:
    """One for all connections. Thread-safe; never sleeps itself.

    As a ``Pacer`` it says how long to wait before so many bytes go; ``quiet`` says that nothing may begin now.
    """

    def __init__(self, upload_rate: Timetable, quiet_hours: Timetable, clock: Clock) -> None:
        self._upload_rate = upload_rate
        self._quiet_hours = quiet_hours
        self._clock = clock
        self._lock = threading.Lock()
        self._minute = -1
        self._rate = 0
        self._quiet = False
        self._bucket: TokenBucket | None = None

    @property
    def limited(self) -> bool:
        """Whether there is a limit at any time of the day."""
        return bool(self._upload_rate.otherwise or self._upload_rate.spans or self._quiet_hours.spans)

    @property
    def rate_bytes_s(self) -> int:
        """The limit now for what is under way; 0 = none."""
        with self._lock:
            self._look()
            return self._rate

    @property
    def quiet(self) -> bool:
        """Whether it is an hour in which nothing is sent. A slice that is under way comes to its end."""
        with self._lock:
            self._look()
            return self._quiet

    @property
    def block_bytes(self) -> int:
        """How much to take at a time."""
        with self._lock:
            self._look()
            return self._bucket.block_bytes if self._bucket is not None else FTP_SENDFILE_BYTES

    def take(self, count: int) -> float:
        """Take ``count`` bytes; return the seconds to wait before sending them."""
        with self._lock:
            self._look()
            return self._bucket.take(count) if self._bucket is not None else 0.0

    def _look(self) -> None:
        """Timetables are by the minute, and so is how often they are asked."""
        now_ns = self._clock.now_ns()
        minute = now_ns // 60_000_000_000  # compared for equality only: a clock that is set is no trouble
        if minute == self._minute:
            return
        self._minute = minute
        quiet = self._quiet_hours.rate_at(now_ns)
        self._quiet = quiet == NOTHING_BYTES_S
        rate = strictest((self._upload_rate.rate_at(now_ns), 0 if self._quiet else quiet))
        if rate != self._rate:
            self._rate = rate
            self._bucket = TokenBucket(rate, clock=self._clock) if rate else None

    def __str__(self) -> str:
        return "nothing is sent (quiet hours)" if self.quiet else rate_text(self.rate_bytes_s)
