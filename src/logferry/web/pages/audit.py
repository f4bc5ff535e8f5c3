"""Who read, searched, downloaded and changed what: entries with filters, and whether their chain holds."""

from __future__ import annotations

import json
from dataclasses import dataclass

from starlette.responses import Response

from logferry.archive.records import AuditRecord
from logferry.errors import Refused
from logferry.search.moments import moment
from logferry.server.audit import KINDS, AuditFilter, parse_head
from logferry.web.pages import words
from logferry.web.pages.forms import managed_by
from logferry.web.pages.guard import Visit
from logferry.web.pages.search import TIMES, TIMES_ANY

_ROWS = 100
_FIELDS = ("who", "kind", "q", "from")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry with its detail in words."""

    row: AuditRecord
    detail: str

    @property
    def refused(self) -> bool:
        """Whether it was not let happen."""
        return '"refused"' in self.row.detail


def audit(visit: Visit) -> Response:
    """``/admin/audit?who=&kind=&q=&from=&before=`` and ``?verify=1&head=``"""
    managed_by(visit)
    asked = {name: visit.asked(name).strip() for name in _FIELDS}
    problem = ""
    chosen = AuditFilter()
    try:
        since = asked["from"]
        chosen = AuditFilter(
            who=asked["who"],
            kind=asked["kind"] if asked["kind"] in KINDS else "",
            text=asked["q"],
            since_ns=moment(since, "from", visit.now_ns).low if since else None,
        )
    except Refused as error:
        problem = words.sentence(str(error))
    rows = visit.context.catalog.auditing
    before = visit.asked("before")
    at = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    found = [] if problem else rows.page(chosen, before=at, limit=_ROWS + 1)
    older = visit.link("/admin/audit", **asked, before=found[_ROWS - 1].id) if len(found) > _ROWS else ""
    return visit.page(
        "audit.html",
        status=400 if problem else 200,
        problem=problem,
        entries=[Entry(row, _in_words(row.detail)) for row in found[:_ROWS]],
        older=older,
        newest=visit.link("/admin/audit", **asked) if at is not None else "",
        asked=asked,
        filtered=any(asked.values()),
        kinds=KINDS,
        times=(("", TIMES_ANY), *TIMES),
        names=[row.name for row in visit.context.people.all()],
        csv=visit.link("/api/v1/audit", **asked, format="csv"),
        ndjson=visit.link("/api/v1/audit", **asked, format="ndjson"),
        check=_check(visit),
        head_asked=visit.asked("head"),
    )


def _check(visit: Visit) -> object:
    if not visit.asked("verify"):
        return None
    text = visit.asked("head").strip()
    known = parse_head(text) if text else None
    if text and known is None:
        raise Refused("that is no head of the audit", hint="a head is a number, a colon and 64 hexadecimal digits")
    return visit.context.audit.verify(known)


def _in_words(detail: str) -> str:
    """``role operator · scope web-*/**``"""
    values = json.loads(detail)
    return " · ".join(f"{name} {_value(value)}" for name, value in values.items())


def _value(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
