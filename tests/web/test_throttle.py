"""Failed sign-ins: free at first, then ever slower, in a table that cannot grow."""

from __future__ import annotations

import threading

import pytest

from logferry.clock import ManualClock
from logferry.errors import Busy, NotSignedIn
from logferry.limits import SIGN_IN_FAILURES_FREE, SIGN_IN_FORGET_S, SIGN_IN_WAIT_S_MAX
from logferry.web.managing import guarded
from logferry.web.throttle import SignInThrottle


def _waits(throttle: SignInThrottle, address: str) -> float:
    try:
        throttle.check(address)
    except Busy as busy:
        return busy.retry_after_s
    return 0.0


def test_some_mistakes_are_free_then_the_wait_doubles_up_to_a_bound() -> None:
    """Guessing gets slow, an honest mistake costs nothing."""
    clock = ManualClock()
    throttle = SignInThrottle(clock)
    for _ in range(SIGN_IN_FAILURES_FREE):
        throttle.failed("192.0.2.1")
        assert _waits(throttle, "192.0.2.1") == 0
    waits = []
    for _ in range(12):
        throttle.failed("192.0.2.1")
        waits.append(_waits(throttle, "192.0.2.1"))
        clock.advance(waits[-1] + 0.001)
        assert _waits(throttle, "192.0.2.1") == 0
    assert waits[:3] == pytest.approx([2, 4, 8])
    assert max(waits) == pytest.approx(SIGN_IN_WAIT_S_MAX)


def test_other_addresses_are_not_concerned_and_success_forgets() -> None:
    """One guesser locks nobody else out."""
    throttle = SignInThrottle(ManualClock())
    for _ in range(10):
        throttle.failed("192.0.2.1")
    assert _waits(throttle, "192.0.2.1") > 0
    assert _waits(throttle, "192.0.2.2") == 0
    throttle.succeeded("192.0.2.1")
    assert _waits(throttle, "192.0.2.1") == 0


def test_an_ipv6_host_cannot_change_its_address_within_its_network() -> None:
    """All of a /64 counts as one."""
    throttle = SignInThrottle(ManualClock())
    for i in range(10):
        throttle.failed(f"2001:db8::{i}")
    assert _waits(throttle, "2001:db8::ffff") > 0
    assert _waits(throttle, "2001:db8:0:1::1") == 0


def test_ipv4_in_the_clothes_of_ipv6_is_one_address_each() -> None:
    """As proxies write it that listen on both: all of IPv4 would be one /64, and one guesser would lock it out."""
    throttle = SignInThrottle(ManualClock())
    for _ in range(10):
        throttle.failed("::ffff:192.0.2.1")
    assert _waits(throttle, "192.0.2.1") > 0
    assert _waits(throttle, "::ffff:192.0.2.2") == 0


def test_the_table_is_bounded_and_forgets_the_longest_unseen() -> None:
    """Ten thousand guesses from a thousand addresses leave an honest user in."""
    clock = ManualClock()
    throttle = SignInThrottle(clock, addresses_max=100)
    for i in range(10_000):
        throttle.failed(f"10.0.{i % 1000 // 250}.{i % 250}")
    assert len(throttle) == 100
    assert _waits(throttle, "192.0.2.9") == 0


def test_old_failures_fade() -> None:
    """After a while without mistakes the count begins anew."""
    clock = ManualClock()
    throttle = SignInThrottle(clock)
    for _ in range(10):
        throttle.failed("192.0.2.1")
    clock.advance(SIGN_IN_FORGET_S + 1)
    throttle.failed("192.0.2.1")
    assert _waits(throttle, "192.0.2.1") == 0


def test_many_attempts_at_once_are_no_more_than_one_after_another() -> None:
    """The attempt counts before it is known to be wrong."""
    throttle = SignInThrottle(ManualClock())
    for _ in range(20):
        throttle.failed("user 1")
    throttle._scores["user 1"].free_at_s = 0
    found: list[str] = []
    together = threading.Barrier(20)

    def wrong() -> None:
        raise NotSignedIn("wrong")

    def guess() -> None:
        together.wait(10)
        try:
            with guarded(throttle, "user 1"):
                wrong()
        except NotSignedIn:
            found.append("wrong")
        except Busy:
            found.append("busy")

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["busy"] * 19 + ["wrong"]


def test_a_success_forgets_what_its_own_name_failed() -> None:
    """Whoever has an account guesses no faster at those of others by signing in between."""
    clock = ManualClock()
    throttle = SignInThrottle(clock)
    for _ in range(SIGN_IN_FAILURES_FREE + 1):
        throttle.take("192.0.2.1", "victim")
        clock.advance(3)
        throttle.give_back(throttle.take("192.0.2.1", "own"), right=True)
    throttle.take("192.0.2.1", "victim")
    assert _waits(throttle, "192.0.2.1") == pytest.approx(4)
    clock.advance(5)
    throttle.give_back(throttle.take("192.0.2.1", "victim"), right=True)
    assert len(throttle) == 0


def test_what_was_no_guess_is_given_back() -> None:
    """Neither a failure nor a success: the failures before it stay."""
    throttle = SignInThrottle(ManualClock())
    for _ in range(SIGN_IN_FAILURES_FREE - 1):
        throttle.take("192.0.2.1", "ann")
    for _ in range(10):
        throttle.give_back(throttle.take("192.0.2.1", "ann"), right=False)
    assert _waits(throttle, "192.0.2.1") == 0
    for _ in range(2):
        throttle.take("192.0.2.1", "ann")
    assert _waits(throttle, "192.0.2.1") > 0
