"""When the server is tried again, and what is said about it."""

from __future__ import annotations

import json
import logging
import random

import pytest

from logferry.agent.journal import Journal
from logferry.agent.link import Link, concerns_link
from logferry.clock import ManualClock
from logferry.errors import Full, LogferryError, NotSignedIn, OverQuota, TooLarge, Unreachable
from logferry.limits import BACKOFF_S_MAX, FULL_RETRY_S_MAX, SERVER_TRIES, SIGN_IN_RETRY_S


def pauses(error: LogferryError, count: int) -> list[float]:
    """How long the agent waits after each of so many failures in a row."""
    clock = ManualClock()
    link = Link("a:21", Journal(), clock, random.Random(1))
    made = []
    for _ in range(count):
        link.failed(error)
        made.append(link.wait_s())
        clock.advance(link.wait_s())
    return made


def test_a_server_that_is_away_is_asked_with_full_jitter_up_to_a_minute() -> None:
    """Short at first, spread over the whole of a minute in the end."""
    waits = pauses(Unreachable("gone"), 500)
    assert max(waits[:3]) <= 4.0
    late = waits[20:]
    assert max(late) <= BACKOFF_S_MAX
    assert max(late) > 0.9 * BACKOFF_S_MAX
    assert min(late) < 0.1 * BACKOFF_S_MAX
    assert 0.4 * BACKOFF_S_MAX < sum(late) / len(late) < 0.6 * BACKOFF_S_MAX


def test_a_full_server_is_asked_often_enough_to_go_on_within_five_seconds() -> None:
    """However long it has been full: the disk of all (452), or our own quota (552)."""
    for error in (Full("no room"), OverQuota("no quota left")):
        assert max(pauses(error, 500)) <= FULL_RETRY_S_MAX < 5
        assert concerns_link(error)
    assert not concerns_link(TooLarge("one file is too large"))


def test_a_spent_quota_is_a_full_server_and_no_refused_agent() -> None:
    """Though its reply is a permanent one: nothing is wrong with the agent, and no other server is tried."""
    link = Link(["a:21", "b:21"], Journal(), ManualClock(), random.Random(1))
    for _ in range(3 * SERVER_TRIES):
        link.failed(OverQuota("the quota of web-01 is used up"))
        link.try_now()
    assert (link.status.word, link.address) == ("full", "a:21")


def test_a_refused_password_is_tried_seldom() -> None:
    """Each time after a minute at least."""
    assert min(pauses(NotSignedIn("no"), 50)) >= SIGN_IN_RETRY_S


def test_one_line_for_each_change_of_state_and_one_for_another_server(caplog: pytest.LogCaptureFixture) -> None:
    """Twenty failures are one line; a full server is not left for another one."""
    caplog.set_level(logging.INFO, "logferry.agent")
    clock = ManualClock()
    link = Link(["a:21", "b:21"], Journal(), clock, random.Random(1))

    def fail(error: LogferryError, count: int) -> None:
        for _ in range(count):
            link.failed(error)
            clock.advance(link.wait_s())

    link.worked()
    fail(Full("no room"), 20)
    assert link.address == "a:21"
    link.worked()
    fail(Unreachable("gone"), SERVER_TRIES)
    assert link.address == "b:21"
    link.worked()
    told = [json.loads(record.message) for record in caplog.records]
    assert [line.get("state", line["event"]) for line in told] == ["full", "ok", "away", "another server", "ok"]


def test_several_workers_that_fail_together_are_one_failure() -> None:
    """One outage does not count as many, neither for the pause nor for the choice of the server."""
    clock = ManualClock()
    link = Link(["a:21", "b:21"], Journal(), clock, random.Random(1))
    link.worked()
    for _ in range(4):
        link.failed(Unreachable("gone"))
    assert link.status.failures == 1
    assert link.address == "a:21"
