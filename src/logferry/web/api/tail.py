"""``/tail``: a file as it grows, as server-sent events. Each has an id, so a broken stream continues without loss.

Events: ``lines`` ``{fid, gen, rows, next}`` with id ``<gen>:<byte>``; ``gen`` ``{gen}`` when the path begins a new
life; ``ping`` every 15 s. Only whole lines are sent; the rest of an unfinished last line comes when its generation
ended.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from logferry.archive import LineRow
from logferry.archive.records import GenerationRecord
from logferry.compressed import form_by_name
from logferry.errors import LogferryError, NotFound, Refused
from logferry.limits import TAIL_PING_S, TAIL_POLL_S, TAIL_ROWS, TAIL_ROWS_BYTES
from logferry.server.people import Identity
from logferry.web.api.files import Generation, checked_id
from logferry.web.api.lines import row_json
from logferry.web.auth import Context, Viewer
from logferry.web.context import WebContext
from logferry.web.sight import Sight
from logferry.web.standing import Standing
from logferry.web.streams import SSE, STREAM_HEADERS, Streams, problem_event, sse
from logferry.web.trail import note

router = APIRouter(tags=["files"])
_EVENT_ID = re.compile(r"([0-9]{1,18}):([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a follower is: everything before ``byte`` of generation ``gen`` was sent."""

    gen: int
    byte: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one look at the file gave: rows to send, and the place behind them."""

    place: _Place
    rows: tuple[LineRow, ...] = ()
    new_generation: bool = False


@router.get("/tail", response_class=StreamingResponse, responses={200: {"content": {SSE: {}}}})
async def tail(
    request: Request,
    context: Context,
    who: Viewer,
    f: Annotated[int, Query(description="the file's fid")],
    gen: Generation = None,
    from_: Annotated[int | None, Query(alias="from", ge=0, le=2**62, description="first byte; absent: the end")] = None,
) -> StreamingResponse:
    """Follow a file. `Last-Event-ID` continues where a broken stream ended."""
    streams: Streams = request.app.state.streams
    streams.check_room(who.name)
    last_id = request.headers.get("last-event-id", "")
    start, target = await run_in_threadpool(_start, context, who, checked_id(f), gen, from_, last_id)
    note(request, target=target, gen=start.gen)
    events = _events(request, streams, context, who, f, start)
    return StreamingResponse(events, media_type=SSE, headers=STREAM_HEADERS)


def _start(
    context: WebContext, who: Identity, fid: int, gen: int | None, start: int | None, last_id: str
) -> tuple[_Place, str]:
    """The place to begin, and agent and path of the file. Raises NotFound, Refused."""
    if last_id:
        found = _EVENT_ID.fullmatch(last_id)
        if not found:
            raise Refused("Last-Event-ID is not one of ours", hint="leave it out to begin at the end of the file")
        gen, start = int(found[1]), int(found[2])
    file, generation = Sight.of(context, who).generation(fid, gen)
    place = _Place(generation.number if gen is None else gen, generation.size if start is None else start)
    return place, f"{file.agent}/{file.path}"


async def _events(
    request: Request, streams: Streams, context: WebContext, who: Identity, fid: int, place: _Place
) -> AsyncIterator[bytes]:
    clock = context.clock
    standing = Standing(request, context, who)
    try:
        async with streams.opened("tail", who.name):
            pinged_s = clock.monotonic_s()
            yield b": following\n\n"
            while not streams.stopping:
                await standing.check(streams)
                piece = await streams.run(lambda at=place: _look(context, who, fid, at))  # type: ignore[misc]
                place = piece.place
                now_s = clock.monotonic_s()
                if piece.new_generation:
                    yield sse("gen", {"fid": fid, "gen": place.gen}, f"{place.gen}:0")
                elif piece.rows:
                    rows = [row_json(row) for row in piece.rows]
                    data: dict[str, Any] = {"fid": fid, "gen": place.gen, "rows": rows, "next": place.byte}
                    yield sse("lines", data, f"{place.gen}:{place.byte}")
                elif now_s - pinged_s >= TAIL_PING_S:
                    yield sse("ping", {"gen": place.gen, "next": place.byte})
                else:
                    await streams.pause(TAIL_POLL_S)
                    continue
                pinged_s = now_s
    except LogferryError as error:  # the answer has begun: it ends with what went wrong
        yield problem_event(error)


def _look(context: WebContext, who: Identity, fid: int, place: _Place) -> _Piece:
    """What there is behind ``place``."""
    sight = Sight.of(context, who)
    following = _following(sight, fid, place)
    try:
        file, generation = sight.generation(fid, place.gen)
    except NotFound:
        # It moved out of sight, or retention took it; between the halves of a rotation there is nothing to go to yet.
        return _Piece(place) if following is None else _Piece(_Place(following, 0), new_generation=True)
    # A generation that moved on to another path (rotation) is over for this one.
    is_over = not generation.current or generation.file_id != fid
    # A compressed file has no new lines before it is whole.
    rows = () if form_by_name(file.name) else _rows(context, generation, place, unfinished=is_over)
    if rows:
        return _Piece(replace(place, byte=rows[-1].byte + rows[-1].length), rows)
    if is_over and following is not None:
        return _Piece(_Place(following, 0), new_generation=True)
    return _Piece(place)


def _following(sight: Sight, fid: int, place: _Place) -> int | None:
    """The path's next generation, if there is one and it may be seen."""
    number = sight.next_generation(fid, place.gen)
    if number is None:
        return None
    try:
        sight.generation(fid, number)
    except NotFound:
        return None
    return number


def _rows(context: WebContext, generation: GenerationRecord, place: _Place, *, unfinished: bool) -> tuple[LineRow, ...]:
    """The lines that end behind ``place``; an unfinished last one only if asked for."""
    if generation.size <= place.byte:
        return ()
    with context.archive.lines(generation.id) as lines:
        page = lines.page_at(place.byte, TAIL_ROWS, TAIL_ROWS_BYTES)
    rows = tuple(row for row in page.rows if row.byte + row.length > place.byte)
    if rows and not unfinished and not _is_finished(context, generation, rows[-1]):
        rows = rows[:-1]
    return rows


def _is_finished(context: WebContext, generation: GenerationRecord, row: LineRow) -> bool:
    if not row.cut:
        return row.length > len(row.data)
    with context.archive.open(generation.id) as reader:
        return reader.read_at(row.byte + row.length - 1, 1) == b"\n"
