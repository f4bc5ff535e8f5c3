"""Agents: the list, one agent's files and health, and the command that adds another."""

from __future__ import annotations

from starlette.responses import Response

from logferry.errors import Conflict, LogferryError, Refused
from logferry.server.health import STATES
from logferry.web import alerting, nursing
from logferry.web.activity import activity
from logferry.web.api.heartbeat import nurse_of
from logferry.web.pages import words
from logferry.web.pages.facts import agent_at, file_at
from logferry.web.pages.folders import folder_page
from logferry.web.pages.forms import back_to, bound, span_s, words_in
from logferry.web.pages.guard import Visit
from logferry.web.pages.joining import join_command
from logferry.web.pages.retention import Said
from logferry.web.pages.sign_in import Form
from logferry.web.roster import Roster, tags_of
from logferry.web.trail import note

TABS = ("files", "health", "activity", "settings")
RECENT = 30
DONE = {
    "changed": "The settings hold from now on; the FTP part knows them within seconds.",
    "revoked": "The agent cannot log in any more; its files stay.",
    "admitted": "The agent may log in again.",
}


def agents(visit: Visit) -> Response:
    """``/agents?state=&group=&tag=``"""
    now_ns = visit.now_ns
    records = visit.sight.agents()
    asked = {name: visit.asked(name) for name in ("state", "group", "tag")}
    state = next((word for word in STATES if word == asked["state"]), None)
    wanted = Roster(
        (state,) if state else (),
        (asked["group"],) if asked["group"] else (),
        (asked["tag"],) if asked["tag"] else (),
    )
    listed = [agent_at(record, now_ns) for record in wanted.of(records, now_ns)]
    listed.sort(key=lambda agent: (STATES.index(agent.health.state), agent.record.id))
    only = {name: value for name, value in asked.items() if value and (name != "state" or state)}
    nurse = nurse_of(visit.request)
    tells = {agent.record.id: nurse.told(agent.record.id, visit.who.scope) for agent in listed}
    return visit.page(
        "agents.html",
        agents=listed,
        tells=tells,
        has_lag=any(tells.values()),
        all_count=len(records),
        only=only,
        tags=tags_of(records),
        csv=visit.link("/api/v1/agents", **only, format="csv"),
    )


def agent(visit: Visit) -> Response:
    """``/agents/{id}?tab=``"""
    record = visit.sight.agent(visit.request.path_params["agent"])
    tab = visit.asked("tab") if visit.asked("tab") in TABS else "files"
    if tab == "settings":
        done = DONE.get(visit.asked("done"), "")
        return _settings(visit, said=Said("info", done) if done else None)
    shown = agent_at(record, visit.now_ns)
    if tab == "health":
        told = nurse_of(visit.request).told(record.id, visit.who.scope)
        return visit.page("agent.html", agent=shown, tab=tab, told=told)
    if tab == "activity":
        found = activity(visit.context, visit.who, record.id, RECENT)
        arrived = [file_at(file, visit.now_ns) for file in found.arrived.files]
        return visit.page(
            "agent.html", agent=shown, tab=tab, arrived=arrived, count=found.arrived.count,
            complete=found.arrived.complete, alerts=found.alerts,
        )  # fmt: skip
    listing = folder_page(visit, record.id, "").values(visit, f"/agents/{record.id}", parent=None)
    return visit.page("agent.html", agent=shown, tab=tab, **listing)


def _settings(visit: Visit, *, said: Said | None = None, status: int = 200, password: str = "") -> Response:
    """The tab on which operators set what this agent may."""
    visit.who.require("operator")
    record = visit.sight.agent(visit.request.path_params["agent"])
    muted = alerting.mutes_of(visit.context)
    return visit.page(
        "agent.html",
        status=status,
        agent=agent_at(record, visit.now_ns),
        tab="settings",
        said=said,
        password=password,
        may_change=visit.who.scope.covers(record.id, ""),
        default=visit.context.catalog.quotas.default,
        default_zone=visit.context.catalog.zones.default,
        muted=[mute for (_, subject), mute in muted.items() if subject == record.id],
    )


def _done(visit: Visit, done: str) -> Response:
    return back_to(visit, f"/agents/{visit.request.path_params['agent']}", tab="settings", done=done)


def _failed(visit: Visit, error: LogferryError) -> Response:
    said = Said("bad", words.sentence(words.shown(error.message)), words.sentence(words.shown(error.hint)))
    return _settings(visit, said=said, status=error.http_status)


def changed_agent(visit: Visit, form: Form) -> Response:
    """``POST /agents/{id}/settings``: all fields of the form, empty ones are what is usual."""
    visit.who.require("operator")
    agent_id = visit.request.path_params["agent"]
    nursing.cared_for(visit.request, visit.who, agent_id)
    try:
        values = {
            "group": form.get("group", "").strip(),
            "tags": words_in(form.get("tags", "")),
            "quota_bytes": bound(form.get("bytes", ""), "bytes"),
            "quota_files": bound(form.get("files", ""), "files"),
            "zone": form.get("zone", "").strip() or None,
            "upload_rate": form.get("upload_rate", "").strip(),
            "expect_every_s": span_s(form.get("expect_every", "")),
            "paused": form.get("paused") == "1",
        }
        nursing.change(visit.request, visit.who, agent_id, values)
    except LogferryError as error:
        return _failed(visit, error)
    return _done(visit, "changed")


def new_password(visit: Visit, _form: Form) -> Response:
    """``POST /agents/{id}/password``: shown this once."""
    visit.who.require("operator")
    try:
        password = nursing.new_password(visit.request, visit.who, visit.request.path_params["agent"])
    except Conflict as error:
        return _failed(visit, error)
    return _settings(visit, password=password)


def revoked(visit: Visit, form: Form) -> Response:
    """``POST /agents/{id}/revoke``: or let it in again."""
    visit.who.require("operator")
    is_revoked = form.get("revoked") != "0"
    nursing.change(visit.request, visit.who, visit.request.path_params["agent"], {"revoked": is_revoked})
    return _done(visit, "revoked" if is_revoked else "admitted")


def removed_agent(visit: Visit, _form: Form) -> Response:
    """``POST /agents/{id}/remove``: one that never delivered."""
    visit.who.require("operator")
    try:
        nursing.remove(visit.request, visit.who, visit.request.path_params["agent"])
    except Conflict as error:
        return _failed(visit, error)
    return back_to(visit, "/agents")


def add_agent(visit: Visit) -> Response:
    """``/agents/add``"""
    visit.who.require("operator")
    return visit.page("add_agent.html", join=None, error="", hint="")


def added_agent(visit: Visit, form: dict[str, str]) -> Response:
    """``POST /agents/add``: a new join token, shown once."""
    visit.who.require("operator")
    try:
        uses, hours = _number(form.get("uses", "10")), _number(form.get("hours", "24"))
        token = visit.context.enrolment.new_join_token(uses=uses, ttl_s=hours * 3600.0, group=form.get("group", ""))
        note(visit.request, action="join-token.add", uses=uses, ttl_s=hours * 3600, group=token.group)
    except LogferryError as error:
        return visit.page(
            "add_agent.html",
            status=error.http_status,
            join=None,
            error=words.sentence(error.message),
            hint=words.sentence(error.hint),
        )
    return visit.page("add_agent.html", join=join_command(visit.request, visit.context, token), error="", hint="")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise Refused(f"{text[:20]!r} is not a number", hint="write for example 10")
    return int(text)
