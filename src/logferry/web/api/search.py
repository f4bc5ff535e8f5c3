"""``/search`` and ``/query/parse``: lines of all files, as they are found."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from logferry.clock import Clock
from logferry.errors import Busy, LogferryError
from logferry.limits import (
    QUERY_CHARS_MAX,
    SEARCH_CONTEXT_LINES_MAX,
    SEARCH_HITS_DEFAULT,
    SEARCH_HITS_MAX,
    SEARCH_PER_USER_MAX,
    SEARCH_PIECE_EVENTS,
    SEARCH_PIECE_S,
)
from logferry.search.events import Event, Hit, Progress, Row
from logferry.search.query import canonical, chips, parse
from logferry.search.service import SearchRequest
from logferry.web.api.shapes import Chip, ParsedQuery, QueryHint
from logferry.web.auth import Context, Viewer
from logferry.web.metrics import SEARCHED_BYTES
from logferry.web.streams import NDJSON, SSE, STREAM_HEADERS, Streams, ndjson, sse

router = APIRouter(tags=["search"])


class QueryText(BaseModel):
    """A query as it was typed."""

    q: str = Field(max_length=QUERY_CHARS_MAX * 2)


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
    responses={200: {"description": "`hit`, `progress` and at last `done` objects", "content": {NDJSON: {}, SSE: {}}}},
)
async def search(
    request: Request,
    context: Context,
    who: Viewer,
    q: Annotated[str, Query(max_length=QUERY_CHARS_MAX * 2)] = "",
    agent: Annotated[str, Query(max_length=64, description="glob over agents")] = "",
    path: Annotated[str, Query(max_length=4096, description="part of the path; with * or ? the whole path")] = "",
    case: Annotated[bool, Query(description="exact case")] = False,
    limit: Annotated[int, Query(ge=1, le=SEARCH_HITS_MAX)] = SEARCH_HITS_DEFAULT,
    context_lines: Annotated[
        int, Query(alias="context", ge=0, le=SEARCH_CONTEXT_LINES_MAX, description="lines before and after each hit")
    ] = 0,
    order: Annotated[Literal["newest", "oldest"], Query(description="which file and line comes first")] = "newest",
    fid: Annotated[int | None, Query(ge=1, lt=2**63, description="only this file")] = None,
    gen: Annotated[int | None, Query(ge=1, lt=2**63, description="only this generation of it")] = None,
) -> StreamingResponse:
    """Lines that match, streamed as found: NDJSON, or server-sent events for `Accept: text/event-stream`."""
    streams: Streams = request.app.state.streams
    streams.check_room()
    cancel = threading.Event()
    wanted = SearchRequest(
        query=q,
        scope=who.scope,
        agent=agent,
        path=path,
        exact_case=case,
        limit=limit,
        context=context_lines,
        deadline_s=context.config.search.time_limit,
        newest_first=order == "newest",
        file_id=fid,
        generation=gen,
        cancel=cancel,
    )
    running = _Running(await run_in_threadpool(context.search.run, wanted), cancel, context.clock)
    counts: Counter[str] = request.app.state.searches
    if counts[who.name] >= SEARCH_PER_USER_MAX:
        raise Busy(
            f"{who.name} has {SEARCH_PER_USER_MAX} searches running", retry_after_s=2, hint="stop one, or wait for it"
        )
    as_sse = SSE in request.headers.get("accept", "")
    return StreamingResponse(
        _pieces(streams, running, counts, who.name, as_sse=as_sse),
        media_type=SSE if as_sse else NDJSON,
        headers=STREAM_HEADERS,
    )


class _Running:
    """A search that is taken piece by piece, one thread at a time, and stopped from outside."""

    def __init__(self, events: Iterator[Event], cancel: threading.Event, clock: Clock) -> None:
        self._events = events
        self._cancel = cancel
        self._clock = clock
        self._lock = threading.Lock()

    def piece(self) -> list[Event]:
        """The events of the next moment; empty when all were taken."""
        taken: list[Event] = []
        until_s = self._clock.monotonic_s() + SEARCH_PIECE_S
        with self._lock:
            for event in self._events:
                taken.append(event)
                if len(taken) >= SEARCH_PIECE_EVENTS or self._clock.monotonic_s() >= until_s:
                    break
        return taken

    def stop(self) -> None:
        """Make a piece that runs in a thread end soon."""
        self._cancel.set()


async def _pieces(
    streams: Streams, running: _Running, counts: Counter[str], name: str, *, as_sse: bool
) -> AsyncIterator[bytes]:
    counts[name] += 1
    scanned = 0
    try:
        async with streams.opened("search"):
            while piece := await streams.run(running.piece):
                if streams.stopping:
                    running.stop()  # the next piece is the last: a "done" that says it was cancelled
                parts = []
                for event in piece:
                    data = event_json(event)
                    parts.append(sse(data["type"], data) if as_sse else ndjson(data))
                    scanned = data.get("scanned_bytes", scanned)
                yield b"".join(parts)
    except LogferryError as error:  # the answer has begun: the account ends with what went wrong
        data = {"type": "problem", "detail": error.message, "hint": error.hint, "status": error.http_status}
        yield sse("problem", data) if as_sse else ndjson(data)
    finally:
        running.stop()
        SEARCHED_BYTES.inc(scanned)
        counts[name] -= 1
        if not counts[name]:
            del counts[name]


def event_json(event: Event) -> dict[str, Any]:
    """An event as JSON has it."""
    if isinstance(event, Hit):
        return {
            "type": "hit",
            "agent": event.agent,
            "path": event.path,
            "fid": event.file_id,
            "gen": event.generation,
            "n": event.number,
            "b": event.byte,
            "len": event.length,
            "s": event.text,
            "s_from": event.text_from,
            "cut": event.cut,
            "spans": [list(span) for span in event.spans],
            "before": [_row(row) for row in event.before],
            "after": [_row(row) for row in event.after],
        }
    counted = {
        "scanned_bytes": event.scanned_bytes,
        "total_bytes": event.total_bytes,
        "files_done": event.files_done,
        "files_total": event.files_total,
        "hits": event.hits,
    }
    if isinstance(event, Progress):
        return {"type": "progress", **counted}
    seconds = round(event.seconds, 3)
    told = {"seconds": seconds, "errors": list(event.errors), "copies": event.copies}
    return {"type": "done", "reason": event.reason, **counted, **told}


def _row(row: Row) -> dict[str, Any]:
    return {"n": row.number, "b": row.byte, "len": row.length, "s": row.text, "cut": row.cut}
