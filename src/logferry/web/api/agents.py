"""``/agents``: who delivers, how they are, and what they may."""

from __future__ import annotations

import structlog
from fastapi import APIRouter
from starlette.requests import Request

from logferry.errors import NotPermitted
from logferry.web.api.shapes import Agent, AgentChange, AgentList, agent_shape
from logferry.web.auth import Context, Operator, Viewer
from logferry.web.sight import Sight
from logferry.web.trail import note, note_agent_change

log = structlog.get_logger("logferry.web")
router = APIRouter(tags=["agents"])


@router.get("/agents")
def list_agents(context: Context, who: Viewer) -> AgentList:
    """Every agent you may see, by id. One page holds all: a fleet has some thousands at most."""
    now_ns = context.clock.now_ns()
    return AgentList(items=[agent_shape(record, now_ns) for record in Sight.of(context, who).agents()], next=None)


@router.get("/agents/{agent_id}")
def get_agent(agent_id: str, context: Context, who: Viewer) -> Agent:
    """One agent."""
    return agent_shape(Sight.of(context, who).agent(agent_id), context.clock.now_ns())


@router.patch("/agents/{agent_id}")
def change_agent(request: Request, agent_id: str, body: AgentChange, context: Context, who: Operator) -> Agent:
    """Change its quotas or its zone, for operators who may see all of it. Quotas hold at once; a zone for what is
    indexed from now on (`logferry reindex` reads older times anew).
    """
    sight = Sight.of(context, who)
    sight.agent(agent_id)
    if not sight.scope.covers(agent_id, ""):
        raise NotPermitted(f"you see only a part of {agent_id}", hint="somebody who sees all of it may change it")
    values = body.model_dump(exclude_unset=True)
    note(request, skip=not values)
    if values:
        context.catalog.agents.change(agent_id, **values)
        note_agent_change(request, agent_id, values)
        log.info("an agent was changed", agent=agent_id, by=who.name, **values)
    return agent_shape(sight.agent(agent_id), context.clock.now_ns())
