"""Token buckets that all sessions of a server share, in one process or several.

A bucket is known by its name and comes into being with its first use. One that has filled up again is as good as a
new one, so its row may be given to another: there is nothing to clean up, however many users come and go.
"""

from __future__ import annotations

from logferry.clock import Clock
from logferry.ftp.board import Board
from logferry.ftp.slots import Row, Slots
from logferry.ftp.throttle import burst_of
from logferry.limits import FTP_BUCKETS_MAX


class Rates:
    """Each bucket holds ``burst`` tokens at most and gets ``rate`` of them per second, as the caller says each time."""

    def __init__(self, board: Board, clock: Clock) -> None:
        self._board = board
        self._clock = clock
        # level, moment of it, moment when it will be full
        self._buckets = Slots(board, "ddd", FTP_BUCKETS_MAX)

    def take(self, name: str, count: float, rate: float, burst: float | None = None) -> float:
        """Take ``count`` tokens of bucket ``name``; return the seconds to wait for them.

        As with ``TokenBucket`` the level may go below zero, so whoever comes next waits for both.
        """
        assert rate > 0, rate
        most = burst_of(rate) if burst is None else burst
        key = self._buckets.key(name.encode("utf-8", "surrogateescape"))
        now = self._clock.monotonic_s()
        with self._board.lock:
            level, at, _ = self._buckets.get(key) or (most, now, now)
            level = min(most, level + max(0.0, now - at) * rate) - count
            if level < most:
                self._buckets.put(key, (level, now, now + (most - level) / rate), _full_first)
        return float(max(0.0, -level / rate))


def _full_first(fields: Row) -> float:
    """Which bucket is given up: the one that is, or will be, full first."""
    return float(fields[2])
