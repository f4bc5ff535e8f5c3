"""What operators do to agents, for pages and API alike: settings, new password, revoke. Each is noted for the audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from starlette.requests import Request

from logferry.archive.records import AgentRecord
from logferry.errors import NotPermitted
from logferry.server.agent_settings import checked_settings
from logferry.server.people import Identity
from logferry.web.auth import context_of
from logferry.web.sight import Sight
from logferry.web.trail import note, note_agent_change

log = structlog.get_logger("logferry.web")


def cared_for(request: Request, who: Identity, agent_id: str) -> AgentRecord:
    """The agent, for an operator who sees all of it. Raises NotFound, NotPermitted."""
    sight = Sight.of(context_of(request), who)
    found = sight.agent(agent_id)
    if not sight.scope.covers(agent_id, ""):
        raise NotPermitted(f"you see only a part of {agent_id}", hint="somebody who sees all of it may change it")
    return found


def change(request: Request, who: Identity, agent_id: str, values: Mapping[str, Any]) -> None:
    """Change settings, all or none. Quotas hold at once, speed and pause within a few seconds.

    Args:
        values: as ``agent_settings.SETTINGS`` has them, and ``revoked``.

    Raises:
        NotFound, NotPermitted, Refused.
    """
    context = context_of(request)
    before = cared_for(request, who, agent_id)
    wanted = checked_settings({name: value for name, value in values.items() if name != "revoked"})
    note(request, skip=not values)
    if wanted:
        context.catalog.agents.change(agent_id, **wanted)
        note_agent_change(request, agent_id, wanted)
        log.info("an agent was changed", agent=agent_id, by=who.name, **wanted)
    revoked = values.get("revoked")
    if revoked is not None and revoked != before.revoked:
        if revoked and (shared := context.enrolment.revoke(agent_id)):
            note(request, taken_from=shared)
        elif not revoked:
            context.enrolment.admit(agent_id)
        log.info("an agent was revoked" if revoked else "an agent was let in again", agent=agent_id, by=who.name)
        if wanted:
            note(request, revoked=revoked)
        else:
            note(request, action="agent.revoke" if revoked else "agent.admit", target=agent_id)
    elif revoked is not None and not wanted:
        note(request, skip=True)


def new_password(request: Request, who: Identity, agent_id: str) -> str:
    """A new password; the old one is worthless at once, and connections under it end. Raises NotFound, NotPermitted."""
    cared_for(request, who, agent_id)
    password = context_of(request).enrolment.new_password(agent_id)
    log.info("an agent was given a new password", agent=agent_id, by=who.name)
    note(request, action="agent.new-password", target=agent_id)
    return password


def remove(request: Request, who: Identity, agent_id: str) -> None:
    """Remove an agent that never delivered. Raises NotFound, NotPermitted, Conflict."""
    cared_for(request, who, agent_id)
    context_of(request).catalog.agents.remove(agent_id)
    log.info("an agent was removed", agent=agent_id, by=who.name)
    note(request, action="agent.remove", target=agent_id)
