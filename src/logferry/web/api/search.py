"""``/search`` and ``/query/parse``: lines of all files, as they are found."""

from __future__ import annotations

import threading
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from logferry.limits import QUERY_CHARS_MAX
from logferry.search.events import Event
from logferry.search.query import canonical, chips, parse
from logferry.web.api.asked import Asked, AskedHere, only, whole_of
from logferry.web.api.shapes import Chip, ParsedQuery, QueryHint
from logferry.web.auth import Context, Viewer
from logferry.web.eventforms import CSV, MEDIA_TYPES, TEXT, EventWriter, Form
from logferry.web.ranges import disposition
from logferry.web.searching import Asking, Running
from logferry.web.streams import NDJSON, SSE, STREAM_HEADERS

router = APIRouter(tags=["search"])
_HIT = (
    '{"type":"hit","agent":"web-01","path":"var/log/nginx/error.log","fid":7,"gen":1,"n":118204,"b":9830412,"len":64,'
    '"s":"2026-11-23 08:14:01 connect() failed (111: Connection refused)","s_from":0,"cut":false,"spans":[[45,63]],'
    '"before":[],"after":[]}'
)
_PROGRESS = (
    '{"type":"progress","scanned_bytes":12400000,"total_bytes":80100000,"files_done":3,"files_total":17,"hits":1}'
)
_DONE = (
    '{"type":"done","reason":"complete","scanned_bytes":80100000,"total_bytes":80100000,"files_done":17,'
    '"files_total":17,"hits":1,"seconds":0.412,"errors":[],"copies":0,"remarks":[],"whole_files":214,"whole_bytes":96400000}'
)
_NDJSON_EXAMPLE = f"{_HIT}\n{_PROGRESS}\n{_DONE}\n"
SSE_EXAMPLE = f"event: hit\ndata: {_HIT}\n\nevent: done\ndata: {_DONE}\n\n"
_TEXT_EXAMPLE = (
    "web-01:/var/log/nginx/error.log:118204:2026-11-23 08:14:01 connect() failed (111: Connection refused)\n"
)
_CSV_EXAMPLE = (
    "agent,path,generation,line,byte,text\r\n"
    "web-01,var/log/nginx/error.log,1,118204,9830412,2026-11-23 08:14:01 connect() failed\r\n"
)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`hit`, `progress` and at last `done` objects; as text or CSV the hits, and lines that begin "
        "with `#` where something is missing",
        "content": {
            NDJSON: {"example": _NDJSON_EXAMPLE},
            SSE: {"example": SSE_EXAMPLE},
            TEXT.partition(";")[0]: {"example": _TEXT_EXAMPLE},
            CSV.partition(";")[0]: {"example": _CSV_EXAMPLE},
        },
    }
}


class QueryText(BaseModel):
    """A query as it was typed."""

    q: str = Field(max_length=QUERY_CHARS_MAX * 2, examples=["agent:web* error -healthz"])


@router.post("/query/parse")
def parse_query(body: QueryText, _who: Viewer) -> ParsedQuery:
    """The canonical form of a query, its chips and remarks; 400 with the column if it does not parse."""
    query = parse(body.q)
    return ParsedQuery(
        canonical=canonical(query.root),
        chips=[
            Chip(kind=c.kind, negated=c.negated, label=c.label, text=c.text, field=c.field, column=c.column)
            for c in chips(query.root)
        ],
        hints=[QueryHint(column=hint.column, text=hint.text) for hint in query.hints],
    )


@router.get(
    "/search",
    response_class=StreamingResponse,
    responses=_RESPONSES,
    dependencies=[only(Asked, "format", "download")],
)
async def search(
    request: Request,
    context: Context,
    who: Viewer,
    asked: AskedHere,
    form: Annotated[Form, Query(alias="format", description="`text`: as grep has it; `csv`: for a spreadsheet")] = (
        "ndjson"
    ),
    download: Annotated[bool, Query(description="as a file for the browser to keep")] = False,
) -> Response:
    """Lines that match, streamed as found: NDJSON, text, CSV, or server-sent events for `Accept: text/event-stream`.

    With `limit=0` all of them, whatever their number: they are made as fast as they are read, and who hangs up ends the
    search.
    """
    asking = Asking.of(request, context, who)
    as_sse = form == "ndjson" and SSE in request.headers.get("accept", "")

    def begin() -> tuple[Running[Event], EventWriter]:
        wanted = asked.request(context, who, threading.Event())
        events, whole = context.search.run(wanted), whole_of(context, who)
        writer = EventWriter("sse" if as_sse else form, limited=asked.is_limited, whole=whole)
        running = Running(events, wanted.cancel, context.clock, wanted.patient, deadline_s=wanted.deadline_s)
        return running, writer

    begun = await asking.begun(begin)
    headers = STREAM_HEADERS | {"Content-Type": MEDIA_TYPES["sse" if as_sse else form]}
    if download:
        suffix = "txt" if form == "text" else form
        headers["Content-Disposition"] = disposition("attachment", f"search.{suffix}")
    return asking.answer(begun, headers)
