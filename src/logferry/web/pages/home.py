"""The overview: agents by state, what came today, archive and disk, what needs a look, what just arrived."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from starlette.responses import Response

from logferry.archive.records import AgentRecord, FileRecord
from logferry.errors import LogferryError, NotFound
from logferry.limits import DISK_PACE_DAYS_MIN, USUAL_DAYS_MIN
from logferry.server.disk import DiskPace, DiskRoom, disk_pace, disk_room
from logferry.server.health import STATES
from logferry.web import alerting, saving
from logferry.web.pages import words
from logferry.web.pages.facts import Agent, agent_at, file_at
from logferry.web.pages.guard import Visit
from logferry.web.pages.saved import shown_row
from logferry.web.today import today

ARRIVALS = 10
SAVED_SHOWN = 12
TROUBLED = ("failing", "silent", "late")


LEFT_DAYS_SHOWN = 1000
"""Days that the disk lasts are told up to here: nobody knows what is after years."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The room on the archive's disk and how fast it goes, or why it is not known."""

    room: DiskRoom | None = None
    pace: DiskPace | None = None
    error: str = ""

    @property
    def left(self) -> str:
        """How long it lasts, in words."""
        if self.pace is None:
            return "days left: not known yet"
        if self.pace.days_left is None:
            return f"not filling up over the last {self.pace.days} days"
        if self.pace.days_left > LEFT_DAYS_SHOWN:
            return "years left at this pace"
        return f"~{words.counted(self.pace.days_left, 'day')} left"

    @property
    def why_left(self) -> str:
        """The figures behind it."""
        if self.pace is None:
            return f"Known after {DISK_PACE_DAYS_MIN} days of looking at the disk"
        if self.pace.bytes_per_day <= 0:
            return f"At the pace of the last {self.pace.days} days it does not fill up"
        pace = words.shown_bytes(self.pace.bytes_per_day)
        return f"Until uploads are refused, at the pace of the last {self.pace.days} days: {pace} a day"


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
        today=today(visit.context, visit.who, visit.zone.zone),
        usual_days_min=USUAL_DAYS_MIN,
        kept=[shown_row(visit, row) for row in saving.seen(visit.context, visit.who)[:SAVED_SHOWN]],
        arrivals=[file_at(file, now_ns) for file in arrivals(visit, records)],
    )


def _disk(visit: Visit) -> Disk:
    try:
        room = disk_room(visit.context.config)
    except LogferryError as error:  # this card fails alone
        return Disk(error=str(error))
    return Disk(room, disk_pace(room, visit.context.catalog.disk_days.kept(), visit.now_ns))


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
