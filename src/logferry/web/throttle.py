"""Slows down password guessing: a bounded table of addresses with a score that fades.

Only addresses are scored, never names: locking a name would let anybody lock its owner out. One honest mistake costs
nothing; ``free`` failures in a row start waits that double up to ``wait_s_max``.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from logferry.clock import Clock
from logferry.errors import Busy, NotSignedIn
from logferry.limits import (
    SIGN_IN_ADDRESSES_MAX,
    SIGN_IN_FAILURES_FREE,
    SIGN_IN_FORGET_S,
    SIGN_IN_NAMES_MAX,
    SIGN_IN_WAIT_S_MAX,
)


@dataclass(slots=True)
class _Score:
    failures: int
    last_s: float
    free_at_s: float
    named: dict[str, int] = field(default_factory=dict)
    """Of the failures those with a name, for a few names: these a success of that name forgets."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One look at a secret, counted as a failure until ``SignInThrottle.give_back``."""

    key: str
    name: str
    free_before_s: float
    free_at_s: float


class SignInThrottle:
    """Call ``take`` before looking at a secret and ``give_back`` when it was right. Safe from many threads.

    Or ``check`` before and ``failed`` or ``succeeded`` after, where nobody gains by asking many times at once.
    """

    def __init__(self, clock: Clock, *, addresses_max: int = SIGN_IN_ADDRESSES_MAX) -> None:
        self._clock = clock
        self._addresses_max = addresses_max
        self._lock = threading.Lock()
        self._scores: OrderedDict[str, _Score] = OrderedDict()

    def check(self, address: str) -> None:
        """Raise Busy while ``address`` has to wait."""
        with self._lock:
            self._refuse(_key(address))

    def _refuse(self, key: str) -> None:
        score = self._scores.get(key)
        wait_s = score.free_at_s - self._clock.monotonic_s() if score else 0.0
        if wait_s > 0:
            raise Busy(
                "too many failed sign-ins from your address",
                retry_after_s=wait_s,
                hint=f"wait {wait_s:.0f} s, then try again",
            )

    def take(self, address: str, name: str = "") -> Attempt:
        """Count a failure before it is known to be one: many attempts at once are no more than one after another.

        Raises:
            Busy: ``address`` has to wait.
        """
        key, name = _key(address), name[:64]
        with self._lock:
            self._refuse(key)
            score = self._count(key)
            before_s, score.free_at_s = score.free_at_s, self._free_at(score)
            if name in score.named or len(score.named) < SIGN_IN_NAMES_MAX:
                score.named[name] = score.named.get(name, 0) + 1
            return Attempt(key, name, before_s, score.free_at_s)

    @contextmanager
    def trying(self, address: str, name: str = "") -> Iterator[None]:
        """Inside is one attempt: NotSignedIn makes it a failure, the end of it a success, any other error neither.

        Raises:
            Busy: ``address`` has to wait.
        """
        attempt = self.take(address, name)
        is_wrong = is_right = False
        try:
            yield
            is_right = True
        except NotSignedIn:
            is_wrong = True
            raise
        finally:
            if not is_wrong:
                self.give_back(attempt, right=is_right)

    def give_back(self, attempt: Attempt, *, right: bool) -> None:
        """It was no failure. ``right``: forget the failures before it with the same name, not those of others."""
        with self._lock:
            score = self._scores.get(attempt.key)
            if score is None:
                return
            counted = score.named.get(attempt.name, 0)
            score.failures = max(0, score.failures - (max(counted, 1) if right else 1))
            if counted:
                score.named[attempt.name] = counted - 1
            if right or counted == 1:
                score.named.pop(attempt.name, None)
            if score.free_at_s == attempt.free_at_s:  # else another one failed meanwhile
                score.free_at_s = attempt.free_before_s
            if score.failures == 0:
                del self._scores[attempt.key]

    def failed(self, address: str) -> None:
        """Note a wrong password; the wait doubles with each one after the free ones."""
        with self._lock:
            score = self._count(_key(address))
            score.free_at_s = self._free_at(score)

    def _count(self, key: str) -> _Score:
        now_s = self._clock.monotonic_s()
        score = self._scores.pop(key, None)
        if score is None or now_s - score.last_s > SIGN_IN_FORGET_S:
            score = _Score(0, now_s, now_s)
        score.failures += 1
        score.last_s = now_s
        self._scores[key] = score  # newest last; the longest unseen goes first
        while len(self._scores) > self._addresses_max:
            self._scores.popitem(last=False)
        return score

    def _free_at(self, score: _Score) -> float:
        over = score.failures - SIGN_IN_FAILURES_FREE
        return score.last_s + min(2.0 ** min(over, 16), SIGN_IN_WAIT_S_MAX) if over > 0 else score.free_at_s

    def succeeded(self, address: str) -> None:
        """Forget the failures of ``address``."""
        with self._lock:
            self._scores.pop(_key(address), None)

    def __len__(self) -> int:
        return len(self._scores)


def _key(address: str) -> str:
    """IPv6 by its /64: one host owns all of it. IPv4 in the clothes of IPv6 is IPv4: all of it is one /64."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> 64 << 64)) if isinstance(parsed, IPv6Address) else str(parsed)
