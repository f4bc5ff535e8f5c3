"""What is said of alerts: one message for all that begin or end together. Pure.

The JSON body is what webhooks get (docs/how-to/be-told.md); mails are written from the same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict
from urllib.parse import quote

from logferry.archive.alert_records import AlertRecord, MessageRecord
from logferry.clock import rfc3339
from logferry.limits import ALERT_NAMED_MAX, ALERT_TITLE_CHARS_MAX
from logferry.server.alerts.signs import ARCHIVE, AUDIT, DISK

VERSION = 1
"""Of the body: what is in it stays; more may come."""
Event = Literal["raised", "resolved", "test"]
MANY = 5
"""So many agents silent at once, and half of all: then the network is asked first."""

_BEGUN = {
    "silence": "{0} is silent",
    "failing": "uploads of {0} fail",
    "quota": "the quota of {0} is nearly used up",
    DISK: "the archive's disk is nearly full",
    ARCHIVE: "damage was found in the archive",
    AUDIT: "the chain of the audit is broken",
}
_ENDED = {
    "silence": "{0} is heard again",
    "failing": "uploads of {0} work again",
    "quota": "the quota of {0} has room again",
    DISK: "the archive's disk has room again",
    ARCHIVE: "no damage is known in the archive any more",
    AUDIT: "the chain of the audit holds again",
}
_MANY_BEGUN = {
    "silence": "{0} agents are silent",
    "failing": "uploads of {0} agents fail",
    "quota": "the quotas of {0} agents are nearly used up",
}
_MANY_ENDED = {
    "silence": "{0} agents are heard again",
    "failing": "uploads of {0} agents work again",
    "quota": "the quotas of {0} agents have room again",
}


class Named(TypedDict):
    """One alert in a body."""

    id: int
    kind: str
    agent: str | None
    group: str
    title: str
    reason: str
    raised_at: str | None
    resolved_at: str | None
    link: str


class Body(TypedDict):
    """What a webhook gets."""

    version: int
    id: str
    event: str
    at: str
    server: Mapping[str, str]
    title: str
    text: str
    count: int
    alerts: Sequence[Named]


@dataclass(frozen=True, slots=True)
class Sender:
    """Who says it: ``name`` of the machine, ``url`` of its web part."""

    name: str
    url: str


def compose(
    event: Event, alerts: Sequence[AlertRecord], *, channel: str, uid: str, now_ns: int, sender: Sender, fleet: int = 0
) -> MessageRecord:
    """A message to one channel. ``fleet``: how many agents there are."""
    title = _cut(title_of(event, alerts))
    named = [_named(alert, sender, event) for alert in alerts[:ALERT_NAMED_MAX]]
    body = Body(
        version=VERSION,
        id=uid,
        event=event,
        at=rfc3339(now_ns),
        server={"name": sender.name, "url": sender.url},
        title=title,
        text=_text(event, alerts, named, sender, fleet),
        count=len(alerts),
        alerts=named,
    )
    return MessageRecord(
        uid, channel, event, title, tuple(alert.id for alert in alerts), json.dumps(body), now_ns, due_ns=now_ns
    )


def title_of(event: Event, alerts: Sequence[AlertRecord]) -> str:
    """In one line, what began or ended."""
    if event == "test":
        return "a test: this channel works"
    one, many = (_ENDED, _MANY_ENDED) if event == "resolved" else (_BEGUN, _MANY_BEGUN)
    if len(alerts) == 1:
        return headline(alerts[0], ended=event == "resolved")
    kinds = Counter(alert.kind if alert.kind in many else alert.subject for alert in alerts)
    first = {alert.kind if alert.kind in many else alert.subject: alert.subject for alert in reversed(alerts)}
    parts = [many[kind].format(f"{n:,}") if n > 1 else one[kind].format(first[kind]) for kind, n in kinds.items()]
    return "; ".join(parts)


def headline(alert: AlertRecord, *, ended: bool = False) -> str:
    """Of one alert."""
    one = _ENDED if ended else _BEGUN
    # Subjects that are the server's begin with a colon; an agent may be called as a kind is.
    about = alert.subject if alert.subject.startswith(":") else alert.kind
    return one.get(about, "{0}: " + alert.kind).format(alert.subject)


def link_of(alert: AlertRecord) -> str:
    """Where people look at it, below the root of the web part."""
    if alert.subject == DISK:
        return "/admin/system"
    if alert.subject == ARCHIVE:
        return "/admin/system"
    if alert.subject == AUDIT:
        return "/admin/audit"
    return f"/agents/{quote(alert.subject, safe='')}?tab=health"


def body_of(message: MessageRecord) -> dict[str, Any]:
    """What was composed."""
    found: dict[str, Any] = json.loads(message.body)
    return found


def _named(alert: AlertRecord, sender: Sender, event: Event) -> Named:
    return Named(
        id=alert.id,
        kind=alert.kind,
        agent=None if alert.subject.startswith(":") else alert.subject,
        group=alert.group,
        title=headline(alert, ended=event == "resolved"),
        reason=alert.reason,
        raised_at=None if alert.raised_ns is None else rfc3339(alert.raised_ns),
        resolved_at=None if alert.resolved_ns is None or event != "resolved" else rfc3339(alert.resolved_ns),
        link=sender.url + link_of(alert),
    )


def _text(event: Event, alerts: Sequence[AlertRecord], named: Sequence[Named], sender: Sender, fleet: int) -> str:
    if event == "test":
        return f"Somebody asked {sender.name} to send this, to see whether it comes. Nothing is wrong.\n{sender.url}"
    lines = []
    silent = sum(alert.kind == "silence" for alert in alerts)
    if event == "raised" and silent >= MANY and silent * 2 >= fleet:
        lines += [f"That is {silent:,} of {fleet:,} agents at once: look at the network and at this server first.", ""]
    for one in named:
        lines.append(f"- {one['title']} ({one['group']})" if one["group"] else f"- {one['title']}")
        if event == "raised":
            lines.append(f"  {one['reason']}")
        else:
            lines.append(f"  it was so from {one['raised_at']} to {one['resolved_at']}: {one['reason']}")
        lines.append(f"  {one['link']}")
    if len(alerts) > len(named):
        lines.append(f"and {len(alerts) - len(named):,} more: {sender.url}/alerts")
    return "\n".join(lines)


def _cut(title: str) -> str:
    return title if len(title) <= ALERT_TITLE_CHARS_MAX else f"{title[: ALERT_TITLE_CHARS_MAX - 1]}…"
