"""``/agents``: who delivers, how they are, and what they may."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from logferry.limits import GROUP_CHARS_MAX, TAG_CHARS_MAX, TAGS_MAX
from logferry.server.health import STATES, State
from logferry.web import nursing
from logferry.web.api.shapes import Agent, AgentChange, AgentList, AgentPassword, agent_shape
from logferry.web.auth import Context, Operator, Viewer
from logferry.web.eventforms import CSV, csv_row
from logferry.web.ranges import disposition
from logferry.web.roster import Roster
from logferry.web.sight import Sight

router = APIRouter(tags=["agents"])
_Group = Annotated[str, Field(max_length=GROUP_CHARS_MAX)]
_Tag = Annotated[str, Field(max_length=TAG_CHARS_MAX)]


@router.get(
    "/agents", response_model=AgentList, responses={200: {"model": AgentList, "content": {CSV.partition(";")[0]: {}}}}
)
def list_agents(
    context: Context,
    who: Viewer,
    state: Annotated[list[State], Query(max_length=len(STATES), description="one of these")] = [],  # noqa: B006
    group: Annotated[list[_Group], Query(max_length=TAGS_MAX, description="one of these")] = [],  # noqa: B006
    tag: Annotated[list[_Tag], Query(max_length=TAGS_MAX, description="all of these")] = [],  # noqa: B006
    form: Annotated[Literal["json", "csv"], Query(alias="format", description="`csv`: as a file")] = "json",
) -> AgentList | Response:
    """Every agent you may see, by id. One page holds all: a fleet has some thousands at most."""
    now_ns = context.clock.now_ns()
    wanted = Roster(tuple(state), tuple(group), tuple(tag))
    items = [agent_shape(record, now_ns) for record in wanted.of(Sight.of(context, who).agents(), now_ns)]
    if form == "json":
        return AgentList(items=items, next=None)
    rows = [csv_row(Agent.model_fields), *(csv_row(_cells(agent)) for agent in items)]
    return Response(
        b"".join(rows),
        headers={"Content-Type": CSV, "Content-Disposition": disposition("attachment", "agents.csv")},
    )


def _cells(agent: Agent) -> list[str | int]:
    """One row of the file: no value is an empty cell, tags are words."""
    cells: list[str | int] = []
    for value in agent.model_dump().values():
        if isinstance(value, list):
            cells.append(" ".join(value))
        else:
            cells.append("" if value is None else value if isinstance(value, str | int) else str(value))
    return cells


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
