"""``/api/v1``: one module per noun; ``shapes`` holds every JSON shape."""

from fastapi import APIRouter

from logferry.web.api import (
    activity,
    administration,
    agents,
    alerts,
    audit,
    connections,
    files,
    heartbeat,
    join,
    kept,
    lines,
    merged,
    people,
    raw,
    retention,
    saved,
    search,
    searches,
    support,
    system,
    tail,
    takeout,
    tallies,
    today,
    users,
)

PREFIX = "/api/v1"


def router() -> APIRouter:
    """All routes below ``/api/v1``. Fixed paths come before ``/files/{fid}`` and ``/agents/{id}``."""
    whole = APIRouter(prefix=PREFIX)
    parts = (
        system,
        people,
        join,
        agents,
        activity,
        heartbeat,
        files,
        raw,
        lines,
        kept,
        merged,
        tail,
        search,
        tallies,
        searches,
    )
    more = (takeout, users, audit, retention, connections, administration, saved, alerts, support, today)
    for part in (*parts, *more):
        whole.include_router(part.router)
    return whole
