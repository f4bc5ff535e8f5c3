"""``/admin/retention``: the rules, what they would delete, what is held, what agents may hold, what has gone."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from starlette.responses import Response

from logferry.errors import LogferryError
from logferry.web import retaining
from logferry.web.pages import words
from logferry.web.pages.facts import Agent, agent_at
from logferry.web.pages.forms import back_to, bound, managed_by, whole_number
from logferry.web.pages.guard import Visit
from logferry.web.pages.sign_in import Form
from logferry.web.retaining import Outcome
from logferry.web.trail import note_agent_change

log = structlog.get_logger("logferry.web")
PAGE = "/admin/retention"
LOG_ROWS = 50
DAY_S = 86_400
PREVIEWS = {"now": 0, "tomorrow": DAY_S, "week": 7 * DAY_S}
"""Names of previews, and how many seconds ahead each looks."""
DONE = {
    "hold": "The hold is set: retention deletes nothing that it takes in.",
    "ended": "The hold has ended; what it kept may go with the next run.",
    "quota": "The quota holds from now on.",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What is said at the top after a form: ``tone`` is that of a notice."""

    tone: str
    title: str
    text: str = ""


def retention(visit: Visit) -> Response:
    """``/admin/retention?preview=&cursor=``"""
    managed_by(visit)
    done = DONE.get(visit.asked("done"), "")
    return _page(visit, said=Said("info", done) if done else None)


def _page(visit: Visit, *, status: int = 200, said: Said | None = None, ran: Outcome | None = None) -> Response:
    context, ahead = visit.context, visit.asked("preview")
    cursor = visit.asked("cursor")
    before = int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 19 else None
    shown = None
    if ahead in PREVIEWS and ran is None:
        shown = retaining.preview(context, visit.now_ns + PREVIEWS[ahead] * 1_000_000_000)
    expired = context.catalog.retaining.expired(before_id=before, limit=LOG_ROWS)
    return visit.page(
        "retention.html",
        status=status,
        said=said,
        rules=retaining.judged(context),
        preview=shown,
        ahead=ahead,
        ran=ran,
        holds=context.catalog.retaining.holds(),
        agents=_by_need(visit),
        default=context.catalog.quotas.default,
        expired=expired,
        older=visit.link(PAGE, cursor=expired[-1].id) if len(expired) == LOG_ROWS else "",
    )


def _by_need(visit: Visit) -> list[Agent]:
    """Agents, those first whose quota is used most."""
    agents = [agent_at(record, visit.now_ns) for record in visit.context.catalog.agents.list()]
    return sorted(agents, key=lambda agent: (-agent.quota_share, agent.record.id))


def ran(visit: Visit, form: Form) -> Response:
    """``POST /admin/retention/run``: delete what the preview of ``at`` showed."""
    managed_by(visit)
    try:
        outcome = retaining.run(visit.request, visit.who, whole_number(form.get("at", ""), "at"))
    except LogferryError as error:
        return _refused(visit, error)
    return _page(visit, ran=outcome)


def held(visit: Visit, form: Form) -> Response:
    """``POST /admin/retention/holds``"""
    managed_by(visit)
    try:
        retaining.hold(visit.request, visit.who, form.get("glob", ""), form.get("reason", ""))
    except LogferryError as error:
        return _refused(visit, error)
    return back_to(visit, PAGE, done="hold")


def released(visit: Visit, form: Form) -> Response:
    """``POST /admin/retention/holds/end``"""
    managed_by(visit)
    try:
        retaining.end_hold(visit.request, visit.who, whole_number(form.get("hold", ""), "hold", least=1))
    except LogferryError as error:
        return _refused(visit, error)
    return back_to(visit, PAGE, done="ended")


def bounded(visit: Visit, form: Form) -> Response:
    """``POST /admin/retention/quota``: empty fields are the settings' bounds, ``none`` is no bound."""
    managed_by(visit)
    agent = form.get("agent", "")
    try:
        values = {
            "quota_bytes": bound(form.get("bytes", ""), "bytes"),
            "quota_files": bound(form.get("files", ""), "files"),
        }
        visit.context.catalog.agents.change(agent, **values)
    except LogferryError as error:
        return _refused(visit, error)
    log.info("an agent was changed", agent=agent, by=visit.who.name, **values)
    note_agent_change(visit.request, agent, values)
    return back_to(visit, PAGE, done="quota")


def _refused(visit: Visit, error: LogferryError) -> Response:
    said = Said("bad", words.sentence(words.shown(error.message)), words.sentence(words.shown(error.hint)))
    return _page(visit, status=error.http_status, said=said)
