"""``/alerts``: what is wrong, who is told of it, and what became of the telling."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from logferry.archive.alert_records import AlertRuleRecord, MessageRecord, MuteRecord
from logferry.clock import rfc3339
from logferry.limits import (
    ALERT_AFTER_S_MAX,
    ALERT_GLOBS_MAX,
    ALERT_REASON_CHARS_MAX,
    CHANNELS_MAX,
    MUTE_S_MAX,
    PAGE_ITEMS_MAX,
    ROW_ID_MAX,
)
from logferry.server.alerts.rules import Rule, rule_of
from logferry.web import alerting
from logferry.web.api.shapes import Shape
from logferry.web.auth import Context, Operator

router = APIRouter(tags=["alerts"])
_Limit = Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)]
_Cursor = Annotated[int | None, Query(ge=1, le=ROW_ID_MAX, description="`next` of the page before")]
_Names = Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=ALERT_GLOBS_MAX)]
_Channels = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=CHANNELS_MAX)]


class Alert(Shape):
    """Something wrong. ``agent`` is ``null`` where it is about the server; ``subject`` then says of what.

    ``told``: the channels that were told at ``told_at``. ``reason``: as it was when it was raised.
    """

    id: int
    kind: str
    subject: str
    agent: str | None
    group: str
    title: str
    reason: str
    rule: str
    began_at: str
    raised_at: str
    told_at: str | None
    told: list[str]
    resolved_at: str | None
    muted_until: str | None


class AlertList(Shape):
    """The latest first."""

    items: list[Alert]
    next: str | None = None


class AlertRule(Shape):
    """A rule. Of a kind, the first that takes in an agent counts: ``items`` stand in that order.

    ``origin``: ``settings``, ``page`` (then ``id`` is there) or ``built in``. ``channels`` ``null``: all there are.
    ``above``: a share used; ``after_s``: how long it must last, of silence: how long is too long. ``null``: as usual.
    """

    id: int | None
    origin: str
    kind: str
    agents: list[str]
    groups: list[str]
    channels: list[str] | None
    above: float | None
    after_s: float | None
    enabled: bool


class AlertRuleList(Shape):
    """In the order in which they are tried."""

    items: list[AlertRule]
    next: str | None = None


class AlertRuleChange(BaseModel):
    """What is to be changed; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    agents: _Names = Field(["*"], description="globs over ids; `!` before an exception")
    groups: _Names = Field([], description="globs over groups; none: any")
    channels: _Channels | None = Field(None, description="`null`: all there are; none: it shows on the page alone")
    above: float | None = Field(None, gt=0, le=1, description="of quota and disk: 0.9 is 90 %")
    after_s: float | None = Field(None, ge=1, le=ALERT_AFTER_S_MAX)
    enabled: bool = Field(True, description="false: nobody watches this, and no later rule counts either")


class NewAlertRule(AlertRuleChange):
    """What is to be watched, and who is told."""

    kind: str = Field(max_length=40, examples=["silence"])


class AlertChannel(Shape):
    """A channel of the server's settings. ``where``: to whom; of a webhook its host alone."""

    name: str
    kind: str
    where: str
    last_at: str | None
    last_state: str | None
    last_reply: str | None


class AlertChannelList(Shape):
    """All channels."""

    items: list[AlertChannel]
    next: str | None = None


class AlertMessage(Shape):
    """A message to a channel: ``waiting`` (due at ``due_at``), ``sending``, ``sent`` or ``failed``.

    ``delivery``: the id the receiver got with every attempt. ``reply``: what it said at the last.
    """

    id: int
    delivery: str
    channel: str
    event: str
    title: str
    alerts: list[int]
    made_at: str
    state: str
    due_at: str | None
    attempts: int
    tried_at: str | None
    reply: str


class AlertMessageList(Shape):
    """The latest first."""

    items: list[AlertMessage]
    next: str | None = None


class Mute(Shape):
    """Nobody is told of this kind of alert of this subject until then."""

    kind: str
    subject: str
    until: str
    by: str
    reason: str


class MuteList(Shape):
    """Those that hold now."""

    items: list[Mute]
    next: str | None = None


class NewMute(BaseModel):
    """Of what nobody is to be told, and for how long; it need not be wrong yet."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(max_length=40, examples=["silence"])
    subject: str = Field(max_length=64, description="an agent's id, or `:disk`, `:archive`, `:audit`")
    for_s: float = Field(86400.0, ge=0, le=MUTE_S_MAX, description="0: it is told again")
    reason: str = Field("", max_length=ALERT_REASON_CHARS_MAX)


@router.get("/alerts")
def open_alerts(context: Context, who: Operator) -> AlertList:
    """What is wrong now."""
    return AlertList(items=[alert_shape(one) for one in alerting.open_alerts(context, who)])


@router.get("/alerts/events")
def events(context: Context, who: Operator, limit: _Limit = 100, cursor: _Cursor = None) -> AlertList:
    """What is and what was wrong, the latest first; kept for half a year."""
    rows = context.catalog.alerting.history(before=cursor, limit=limit)
    items = [alert_shape(one) for one in alerting.shown(context, who, rows)]
    return AlertList(items=items, next=str(rows[-1].id) if len(rows) == limit else None)


@router.get("/alerts/rules")
def rules(context: Context, _who: Operator) -> AlertRuleList:
    """All rules: those of the settings, those made here, those built in."""
    return AlertRuleList(items=[rule_shape(rule) for rule in alerting.rules(context).rules])


@router.post("/alerts/rules", status_code=201)
def add_rule(request: Request, body: NewAlertRule, who: Operator) -> AlertRule:
    """Make a rule; it counts from the next look on, behind those of the settings and those made before."""
    values = {name: _tuple(value) for name, value in body.model_dump().items()}
    return rule_shape(rule_of(alerting.add_rule(request, who, AlertRuleRecord(**values))))


@router.patch("/alerts/rules/{rule_id}")
def change_rule(request: Request, rule_id: int, body: AlertRuleChange, who: Operator) -> AlertRule:
    """Change a rule that was made here; those of the settings are changed there."""
    values = {name: _tuple(value) for name, value in body.model_dump(exclude_unset=True).items()}
    return rule_shape(rule_of(alerting.change_rule(request, who, rule_id, **values)))


@router.delete("/alerts/rules/{rule_id}", status_code=204)
def remove_rule(request: Request, rule_id: int, who: Operator) -> Response:
    """Remove a rule that was made here."""
    alerting.remove_rule(request, who, rule_id)
    return Response(status_code=204)


@router.get("/alerts/channels")
def channels(context: Context, who: Operator) -> AlertChannelList:
    """Who is told. Channels stand in the server's settings alone."""
    return AlertChannelList(items=[channel_shape(one) for one in alerting.channels(context, who)])


