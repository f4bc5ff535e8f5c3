"""What is bad, what is well, and what is neither: agents, disk, damage, audit."""

from __future__ import annotations

from typing import Any

import pytest

from logferry.archive.records import AgentRecord
from logferry.limits import ALERT_GRACE_S
from logferry.server.alerts.outages import Outages
from logferry.server.alerts.rules import KINDS, Rule, Rules, all_rules
from logferry.server.alerts.signs import Room, Sign, agent_signs, audit_sign, damage_sign, disk_sign

NOW_NS = 1_760_000_000 * 1_000_000_000
BUILT_IN = all_rules([], [])
TIB = 1 << 40
NO_OUTAGE = Outages()


def agent(silent_s: float | None = 0.0, **values: Any) -> AgentRecord:
    """An agent that was heard so long ago."""
    heard_ns = None if silent_s is None else NOW_NS - int(silent_s * 1e9)
    given: dict[str, Any] = {
        "id": "web-01", "group": "web", "created_ns": NOW_NS - 10**15, "heard_ns": heard_ns, "uploaded_ns": heard_ns,
        "address": "", "version": "", "interval_s": 10.0, "paused": False, "gone_ns": None, "error": "",
        "error_ns": None, "last_path": "", "files": 1, "bytes": 1,
    }  # fmt: skip
    return AgentRecord(**(given | values))


def sign(
    record: AgentRecord, kind: str, rules: Rules = BUILT_IN, outages: Outages = NO_OUTAGE, *, may_judge: bool = True
) -> Sign | None:
    """The sign of that kind, if anybody watches it."""
    found = agent_signs([record], rules, outages, NOW_NS, may_judge=may_judge)
    return next((one for one in found if one.kind == kind), None)


def verdict(found: Sign | None) -> str:
    """In a word."""
    assert found is not None
    assert not (found.bad and found.well)
    return "bad" if found.bad else "well" if found.well else "neither"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (agent(0), "well"),
        (agent(899), "well"),
        (agent(901), "bad"),
        (agent(901, interval_s=100.0), "well"),
        (agent(1001, interval_s=100.0), "bad"),
        (agent(86_000, expect_every_s=86_400.0), "well"),
        (agent(86_401, expect_every_s=86_400.0), "bad"),
        (agent(61, expect_every_s=60.0), "bad"),
        (agent(10**6, paused=True), "well"),
        (agent(10**6, gone_ns=NOW_NS - 10**15), "well"),
        (agent(None), "well"),
    ],
)
def test_silence_is_judged_by_each_agents_own_rhythm(record: AgentRecord, said: str) -> None:
    assert verdict(sign(record, "silence")) == said


def test_a_rule_says_how_long_is_too_long_and_a_person_overrules_it_for_one_agent() -> None:
    rules = all_rules([Rule("silence", after_s=60.0)], [])
    assert verdict(sign(agent(61), "silence", rules)) == "bad"
    assert verdict(sign(agent(61, expect_every_s=3600.0), "silence", rules)) == "well"


def test_nobody_is_called_silent_for_the_time_that_the_server_was_away() -> None:
    """Neither while it is, nor for that time afterwards, nor before agents had time to come back."""
    away = Outages(NOW_NS, ((NOW_NS - 4000 * 10**9, NOW_NS - 1000 * 10**9),))
    assert verdict(sign(agent(3900), "silence", outages=away)) == "bad", "1,000 s of it were its own"
    assert verdict(sign(agent(4100, interval_s=120.0), "silence", outages=away)) == "well", "1,100 of 1,200 s"
    assert verdict(sign(agent(3900), "silence", outages=away, may_judge=False)) == "neither"
    assert verdict(sign(agent(10), "silence", may_judge=False)) == "well", "who is heard is heard"


