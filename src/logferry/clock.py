"""Time as a parameter: code that needs the time takes a ``Clock``, so tests can turn its hands."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now_ns(self) -> int:
        """Wall clock, nanoseconds since 1970 UTC. For display and records, never for decisions."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never run backwards. For deadlines and intervals."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to, or when somebody sleeps on it."""

    def __init__(self, now_ns: int = 1_760_000_000_000_000_000) -> None:
        self._lock = threading.Lock()
        self._now_ns = now_ns
        self._monotonic_s = 1000.0

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move both hands forward by ``seconds``."""
        with self._lock:
            self._now_ns += int(seconds * 1e9)
            self._monotonic_s += seconds


SYSTEM = SystemClock()

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, as all that is told from it


def rfc3339(ns: int) -> str:
    """``2026-11-23T08:14:01.882Z`` for nanoseconds since 1970 (RFC 3339, UTC, milliseconds)."""
    whole, part = divmod(ns, 1_000_000_000)
    # Not strftime, which takes five times as long: an answer may hold a thousand of these.
    return f"{(_EPOCH + timedelta(seconds=whole)).isoformat()}.{part // 1_000_000:03d}Z"
