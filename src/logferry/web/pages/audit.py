"""Who read, searched, downloaded and changed what: entries with filters, and whether their chain holds."""

from __future__ import annotations

import json
from dataclasses import dataclass

from starlette.responses import Response

from logferry.archive.records import AuditRecord
from logferry.errors import Refused
from logferry.search.moments import moment
from logferry.server.audit import KINDS, AuditCheck, AuditFilter
from logferry.web.auditing import Looked, look, verify
from logferry.web.between import TIMES, TIMES_ANY
from logferry.web.pages import words
from logferry.web.pages.forms import managed_by
from logferry.web.pages.guard import Visit
from logferry.web.pages.sign_in import Form

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
    """``/admin/audit?who=&kind=&q=&from=&before=``"""
    managed_by(visit)
    return _page(visit)


def verified(visit: Visit, form: Form) -> Response:
    """``POST /admin/audit/verify``: a form, since it may read millions of entries, which no link of others shall do."""
    managed_by(visit)
    head = form.get("head", "").strip()
    return _page(visit, verify(visit.context, head), head)


def _page(visit: Visit, check: AuditCheck | None = None, head: str = "") -> Response:
    asked = {name: visit.asked(name).strip() for name in _FIELDS}
    problem = ""
    chosen = AuditFilter()
    try:
        since = asked["from"]
        chosen = AuditFilter(
            who=asked["who"],
            kind=asked["kind"] if asked["kind"] in KINDS else "",
            text=asked["q"],
            since_ns=moment(since, "from", visit.now_ns, visit.zone.zone).low if since else None,
        )
    except Refused as error:
        problem = words.sentence(str(error))
    before = visit.asked("before")
    at = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    found = Looked([], None) if problem else look(visit.context, chosen, at, _ROWS)
    older = visit.link("/admin/audit", **asked, before=found.next) if found.next is not None else ""
    return visit.page(
        "audit.html",
        status=400 if problem else 200,
        problem=problem,
        entries=[Entry(row, _in_words(row.detail)) for row in found.rows],
        older=older,
        complete=found.complete,
        newest=visit.link("/admin/audit", **asked) if at is not None else "",
        asked=asked,
        filtered=any(asked.values()),
        kinds=KINDS,
        times=(("", TIMES_ANY), *TIMES),
        names=[row.name for row in visit.context.people.all()],
        csv=visit.link("/api/v1/audit", **asked, format="csv"),
        ndjson=visit.link("/api/v1/audit", **asked, format="ndjson"),
        check=check,
        head_asked=head,
    )


def _in_words(detail: str) -> str:
    """``role operator · scope web-*/**``"""
    values = json.loads(detail)
    return " · ".join(f"{name} {_value(value)}" for name, value in values.items())


def _value(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
