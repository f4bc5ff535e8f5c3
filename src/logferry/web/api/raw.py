"""``/files/{fid}/raw``: the exact bytes of a generation, whole or a range of them."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import formatdate
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from logferry.archive import Archive, GenerationReader
from logferry.archive.records import FileRecord, GenerationRecord
from logferry.errors import Later
from logferry.limits import COPY_BYTES
from logferry.web.api.files import Generation
from logferry.web.api.ids import checked_id
from logferry.web.auth import Context, Viewer
from logferry.web.problem import problem
from logferry.web.ranges import ByteRange, Unsatisfiable, disposition, none_match, range_stands, requested_range
from logferry.web.security import RAW_SECURITY_POLICY
from logferry.web.sending import Copying
from logferry.web.sight import Sight
from logferry.web.standing import Standing
from logferry.web.streams import Streams
from logferry.web.trail import note

router = APIRouter(tags=["files"])

_RESPONSES: dict[int | str, dict[str, object]] = {
    200: {"description": "the bytes", "content": {"text/plain": {}}},
    206: {"description": "the range asked for", "content": {"text/plain": {}}},
    304: {"description": "not changed"},
    416: {"description": "no such range; `Content-Range` has the size"},
}


@router.get("/files/{fid}/raw", response_class=Response, responses=_RESPONSES)
@router.head("/files/{fid}/raw", response_class=Response, include_in_schema=False)
def raw(
    request: Request,
    fid: int,
    context: Context,
    who: Viewer,
    gen: Generation = None,
    download: Annotated[bool, Query(description="as a download, under its own name")] = False,
    text: Annotated[bool, Query(description="a compressed file unpacked; any other as it is")] = False,
) -> Response:
    """The bytes as they arrived; `Range`, `If-Range`, `If-None-Match` are understood. Never rendered as a page."""
    file, generation = Sight.of(context, who).generation(checked_id(fid), gen)
    note(
        request,
        target=f"{file.agent}/{file.path}",
        gen=generation.number,
        range=request.headers.get("range", ""),
        skip=request.method == "HEAD",
    )
    with _opened(context.archive, generation.id, text=text) as reader:  # what cannot be read is told first
        size = reader.size
    headers = _headers(file, generation, size, download=download, text=text)
    etag = headers["ETag"]
    if not none_match(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    wanted = None
    if range_stands(request.headers.get("if-range", ""), etag):
        try:
            wanted = requested_range(request.headers.get("range", ""), size)
        except Unsatisfiable:
            told = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
            return problem(request, 416, f"the generation has {size} bytes", hint="ask for less", headers=told)
    part = wanted or ByteRange(0, size)
    headers["Content-Length"] = str(part.end - part.start)
    if wanted:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{size}"
    status = 206 if wanted else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    streams: Streams = request.app.state.streams
    blocks = _blocks(context.archive, generation.id, part, text=text)
    return Copying(streams, Standing(request, context, who), blocks, status, headers)


def _opened(archive: Archive, generation_id: int, *, text: bool) -> GenerationReader:
    return archive.text(generation_id).reader if text else archive.open(generation_id)


def _headers(
    file: FileRecord, generation: GenerationRecord, size: int, *, download: bool, text: bool
) -> dict[str, str]:
    digest = generation.sha256 if generation.size == size and not text else None
    return {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Disposition": disposition("attachment" if download else "inline", file.name),
        "Content-Security-Policy": RAW_SECURITY_POLICY,
        "Accept-Ranges": "bytes",
        # Bytes of a generation never change, they only become more: number and length name them as well as a digest.
        "ETag": f'"{digest or f"{generation.id}-{size}"}{"-text" * text}"',
        "Last-Modified": formatdate(generation.modified_ns / 1e9, usegmt=True),
        "Cache-Control": "private, no-cache",
        "X-Logferry-Generation": str(generation.number),
    }


def _blocks(archive: Archive, generation_id: int, part: ByteRange, *, text: bool) -> Iterator[bytes]:
    """The bytes of the part. Opened here, so that an answer nobody waits for any more leaves nothing open."""
    with _opened(archive, generation_id, text=text) as reader:
        at = part.start
        while at < part.end:
            block = reader.read_at(at, min(COPY_BYTES, part.end - at))
            if not block:  # a compressed file that grew meanwhile may not be unpacked any more
                raise Later("the file changed while it was sent", hint="fetch it again")
            yield block
            at += len(block)
