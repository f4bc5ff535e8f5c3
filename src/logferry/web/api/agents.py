"""``/agents``: who delivers, how they are, and what they may."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from logferry.web import nursing
from logferry.web.api.shapes import Agent, AgentChange, AgentList, AgentPassword, agent_shape
from logferry.web.auth import Context, Operator, Viewer
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


@router.patch("/agents/{agent_id}")
def change_agent(request: Request, agent_id: str, body: AgentChange, context: Context, who: Operator) -> Agent:
    """Change its settings, for operators who may see all of it. Quotas hold at once, speed, pause and revoke within
    seconds; a zone for what is indexed from now on (`logferry reindex` reads older times anew).
    """
    nursing.change(request, who, agent_id, body.model_dump(exclude_unset=True))
    return agent_shape(Sight.of(context, who).agent(agent_id), context.clock.now_ns())


@router.delete("/agents/{agent_id}", status_code=204)
def remove_agent(request: Request, agent_id: str, who: Operator) -> Response:
    """Remove an agent that never delivered, with its user. 409 for one with files: revoke it."""
    nursing.remove(request, who, agent_id)
    return Response(status_code=204)


@router.post("/agents/{agent_id}/rotate")
def new_password(request: Request, agent_id: str, who: Operator) -> AgentPassword:
    """A new password, shown this once; the old one is worthless at once. Write it on the first line of the node's
    `agent.secret`: the agent takes it within seconds, and what it could not send meanwhile is sent then.
    """
    return AgentPassword(agent=agent_id, password=nursing.new_password(request, who, agent_id))
