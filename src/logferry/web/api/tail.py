"""``/tail``: files as they grow, as server-sent events. Each has an id, so a broken stream continues without loss.

Events: ``lines`` ``{fid, gen, rows, next}`` with id ``<gen>:<byte>`` (of several files ``<fid>:<gen>:<byte>,…``);
``gen`` ``{fid, gen}`` when a path begins a new life; ``ping`` every 15 s. Only whole lines are sent; the rest of an
unfinished last line comes when its generation ended.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from logferry.archive import LineRow
from logferry.archive.records import GenerationRecord
from logferry.compressed import form_by_name
from logferry.encodings import Encoding
from logferry.errors import LogferryError, NotFound, Refused
from logferry.limits import (
    TAIL_FILES_MAX,
    TAIL_PING_S,
    TAIL_PLACES_CHARS_MAX,
    TAIL_POLL_S,
    TAIL_ROWS,
    TAIL_ROWS_BYTES,
)
from logferry.server.people import Identity
from logferry.web.api.files import Generation
from logferry.web.api.ids import checked_id
from logferry.web.api.lines import ReadAs, encoding_asked, row_json
from logferry.web.auth import Context, Viewer
from logferry.web.context import WebContext
from logferry.web.sight import Sight
from logferry.web.standing import Standing
from logferry.web.streams import SSE, STREAM_HEADERS, Streams, problem_event, sse
from logferry.web.trail import note

router = APIRouter(tags=["files"])
_EVENT_ID = re.compile(r"([0-9]{1,18}):([0-9]{1,18})")
_PLACE = re.compile(r"([0-9]{1,18}):([0-9]{1,18}):([0-9]{1,18})")


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
    f: Annotated[
        list[int],
        Query(min_length=1, max_length=TAIL_FILES_MAX, description="the file's fid; several: their lines as they come"),
    ],
    gen: Generation = None,
    from_: Annotated[int | None, Query(alias="from", ge=0, le=2**62, description="first byte; absent: the end")] = None,
    at: Annotated[
        str, Query(max_length=TAIL_PLACES_CHARS_MAX, description="places to begin at, as the id of an event has them")
    ] = "",
    enc: ReadAs = "",
) -> StreamingResponse:
    """Follow files. `Last-Event-ID` continues where a broken stream ended; `at` does so for whoever cannot send it.

    Of one file an id is `<gen>:<byte>`, of several `<fid>:<gen>:<byte>,…`. `gen` and `from` are for one file alone.
    """
    streams: Streams = request.app.state.streams
    streams.check_room(who.name)
    fids = list(dict.fromkeys(checked_id(fid) for fid in f))
    if len(fids) > 1 and (gen is not None or from_ is not None):
        raise Refused("gen and from are for one file", hint="say where each begins: at=<fid>:<gen>:<byte>,…")
    resumed = _places(request.headers.get("last-event-id", "") or at, fids)
    places, targets = await run_in_threadpool(_start, context, who, fids, gen, from_, resumed)
    if len(targets) == 1:
        note(request, target=targets[0], gen=places[fids[0]].gen)
    else:
        note(request, target=f"{len(targets)} files", files=targets)
    events = _events(request, streams, context, who, places, encoding_asked(enc))
    return StreamingResponse(events, media_type=SSE, headers=STREAM_HEADERS)


def _places(ids: str, fids: list[int]) -> dict[int, _Place]:
    """The places that an event's id tells, by fid. Raises Refused."""
    if not ids:
        return {}
    if len(fids) == 1 and (one := _EVENT_ID.fullmatch(ids)):
        return {fids[0]: _Place(int(one[1]), int(one[2]))}
    found: dict[int, _Place] = {}
    for part in ids.split(","):
        place = _PLACE.fullmatch(part)
        if place is None or len(found) > TAIL_FILES_MAX:
            raise Refused("Last-Event-ID is not one of ours", hint="leave it out to begin at the end of the files")
        found[int(place[1])] = _Place(int(place[2]), int(place[3]))
    return {fid: place for fid, place in found.items() if fid in fids}


