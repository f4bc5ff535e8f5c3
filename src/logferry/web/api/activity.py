"""``/agents/{id}/activity``: what an agent did last."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from logferry.limits import PAGE_ITEMS_MAX
from logferry.web.activity import activity
from logferry.web.api.alerts import Alert, alert_shape
from logferry.web.api.shapes import File, Shape, file_shape
from logferry.web.auth import Context, Viewer

router = APIRouter(tags=["agents"])


class AgentActivity(Shape):
    """``files``: those that grew or came last, the latest first; ``complete`` false: of very many, only the first by
    name were looked at. ``alerts``: what was wrong, the latest first; for operators.
    """

    files: list[File]
    complete: bool
    alerts: list[Alert]


@router.get("/agents/{agent_id}/activity", response_model_exclude_unset=True)
def agent_activity(
    agent_id: str, context: Context, who: Viewer, limit: Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)] = 100
) -> AgentActivity:
    """The files that arrived last from one agent, and its alerts."""
    found = activity(context, who, agent_id, limit)
    now_ns = context.clock.now_ns()
    return AgentActivity(
        files=[file_shape(file, now_ns) for file in found.arrived.files],
        complete=found.arrived.complete,
        alerts=[alert_shape(one) for one in found.alerts],
    )
