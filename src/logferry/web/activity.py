"""What an agent did last, for pages and API alike: the files that arrived from it, and what was wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from logferry.limits import PAGE_ITEMS_MAX
from logferry.server.people import Identity
from logferry.web import alerting
from logferry.web.choosing import Sorted, sorted_files
from logferry.web.context import WebContext
from logferry.web.sight import Sight


@dataclass(frozen=True, slots=True)
class Activity:
    """``arrived``: its files, the latest first. ``alerts``: the latest first; none for who may not see alerts."""

    arrived: Sorted
    alerts: list[alerting.Shown]


def activity(context: WebContext, who: Identity, agent_id: str, limit: int) -> Activity:
    """The latest ``limit`` of each. Raises NotFound where there is no such agent that ``who`` may see."""
    agent = Sight.of(context, who).agent(agent_id).id
    limit = min(limit, PAGE_ITEMS_MAX)
    rows = context.catalog.alerting.history(subject=agent, limit=limit) if who.may("operator") else []
    return Activity(sorted_files(context, who, "", "newest", limit, agent=agent), alerting.shown(context, who, rows))
