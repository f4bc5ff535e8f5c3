"""The overview: agents by state, archive and disk, what needs a look, what just arrived."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from starlette.responses import Response

from logferry.archive.records import AgentRecord, FileRecord
from logferry.errors import LogferryError, NotFound
from logferry.server.disk import disk_room
from logferry.server.health import STATES
from logferry.web import alerting, saving
from logferry.web.pages.facts import Agent, agent_at, file_at
from logferry.web.pages.guard import Visit
from logferry.web.pages.saved import shown_row

ARRIVALS = 10
SAVED_SHOWN = 12
TROUBLED = ("failing", "silent", "late")


@dataclass(frozen=True, slots=True)
class Disk:
    """The room on the archive's disk, or why it is not known."""

    total: int = 0
    free: int = 0
    full: bool = False
    message: str = ""
    error: str = ""

    @property
    def used_share(self) -> int:
        """Percent of the disk in use."""
        return round(100 * (self.total - self.free) / self.total) if self.total else 0


@dataclass(frozen=True, slots=True)
class Need:
    """A row of what needs a look: ``word`` is a state or a kind; ``mute`` a kind and subject, empty where nobody may
    mute it, or nothing is told of it.
    """

    word: str
    is_state: bool
    title: str
    link: str
    reason: str
    mute: tuple[str, str] | None = None
    muted_until_ns: int | None = None


OF_STATES = {"silent": "silence", "failing": "failing"}
"""States that are alerts, and their kinds."""


def needs(visit: Visit, troubled: list[Agent]) -> list[Need]:
    """Agents in trouble; for operators also quotas, disk and damage, as alerts tell of them."""
    if not visit.who.may("operator"):
        return [Need(a.state, True, a.record.id, f"/agents/{a.record.id}", a.reason) for a in troubled]
    mutes = alerting.mutes_of(visit.context)
    found = []
    for a in troubled:
        kind = OF_STATES.get(a.state)
        key = (kind, a.record.id) if kind and visit.who.scope.covers(a.record.id, "") else None
        muted = mutes.get(key) if key else None
        found.append(
            Need(a.state, True, a.record.id, f"/agents/{a.record.id}", a.reason, key, muted.until_ns if muted else None)
        )
    for one in alerting.open_alerts(visit.context, visit.who):
        if one.alert.kind not in OF_STATES.values():
            key = (one.alert.kind, one.alert.subject)
            link = one.link.partition("?")[0]
            found.append(Need(one.alert.kind, False, one.title, link, one.reason, key, one.muted_until_ns))
    return found


def home(visit: Visit) -> Response:
    """``/``"""
    now_ns = visit.now_ns
    records = visit.sight.agents()
    agents = [agent_at(record, now_ns) for record in records]
    found = Counter(agent.state for agent in agents)
    return visit.page(
        "home.html",
        agents=agents,
        states=[(word, found[word]) for word in ("ok", *[s for s in STATES if s != "ok"]) if found[word]],
        needs=needs(visit, sorted((a for a in agents if a.state in TROUBLED), key=lambda a: TROUBLED.index(a.state))),
        files=sum(record.files for record in records),
        bytes=sum(record.bytes for record in records),
        disk=_disk(visit) if visit.who.may("operator") else None,
        kept=[shown_row(visit, row) for row in saving.seen(visit.context, visit.who)[:SAVED_SHOWN]],
        arrivals=[file_at(file, now_ns) for file in arrivals(visit, records)],
    )


def _disk(visit: Visit) -> Disk:
    try:
        room = disk_room(visit.context.config)
    except LogferryError as error:  # this card fails alone
        return Disk(error=str(error))
    return Disk(room.total, room.free, room.full, room.message)


def arrivals(visit: Visit, records: list[AgentRecord]) -> list[FileRecord]:
    """The last file of each agent, newest first."""
    found: list[FileRecord] = []
    for record in sorted(records, key=lambda r: r.uploaded_ns or 0, reverse=True):
        if len(found) == ARRIVALS or not record.uploaded_ns:
            break
        if not record.last_path:
            continue
        try:
            found.append(visit.sight.file_at(record.id, record.last_path))
        except NotFound:  # renamed since, by rotation: the next upload names the new path
            continue
    return found
