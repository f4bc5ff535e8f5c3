"""``/audit``: who read, searched, downloaded and changed what, and whether the chain of entries holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from logferry.archive.records import AuditRecord
from logferry.limits import PAGE_ITEMS_MAX, ROW_ID_MAX, SEARCH_TIME_CHARS_MAX
from logferry.search.moments import moment
from logferry.server.audit import AuditFilter, Kind
from logferry.web.api.asked import only
from logferry.web.api.people_shapes import AuditPage, AuditVerified, audit_json
from logferry.web.auditing import look
from logferry.web.auditing import verify as verified
from logferry.web.auth import Context, WholeAdministrator, refuse_cross_site
from logferry.web.eventforms import CSV, csv_row
from logferry.web.ranges import disposition
from logferry.web.sending import Sending
from logferry.web.standing import Standing
from logferry.web.streams import NDJSON, STREAM_HEADERS, Streams
from logferry.web.trail import note

router = APIRouter(tags=["audit"])
_COLUMNS = (
    "id", "at", "who", "role", "via", "address", "kind", "action", "target", "detail", "request_id", "hash",
)  # fmt: skip
_ROWS_PER_PIECE = 200


class AuditAsked(BaseModel):
    """Which entries."""

    model_config = ConfigDict(populate_by_name=True)

    who: str = Field("", max_length=256, description="the name of a person, exactly")
    kind: Kind | Literal[""] = Field("", description="of which kind")
    q: str = Field("", max_length=1000, description="words, each in action, target or detail; or an address")
    since: str = Field("", alias="from", max_length=SEARCH_TIME_CHARS_MAX, description="of this time or later")
    until: str = Field("", alias="to", max_length=SEARCH_TIME_CHARS_MAX, description="before the end of this")

    def chosen(self, now_ns: int) -> AuditFilter:
        """As the catalog has it. Raises Refused for what is no time."""
        return AuditFilter(
            who=self.who.strip(),
            kind=self.kind,
            text=self.q,
            since_ns=moment(self.since, "from", now_ns).low if self.since else None,
            until_ns=moment(self.until, "to", now_ns).end if self.until else None,
        )


@router.get(
    "/audit",
    response_class=Response,
    responses={200: {"model": AuditPage, "content": {NDJSON: {}, CSV.partition(";")[0]: {}}}},
    dependencies=[only(AuditAsked, "format", "limit", "cursor")],
)
async def audit(
    request: Request,
    context: Context,
    who: WholeAdministrator,
    asked: Annotated[AuditAsked, Query()],
    form: Annotated[
        Literal["json", "ndjson", "csv"], Query(alias="format", description="`json`: a page; else all, as a file")
    ] = "json",
    limit: Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)] = 100,
    cursor: Annotated[int | None, Query(ge=1, le=ROW_ID_MAX, description="`next` of the page before")] = None,
) -> Response:
    """Entries, the newest first. Where looking takes too long a page has fewer than `limit`; `next` goes on."""
    chosen = asked.chosen(context.clock.now_ns())
    if form == "json":
        found = await run_in_threadpool(look, context, chosen, cursor, limit)
        following = str(found.next) if found.next is not None else None
        return JSONResponse({"items": [audit_json(row) for row in found.rows], "next": following})
    rows = context.catalog.auditing
    note(request, action="audit.download")
    streams: Streams = request.app.state.streams
    streams.check_room(who.name)
    pieces = _as_csv(rows.each(chosen)) if form == "csv" else _as_ndjson(rows.each(chosen))
    kind = CSV if form == "csv" else NDJSON
    headers = STREAM_HEADERS | {
        "Content-Type": kind,
        "Content-Disposition": disposition("attachment", f"audit.{form}"),
    }
    return Sending(streams, "export", Standing(request, context, who), pieces, headers)


@router.get("/audit/verify")
def verify(
    request: Request,
    context: Context,
    who: WholeAdministrator,
    head: Annotated[str, Query(max_length=100, description="`id:hash`, noted elsewhere at some time")] = "",
) -> AuditVerified:
    """Read the whole chain and compare it with its hashes. 429 while that is being done for somebody."""
    if who.via == "session":
        refuse_cross_site(request)
    check = verified(context, head)
    return AuditVerified(
        ok=not check.problem, entries=check.entries, head=str(check.head), start=str(check.start),
        at=check.at or None, problem=check.problem,
    )  # fmt: skip


def _as_ndjson(rows: Iterator[AuditRecord]) -> Iterator[bytes]:
    for batch in _batches(rows):
        yield b"".join(json.dumps(audit_json(row)).encode() + b"\n" for row in batch)


def _as_csv(rows: Iterator[AuditRecord]) -> Iterator[bytes]:
    yield csv_row(_COLUMNS)
    for batch in _batches(rows):
        yield b"".join(csv_row([_cell(value) for value in audit_json(row).values()]) for row in batch)


def _cell(value: object) -> str | int:
    if isinstance(value, int):
        return value
    return value if isinstance(value, str) else json.dumps(value)


def _batches(rows: Iterator[AuditRecord]) -> Iterator[list[AuditRecord]]:
    batch: list[AuditRecord] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _ROWS_PER_PIECE:
            yield batch
            batch = []
    if batch:
        yield batch
