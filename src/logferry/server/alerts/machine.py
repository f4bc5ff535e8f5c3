"""What becomes of an alert: seen, raised, told, well for a while, resolved, its end told, closed. Pure.

Alerts and signs and the time in, alerts as they are then out; whoever calls writes them down together with what is to
be said, in one transaction. So after a crash at any moment the next call goes on from what is written.

Per kind and subject there is one alert at a time. What is bad must last before it is raised, what is well must last
before it has ended: what flaps is one alert and two messages. Whatever is to be told waits for a moment for others that
come together with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from logferry.archive.alert_records import AlertRecord
from logferry.limits import ALERT_GATHER_S, ALERT_WELL_S
from logferry.server.alerts.signs import Sign

Key = tuple[str, str]
"""Kind and subject."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a look came to: alerts that changed; of those, by key, whose begin or end is to be told now, and to whom."""

    changed: tuple[AlertRecord, ...]
    begun: Mapping[Key, tuple[str, ...]]
    ended: Mapping[Key, tuple[str, ...]]


def key_of(alert: AlertRecord) -> Key:
    """Of an alert."""
    return alert.kind, alert.subject


def step(
    known: Iterable[AlertRecord],
    signs: Iterable[Sign],
    now_ns: int,
    *,
    channels: Sequence[str],
    is_muted: Callable[[str, str], bool],
) -> Step:
    """One look.

    Args:
        known: all alerts that are not closed.
        signs: of everything that a rule watches.
        channels: those that there are.
        is_muted: whether nobody is told of a kind and subject now.
    """
    before = {key_of(alert): alert for alert in known}
    seen: dict[Key, Sign] = {(sign.kind, sign.subject): sign for sign in signs}
    after: dict[Key, AlertRecord] = {}
    for key in dict.fromkeys((*before, *seen)):
        moved = advanced(before.get(key), seen.get(key), now_ns)
        if moved is not None:
            after[key] = moved
    begun = _begun(after, seen, now_ns, channels, is_muted)
    ended = _ended(after, now_ns, channels)
    for key, told in begun.items():
        after[key] = after[key]._replace(told_ns=now_ns, told=told)
    for key, alert in after.items():
        if alert.resolved_ns is not None and (key in ended or not alert.told):
            after[key] = alert._replace(closed_ns=now_ns)
    changed = tuple(alert for key, alert in after.items() if alert != before.get(key))
    return Step(changed, begun, {key: told for key, told in ended.items() if told})


def advanced(alert: AlertRecord | None, sign: Sign | None, now_ns: int) -> AlertRecord | None:
    """What an alert is after a sign; ``sign`` None: nothing watches it any more."""
    if alert is None:
        if sign is None or not sign.bad:
            return None
        alert = AlertRecord(sign.kind, sign.subject, began_ns=now_ns)
    if sign is None:
        return _over(alert, now_ns)
    if sign.bad:
        return _bad(alert, sign, now_ns)
    if alert.raised_ns is None:
        return alert._replace(closed_ns=now_ns) if sign.well else alert
    if alert.resolved_ns is not None:
        return alert
    if not sign.well:
        return alert._replace(well_ns=None)
    well_ns = now_ns if alert.well_ns is None else min(alert.well_ns, now_ns)
    if now_ns - well_ns >= ALERT_WELL_S * 1e9:
        return alert._replace(well_ns=well_ns, resolved_ns=now_ns)
    return alert._replace(well_ns=well_ns)


def _bad(alert: AlertRecord, sign: Sign, now_ns: int) -> AlertRecord:
    if alert.raised_ns is not None:  # it goes on, even if its end was about to be told
        return alert._replace(well_ns=None, resolved_ns=None)
    if now_ns - alert.began_ns < sign.rule.hold_s * 1e9 and now_ns >= alert.began_ns:
        return alert
    return alert._replace(raised_ns=now_ns, reason=sign.reason, group=sign.group, rule=sign.rule.name)


def _over(alert: AlertRecord, now_ns: int) -> AlertRecord:
    if alert.raised_ns is None:
        return alert._replace(closed_ns=now_ns)
    return alert if alert.resolved_ns is not None else alert._replace(resolved_ns=now_ns)


def _begun(
    alerts: Mapping[Key, AlertRecord],
    signs: Mapping[Key, Sign],
    now_ns: int,
    channels: Sequence[str],
    is_muted: Callable[[str, str], bool],
) -> dict[Key, tuple[str, ...]]:
    waiting = {}
    for key, alert in alerts.items():
        sign = signs.get(key)
        if alert.is_open and alert.told_ns is None and alert.well_ns is None and sign and not is_muted(*key):
            told = sign.rule.told(channels)
            if told:
                waiting[key] = told
    return waiting if _is_time((alerts[key].raised_ns for key in waiting), now_ns) else {}


def _ended(alerts: Mapping[Key, AlertRecord], now_ns: int, channels: Sequence[str]) -> dict[Key, tuple[str, ...]]:
    """Also where it is muted: whoever was told of the begin has it open until then."""
    waiting = {
        key: tuple(name for name in alert.told if name in channels)
        for key, alert in alerts.items()
        if alert.resolved_ns is not None and alert.told
    }
    return waiting if _is_time((alerts[key].resolved_ns for key in waiting), now_ns) else {}


def _is_time(moments: Iterable[int | None], now_ns: int) -> bool:
    """Whether the first of them has waited long enough for others."""
    return any(moment is None or abs(now_ns - moment) >= ALERT_GATHER_S * 1e9 for moment in moments)
