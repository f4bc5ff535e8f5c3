"""What slows one transfer down: the limits of its user, of its server, and its own.

``upload`` is what clients send to us, ``download`` what we send to them. The limits of user and server hold for all
their transfers together, in all processes. Limits may change while a transfer runs, by an administrator or by the
clock; they are looked up every FTP_LIMIT_LOOK_S.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from logferry.errors import LogferryError
from logferry.ftp.throttle import TokenBucket
from logferry.ftp.timetable import Rate, strictest, timetable
from logferry.ftp.users import User
from logferry.limits import (
    FTP_DATA_BLOCK_BYTES,
    FTP_LIMIT_LOOK_S,
    FTP_THROTTLED_BLOCK_BYTES_MIN,
    FTP_WATCH_S,
)

if TYPE_CHECKING:
    from logferry.ftp.shared import Shared
    from logferry.ftp.transfers import Watch

log = logging.getLogger("logferry.ftp")

_BLOCKS_PER_S = 10


def unlimited(shared: Shared, user: User, *, upload: bool) -> bool:
    """Whether no limit is set at all: the quick question, asked once per transfer."""
    limits = shared.limits
    if upload:
        return not (user.upload_rate or limits.upload_rate or limits.transfer_upload_rate)
    return not (user.download_rate or limits.download_rate or limits.transfer_download_rate)


class Brake:
    """The limits of one transfer of ``user``."""

    def __init__(self, shared: Shared, user: User, *, upload: bool) -> None:
        self._shared = shared
        self._user = user
        self._upload = upload
        self._own: TokenBucket | None = None
        self._buckets: list[tuple[str, int]] = []
        self._look_s = 0.0
        self.block_bytes = FTP_DATA_BLOCK_BYTES
        """How much to move at a time, for an even flow."""
        self._look(time.monotonic())

    @property
    def limits(self) -> bool:
        """Whether there is a limit now."""
        return bool(self._buckets) or self._own is not None

    def pause(self, count: int, moved: int, watch: Watch) -> None:
        """``count`` more bytes went, ``moved`` in all: wait until the next may, with an eye on the session.

        Raises:
            Interrupted: as ``Watch.glance`` does.
        """
        left_s = self._take(count)
        while left_s > 0.0:
            time.sleep(min(left_s, FTP_WATCH_S))
            watch.glance(moved)
            left_s = self._take(0)

    def _take(self, count: int) -> float:
        now = time.monotonic()
        if now >= self._look_s:
            self._look(now)
        rates = self._shared.commons.rates
        waits_s = [rates.take(name, count, rate) for name, rate in self._buckets]
        if self._own is not None:
            waits_s.append(self._own.take(count))
        return max(waits_s, default=0.0)

    def _look(self, now: float) -> None:
        self._look_s = now + FTP_LIMIT_LOOK_S
        user = self._user = self._now_known()
        limits = self._shared.limits
        if self._upload:
            server, each, whose = limits.upload_rate, limits.transfer_upload_rate, user.upload_rate
        else:
            server, each, whose = limits.download_rate, limits.transfer_download_rate, user.download_rate
        way = "up" if self._upload else "down"
        named = [(f"{way} server", self._now(server)), (f"{way} user {user.name}", self._now(whose))]
        self._buckets = [(name, rate) for name, rate in named if rate]
        own = self._now(each)
        if not own:
            self._own = None
        elif self._own is None:
            self._own = TokenBucket(own)
        else:
            self._own.change(own)
        least = strictest([own, *(rate for _, rate in self._buckets)])
        wanted = least // _BLOCKS_PER_S if least else FTP_DATA_BLOCK_BYTES
        self.block_bytes = min(max(wanted, FTP_THROTTLED_BLOCK_BYTES_MIN), FTP_DATA_BLOCK_BYTES)

    def _now_known(self) -> User:
        try:
            return self._shared.users.find(self._user.name) or self._user
        except (LogferryError, OSError) as error:
            # Not known just now: the limits stay what they were. No transfer breaks off for that.
            log.warning("the limits of %r cannot be looked up: %s", self._user.name, error)
            return self._user

    def _now(self, rate: Rate) -> int:
        return timetable(rate).rate_at(self._shared.clock.now_ns())
