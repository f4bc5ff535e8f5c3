"""How fast the agent may send, by the time of day."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from logferry.agent.config import LimitSettings
from logferry.agent.pace import Pace
from logferry.clock import ManualClock
from logferry.errors import BadConfig
from logferry.limits import FTP_SENDFILE_BYTES, KIB, MIB
from tests.agent.conftest import Node, RunningAgent, eventually

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = BERLIN) -> ManualClock:
    """A clock that shows a wall-clock time in ``zone``."""
    return ManualClock(int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 10**9)


def pace(clock: ManualClock, upload_rate: str = "0", quiet_hours: str = "") -> Pace:
    """As the settings have it."""
    return LimitSettings(upload_rate=upload_rate, quiet_hours=quiet_hours).pace(clock)


def test_without_limits_nothing_waits() -> None:
    """And the agent does not even ask."""
    free = pace(ManualClock())
    assert not free.limited
    assert (free.rate_bytes_s, free.quiet, free.take(10**12), free.block_bytes) == (0, False, 0.0, FTP_SENDFILE_BYTES)


def test_the_rate_follows_the_timetable() -> None:
    """A minute after the hour another rate holds, for bytes that are on their way too."""
    clock = at("2026-11-26T07:59:30")
    table = pace(clock, f"08:00-18:00 1 MiB/s, else 10 MiB/s, zone {BERLIN}")
    assert table.limited
    assert (table.rate_bytes_s, table.block_bytes) == (10 * MIB, MIB)
    table.take(10 * MIB)
    clock.advance(60)
    assert table.rate_bytes_s == MIB
    table.take(MIB // 10)
    assert table.take(MIB) == pytest.approx(1.0)
    clock.advance(10 * 3600)
    assert table.rate_bytes_s == 10 * MIB


def test_in_quiet_hours_nothing_begins_or_only_little_goes() -> None:
    """Without a rate: nothing new, and what is under way goes on at its rate. With one: at most that."""
    clock = at("2026-11-26T11:59:00")
    both = pace(clock, "2 MiB/s", f"12:00-13:00, 13:00-14:00 100 KiB/s, 14:00-15:00 5 MiB/s, zone {BERLIN}")
    seen = []
    for _ in range(5):
        seen.append((both.quiet, both.rate_bytes_s))
        clock.advance(3600)
    assert seen == [(False, 2 * MIB), (True, 2 * MIB), (False, 100 * KIB), (False, 2 * MIB), (False, 2 * MIB)]


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)],
    ids=["an ordinary day", "clocks go forward", "clocks go back"],
)
@pytest.mark.parametrize("zone", [BERLIN, "local"])
def test_hours_are_those_of_the_clock_on_the_wall(
    day: str, hours: int, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """02:00-06:00 is as long as that day makes it: three hours when 02:00 is skipped, five when it comes twice."""
    monkeypatch.setenv("TZ", BERLIN)
    time.tzset()
    try:
        clock = at(f"{day}T00:00:00")
        quiet = pace(clock, quiet_hours=f"02:00-06:00, zone {zone}")
        minutes = 0
        for _ in range(hours * 60):
            minutes += quiet.quiet
            clock.advance(60)
        assert minutes == 240 + (hours - 24) * 60
        assert datetime.fromtimestamp(clock.now_ns() / 1e9, ZoneInfo(BERLIN)).hour == 0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_span_may_go_over_midnight() -> None:
    """22:00-06:00 in UTC."""
    clock = at("2026-11-26T21:59:00", "UTC")
    quiet = pace(clock, quiet_hours="22:00-06:00, zone UTC")
    seen = []
    for minutes in (0, 1, 8 * 60 - 1, 1):
        clock.advance(60 * minutes)
        seen.append(quiet.quiet)
    assert seen == [False, True, True, False]


@pytest.mark.parametrize(
    "settings",
    [
        {"quiet_hours": "at night"},
        {"quiet_hours": "22:00"},
        {"quiet_hours": "5 MiB/s"},
        {"quiet_hours": "22:00-06:00, 05:00-07:00"},
        {"quiet_hours": "22:00-06:00, zone Nowhere/Land"},
        {"upload_rate": "fast"},
        {"upload_rate": "08:00-18:00"},
    ],
)
def test_what_is_no_timetable_is_refused_with_an_example(settings: dict[str, str]) -> None:
    """By the name of the setting."""
    with pytest.raises(BadConfig) as caught:
        LimitSettings(**settings)  # type: ignore[arg-type]
    assert next(iter(settings)) in str(caught.value)
    assert caught.value.hint


def test_in_quiet_hours_the_agent_sends_nothing_and_afterwards_everything(plain_node: Node) -> None:
    """The server stays in contact meanwhile; ``once`` ends without waiting for the morning."""
    hour = datetime.now(tz=ZoneInfo("UTC")).hour
    plain_node.write("app.log", b"one\n")
    plain_node.limits = f'limits.quiet_hours = "{hour:02}:00-{(hour + 2) % 24:02}:00, zone UTC"\n'
    summary = plain_node.once()
    assert not summary.complete
    assert (summary.left, plain_node.current()) == (1, {})
    assert "quiet hours" in summary.problems[0]
    plain_node.limits = f'limits.quiet_hours = "{(hour + 3) % 24:02}:00-{(hour + 4) % 24:02}:00, zone UTC"\n'
    with RunningAgent(plain_node):
        eventually(lambda: plain_node.current() == {"app.log": b"one\n"})