def test_outages_are_noticed_and_kept() -> None:
    known = Outages().heard(NOW_NS)
    assert known.gaps == ()
    for _ in range(10):
        known = known.heard(known.alive_ns + 15 * 10**9)
    assert known.gaps == ()
    begin = known.alive_ns
    known = Outages.from_text(known.text()).heard(begin + 3600 * 10**9)
    assert known.gaps == ((begin, begin + 3600 * 10**9),)
    assert known.lost_s(begin - 10**9, begin + 1800 * 10**9) == 1800
    assert known.lost_s(begin + 7200 * 10**9, begin + 9000 * 10**9) == 0
    assert not known.may_judge(0, known.alive_ns)
    assert known.may_judge(0, known.alive_ns + int(ALERT_GRACE_S * 1e9))
    assert not known.may_judge(known.alive_ns + 10**9, known.alive_ns + int(ALERT_GRACE_S * 1e9))
    assert known.heard(5).alive_ns == 5, "a clock that was set back is no outage"
    for text in ("", "{}", "[1", '{"alive_ns": "x", "gaps": 3}'):
        assert Outages.from_text(text) == Outages()


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (agent(5), "well"),
        (agent(5, error="disk full", error_ns=NOW_NS - 10**9), "bad"),
        (agent(2000, error="disk full", error_ns=NOW_NS - 2 * 10**12 + 1), "neither"),
        (agent(5, error="old", error_ns=NOW_NS - 10**11), "well"),
    ],
)
def test_failing_is_what_is_heard_and_cannot_upload(record: AgentRecord, said: str) -> None:
    """An agent that is silent as well has not got well by that."""
    assert verdict(sign(record, "failing")) == said


@pytest.mark.parametrize(
    ("held", "quota", "said"),
    [(50, 100, "well"), (84, 100, "well"), (86, 100, "neither"), (90, 100, "bad"), (300, 100, "bad"), (5, 0, "well")],
)
def test_a_quota_has_a_margin_between_bad_and_well(held: int, quota: int, said: str) -> None:
    found = sign(agent(held_bytes=held, quota_bytes=quota), "quota")
    assert verdict(found) == said
    assert found is not None
    assert (f"{held:,} of {quota:,} bytes" in found.reason) == bool(quota)
    assert verdict(sign(agent(held_files=held, quota_files=quota), "quota")) == said


@pytest.mark.parametrize(
    ("used", "full", "said"),
    [(0.5, False, "well"), (0.89, False, "neither"), (0.95, False, "bad"), (0.5, True, "bad")],
)
def test_the_disk_has_a_margin_too_and_a_full_one_is_bad(used: float, full: bool, said: str) -> None:
    assert verdict(disk_sign(Room(TIB, int(TIB * (1 - used)), full), BUILT_IN)) == said
    assert verdict(disk_sign(None, BUILT_IN)) == "neither"


def test_damage_and_a_broken_chain_are_bad_until_they_are_gone() -> None:
    assert verdict(damage_sign(0, "", BUILT_IN)) == "well"
    found = damage_sign(3, "web-01/a\x1b[31m in store/x", BUILT_IN)
    assert verdict(found) == "bad"
    assert found is not None
    assert "3 damaged places" in found.reason
    assert "\x1b" not in found.reason
    assert verdict(audit_sign(None, BUILT_IN)) == "neither"
    assert verdict(audit_sign("", BUILT_IN)) == "well"
    assert verdict(audit_sign("entry 7 is missing", BUILT_IN)) == "bad"


def test_the_first_rule_that_takes_in_an_agent_counts() -> None:
    rules = all_rules(
        [
            Rule("quota", agents=("web-*", "!web-test-*"), above=0.5, origin="settings", number=1),
            Rule("quota", groups=("lab",), enabled=False, origin="settings", number=2),
        ],
        [],
    )
    assert [rule.kind for rule in rules.rules[2:]] == list(KINDS)
    picked = {
        (name, group): rules.first("quota", name, group)
        for name, group in (("web-01", ""), ("web-test-1", ""), ("db-01", "lab"), ("db-01", "labs"))
    }
    assert {key: rule.name if rule else None for key, rule in picked.items()} == {
        ("web-01", ""): "settings 1",
        ("web-test-1", ""): "built in",
        ("db-01", "lab"): None,
        ("db-01", "labs"): "built in",
    }
    assert sign(agent(id="db-01", group="lab"), "quota", rules) is None


def test_hostile_reasons_are_inert_and_short() -> None:
    evil = "x\r\nBcc: everybody@example.org\u202e\x00<script>" + "y" * 10_000
    found = sign(agent(5, error=evil, error_ns=NOW_NS), "failing")
    assert found is not None
    assert found.reason.isprintable()
    assert len(found.reason) <= 500
