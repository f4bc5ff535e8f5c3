"""Slows down password guessing: a bounded table of addresses with a score that fades.

Only addresses are scored, never names: locking a name would let anybody lock its owner out. One honest mistake costs
nothing; ``free`` failures in a row start waits that double up to ``wait_s_max``.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from logferry.clock import Clock
from logferry.errors import Busy
from logferry.limits import SIGN_IN_ADDRESSES_MAX, SIGN_IN_FAILURES_FREE, SIGN_IN_FORGET_S, SIGN_IN_WAIT_S_MAX


@dataclass(slots=True)
class _Score:
    failures: int
    last_s: float
    free_at_s: float


class SignInThrottle:
    """Call ``check`` before looking at a password, ``failed`` or ``succeeded`` after it. Safe from many threads."""

    def __init__(self, clock: Clock, *, addresses_max: int = SIGN_IN_ADDRESSES_MAX) -> None:
        self._clock = clock
        self._addresses_max = addresses_max
        self._lock = threading.Lock()
        self._scores: OrderedDict[str, _Score] = OrderedDict()

    def check(self, address: str) -> None:
        """Raise Busy while ``address`` has to wait."""
        with self._lock:
            score = self._scores.get(_key(address))
            wait_s = score.free_at_s - self._clock.monotonic_s() if score else 0.0
        if wait_s > 0:
            raise Busy(
                "too many failed sign-ins from your address",
                retry_after_s=wait_s,
                hint=f"wait {wait_s:.0f} s, then try again",
            )

    def failed(self, address: str) -> None:
        """Note a wrong password; the wait doubles with each one after the free ones."""
        key, now_s = _key(address), self._clock.monotonic_s()
        with self._lock:
            score = self._scores.pop(key, None)
            if score is None or now_s - score.last_s > SIGN_IN_FORGET_S:
                score = _Score(0, now_s, now_s)
            score.failures += 1
            score.last_s = now_s
            over = score.failures - SIGN_IN_FAILURES_FREE
            if over > 0:
                score.free_at_s = now_s + min(2.0 ** min(over, 16), SIGN_IN_WAIT_S_MAX)
            self._scores[key] = score  # newest last; the longest unseen goes first
            while len(self._scores) > self._addresses_max:
                self._scores.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget the failures of ``address``."""
        with self._lock:
            self._scores.pop(_key(address), None)

    def __len__(self) -> int:
        return len(self._scores)


def _key(address: str) -> str:
    """IPv6 by its /64: one host owns all of it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    return str(IPv6Address(int(parsed) >> 64 << 64)) if isinstance(parsed, IPv6Address) else str(parsed)
