"""``/alerts``: what is wrong, who is told, by which rules, what became of the telling; mute, test, rules."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from logferry.archive.alert_records import AlertRecord, AlertRuleRecord
from logferry.errors import Busy, Conflict, LogferryError, Refused
from logferry.server.alerts.messages import headline
from logferry.server.alerts.rules import ABOUT, AFTER_S, KINDS, SHARES, Rule
from logferry.server.config import share_of
from logferry.web import alerting
from logferry.web.pages import words
from logferry.web.pages.forms import back_to, span_s, whole_number, words_in
from logferry.web.pages.guard import Visit
from logferry.web.pages.retention import Said
from logferry.web.pages.sign_in import Form

PAGE = "/alerts"
HISTORY_ROWS = 50
MESSAGE_ROWS = 20
HOURS = ((1, "1 hour"), (4, "4 hours"), (24, "24 hours"), (168, "a week"), (720, "30 days"))
DONE = {
    "muted": "Muted: nobody is told of it until then.",
    "unmuted": "It is told again.",
    "rule": "The rule counts from the next look on, within a quarter of a minute.",
    "switched": "Changed.",
    "removed": "The rule is gone.",
    "again": "The message goes out within seconds; below is what becomes of it. Reload to see.",
    "test": "The test goes out within seconds; below is what becomes of it. Reload to see.",
}


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule as the page shows it."""

    rule: Rule
    about: str
    when: str
    agents: str
    tells: str
    is_shadowed: bool


@dataclass(frozen=True, slots=True)
class MuteRow:
    """Something nobody is told of."""

    kind: str
    subject: str
    title: str
    until_ns: int
    by: str
    reason: str


def alerts(visit: Visit) -> Response:
    """``/alerts?cursor=``"""
    visit.who.require("operator")
    done = DONE.get(visit.asked("done"), "")
    return _page(visit, said=Said("info", done) if done else None)


def _page(visit: Visit, *, said: Said | None = None, status: int = 200, form: Form | None = None) -> Response:
    context, who = visit.context, visit.who
    cursor = visit.asked("cursor")
    before = int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 19 else None
    rows = context.catalog.alerting.history(before=before, limit=HISTORY_ROWS)
    return visit.page(
        "alerts.html",
        status=status,
        said=said,
        open=alerting.open_alerts(context, who),
        mutes=[
            MuteRow(kind, subject, _what(kind, subject), mute.until_ns, mute.made_by, mute.reason)
            for (kind, subject), mute in alerting.mutes_of(context).items()
            if alerting.may_see(who, subject)
        ],
        channels=alerting.channels(context, visit.who),
        rules=_rules(visit),
        kinds=[(kind, ABOUT[kind]) for kind in KINDS],
        messages=alerting.seen_messages(context, who, limit=MESSAGE_ROWS),
        history=alerting.shown(context, who, rows),
        older=visit.link(PAGE, cursor=rows[-1].id) if len(rows) == HISTORY_ROWS else "",
        hours=HOURS,
        may_all=who.scope.everything,
        form=form or {},
    )


def _what(kind: str, subject: str) -> str:
    return headline(AlertRecord(kind, subject))


def _rules(visit: Visit) -> list[RuleRow]:
    found: list[RuleRow] = []
    caught: set[str] = set()
    for rule in alerting.rules(visit.context).rules:
        of_all = rule.agents == ("*",) and not rule.groups
        found.append(
            RuleRow(rule, ABOUT[rule.kind], _when(rule), _whom(rule), _tells(visit, rule), rule.kind in caught)
        )
        if of_all or rule.kind in ("disk", "integrity"):
            caught.add(rule.kind)
    return found


def _when(rule: Rule) -> str:
    if rule.kind == "silence":
        return f"not heard for {words.duration(rule.after_s)}" if rule.after_s else "as usual for each agent"
    after_s = AFTER_S[rule.kind] if rule.after_s is None else rule.after_s
    parts = [f"{rule.share:.0%} used"] if rule.kind in SHARES else []
    parts += [f"for {words.duration(after_s)}"] if after_s else []
    return ", ".join(parts) or "at once"


