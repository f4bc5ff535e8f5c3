"""A limit on bytes per second: a token bucket that many connections may share."""

from __future__ import annotations

import threading
from typing import Protocol

from logferry.clock import SYSTEM, Clock
from logferry.limits import KIB

_BLOCK_BYTES_MIN = 4 * KIB
_BLOCKS_PER_S = 10


class Pacer(Protocol):
    """What says how fast bytes may go: a ``TokenBucket``, or one whose rate depends on the time of day."""

    @property
    def block_bytes(self) -> int:
        """How much to take at a time."""
        ...

    def take(self, count: int) -> float:
        """Take ``count`` bytes; return the seconds to wait before sending them."""
        ...


def burst_of(rate_bytes_s: float) -> float:
    """What a bucket of that rate lets pass at once: a tenth of a second's worth."""
    return max(rate_bytes_s / _BLOCKS_PER_S, _BLOCK_BYTES_MIN)


class TokenBucket:
    """Allows ``rate_bytes_s`` on average and ``burst_bytes`` at once. Thread-safe; never sleeps itself.

    Callers take before they send and wait as long as told. The level may go below zero: who comes next waits for both,
    so the sum over all callers keeps to the rate and nobody is starved by smaller requests.
    """

    def __init__(self, rate_bytes_s: float, *, burst_bytes: float | None = None, clock: Clock = SYSTEM) -> None:
        assert rate_bytes_s > 0, rate_bytes_s
        self._lock = threading.Lock()
        self._clock = clock
        self._rate = float(rate_bytes_s)
        self._burst = burst_of(rate_bytes_s) if burst_bytes is None else burst_bytes
        self._level = self._burst
        self._at = clock.monotonic_s()

    @property
    def block_bytes(self) -> int:
        """How much to take at a time for an even flow: about a tenth of a second's worth."""
        return max(int(self._rate / _BLOCKS_PER_S), _BLOCK_BYTES_MIN)

    def take(self, count: int) -> float:
        """Take ``count`` bytes; return the seconds to wait before sending them."""
        with self._lock:
            self._refill()
            self._level -= count
            return max(0.0, -self._level / self._rate)

    def change(self, rate_bytes_s: float) -> None:
        """From now on another rate; what was taken already stays taken."""
        assert rate_bytes_s > 0, rate_bytes_s
        with self._lock:
            self._refill()
            self._rate = float(rate_bytes_s)
            self._burst = burst_of(rate_bytes_s)

    def _refill(self) -> None:
        now = self._clock.monotonic_s()
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
