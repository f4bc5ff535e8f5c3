"""``/files/{fid}/kept``: a file as its entries, or the lines of it that a query keeps, page by page."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse

from logferry.archive.records import FileRecord, GenerationRecord
from logferry.archive.timestamps import Reading, rules_of
from logferry.encodings import Encoding
from logferry.errors import Refused
from logferry.limits import (
    KEPT_SEARCH_S,
    LINES_PER_REQUEST_MAX,
    QUERY_CHARS_MAX,
    SEARCH_CONTEXT_LINES_MAX,
    SEARCH_TIME_CHARS_MAX,
    ZONE_CHARS_MAX,
)
from logferry.search.events import Done, Hit
from logferry.search.kept import EntryLines, Hits, Keeping, Kept
from logferry.search.query import Filter, Text, parse
from logferry.search.service import SearchRequest
from logferry.server.people import Identity
from logferry.web.api.files import Generation
from logferry.web.api.ids import checked_id
from logferry.web.api.lines import NUMBER_MAX, ReadAs, byte_at_time, encoding_asked, row_json, time_text
from logferry.web.api.shapes import KeptPage
from logferry.web.auth import Context, Viewer
from logferry.web.context import WebContext
from logferry.web.searching import Slots
from logferry.web.sight import Sight
from logferry.web.trail import note

router = APIRouter(tags=["files"])


@router.get("/files/{fid}/kept", responses={200: {"model": KeptPage}})
def kept(
    request: Request,
    fid: int,
    context: Context,
    who: Viewer,
    gen: Generation = None,
    q: Annotated[str, Query(max_length=QUERY_CHARS_MAX * 2, description="what is kept; empty: everything")] = "",
    case: Annotated[bool, Query(description="exact case")] = False,
    around: Annotated[
        int, Query(alias="context", ge=0, le=SEARCH_CONTEXT_LINES_MAX, description="lines before and after each entry")
    ] = 0,
    fold: Annotated[bool, Query(description="of an entry the first line, and how many `more` continue it")] = False,
    from_line: Annotated[int | None, Query(ge=1, le=NUMBER_MAX, description="number of a line to begin at")] = None,
    at_byte: Annotated[int | None, Query(ge=0, le=NUMBER_MAX, description="a byte to begin at")] = None,
    at_time: Annotated[str, Query(max_length=SEARCH_TIME_CHARS_MAX, description="a time to begin at")] = "",
    before: Annotated[int | None, Query(ge=0, le=NUMBER_MAX, description="a byte: what begins before it")] = None,
    tail: Annotated[int | None, Query(ge=1, le=LINES_PER_REQUEST_MAX, description="so many from the end")] = None,
    tz: Annotated[str, Query(max_length=ZONE_CHARS_MAX, description="zone of `at_time` where it names none")] = "UTC",
    count: Annotated[int, Query(ge=1, le=LINES_PER_REQUEST_MAX, description="about so many lines")] = 250,
    times: Annotated[bool, Query(description="with the time of each line, `t`")] = False,
    enc: ReadAs = "",
) -> JSONResponse:
    """Whole entries, never parts of them: a line with those that continue it, such as a stack trace.

    Where it takes long there may be no rows yet: ask again from `next` (or `prev`) on.
    """
    places = (from_line, at_byte, at_time or None, before, tail)
    if sum(place is not None for place in places) > 1:
        raise Refused("from_line, at_byte, at_time, before and tail exclude one another", hint="keep one")
    file, generation = Sight.of(context, who).generation(checked_id(fid), gen)
    asked: dict[str, Any] = {"q": q} if q else {}
    note(request, target=f"{file.agent}/{file.path}", gen=generation.number, **asked)
    encoding = encoding_asked(enc)
    with context.archive.lines(generation.id, encoding) as found:
        if at_time:
            at_byte = byte_at_time(context, file, generation, at_time, tz, encoding)
        if from_line is not None:
            rows = found.page_from(from_line, 1).rows
            at_byte = rows[0].byte if rows else found.size
        entries = EntryLines(found, Reading(generation.changed_ns, rules_of(context.archive.zone_of(file.agent))))
        slots: Slots = request.app.state.searches
        hits = _hits(context, who, slots, file, generation, q, found.encoding if enc else _legacy(found.encoding), case)
        keeping = Keeping(entries, context.clock, hits=hits if q.strip() else None, context=around, fold=fold)
        if before is not None or tail is not None:
            page = keeping.before(found.size if before is None else before, count if tail is None else tail)
        else:
            page = keeping.after(at_byte or 0, count)
        return JSONResponse(
            {
                "fid": fid,
                "gen": generation.number,
                "size": found.size,
                "lines_total": found.total,
                "rows": _rows(page.rows, entries if times else None),
                "prev": page.prev,
                "next": page.next,
                "end": page.next is None,
                "encoding": found.encoding.name,
                "looks_like": None,
            }
        )


def _legacy(encoding: Encoding) -> Encoding | None:
    """The encoding a search has to be told of: it knows UTF-8, and UTF-16 that has a mark."""
    return None if encoding.name == "utf-8" else encoding


def _hits(
    context: WebContext,
    who: Identity,
    slots: Slots,
    file: FileRecord,
    generation: GenerationRecord,
    q: str,
    encoding: Encoding | None,
    exact_case: bool,
) -> Hits:
    """Finds the lines of entries that the query finds. Raises BadQuery."""
    # An entry with a line that one term finds is found by it: so the indexes can tell. Several terms may be found in
    # several lines of it.
    by_entries = not isinstance(parse(q).root, (Text, Filter))

    def hits(after: int, before: int, limit: int, *, newest_first: bool) -> tuple[list[int], bool]:
        request = SearchRequest(
            query=q,
            scope=who.scope,
            exact_case=exact_case,
            limit=limit,
            deadline_s=min(KEPT_SEARCH_S, context.config.search.time_limit),
            newest_first=newest_first,
            file_id=file.id,
            generation=generation.number,
            encoding=encoding,
            entries=by_entries,
            after_byte=after,
            before_byte=before,
            cancel=threading.Event(),
        )
        starts: list[int] = []
        is_all = False
        with slots.take(who.name):
            for event in context.search.run(request):
                if isinstance(event, Hit):
                    starts.append(event.byte)
                elif isinstance(event, Done):
                    is_all = event.reason == "complete"
        return starts, is_all

    return hits


def _rows(rows: Sequence[Kept], entries: EntryLines | None) -> list[dict[str, Any]]:
    made = [row_json(each.row) | {"more": each.more, "span": each.span, "hit": each.is_hit} for each in rows]
    if entries is not None:
        for row, time in zip(made, entries.times([each.row for each in rows]), strict=True):
            row["t"] = time_text(time)
    return made
