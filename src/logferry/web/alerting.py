"""Alerts as the web shows and changes them, for pages and API alike. Every change is noted for the audit.

What is about an agent takes a scope that covers all of it; what is about the server, or everybody, the whole archive.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from starlette.requests import Request

from logferry.archive.alert_records import AlertRecord, AlertRuleRecord, MessageRecord, MuteRecord
from logferry.errors import BadConfig, Busy, Conflict, NotFound, NotPermitted, Refused
from logferry.limits import (
    ALERT_AFTER_S_MAX,
    ALERT_REASON_CHARS_MAX,
    ALERT_TEST_S,
    CHANNELS_MAX,
    MUTE_S_MAX,
    ROW_ID_MAX,
)
from logferry.server.alerts.messages import compose, headline, link_of
from logferry.server.alerts.rules import KINDS, OF_AGENTS, Rules, all_rules
from logferry.server.alerts.settings import channels_of, rules_of, sender_of
from logferry.server.alerts.signs import ARCHIVE, AUDIT, DISK
from logferry.server.config import check_globs
from logferry.server.people import Identity
from logferry.web.auth import context_of
from logferry.web.context import WebContext
from logferry.web.trail import note

log = structlog.get_logger("logferry.web")
OWN = {DISK: "disk", ARCHIVE: "integrity", AUDIT: "integrity"}
"""Subjects that are the server's, and their kinds."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An alert as somebody may see it, with how long nobody is told of it (None: they are)."""

    alert: AlertRecord
    title: str
    link: str
    reason: str
    muted_until_ns: int | None = None


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel of the settings, and what became of its last message."""

    name: str
    kind: str
    where: str
    last: MessageRecord | None


def may_see(who: Identity, subject: str) -> bool:
    """Whether somebody may know of it at all."""
    return who.scope.everything if subject.startswith(":") else who.scope.may_hold(subject, "")


def open_alerts(context: WebContext, who: Identity) -> list[Shown]:
    """What is wrong now, the latest first."""
    return shown(context, who, context.catalog.alerting.open())


def shown(context: WebContext, who: Identity, alerts: Sequence[AlertRecord]) -> list[Shown]:
    """Those of the alerts that somebody may see."""
    mutes = mutes_of(context)
    found = []
    for alert in alerts:
        if may_see(who, alert.subject):
            # A reason may name paths: it is for those who may see all of the agent.
            whole = alert.subject.startswith(":") or who.scope.covers(alert.subject, "")
            muted = mutes.get((alert.kind, alert.subject))
            found.append(
                Shown(
                    alert, headline(alert), link_of(alert), alert.reason if whole else "",
                    muted.until_ns if muted else None,
                )
            )  # fmt: skip
    return found


def mutes_of(context: WebContext) -> dict[tuple[str, str], MuteRecord]:
    """Those that hold now, by kind and subject."""
    return {(mute.kind, mute.subject): mute for mute in context.catalog.alerting.mutes(context.clock.now_ns())}


def waiting_count(context: WebContext, who: Identity) -> int:
    """How many alerts are open and not muted, for the menu."""
    return sum(one.muted_until_ns is None for one in open_alerts(context, who))


# Mutes ---------------------------------------------------------------------------------------------------------------


def mute(request: Request, who: Identity, kind: str, subject: str, seconds: float, reason: str = "") -> MuteRecord:
    """Nobody is told of this for so long; it need not be wrong yet. 0: from now on everybody is told again.

    Raises:
        NotFound: there is no such kind, or no such agent that ``who`` may see.
        NotPermitted: who asks sees a part of it.
        Refused: it is too long.
    """
    context = context_of(request)
    _may_change(context, who, kind, subject)
    if not 0 <= seconds <= MUTE_S_MAX:
        raise Refused(f"{seconds:g} s is no time to be quiet for", hint="between 0 and a year; 86400 is a day")
    until_ns = context.clock.now_ns() + int(seconds * 1e9)
    made = MuteRecord(kind, subject, until_ns, who.name, _one_line(reason))
    context.catalog.alerting.mute(made)
    did = "alert.mute" if seconds else "alert.unmute"
    log.info("an alert was muted" if seconds else "an alert is told again", by=who.name, kind=kind, subject=subject)
    note(request, action=did, target=subject, alert=kind, seconds=seconds, reason=made.reason)
    return made


def _may_change(context: WebContext, who: Identity, kind: str, subject: str) -> None:
    if kind not in KINDS:
        raise NotFound(f"there are no alerts of the kind {kind!r}", hint=f"one of {', '.join(KINDS)}")
    if kind not in OF_AGENTS:
        if OWN.get(subject) != kind:
            raise NotFound(f"there is no {subject!r} of the kind {kind}", hint="the list of alerts shows subjects")
        who.require_whole()
        return
    if not may_see(who, subject) or context.catalog.agents.get(subject) is None:
        raise NotFound(f"there is no agent {subject}", hint="the list of agents shows those you may see")
    if not who.scope.covers(subject, ""):
        raise NotPermitted(f"you see only a part of {subject}", hint="somebody who sees all of it may do this")


# Rules ---------------------------------------------------------------------------------------------------------------


def rules(context: WebContext) -> Rules:
    """All in their order."""
    return all_rules(rules_of(context.config), context.catalog.alerting.rules())


def add_rule(request: Request, who: Identity, rule: AlertRuleRecord) -> AlertRuleRecord:
    """Make a rule; it counts from the next look on. Raises NotPermitted, Refused, TooLarge."""
    context = context_of(request)
    rule = _checked(context, rule._replace(made_by=who.name, created_ns=context.clock.now_ns()))
    who.require_whole()
    made = context.catalog.alerting.add_rule(rule)
    _note_rule(request, who, "alert-rule.add", made)
    return made


def change_rule(request: Request, who: Identity, rule_id: int, **values: object) -> AlertRuleRecord:
    """Change a rule that was made on the page. Raises NotFound, NotPermitted, Refused."""
    context = context_of(request)
    rule = context.catalog.alerting.rule(rule_id)
    who.require_whole()
    changed = _checked(context, AlertRuleRecord(**{**rule._asdict(), **values}))
    context.catalog.alerting.change_rule(changed)
    _note_rule(request, who, "alert-rule.change", changed)
    return changed


def remove_rule(request: Request, who: Identity, rule_id: int) -> None:
    """Raises NotFound, NotPermitted."""
    context = context_of(request)
    rule = context.catalog.alerting.rule(rule_id)
    who.require_whole()
    context.catalog.alerting.remove_rule(rule_id)
    _note_rule(request, who, "alert-rule.remove", rule)


def _note_rule(request: Request, who: Identity, action: str, rule: AlertRuleRecord) -> None:
    told = {name: value for name, value in rule._asdict().items() if name not in ("id", "made_by", "created_ns")}
    log.info(action, by=who.name, rule=rule.id, kind=rule.kind)
    note(request, action=action, target=f"rule {rule.id}", **told)


def _checked(context: WebContext, rule: AlertRuleRecord) -> AlertRuleRecord:
    """Raises Refused."""
    if rule.kind not in KINDS:
        raise Refused(f"{rule.kind[:40]!r} is no kind of alert", hint=f"one of {', '.join(KINDS)}")
    try:
        check_globs("agents", rule.agents)
        check_globs("groups", rule.groups)
    except BadConfig as error:
        raise Refused(error.message, hint=error.hint) from error
    if rule.above is not None and (rule.kind not in ("quota", "disk") or not 0.01 <= rule.above <= 1):
        raise Refused(f"above = {rule.above:g} means nothing here", hint="of quota and disk a share: 0.9 is 90 %")
    if rule.after_s is not None and not 1 <= rule.after_s <= ALERT_AFTER_S_MAX:
        raise Refused(f"after = {rule.after_s:g} s is out of range", hint="between one second and a year")
    there = context.config.channels
    unknown = next((name for name in rule.channels or () if name not in there), None)
    if unknown is not None:
        hint = f"there are: {', '.join(there)}" if there else "channels stand in the server's settings"
        raise Refused(f"there is no channel {unknown[:40]!r}", hint=hint)
    if len(rule.channels or ()) > CHANNELS_MAX:
        raise Refused(f"{len(rule.channels or ())} channels are too many", hint=f"{CHANNELS_MAX} at most")
    return rule._replace(agents=rule.agents or ("*",))


# Channels ------------------------------------------------------------------------------------------------------------


def channels(context: WebContext, who: Identity) -> list[ChannelState]:
    """Those of the settings; for who sees everything, with what became of the last message to each."""
    latest: dict[str, MessageRecord] = {}
    for message in seen_messages(context, who, limit=200):
        latest.setdefault(message.channel, message)
    return [
        ChannelState(name, one.kind, one.where, latest.get(name))
        for name, one in channels_of(context.config, context.clock).items()
    ]


def send_test(request: Request, who: Identity, channel: str) -> MessageRecord:
    """Have a test sent; the server does so within seconds, and its reply is kept with the message.

    Raises:
        NotFound: the settings have no such channel.
        NotPermitted: who asks sees a part of the archive.
        Busy: one was asked for just now: the receiver is somebody else's, and is not to be flooded.
    """
    context = context_of(request)
    if channel not in context.config.channels:
        raise NotFound(f"there is no channel {channel[:40]!r}", hint="channels stand in the server's settings")
    who.require_whole()
    since_ns = context.clock.now_ns() - int(ALERT_TEST_S * 1e9)
    recent = context.catalog.alerting.messages(limit=CHANNELS_MAX)
    if any((one.channel, one.event) == (channel, "test") and one.made_ns > since_ns for one in recent):
        raise Busy(f"{channel} had a test just now", retry_after_s=ALERT_TEST_S, hint="look at what became of it")
    message = compose(
        "test", [], channel=channel, uid=secrets.token_hex(16), now_ns=context.clock.now_ns(),
        sender=sender_of(context.config),
    )  # fmt: skip
    made = context.catalog.alerting.post(message)
    log.info("a test of a channel was asked for", by=who.name, channel=channel)
    note(request, action="alert.test", target=channel, message=made.id)
    return made


def send_again(request: Request, who: Identity, message_id: int) -> MessageRecord:
    """Have a message that failed sent once more; the server does so within seconds, under the id it had.

    Raises:
        NotFound: there is no such message, or who asks sees a part of the archive.
        Conflict: it did not fail, or the settings have its channel no more.
        Busy: it was tried just now.
    """
    context = context_of(request)
    message = seen_message(context, who, message_id)
    channel = message.channel
    if (message.tried_ns or 0) > context.clock.now_ns() - int(ALERT_TEST_S * 1e9):
        raise Busy(f"message {message_id} was tried just now", retry_after_s=ALERT_TEST_S, hint="look at its reply")
    if channel not in context.config.channels:
        raise Conflict(
            f"the settings have no channel {channel[:40]!r} any more", hint="channels stand in the server's settings"
        )
    again = context.catalog.alerting.again(message_id, now_ns=context.clock.now_ns())
    log.info("a message is to be sent again", by=who.name, channel=channel, message=message_id)
    note(request, action="alert.send-again", target=channel, message=message_id)
    return again


def seen_messages(
    context: WebContext, who: Identity, *, before: int | None = None, failed: bool = False, limit: int
) -> list[MessageRecord]:
    """Messages, the latest first. They name agents of everybody, so there are none for who sees a part."""
    if not who.scope.everything:
        return []
    return context.catalog.alerting.messages(before=before, failed=failed, limit=limit)


def seen_message(context: WebContext, who: Identity, message_id: int) -> MessageRecord:
    """One message. Raises NotFound."""
    if not who.scope.everything or not 0 < message_id <= ROW_ID_MAX:
        raise NotFound(f"there is no message {message_id}", hint="the list of messages shows those kept")
    return context.catalog.alerting.message(message_id)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:ALERT_REASON_CHARS_MAX]