@router.post("/alerts/channels/{name}/test", status_code=202)
def send_test(request: Request, name: str, who: Operator) -> AlertMessage:
    """Have a test sent, once; `/alerts/messages/{id}` says within seconds what became of it."""
    return message_shape(alerting.send_test(request, who, name))


@router.get("/alerts/messages")
def messages(
    context: Context, who: Operator, limit: _Limit = 100, cursor: _Cursor = None, failed: bool = False
) -> AlertMessageList:
    """What was sent and what is to be sent, the latest first; `failed`: only what could not be sent (yet)."""
    rows = alerting.seen_messages(context, who, before=cursor, failed=failed, limit=limit)
    return AlertMessageList(
        items=[message_shape(row) for row in rows], next=str(rows[-1].id) if len(rows) == limit else None
    )


@router.get("/alerts/messages/{message_id}")
def message(context: Context, message_id: int, who: Operator) -> AlertMessage:
    """One message."""
    return message_shape(alerting.seen_message(context, who, message_id))


@router.post("/alerts/messages/{message_id}/again", status_code=202)
def send_again(request: Request, message_id: int, who: Operator) -> AlertMessage:
    """Have a message that failed, or waits for its next attempt, sent now, under the same `delivery`. 409 for one that
    did not fail.
    """
    return message_shape(alerting.send_again(request, who, message_id))


@router.get("/alerts/mutes")
def mutes(context: Context, who: Operator) -> MuteList:
    """Of what nobody is told now."""
    found = alerting.mutes_of(context).values()
    return MuteList(items=[mute_shape(mute) for mute in found if alerting.may_see(who, mute.subject)])


@router.post("/alerts/mutes", status_code=201)
def mute(request: Request, body: NewMute, who: Operator) -> Mute:
    """Nobody is told for so long. An alert that is still open after that is told then; one that was told has its end
    told in any case.
    """
    return mute_shape(alerting.mute(request, who, body.kind, body.subject, body.for_s, body.reason))


@router.delete("/alerts/mutes/{kind}/{subject}", status_code=204)
def unmute(request: Request, kind: str, subject: str, who: Operator) -> Response:
    """It is told again."""
    alerting.mute(request, who, kind, subject, 0)
    return Response(status_code=204)


def alert_shape(one: alerting.Shown) -> Alert:
    """As JSON."""
    alert = one.alert
    return Alert(
        id=alert.id, kind=alert.kind, subject=alert.subject,
        agent=None if alert.subject.startswith(":") else alert.subject,
        group=alert.group, title=one.title, reason=one.reason, rule=alert.rule, began_at=rfc3339(alert.began_ns),
        raised_at=rfc3339(alert.raised_ns or alert.began_ns), told_at=_time(alert.told_ns), told=list(alert.told),
        resolved_at=_time(alert.resolved_ns), muted_until=_time(one.muted_until_ns),
    )  # fmt: skip


def rule_shape(rule: Rule) -> AlertRule:
    """As JSON."""
    return AlertRule(
        id=rule.number if rule.origin == "page" else None, origin=rule.origin, kind=rule.kind,
        agents=list(rule.agents), groups=list(rule.groups),
        channels=None if rule.channels is None else list(rule.channels), above=rule.above, after_s=rule.after_s,
        enabled=rule.enabled,
    )  # fmt: skip


def channel_shape(one: alerting.ChannelState) -> AlertChannel:
    """As JSON."""
    last = one.last
    return AlertChannel(
        name=one.name, kind=one.kind, where=one.where,
        last_at=_time(last.tried_ns) if last else None, last_state=last.state if last else None,
        last_reply=last.reply if last else None,
    )  # fmt: skip


def message_shape(row: MessageRecord) -> AlertMessage:
    """As JSON."""
    return AlertMessage(
        id=row.id, delivery=row.uid, channel=row.channel, event=row.event, title=row.title, alerts=list(row.alerts),
        made_at=rfc3339(row.made_ns), state=row.state, due_at=_time(row.due_ns), attempts=row.attempts,
        tried_at=_time(row.tried_ns), reply=row.reply,
    )  # fmt: skip


def mute_shape(mute: MuteRecord) -> Mute:
    """As JSON."""
    return Mute(kind=mute.kind, subject=mute.subject, until=rfc3339(mute.until_ns), by=mute.made_by, reason=mute.reason)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _time(ns: int | None) -> str | None:
    return None if ns is None else rfc3339(ns)
