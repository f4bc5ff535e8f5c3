"""``/archive.zip`` (and tar) and ``/export``: many files at once, made while they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from logferry.limits import PICKED_MAX, QUERY_CHARS_MAX
from logferry.takeout import MEDIA_TYPES, Form, packed, rows_of, time_of, to_ndjson
from logferry.takeout.parquet import to_parquet
from logferry.web.api.files import FilePath, archive_path
from logferry.web.api.ids import checked_id
from logferry.web.auth import Context, Viewer
from logferry.web.picks import Picks, Taking
from logferry.web.ranges import disposition
from logferry.web.sending import Sending
from logferry.web.standing import Standing
from logferry.web.streams import NDJSON, STREAM_HEADERS, Streams
from logferry.web.trail import note

router = APIRouter(tags=["take out"])
PARQUET = "application/vnd.apache.parquet"

AnyAgent = Annotated[str, Query(max_length=64, description="take out what `path` names below this agent")]
Fids = Annotated[list[int] | None, Query(description="a file by its number; any number of times")]
FileQuery = Annotated[str, Query(max_length=QUERY_CHARS_MAX, description="all files that the file search finds")]
_RESPONSES: dict[int | str, dict[str, object]] = {
    200: {"description": "the bytes, as they are made", "content": {t: {} for t in MEDIA_TYPES.values()}}
}


class PickedPlace(BaseModel):
    """A file, or a folder with all below it."""

    agent: str = Field(max_length=64)
    path: str = ""


class Picked(BaseModel):
    """What to take out: places and files, or a query alone."""

    places: list[PickedPlace] = Field(default_factory=list, max_length=PICKED_MAX)
    fids: list[int] = Field(default_factory=list, max_length=PICKED_MAX)
    q: str = Field("", max_length=QUERY_CHARS_MAX)

    def picks(self) -> Picks:
        """As the web has them."""
        places = tuple((p.agent, archive_path(p.path)) for p in self.places)
        return Picks(places, _checked(self.fids), self.q)


def _picks(agent: str, path: str, fids: list[int] | None, q: str) -> Picks:
    return Picks(((agent, archive_path(path)),) if agent else (), _checked(fids or []), q)


def _checked(fids: list[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(checked_id(fid) for fid in fids))


@router.get("/archive.{form}", response_class=StreamingResponse, responses=_RESPONSES)
async def archive(
    request: Request,
    form: Form,
    context: Context,
    who: Viewer,
    agent: AnyAgent = "",
    path: FilePath = "",
    fid: Fids = None,
    q: FileQuery = "",
) -> StreamingResponse:
    """A folder, picked files, or what a query finds as `zip`, `tar`, `tar.gz` or `tar.zst`.

    Last in it: `MANIFEST.json` (size and SHA-256 of each) and, where a file is missing or not whole, `ERRORS.txt`.
    """
    return await _archive(request, form, context, who, _picks(agent, path, fid, q))


@router.post("/archive.{form}", response_class=StreamingResponse, responses=_RESPONSES)
async def archive_of(request: Request, form: Form, picked: Picked, context: Context, who: Viewer) -> StreamingResponse:
    """The same for many picks."""
    return await _archive(request, form, context, who, picked.picks())


async def _archive(request: Request, form: Form, context: Context, who: Viewer, picks: Picks) -> StreamingResponse:
    streams: Streams = request.app.state.streams
    streams.check_room(who.name)

    def begun() -> Iterator[bytes]:
        taking = Taking(context, who, picks)
        _note(request, picks, taking)
        return packed(form, taking.members(), agents=taking.agents(), made_ns=context.clock.now_ns())

    pieces = await run_in_threadpool(begun)
    return Sending(
        streams, "archive", Standing(request, context, who), pieces, _headers(MEDIA_TYPES[form], f"{picks.name}.{form}")
    )


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"description": "one row per line", "content": {NDJSON: {}, PARQUET: {}}}},
)
async def export(
    request: Request,
    context: Context,
    who: Viewer,
    agent: AnyAgent = "",
    path: FilePath = "",
    fid: Fids = None,
    q: FileQuery = "",
    form: Annotated[Literal["ndjson", "parquet"], Query(alias="format")] = "ndjson",
    text: Annotated[bool, Query(description="compressed files unpacked; others as they are")] = False,
) -> StreamingResponse:
    """Lines as rows: `agent`, `path`, `generation`, `line`, `offset`, `time`, and the exact bytes with the line's end.

    NDJSON has them as `text`, or as `base64` where they are not UTF-8; an object with `error` names a file that
    could not be read to its end. Parquet has them in the column `raw`, such files in its metadata `logferry.errors`.
    """
    streams: Streams = request.app.state.streams
    streams.check_room(who.name)
    picks = _picks(agent, path, fid, q)

    def begun() -> Iterator[bytes]:
        taking = Taking(context, who, picks)
        _note(request, picks, taking)
        rows = rows_of(taking.sources(text=text), time_of)
        if form == "ndjson":
            return to_ndjson(rows)
        return to_parquet(rows)

    pieces = await run_in_threadpool(begun)
    headers = _headers(NDJSON if form == "ndjson" else PARQUET, f"{picks.name}.{form}")
    return Sending(streams, "export", Standing(request, context, who), pieces, headers)


def _note(request: Request, picks: Picks, taking: Taking) -> None:
    """Everything that was picked, files by their names: that is what the archive had under these numbers."""
    places = [f"{agent}/{path}" for agent, path in picks.places]
    files = [f"{file.agent}/{file.path}" for file in taking.picked]
    whole = [*places, *files]
    note(request, target=whole[0] if len(whole) == 1 else picks.query or "several", places=places, files=files)


def _headers(media_type: str, name: str) -> dict[str, str]:
    return STREAM_HEADERS | {"Content-Type": media_type, "Content-Disposition": disposition("attachment", name)}