def _start(
    context: WebContext,
    who: Identity,
    fids: list[int],
    gen: int | None,
    start: int | None,
    resumed: Mapping[int, _Place],
) -> tuple[dict[int, _Place], list[str]]:
    """Where to begin in each file, and agent and path of each. Raises NotFound, Refused.

    One of several that is gone since the stream broke is no reason to end it for the others.
    """
    sight = Sight.of(context, who)
    places: dict[int, _Place] = {}
    targets: list[str] = []
    missing: list[NotFound] = []
    for fid in fids:
        known = resumed.get(fid)
        number = known.gen if known else gen
        try:
            file, generation = sight.generation(fid, number)
        except NotFound as error:
            if known is None:
                raise
            missing.append(error)
            places[fid] = known
            continue
        targets.append(f"{file.agent}/{file.path}")
        byte = known.byte if known else start
        places[fid] = _Place(generation.number if number is None else number, generation.size if byte is None else byte)
    if len(missing) == len(fids):
        raise missing[0]
    return places, targets


async def _events(
    request: Request,
    streams: Streams,
    context: WebContext,
    who: Identity,
    places: dict[int, _Place],
    encoding: Encoding | None = None,
) -> AsyncIterator[bytes]:
    clock = context.clock
    standing = Standing(request, context, who)
    try:
        async with streams.opened("tail", who.name):
            pinged_s = clock.monotonic_s()
            yield b": following\n\n"
            while not streams.stopping:
                await standing.check(streams)
                news = await streams.run(lambda: _news(context, who, places, encoding))
                now_s = clock.monotonic_s()
                for fid, piece in news:
                    places[fid] = piece.place
                    yield _told(fid, piece, _id_of(places))
                if not news and now_s - pinged_s >= TAIL_PING_S:
                    yield sse("ping", _ping(places))
                elif not news:
                    await streams.pause(TAIL_POLL_S)
                    continue
                pinged_s = now_s
    except LogferryError as error:  # the answer has begun: it ends with what went wrong
        yield problem_event(error)


def _news(
    context: WebContext, who: Identity, places: Mapping[int, _Place], encoding: Encoding | None
) -> list[tuple[int, _Piece]]:
    """The files that have something behind their place, and what."""
    looked = ((fid, _look(context, who, fid, place, encoding)) for fid, place in places.items())
    return [(fid, piece) for fid, piece in looked if piece.rows or piece.new_generation]


def _told(fid: int, piece: _Piece, event_id: str) -> bytes:
    if piece.new_generation:
        return sse("gen", {"fid": fid, "gen": piece.place.gen}, event_id)
    rows = [row_json(row) for row in piece.rows]
    data: dict[str, Any] = {"fid": fid, "gen": piece.place.gen, "rows": rows, "next": piece.place.byte}
    return sse("lines", data, event_id)


def _id_of(places: Mapping[int, _Place]) -> str:
    """The id of an event: where a stream that breaks behind it goes on."""
    if len(places) == 1:
        (place,) = places.values()
        return f"{place.gen}:{place.byte}"
    return ",".join(f"{fid}:{place.gen}:{place.byte}" for fid, place in places.items())


def _ping(places: Mapping[int, _Place]) -> dict[str, Any]:
    if len(places) == 1:
        (place,) = places.values()
        return {"gen": place.gen, "next": place.byte}
    return {"files": len(places)}


def _look(context: WebContext, who: Identity, fid: int, place: _Place, encoding: Encoding | None) -> _Piece:
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
    rows = () if form_by_name(file.name) else _rows(context, generation, place, encoding, unfinished=is_over)
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


def _rows(
    context: WebContext, generation: GenerationRecord, place: _Place, encoding: Encoding | None, *, unfinished: bool
) -> tuple[LineRow, ...]:
    """The lines that end behind ``place``; an unfinished last one only if asked for."""
    if generation.size <= place.byte:
        return ()
    with context.archive.lines(generation.id, encoding) as lines:
        page = lines.page_at(place.byte, TAIL_ROWS, TAIL_ROWS_BYTES)
    rows = tuple(row for row in page.rows if row.byte + row.length > place.byte)
    if rows and not unfinished and not rows[-1].ended:
        rows = rows[:-1]
    return rows
