"""What becomes of alerts, for any course of signs, mutes and crashes: values and hours in, values out."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from logferry.archive.alert_records import AlertRecord
from logferry.limits import ALERT_GATHER_S, ALERT_WELL_S
from logferry.server.alerts.machine import Key, Step, key_of, step
from logferry.server.alerts.rules import Rule
from logferry.server.alerts.signs import Sign
from tests.security.amounts import HEAVY

CHANNELS = ("ops", "people")
SILENCE = Rule("silence")
FAILING = Rule("failing", after_s=300.0)
NOTHING: frozenset[Key] = frozenset()
MANY = 20_000 if HEAVY else 60
START_NS = 1_760_000_000 * 1_000_000_000


@dataclass
class Desk:
    """A catalog in memory, a clock, and everything that was said."""

    now_s: float = 0.0
    rows: dict[Key, AlertRecord] = field(default_factory=dict)
    said: list[tuple[float, str, Key, tuple[str, ...]]] = field(default_factory=list)
    closed: list[AlertRecord] = field(default_factory=list)
    numbers: int = 0

    def look(
        self,
        *signs: Sign,
        after_s: float = 15.0,
        muted: frozenset[Key] = NOTHING,
        channels: tuple[str, ...] = CHANNELS,
        crash: bool = False,
    ) -> Step:
        """One look, so long after the last; ``crash``: killed before what came of it was written."""
        self.now_s += after_s
        done = step(
            self.rows.values(), signs, START_NS + int(self.now_s * 1e9), channels=channels,
            is_muted=lambda kind, subject: (kind, subject) in muted,
        )  # fmt: skip
        if crash:
            return done
        for alert in done.changed:
            self._keep(alert)
        for key, told in done.begun.items():
            self.said.append((self.now_s, "begin", key, told))
        for key, told in done.ended.items():
            self.said.append((self.now_s, "end", key, told))
        return done

    def _keep(self, alert: AlertRecord) -> None:
        if alert.closed_ns is not None:
            self.rows.pop(key_of(alert), None)
            if alert.raised_ns is not None:
                self.closed.append(alert)
            return
        if not alert.id:
            self.numbers += 1
            alert = alert._replace(id=self.numbers)
        self.rows[key_of(alert)] = alert

    @property
    def words(self) -> list[str]:
        """What was said, without when and to whom."""
        return [word for _, word, _, _ in self.said]


def bad(subject: str = "web-01", rule: Rule = SILENCE) -> Sign:
    return Sign(rule, subject, bad=True, well=False, reason="why")


def well(subject: str = "web-01", rule: Rule = SILENCE) -> Sign:
    return Sign(rule, subject, bad=False, well=True)


def unknown(subject: str = "web-01", rule: Rule = SILENCE) -> Sign:
    return Sign(rule, subject, bad=False, well=False)


def until(desk: Desk, sign: Sign, seconds: float, muted: frozenset[Key] = NOTHING) -> None:
    """Look again and again for so long."""
    for _ in range(int(seconds / 15.0) + 1):
        desk.look(sign, muted=muted)


def test_begin_and_end_are_told_once_each() -> None:
    desk = Desk()
    until(desk, bad(), 3600)
    assert desk.words == ["begin"]
    until(desk, well(), 3600)
    assert desk.words == ["begin", "end"]
    assert [told for _, _, _, told in desk.said] == [CHANNELS, CHANNELS]
    assert not desk.rows
    assert [alert.reason for alert in desk.closed] == ["why"]


def test_a_thousand_that_come_together_are_one_message() -> None:
    """Also where the thresholds are passed within a minute of one another."""
    desk = Desk()
    for look in range(20):
        desk.look(*(bad(f"agent-{n}") for n in range(min(1000, 300 * (look + 1)))))
    moments = {moment for moment, _, _, _ in desk.said}
    assert len(moments) == 1
    assert len(desk.said) == 1000


def test_what_flaps_is_one_alert() -> None:
    desk = Desk()
    for _ in range(200):
        until(desk, bad(), 60)
        until(desk, well(), 60)
    assert desk.words == ["begin"]


def test_what_does_not_last_is_no_alert() -> None:
    desk = Desk()
    for _ in range(20):
        until(desk, bad(rule=FAILING), 200)
        desk.look(well(rule=FAILING))
    assert desk.said == []
    assert desk.closed == []
    until(desk, bad(rule=FAILING), 400)
    assert desk.words == ["begin"]


def test_what_cannot_be_looked_at_changes_nothing() -> None:
    desk = Desk()
    until(desk, bad(), 100)
    before = dict(desk.rows)
    until(desk, unknown(), 7200)
    assert desk.rows == before
    assert desk.words == ["begin"]
    assert Desk().look(unknown()).changed == ()


def test_a_mute_keeps_the_begin_back_until_it_is_over() -> None:
    desk, muted = Desk(), frozenset({("silence", "web-01")})
    until(desk, bad(), 3600, muted)
    assert desk.words == []
    assert next(iter(desk.rows.values())).is_open
    until(desk, bad(), 60)
    assert desk.words == ["begin"]


def test_what_began_and_ended_under_a_mute_is_never_told() -> None:
    desk, muted = Desk(), frozenset({("silence", "web-01")})
    until(desk, bad(), 3600, muted)
    until(desk, well(), 3600, muted)
    assert desk.said == []
    assert len(desk.closed) == 1


def test_the_end_of_what_was_told_is_told_under_a_mute_too() -> None:
    desk, muted = Desk(), frozenset({("silence", "web-01")})
    until(desk, bad(), 600)
    until(desk, well(), 3600, muted)
    assert desk.words == ["begin", "end"]


def test_a_rule_that_is_gone_ends_its_alerts() -> None:
    desk = Desk()
    until(desk, bad(), 600)
    for _ in range(10):
        desk.look()
    assert desk.words == ["begin", "end"]
    assert not desk.rows


def test_without_a_channel_it_waits_for_one() -> None:
    desk = Desk()
    for _ in range(50):
        desk.look(bad(), channels=())
    assert desk.said == []
    desk.look(bad(), channels=("late",))
    assert desk.said == [(desk.now_s, "begin", ("silence", "web-01"), ("late",))]


def test_what_gets_bad_again_before_its_end_is_told_goes_on() -> None:
    desk = Desk()
    until(desk, bad(), 600)
    until(desk, well(), ALERT_WELL_S + 15)
    assert next(iter(desk.rows.values())).resolved_ns is not None
    until(desk, bad(), 600)
    assert desk.words == ["begin"]


def test_a_rule_tells_its_channels_alone() -> None:
    desk = Desk()
    until(desk, bad(rule=Rule("silence", channels=("people", "gone"))), 600)
    assert [told for _, _, _, told in desk.said] == [("people",)]
    quiet = Desk()
    until(quiet, bad(rule=Rule("silence", channels=())), 600)
    assert quiet.said == []


LOOKS = st.tuples(
    st.sampled_from(["bad", "well", "unknown", "gone"]),
    st.sampled_from(["bad", "well", "unknown", "gone"]),
    st.sampled_from([1.0, 15.0, 61.0, 400.0, 90_000.0, -30.0]),
    st.booleans(),
    st.booleans(),
)
MADE = {"bad": bad, "well": well, "unknown": unknown}


@settings(max_examples=MANY, deadline=None)
@given(st.lists(LOOKS, max_size=60))
def test_whatever_happens_begin_and_end_alternate_and_nothing_is_forgotten(
    looks: list[tuple[str, str, float, bool, bool]],
) -> None:
    """Any signs, steps of the clock, mutes, and looks whose outcome was lost by a crash."""
    desk = Desk()
    for one, other, after_s, is_muted, crash in looks:
        signs = [MADE[one]("web-01")] if one != "gone" else []
        signs += [MADE[other]("web-02", FAILING)] if other != "gone" else []
        muted = frozenset({("silence", "web-01")}) if is_muted else NOTHING
        done = desk.look(*signs, after_s=after_s, muted=muted, crash=crash)
        assert len({key_of(alert) for alert in done.changed}) == len(done.changed)
        assert not set(done.begun) & set(done.ended)
        if is_muted:
            assert ("silence", "web-01") not in done.begun
        for alert in desk.rows.values():
            assert alert.closed_ns is None
            assert alert.told_ns is None or alert.raised_ns is not None
            assert alert.resolved_ns is None or alert.told, "what nobody was told of is closed when it ends"
    for key in {key for _, _, key, _ in desk.said}:
        words = [word for _, word, said, _ in desk.said if said == key]
        assert words == ["begin", "end"] * (len(words) // 2) + ["begin"] * (len(words) % 2)
    # When all is well for long enough, whatever was told has its end told, and nothing is left.
    for _ in range(4):
        desk.look(well("web-01"), well("web-02", FAILING), after_s=ALERT_WELL_S + ALERT_GATHER_S)
    assert not desk.rows
    assert desk.words.count("begin") == desk.words.count("end")


@settings(max_examples=MANY // 2, deadline=None)
@given(st.lists(st.sampled_from([5.0, 15.0, 45.0]), min_size=30, max_size=60))
def test_what_lasts_is_told_within_the_time_it_must_last_and_gathers(pauses: list[float]) -> None:
    desk = Desk()
    for pause in pauses:
        desk.look(bad(rule=FAILING), after_s=pause)
    if desk.now_s - pauses[0] > 300 + ALERT_GATHER_S + 2 * 45:
        assert desk.words == ["begin"]
        assert desk.said[0][0] - pauses[0] <= 300 + ALERT_GATHER_S + 2 * 45
