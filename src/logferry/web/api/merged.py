"""``/merged`` and ``/files/{fid}/series``: several files as one, by time; pieces of a rotated log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse

from logferry.errors import Refused
from logferry.limits import (
    MERGE_BYTES_MAX,
    MERGE_PLACES_CHARS_MAX,
    MERGE_ROWS_MAX,
    SEARCH_TIME_CHARS_MAX,
    ZONE_CHARS_MAX,
)
from logferry.search.merge import START, Line, Merged, Place, after, at_fraction, at_time, before, fraction_of
from logferry.search.merge.source import LAST_NS
from logferry.search.moments import moment
from logferry.web.api.ids import checked_id
from logferry.web.api.lines import row_json, time_text
from logferry.web.api.shapes import FileList, MergedPage, file_shape
from logferry.web.auth import Context, Viewer
from logferry.web.context import WebContext
from logferry.web.merging import (
    Picked,
    Reader,
    cursor_of,
    part_number,
    picked,
    place_in,
    places_of,
    readers,
    series,
    wishes,
)
from logferry.web.sight import Sight
from logferry.web.trail import note
from logferry.zones import zone_named

router = APIRouter(tags=["files"])
_Names = Annotated[
    list[str], Query(max_length=64, description="a file: agent/path, its fid, or fid.generation; repeat it")
]
_Series = Annotated[list[str], Query(max_length=64, description="a rotated log with all its pieces; as `f`")]
_Cursor = Annotated[str, Query(max_length=MERGE_PLACES_CHARS_MAX)]


@router.get("/files/{fid}/series", response_model_exclude_unset=True)
def file_series(fid: int, context: Context, who: Viewer) -> FileList:
    """The pieces of the log that this file is one of, the oldest first: `app.log.2.gz`, `app.log.1`, `app.log`."""
    sight = Sight.of(context, who)
    found = series(sight, sight.file(checked_id(fid)))
    originals = sight.originals(found)
    now_ns = context.clock.now_ns()
    return FileList(items=[file_shape(one, now_ns, originals.get(one.generation_id)) for one in found], next=None)


@router.get("/merged", responses={200: {"model": MergedPage}})
def merged(
    request: Request,
    context: Context,
    who: Viewer,
    f: _Names = [],  # noqa: B006, ARG001 - see s
    s: _Series = [],  # noqa: B006, ARG001 - the order among f and s is that of the address
    after_: Annotated[_Cursor, Query(alias="after", description="`end` of an answer: what follows")] = "",
    before_: Annotated[_Cursor, Query(alias="before", description="`start` of an answer: what comes before")] = "",
    at: Annotated[str, Query(max_length=64, description="a line, `fid.gen.byte`: from it on")] = "",
    time: Annotated[str, Query(max_length=SEARCH_TIME_CHARS_MAX, description="a time: what is of it or later")] = "",
    tz: Annotated[str, Query(max_length=ZONE_CHARS_MAX, description="zone of `time` where it names none")] = "UTC",
    fraction: Annotated[float | None, Query(ge=0, le=1, description="about this share of all bytes before")] = None,
    tail: Annotated[bool, Query(description="the last lines")] = False,
    count: Annotated[int, Query(ge=1, le=MERGE_ROWS_MAX)] = 250,
) -> JSONResponse:
    """Lines of up to eight files in the order of their times; from the start, or from one of the places.

    A file's own lines never change their order; files without times come last. What cannot be read has a `problem`.
    """
    chosen_place = [bool(each) for each in (after_, before_, at, time, tail)]
    if sum([*chosen_place, fraction is not None]) > 1:
        raise Refused("after, before, at, time, fraction and tail exclude one another", hint="keep one")
    sight = Sight.of(context, who)
    wanted = wishes(request.query_params.multi_items())
    if not wanted:
        raise Refused("name the files: f=agent/path&f=agent/path", hint="s=agent/path is a log with its rotated pieces")
    found = picked(context, sight, wanted)
    with readers(context, found) as made:
        targets = [each.parts[-1].path for each in found if each.problem is None]
        note(request, target=targets[0] if len(targets) == 1 else f"{len(targets)} files", files=targets)
        sources = [reader for reader in made if reader is not None]
        if before_ or tail:
            places = places_of(sight, made, before_) if before_ else [source.end() for source in sources]
            page = before(sources, places, count, MERGE_BYTES_MAX)
        else:
            places = _places(context, sight, made, sources, after_, at, time, tz, fraction)
            page = after(sources, places, count, MERGE_BYTES_MAX)
        return JSONResponse(_page(found, made, sources, page))


def _places(
    context: WebContext,
    sight: Sight,
    made: Sequence[Reader | None],
    sources: Sequence[Reader],
    after_: str,
    at: str,
    time: str,
    tz: str,
    fraction: float | None,
) -> list[Place]:
    """Where to begin."""
    if after_:
        return places_of(sight, made, after_)
    if at:
        return _at_line(sight, sources, at)
    if time:
        return at_time(sources, moment(time, "time", context.clock.now_ns(), zone_named(tz)).low)
    if fraction is not None:
        return at_fraction(sources, fraction)
    return [START] * len(sources)


def _at_line(sight: Sight, sources: Sequence[Reader], at: str) -> list[Place]:
    """Right before a line: of equal times the files named before its own come first."""
    parts = at.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
        raise Refused(f"{at[:40]!r} is no line", hint="write fid.gen.byte")
    fid, gen = int(parts[0]), int(parts[1])
    for own, source in enumerate(sources):
        if part_number(sight, source, fid, gen) is None:
            continue
        item = next(source.forward(place_in(sight, source, at)), None)
        if item is None:
            return [source.end() for source in sources]
        key = next((each.time for each in source.forward(item.start) if each.time is not None), LAST_NS)
        if key == LAST_NS:
            rest = [one.end() if one.timed or number < own else START for number, one in enumerate(sources)]
        else:
            rest = [one.seek(key + (number < own)) for number, one in enumerate(sources)]
        rest[own] = item.start
        return rest
    raise Refused("that line is of none of these files", hint="open the file alone")


def _page(
    found: Sequence[Picked], made: Sequence[Reader | None], sources: Sequence[Reader], page: Merged[Place, Line]
) -> dict[str, Any]:
    numbers = [number for number, reader in enumerate(made) if reader is not None]
    ends = [source.end() for source in sources]
    return {
        "sources": [_source(each, reader) for each, reader in zip(found, made, strict=True)],
        "rows": [_row(numbers[track], item.line) for track, item in page.items],
        "start": cursor_of(made, page.start),
        "end": cursor_of(made, page.end),
        "at_start": all(place == START for place in page.start),
        "at_end": all(place >= end for place, end in zip(page.end, ends, strict=True)),
        "fraction": fraction_of(sources, page.start),
        "fraction_end": fraction_of(sources, page.end),
    }


def _row(number: int, line: Line) -> dict[str, Any]:
    where = {"f": number, "fid": line.part.fid, "gen": line.part.gen}
    return where | row_json(line.row) | {"t": time_text(line.time_ns)}


def _source(each: Picked, reader: Reader | None) -> dict[str, Any]:
    problem = each.problem or (reader.problem if reader else None)
    named = reader.named if reader else None
    return {
        "name": each.wish.text,
        "series": each.wish.series,
        "agent": each.file.agent if each.file else "",
        "path": each.file.path if each.file else "",
        "parts": [{"fid": part.fid, "gen": part.gen, "path": part.path, "size": part.size} for part in each.parts],
        "size": reader.size if reader else 0,
        "timed": reader.timed if reader else None,
        "zone": each.zone,
        "names_year": named.year if named else None,
        "names_zone": named.zone if named else None,
        "problem": {"detail": problem.message, "hint": problem.hint} if problem else None,
    }
