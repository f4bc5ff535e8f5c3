"""The state of an agent, computed from what the server heard and never from what the agent says of itself.

Pure: records and the time in, state and reason out. All times are nanoseconds of the server's own clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from logferry.archive.records import AgentRecord

State = Literal["ok", "late", "silent", "failing", "new", "paused", "gone"]
STATES: tuple[State, ...] = ("failing", "silent", "late", "new", "paused", "gone", "ok")
"""All states, those that need a look first."""

LATE_INTERVALS = 3
SILENT_INTERVALS = 10
SILENT_S_MIN = 15 * 60.0
INTERVAL_S_DEFAULT = 10.0
"""For agents that have not said how often they look (any FTP client may deliver)."""
INTERVAL_S_MIN = 1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What the server knows of one agent."""

    joined_ns: int
    heard_ns: int | None = None
    """Last sign of life: log-in, command, transfer or heartbeat."""
    uploaded_ns: int | None = None
    """Last upload that was confirmed."""
    interval_s: float | None = None
    """How often the agent looks for changes; None or 0: unknown."""
    expect_every_s: float | None = None
    """A person's own bound for silence; None: the rule."""
    paused: bool = False
    gone_ns: int | None = None
    """When it said goodbye; void as soon as it is heard again."""
    error: str = ""
    error_ns: int | None = None
    """The last refused or failed upload; void as soon as a later upload succeeds."""


@dataclass(frozen=True, slots=True)
class Health:
    """A state and the reason for it in words (``last heard 5 h 19 m ago``)."""

    state: State
    reason: str
    silence_s: float | None
    """Seconds since the last sign of life; None: never heard."""


def heard_of(record: AgentRecord) -> Heard:
    """What ``agent_state`` needs of a record."""
    return Heard(
        joined_ns=record.created_ns,
        heard_ns=record.heard_ns,
        uploaded_ns=record.uploaded_ns,
        interval_s=record.interval_s,
        expect_every_s=record.expect_every_s,
        paused=record.paused,
        gone_ns=record.gone_ns,
        error=record.error,
        error_ns=record.error_ns,
    )


def silent_after_s(heard: Heard) -> float:
    """How long an agent may not be heard before it is silent."""
    interval_s = max(heard.interval_s or INTERVAL_S_DEFAULT, INTERVAL_S_MIN)
    return heard.expect_every_s or max(SILENT_S_MIN, SILENT_INTERVALS * interval_s)


def agent_state(heard: Heard, now_ns: int) -> Health:
    """The state of an agent at ``now_ns``; a clock that ran backwards counts as "just now"."""
    silence_s = None if heard.heard_ns is None else max(0.0, (now_ns - heard.heard_ns) / 1e9)
    state, reason = _state(heard, now_ns, silence_s)
    return Health(state, reason, silence_s)


def _state(heard: Heard, now_ns: int, silence_s: float | None) -> tuple[State, str]:
    if heard.paused:
        return "paused", "paused by a person"
    if heard.gone_ns is not None and (heard.heard_ns is None or heard.heard_ns <= heard.gone_ns):
        return "gone", f"stopped {_ago(now_ns, heard.gone_ns)}"
    if silence_s is None:
        return "new", f"joined {_ago(now_ns, heard.joined_ns)}, never heard since"
    interval_s = max(heard.interval_s or INTERVAL_S_DEFAULT, INTERVAL_S_MIN)
    silent_s = silent_after_s(heard)
    last_heard = f"last heard {duration(silence_s)} ago"
    if silence_s > silent_s:
        return "silent", f"{last_heard}, expected every {duration(heard.expect_every_s or interval_s)}"
    if _error_stands(heard):
        return "failing", f"{heard.error} ({_ago(now_ns, heard.error_ns)})"
    if heard.uploaded_ns is None:
        return "new", f"connected {duration(silence_s)} ago, nothing uploaded yet"
    if silence_s > min(LATE_INTERVALS * interval_s, silent_s):
        return "late", f"{last_heard}, expected every {duration(interval_s)}"
    return "ok", last_heard


def _error_stands(heard: Heard) -> bool:
    if heard.error_ns is None or not heard.error:
        return False
    return heard.uploaded_ns is None or heard.uploaded_ns < heard.error_ns


def _ago(now_ns: int, then_ns: int | None) -> str:
    return "at an unknown time" if then_ns is None else f"{duration(max(0.0, (now_ns - then_ns) / 1e9))} ago"


def duration(seconds: float) -> str:
    """``12 s``, ``4 m``, ``5 h 19 m``, ``3 d 2 h``: at most two units, rounded down."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if hours < 1:
        return f"{minutes} m"
    if days < 1:
        return f"{hours} h {minutes % 60} m" if minutes % 60 else f"{hours} h"
    return f"{days} d {hours % 24} h" if hours % 24 else f"{days} d"
