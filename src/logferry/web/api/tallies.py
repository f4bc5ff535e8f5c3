"""``/search/count``, ``/search/histogram`` and ``/search/facets``: how many lines match, when, and where."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from logferry.clock import rfc3339
from logferry.errors import LogferryError
from logferry.limits import HISTOGRAM_BUCKETS_MAX, HISTOGRAM_BUCKETS_SHOWN
from logferry.search.events import Progress
from logferry.search.tally import FACETS, Buckets, FacetField, Histogram, Tally, TallyEvent
from logferry.server.people import Identity
from logferry.web.api.asked import Between, Where, only, whole_of
from logferry.web.api.shapes import SearchTally
from logferry.web.auth import Context, Viewer
from logferry.web.context import WebContext
from logferry.web.eventforms import Whole, event_json, whole_json
from logferry.web.searching import Asking, Running
from logferry.web.streams import NDJSON, SSE, STREAM_HEADERS, ndjson, sse

router = APIRouter(tags=["search"])
JSON = "application/json"
Width = Literal["auto", "second", "minute", "hour", "day"]
_WIDTHS_S: dict[str, int] = {"auto": 0, "second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_NS = 1_000_000_000
_EXAMPLE = {
    "type": "tally",
    "reason": "complete",
    "total": 1204,
    "exact": True,
    "histogram": {
        "from": None,
        "to": None,
        "step_s": 3600,
        "buckets": [{"at": "2026-11-23T08:00:00.000Z", "count": 1200}],
        "untimed": 4,
        "outside": 0,
    },
    "facets": [
        {
            "field": "agent",
            "values": [{"value": "web-01", "count": 980}, {"value": "web-02", "count": 224}],
            "other": 0,
            "distinct": 2,
        }
    ],
    "scanned_bytes": 12_400_000_000,
    "total_bytes": 12_400_000_000,
    "files_done": 17,
    "files_total": 17,
    "seconds": 0.031,
    "errors": [],
    "copies": 0,
    "remarks": [],
    "whole_files": 214,
    "whole_bytes": 80_100_000_000,
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": SearchTally,
        "description": "what was counted; for `Accept: text/event-stream` or `application/x-ndjson` `progress` on the "
        "way, `tally` last",
        "content": {"application/json": {"example": _EXAMPLE}, NDJSON: {}, SSE: {}},
    }
}
_FIELDS = f"comma-separated: {', '.join(FACETS)}; `path` is agent/path"

WhereHere = Annotated[Where, Query()]


@router.get("/search/count", responses=_RESPONSES, dependencies=[only(Where)])
async def count(request: Request, context: Context, who: Viewer, where: WhereHere) -> Response:
    """How many lines match. `exact` is false when it ended early or a file could not be read: at least so many do."""
    between = where.between(context.clock.now_ns())
    return await _tallied(request, context, who, where, between, None, ())


@router.get("/search/histogram", responses=_RESPONSES, dependencies=[only(Where, "by", "buckets", "facets")])
async def histogram(
    request: Request,
    context: Context,
    who: Viewer,
    where: WhereHere,
    by: Annotated[Width, Query(description="how wide a bucket is; `auto`: as narrow as `buckets` allows")] = "auto",
    buckets: Annotated[int, Query(ge=1, le=HISTOGRAM_BUCKETS_MAX)] = HISTOGRAM_BUCKETS_SHOWN,
    facets: Annotated[str, Query(max_length=64, description=f"count by these in the same run. {_FIELDS}")] = "",
) -> Response:
    """Matching lines by their time (UTC). Empty buckets are left out; `untimed` lines tell no time.

    More than 10,000 buckets become wider ones: `step_s` says how wide they are.
    """
    between = since, until = where.between(context.clock.now_ns())
    wanted = Buckets(
        step_s=_WIDTHS_S[by],
        start_s=None if since is None else since // _NS,
        end_s=None if until is None else -(-until // _NS),
        shown=buckets,
    )
    return await _tallied(request, context, who, where, between, wanted, _fields(facets))


@router.get("/search/facets", responses=_RESPONSES, dependencies=[only(Where, "fields")])
async def facets(
    request: Request,
    context: Context,
    who: Viewer,
    where: WhereHere,
    fields: Annotated[str, Query(max_length=64, description=_FIELDS)] = "agent,path",
) -> Response:
    """Matching lines by agent, file and the like: the values with the most, and how many all others have (`other`)."""
    between = where.between(context.clock.now_ns())
    return await _tallied(request, context, who, where, between, None, _fields(fields))


def _fields(text: str) -> tuple[FacetField, ...]:
    # An unknown one is refused by the search, which knows all.
    return tuple(cast(FacetField, part.strip()) for part in text.split(",") if part.strip())


async def _tallied(
    request: Request,
    context: WebContext,
    who: Identity,
    where: Where,
    between: Between,
    wanted: Buckets | None,
    fields: Sequence[FacetField],
) -> Response:
    asking = Asking.of(request, context, who)
    accepted = request.headers.get("accept", "")
    form = SSE if SSE in accepted else NDJSON if NDJSON in accepted else JSON

    def begin() -> tuple[Running[TallyEvent], _Writer]:
        asked = where.request(context, who, threading.Event(), between)
        events = context.search.tally(asked, histogram=wanted, facets=fields)
        running = Running(events, asked.cancel, context.clock, asked.patient, deadline_s=asked.deadline_s)
        return running, _Writer(form, between, whole_of(context, who))

    begun = await asking.begun(begin)
    if form != JSON:
        return asking.answer(begun, STREAM_HEADERS | {"Content-Type": form})
    whole = await asking.whole(begun)
    if whole is None:  # nobody is there to read it
        return Response(status_code=204)
    return Response(whole, media_type=JSON)


@dataclass(frozen=True, slots=True)
class _Writer:
    """A tally that is told while it is made, or (JSON) when it is."""

    form: str
    between: Between
    whole: Whole | None

    def write(self, events: Iterable[TallyEvent]) -> bytes:
        if self.form == JSON:
            events = [event for event in events if isinstance(event, Tally) and event.reason != "running"]
        parts = (event_json(e) if isinstance(e, Progress) else tally_json(e, self.between, self.whole) for e in events)
        return b"".join(self._one(data) for data in parts)

    def failed(self, error: LogferryError) -> bytes:
        told = {"type": "problem", "detail": error.message, "hint": error.hint, "status": error.http_status}
        return self._one(told)

    def _one(self, data: dict[str, Any]) -> bytes:
        return sse(data["type"], data) if self.form == SSE else ndjson(data)


def tally_json(tally: Tally, between: Between, whole: Whole | None) -> dict[str, Any]:
    """A tally as JSON has it (``shapes.SearchTally``); ``between``: the time that was asked for."""
    return {
        "type": "tally",
        "reason": tally.reason,
        "total": tally.lines,
        "exact": tally.exact,
        "histogram": None if tally.histogram is None else _histogram_json(tally.histogram, between),
        "facets": [
            {
                "field": facet.field,
                "values": [{"value": value, "count": lines} for value, lines in facet.top],
                "other": facet.other,
                "distinct": facet.values,
            }
            for facet in tally.facets
        ],
        "scanned_bytes": tally.scanned_bytes,
        "total_bytes": tally.total_bytes,
        "files_done": tally.files_done,
        "files_total": tally.files_total,
        "seconds": round(tally.seconds, 3),
        "errors": list(tally.errors),
        "copies": tally.copies,
        "remarks": list(tally.remarks),
        **whole_json(whole),
    }


def _histogram_json(found: Histogram, between: Between) -> dict[str, Any]:
    since, until = between
    return {
        "from": None if since is None else rfc3339(since),
        "to": None if until is None else rfc3339(until),
        "step_s": found.step_s,
        "buckets": [{"at": rfc3339(start_s * _NS), "count": lines} for start_s, lines in found.counts],
        "untimed": found.untimed,
        "outside": found.outside,
    }
