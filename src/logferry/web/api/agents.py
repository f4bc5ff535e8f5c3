"""``/agents``: who delivers, and how they are."""

from __future__ import annotations

from fastapi import APIRouter

from logferry.web.api.shapes import Agent, AgentList, agent_shape
from logferry.web.auth import Context, Viewer
from logferry.web.sight import Sight

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
