"""The state of the server as all workers see it: when to try, when to wait, what to say about it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from logferry.agent.journal import Journal
from logferry.agent.servers import Servers
from logferry.agent.tally import Tally
from logferry.clock import Clock
from logferry.errors import Busy, Full, LogferryError, NotSignedIn, OverQuota, Refused, TimedOut, Unreachable
from logferry.ftp.cut import Aborted
from logferry.ftp.reconnect import Backoff, Dice
from logferry.limits import BACKOFF_S_MAX, FILE_BACKOFF_S_MAX, FULL_RETRY_S_MAX, SIGN_IN_RETRY_S


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """What ``status`` shows: a word, why, since when (ns since 1970), how many failures in a row."""

    word: str
    why: str
    since_ns: int
    failures: int


class Link:
    """Shared by all workers and the runner; thread-safe.

    Words: ``new`` (not tried yet), ``connected``, ``away``, ``full``, ``refused`` (password, certificate, permission).
    """

    def __init__(
        self,
        server: str | Sequence[str],
        journal: Journal,
        clock: Clock,
        dice: Dice | None = None,
        *,
        tally: Tally | None = None,
        epoch: int = 0,
    ) -> None:
        """``server`` is ``host:port``; several are used as ``Servers`` says.

        ``tally`` is told of every outage, ``epoch`` is where counting connections begins.
        """
        self._servers = Servers([server] if isinstance(server, str) else server)
        self._journal = journal
        self._clock = clock
        self._lock = threading.Lock()
        self._short = Backoff(max_s=BACKOFF_S_MAX, dice=dice)
        self._room = Backoff(min_s=FULL_RETRY_S_MAX, max_s=FULL_RETRY_S_MAX, dice=dice)
        self._long = Backoff(min_s=SIGN_IN_RETRY_S, max_s=FILE_BACKOFF_S_MAX, dice=dice)
        self._retry_s = 0.0
        self._status = LinkStatus("new", "", clock.now_ns(), 0)
        self._tally = tally if tally is not None else Tally()
        self.epoch = epoch
        """Goes up whenever a connection was lost: what was known about sizes on the server is to be asked again."""

    @property
    def status(self) -> LinkStatus:
        """The state now."""
        return self._status

    @property
    def address(self) -> str:
        """``host:port`` of the server to use now."""
        return self._servers.address

    @property
    def up(self) -> bool:
        """Whether the last thing tried worked."""
        return self._status.word == "connected"

    def wait_s(self) -> float:
        """Seconds until the server may be tried again; 0 = now."""
        with self._lock:
            return max(0.0, self._retry_s - self._clock.monotonic_s())

    def worked(self) -> None:
        """The server took something."""
        with self._lock:
            if self._status.word == "connected" and not self._status.failures:
                return
            self._short.reset()
            self._long.reset()
            self._room.reset()
            self._servers.worked()
            self._retry_s = 0.0
            self._set("connected", "", 0)

    def failed(self, error: LogferryError) -> None:
        """The server could not be reached or took nothing: wait, longer each time. Room may be there any moment."""
        with self._lock:
            self.epoch += 1
            full = is_full(error)
            refused = isinstance(error, Refused) and not full
            now_s = self._clock.monotonic_s()
            if self._retry_s > now_s and not refused:
                return  # several workers fail together: one outage is one failure, and the pause runs already
            self._tally.failed(error)
            wait_s = self._pause_s(error)
            self._retry_s = now_s + wait_s
            word = "full" if full else "refused" if refused else "away"
            self._set(word, str(error), self._status.failures + 1)
            before = self._servers.address
            if not full and self._servers.failed():
                self._journal.event("another server", level=logging.WARNING, was=before, now=self._servers.address)

    def _pause_s(self, error: LogferryError) -> float:
        if is_full(error):
            return self._room.next_s()
        if isinstance(error, Refused):
            return SIGN_IN_RETRY_S + self._long.next_s()
        wait_s = self._short.next_s()
        return max(wait_s, error.retry_after_s) if isinstance(error, Busy) else wait_s

    def try_now(self) -> None:
        """Forget the pause."""
        with self._lock:
            self._retry_s = 0.0

    def _set(self, word: str, why: str, failures: int) -> None:
        since = self._status.since_ns if word == self._status.word else self._clock.now_ns()
        self._status = LinkStatus(word, why, since, failures)
        level = logging.INFO if word == "connected" else logging.WARNING
        self._journal.state("server", "" if word == "connected" else word, level=level, address=self.address, why=why)


def is_full(error: LogferryError) -> bool:
    """Whether the server has no room, on its disk (452) or in our quota (552), which may change at any moment."""
    return isinstance(error, (Full, OverQuota))


def concerns_link(error: LogferryError) -> bool:
    """Whether ``error`` says something about the server rather than about one file."""
    return is_full(error) or isinstance(error, (Unreachable, TimedOut, Busy, Aborted, NotSignedIn))
