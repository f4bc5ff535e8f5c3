"""What was seen of agents, disk and archive, judged by the rules: bad, well, or neither. Pure.

Between bad and well lies a margin, so that what stands at a threshold does not flap; where something could not be
looked at it is neither, and whatever is known of it stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from logferry.archive.records import AgentRecord
from logferry.limits import ALERT_REASON_CHARS_MAX
from logferry.names import shown
from logferry.server.alerts.outages import Outages
from logferry.server.alerts.rules import MARGINS, Kind, Rule, Rules
from logferry.server.health import agent_state, duration, heard_of, silent_after_s

DISK = ":disk"
ARCHIVE = ":archive"
AUDIT = ":audit"
"""Subjects that are no agents: no id of an agent has a colon."""


@dataclass(frozen=True, slots=True)
class Sign:
    """``bad``: it counts for the rule; ``well``: it surely does not. Neither: nothing changes."""

    rule: Rule
    subject: str
    bad: bool
    well: bool
    reason: str = ""
    group: str = ""

    @property
    def kind(self) -> Kind:
        """That of its rule."""
        return self.rule.kind


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of the archive's disk; ``full``: uploads are refused."""

    total: int
    free: int
    full: bool


def agent_signs(
    records: Iterable[AgentRecord], rules: Rules, outages: Outages, now_ns: int, *, may_judge: bool
) -> list[Sign]:
    """Of all agents. ``may_judge``: whether silence is the agents' own just now."""
    found = []
    for record in records:
        for kind in ("silence", "failing", "quota"):
            rule = rules.first(kind, record.id, record.group)
            if rule is not None:
                found.append(_agent_sign(record, rule, outages, now_ns, may_judge=may_judge))
    return found


def _agent_sign(record: AgentRecord, rule: Rule, outages: Outages, now_ns: int, *, may_judge: bool) -> Sign:
    if rule.kind == "silence":
        bad, well, reason = _silence(record, rule, outages, now_ns, may_judge=may_judge)
    elif rule.kind == "failing":
        state = agent_state(heard_of(record), now_ns)
        stands = bool(record.error) and (record.uploaded_ns or 0) < (record.error_ns or 0)
        bad = state.state == "failing"
        well = not bad and not (stands and state.state == "silent")
        reason = record.error
    else:
        bad, well, reason = _quota(record, rule)
    return Sign(rule, record.id, bad, well, cut(reason), record.group)


def _silence(
    record: AgentRecord, rule: Rule, outages: Outages, now_ns: int, *, may_judge: bool
) -> tuple[bool, bool, str]:
    heard = heard_of(record)
    if record.heard_ns is None or agent_state(heard, now_ns).state in ("paused", "gone"):
        return False, True, ""
    silence_s = max(0.0, (now_ns - record.heard_ns) / 1e9 - outages.lost_s(record.heard_ns, now_ns))
    bound_s = record.expect_every_s or rule.after_s or silent_after_s(heard)
    over = silence_s > bound_s
    reason = f"not heard for {duration((now_ns - record.heard_ns) / 1e9)}, expected at least every {duration(bound_s)}"
    return over and may_judge, not over, reason


def _quota(record: AgentRecord, rule: Rule) -> tuple[bool, bool, str]:
    parts = (
        (record.held_bytes, record.quota_bytes, "bytes"),
        (record.held_files, record.quota_files, "files"),
    )
    shares = [(held / bound, held, bound, what) for held, bound, what in parts if bound]
    if not shares:
        return False, True, ""
    share, held, bound, what = max(shares)
    reason = f"{int(100 * share)} % of the quota is used: {held:,} of {bound:,} {what}"
    return share >= rule.share, share < rule.share - MARGINS["quota"], reason


def disk_sign(room: Room | None, rules: Rules) -> Sign | None:
    """Of the archive's disk. ``room`` None: it could not be looked at."""
    rule = rules.first("disk")
    if rule is None:
        return None
    if room is None or not room.total:
        return Sign(rule, DISK, bad=False, well=False)
    used = (room.total - room.free) / room.total
    reason = f"{int(100 * used)} % used, {room.free:,} of {room.total:,} bytes are free"
    if room.full:
        reason += "; uploads wait (452) until there is room"
    bad = used >= rule.share or room.full
    return Sign(rule, DISK, bad, not bad and used < rule.share - MARGINS["disk"], reason)


def damage_sign(flaws: int, first: str, rules: Rules) -> Sign | None:
    """Of what verifying found; ``first``: one of the places."""
    rule = rules.first("integrity")
    if rule is None:
        return None
    places = "1 damaged place is" if flaws == 1 else f"{flaws:,} damaged places are"
    return Sign(rule, ARCHIVE, bool(flaws), not flaws, cut(f"{places} known, the first: {first}") if flaws else "")


def audit_sign(problem: str | None, rules: Rules) -> Sign | None:
    """Of the audit's chain; ``problem`` empty: it holds, None: it was not read yet."""
    rule = rules.first("integrity")
    if rule is None:
        return None
    return Sign(rule, AUDIT, bool(problem), problem == "", cut(problem or ""))


def cut(text: str) -> str:
    """What comes from nodes and files, inert and not too long."""
    safe = shown(text)
    return safe if len(safe) <= ALERT_REASON_CHARS_MAX else f"{safe[: ALERT_REASON_CHARS_MAX - 1]}…"
