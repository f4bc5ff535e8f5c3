"""Agents: the list, one agent's files and health, and the command that adds another."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from logferry.errors import LogferryError, Refused
from logferry.server import first_run
from logferry.server.config import join_address
from logferry.server.enrolment import JoinToken
from logferry.server.health import STATES
from logferry.web.api.heartbeat import nurse_of
from logferry.web.context import WebContext
from logferry.web.pages import words
from logferry.web.pages.facts import agent_at
from logferry.web.pages.folders import folder_page
from logferry.web.pages.guard import Visit
from logferry.web.trail import note


@dataclass(frozen=True, slots=True)
class JoinCommand:
    """The line to paste on a node, and how long it is good."""

    command: str
    uses: int
    expires_ns: int


def agents(visit: Visit) -> Response:
    """``/agents?state=``"""
    now_ns = visit.now_ns
    records = visit.sight.agents()
    shown = [agent_at(record, now_ns) for record in records]
    only = visit.asked("state") if visit.asked("state") in STATES else ""
    listed = [agent for agent in shown if not only or agent.state == only]
    listed.sort(key=lambda agent: (STATES.index(agent.health.state), agent.record.id))
    return visit.page("agents.html", agents=listed, all_count=len(shown), only=only)


def agent(visit: Visit) -> Response:
    """``/agents/{id}?tab=``"""
    record = visit.sight.agent(visit.request.path_params["agent"])
    tab = "health" if visit.asked("tab") == "health" else "files"
    shown = agent_at(record, visit.now_ns)
    if tab == "health":
        told = nurse_of(visit.request).told(record.id, visit.who.scope)
        return visit.page("agent.html", agent=shown, tab=tab, told=told)
    listing = folder_page(visit, record.id, "").values(visit, f"/agents/{record.id}", parent=None)
    return visit.page("agent.html", agent=shown, tab=tab, **listing)


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


def join_command(request: Request, context: WebContext, token: JoinToken) -> JoinCommand:
    """The command with the address under which this very browser reached the server."""
    port = request.url.port or (443 if request.url.scheme == "https" else 80)
    address = join_address(request.url.hostname or "localhost", port)
    line = first_run.join_command(address, token.secret, context.pin, context.config)
    return JoinCommand(line, token.uses, token.expires_ns)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise Refused(f"{text[:20]!r} is not a number", hint="write for example 10")
    return int(text)