def _whom(rule: Rule) -> str:
    if rule.kind in ("disk", "integrity"):
        return "the server"
    agents = "every agent" if rule.agents == ("*",) else " ".join(rule.agents)
    return f"{agents}, groups {' '.join(rule.groups)}" if rule.groups else agents


def _tells(visit: Visit, rule: Rule) -> str:
    if not rule.enabled:
        return "nobody: off"
    told = rule.told(tuple(visit.context.config.channels))
    return ", ".join(told) or "this page alone"


def muted(visit: Visit, form: Form) -> Response:
    """``POST /alerts/mute``: kind, subject, hours (0: told again), and where to go back to."""
    visit.who.require("operator")
    try:
        hours = whole_number(form.get("hours", "24"), "hours", most=8784)
        alerting.mute(
            visit.request, visit.who, form.get("kind", ""), form.get("subject", ""), hours * 3600.0,
            form.get("reason", ""),
        )  # fmt: skip
    except Refused as error:
        if error.http_status != 400:
            raise
        return _failed(visit, error)
    done = "muted" if hours else "unmuted"
    path, _, query = form.get("next", PAGE).partition("?")
    if path == "/":
        return back_to(visit, "/")
    if path.startswith("/agents/") and "//" not in path and "\\" not in path:
        return back_to(visit, path, tab="settings" if query == "tab=settings" else "")
    return back_to(visit, PAGE, done=done)


def added_rule(visit: Visit, form: Form) -> Response:
    """``POST /alerts/rules``"""
    visit.who.require("operator")
    try:
        above = form.get("above", "").strip()
        if above and share_of(above) is None:
            raise Refused(f"{above[:20]!r} is no share", hint="write for example 90 %")
        channels = form.get("channels", "").strip()
        rule = AlertRuleRecord(
            form.get("kind", ""),
            tuple(words_in(form.get("agents", ""))) or ("*",),
            tuple(words_in(form.get("groups", ""))),
            None if not channels else () if channels.lower() == "none" else tuple(words_in(channels)),
            share_of(above) if above else None,
            span_s(form.get("after", "")),
            enabled=form.get("off") != "1",
        )
        alerting.add_rule(visit.request, visit.who, rule)
    except LogferryError as error:
        if error.http_status == 403:
            raise
        return _failed(visit, error, form)
    return back_to(visit, PAGE, done="rule")


def switched_rule(visit: Visit, form: Form) -> Response:
    """``POST /alerts/rules/switch``: on or off."""
    visit.who.require("operator")
    rule_id = whole_number(form.get("id", ""), "id", least=1)
    alerting.change_rule(visit.request, visit.who, rule_id, enabled=form.get("enabled") == "1")
    return back_to(visit, PAGE, done="switched")


def removed_rule(visit: Visit, form: Form) -> Response:
    """``POST /alerts/rules/remove``"""
    visit.who.require("operator")
    alerting.remove_rule(visit.request, visit.who, whole_number(form.get("id", ""), "id", least=1))
    return back_to(visit, PAGE, done="removed")


def tested(visit: Visit, form: Form) -> Response:
    """``POST /alerts/test``: the message goes out, its outcome is among the messages."""
    visit.who.require("operator")
    alerting.send_test(visit.request, visit.who, form.get("channel", ""))
    return back_to(visit, PAGE, done="test")


def sent_again(visit: Visit, form: Form) -> Response:
    """``POST /alerts/messages/again``: a message that failed goes out once more."""
    visit.who.require("operator")
    message_id = whole_number(form.get("id", ""), "id", least=1)
    try:
        alerting.send_again(visit.request, visit.who, message_id)
    except (Busy, Conflict) as error:
        return _failed(visit, error)
    return back_to(visit, PAGE, done="again")


def _failed(visit: Visit, error: LogferryError, form: Form | None = None) -> Response:
    said = Said("bad", words.sentence(words.shown(error.message)), words.sentence(words.shown(error.hint)))
    return _page(visit, said=said, status=error.http_status, form=form)
