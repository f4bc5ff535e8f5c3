"""``/files/{fid}/lines``, ``/text`` and ``/index``: a generation of any size as lines."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse

from logferry.archive import LineRow, Lines
from logferry.archive.records import FileRecord, GenerationRecord
from logferry.archive.timestamps import Reading, rules_of
from logferry.clock import rfc3339
from logferry.encodings import NAMES, SAMPLE_BYTES, UTF_8, Encoding, encoding_named, guess, has_bad_bytes
from logferry.errors import Refused
from logferry.limits import (
    LINE_REST_BYTES,
    LINES_BYTES_PER_REQUEST_MAX,
    LINES_PER_REQUEST_MAX,
    SEARCH_TIME_CHARS_MAX,
    ZONE_CHARS_MAX,
)
from logferry.search.moments import moment
from logferry.search.query.values import TIMES_END_NS
from logferry.search.text import line_text
from logferry.web.api.files import Generation
from logferry.web.api.ids import checked_id
from logferry.web.api.shapes import LineIndex, LinePage, TextPiece
from logferry.web.auth import Context, Viewer
from logferry.web.context import WebContext
from logferry.web.merging import part_of
from logferry.web.sight import Sight
from logferry.web.trail import note
from logferry.zones import zone_named

router = APIRouter(tags=["files"])
NUMBER_MAX = 2**62
ReadAs = Annotated[
    str, Query(max_length=20, description=f"read it as: {', '.join(NAMES)}; absent: as its beginning looks")
]


@router.get("/files/{fid}/lines", responses={200: {"model": LinePage}})
def lines(
    request: Request,
    fid: int,
    context: Context,
    who: Viewer,
    gen: Generation = None,
    from_line: Annotated[int | None, Query(ge=1, le=NUMBER_MAX, description="number of the first line")] = None,
    at_byte: Annotated[int | None, Query(ge=0, le=NUMBER_MAX, description="a byte of the first line")] = None,
    tail: Annotated[int | None, Query(ge=1, le=LINES_PER_REQUEST_MAX, description="so many lines from the end")] = None,
    at_time: Annotated[str, Query(max_length=SEARCH_TIME_CHARS_MAX, description="a time: what is of it or later")] = "",
    tz: Annotated[str, Query(max_length=ZONE_CHARS_MAX, description="zone of `at_time` where it names none")] = "UTC",
    count: Annotated[int, Query(ge=1, le=LINES_PER_REQUEST_MAX)] = 500,
    times: Annotated[bool, Query(description="with the time of each line, `t`")] = False,
    max_bytes: Annotated[int, Query(ge=1, le=LINES_BYTES_PER_REQUEST_MAX)] = LINES_BYTES_PER_REQUEST_MAX,
    enc: ReadAs = "",
) -> JSONResponse:
    """Lines by number, by byte, by time or from the end; by default from the start."""
    if sum(choice is not None for choice in (from_line, at_byte, tail, at_time or None)) > 1:
        raise Refused("from_line, at_byte, at_time and tail exclude one another", hint="keep one")
    file, generation = Sight.of(context, who).generation(checked_id(fid), gen)
    note(request, target=f"{file.agent}/{file.path}", gen=generation.number)
    encoding = encoding_asked(enc)
    with context.archive.lines(generation.id, encoding) as found:
        if at_time:
            at_byte = byte_at_time(context, file, generation, at_time, tz, encoding)
        if tail is not None:
            page = found.tail(tail, max_bytes)
        elif from_line is not None:
            page = found.page_from(from_line, count, max_bytes)
        else:
            page = found.page_at(at_byte or 0, count, max_bytes)
        return JSONResponse(
            {
                "fid": fid,
                "gen": generation.number,
                "size": found.size,
                "lines_total": found.total,
                "exact": page.exact,
                "rows": _rows(context, file, generation, found, page.rows) if times else [*map(row_json, page.rows)],
                "prev": page.prev,
                "next": page.next,
                "end": page.next is None,
                "encoding": found.encoding.name,
                "looks_like": _looks_like(found, page.rows),
            }
        )


@router.get("/files/{fid}/text")
def text(
    request: Request,
    fid: int,
    context: Context,
    who: Viewer,
    at_byte: Annotated[int, Query(ge=0, le=NUMBER_MAX, description="where a character begins: `b` + `shown`")],
    gen: Generation = None,
    max_bytes: Annotated[int, Query(ge=4, le=LINES_BYTES_PER_REQUEST_MAX)] = LINE_REST_BYTES,
    enc: ReadAs = "",
) -> TextPiece:
    """More of a long line, as text; it ends where the line does."""
    file, generation = Sight.of(context, who).generation(checked_id(fid), gen)
    note(request, target=f"{file.agent}/{file.path}", gen=generation.number)
    with context.archive.lines(generation.id, encoding_asked(enc)) as found:
        piece, taken = found.text_at(at_byte, max_bytes)
    return TextPiece(s=line_text(piece), bytes=taken)


@router.get("/files/{fid}/index")
def index(fid: int, context: Context, who: Viewer, gen: Generation = None, enc: ReadAs = "") -> LineIndex:
    """How many lines each MiB holds, as far as counted: what a scroll bar needs."""
    _, generation = Sight.of(context, who).generation(checked_id(fid), gen)
    with context.archive.lines(generation.id, encoding_asked(enc)) as found:
        counted = found.index()
    return LineIndex(
        size=counted.size,
        step=counted.step,
        counts=list(counted.counts),
        lines_total=counted.lines_total,
        complete=counted.complete,
    )


def _rows(
    context: WebContext, file: FileRecord, generation: GenerationRecord, found: Lines, rows: Sequence[LineRow]
) -> list[dict[str, Any]]:
    """Lines with their times, as their file tells them."""
    from logferry.search.merge.source import times_of  # its kernels are loaded by whoever asks for times

    reading = Reading(generation.changed_ns, rules_of(context.archive.zone_of(file.agent)))
    times = times_of(rows, reading, found.head)
    return [row_json(row) | {"t": time_text(time)} for row, time in zip(rows, times, strict=True)]


def byte_at_time(
    context: WebContext,
    file: FileRecord,
    generation: GenerationRecord,
    at_time: str,
    tz: str,
    encoding: Encoding | None,
) -> int:
    """Where the first line of that time or later begins; the end when there is none. Raises Refused."""
    from logferry.search.merge import Source

    time_ns = moment(at_time, "at_time", context.clock.now_ns(), zone_named(tz)).low
    zone = context.archive.zone_of(file.agent)
    source = Source(
        [part_of(file, file, generation, generation.number, zone)],
        lambda _: context.archive.lines(generation.id, encoding),
    )
    with contextlib.closing(source):
        if not source.timed:
            raise Refused(f"{file.path} has no times", hint="go to a line number, 42 % or a byte")
        return source.seek(time_ns)[1]


def encoding_asked(name: str) -> Encoding | None:
    """What a file is to be read as; None: as it looks. Raises Refused."""
    return encoding_named(name) if name else None


def _looks_like(found: Lines, rows: Sequence[LineRow]) -> str | None:
    """What lines with bytes that are no UTF-8 look like instead; None where nothing is wrong or nothing fits."""
    if found.encoding is not UTF_8:
        return None
    bad = b"\n".join(row.data for row in rows if not row.cut and has_bad_bytes(row.data))
    likely = guess(bad[:SAMPLE_BYTES]) if bad else UTF_8
    return None if likely is UTF_8 or likely.is_wide else likely.name


def time_text(time_ns: int | None) -> str | None:
    """A line's time as JSON has it; null where it shows none, or none that a calendar has."""
    return rfc3339(time_ns) if time_ns is not None and 0 <= time_ns < TIMES_END_NS else None


def row_json(row: LineRow) -> dict[str, Any]:
    """A line as JSON has it (``shapes.Row``)."""
    found = {
        "n": row.number,
        "b": row.byte,
        "len": row.length,
        "s": line_text(row.data, cut=row.cut),
        "cut": row.cut,
    }
    return found | {"shown": row.shown} if row.cut else found
