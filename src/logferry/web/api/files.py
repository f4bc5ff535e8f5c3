"""``/tree``, ``/file``, ``/files``: folders and files, from the catalog alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from logferry.archive.records import FileRecord
from logferry.errors import Refused
from logferry.limits import CURSOR_CHARS_MAX, FOLDER_PAGE_ENTRIES, PAGE_ITEMS_MAX, QUERY_CHARS_MAX, ROW_ID_MAX
from logferry.server.people import Identity
from logferry.web.api.ids import checked_id
from logferry.web.api.shapes import (
    File,
    FileList,
    GenerationList,
    Tree,
    file_shape,
    folder_shape,
    generation_shape,
)
from logferry.web.auth import Context, Viewer
from logferry.web.choosing import Order, sorted_files
from logferry.web.context import WebContext
from logferry.web.sight import Sight

router = APIRouter(tags=["files"])

AgentId = Annotated[str, Query(max_length=64, description="the agent's id")]
FilePath = Annotated[str, Query(description="a path below the agent, with or without a leading slash")]
Cursor = Annotated[
    str | None, Query(max_length=CURSOR_CHARS_MAX, pattern="^[ -~]*$", description="`next` of the page before")
]
Generation = Annotated[
    int | None, Query(ge=1, le=ROW_ID_MAX, description="number of a generation; absent: the current or last one")
]


def archive_path(path: str) -> str:
    """A path as people write it (``/var/log/``) as the archive has it (``var/log``)."""
    return path.strip("/")


@router.get("/tree", response_model_exclude_unset=True)
def tree(
    context: Context,
    who: Viewer,
    agent: AgentId,
    path: FilePath = "",
    limit: Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)] = FOLDER_PAGE_ENTRIES,
    cursor: Cursor = None,
) -> Tree:
    """One page of a folder: its folders with the sums of everything below, then its files."""
    now_ns = context.clock.now_ns()
    sight = Sight.of(context, who)
    folder, page = sight.folder(agent, archive_path(path), cursor=cursor, limit=limit)
    return Tree(
        agent=agent,
        path=folder.path,
        files=folder.files,
        bytes=folder.bytes,
        folders=[folder_shape(record) for record in page.folders],
        items=_seen(sight, page.files, now_ns),
        next=page.next,
    )


@router.get("/file", response_model_exclude_unset=True)
def file_at(context: Context, who: Viewer, agent: AgentId, path: FilePath) -> File:
    """The file at a path."""
    sight = Sight.of(context, who)
    return _one(context, sight, sight.file_at(agent, archive_path(path)))


@router.get("/files", response_model_exclude_unset=True)
def find_files(
    context: Context,
    who: Viewer,
    q: Annotated[str, Query(max_length=QUERY_CHARS_MAX, description="a query; bare words match the path")] = "",
    agent: Annotated[str, Query(max_length=64, description="glob over agents")] = "",
    limit: Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)] = 100,
    cursor: Cursor = None,
    sort: Annotated[Order, Query(description="`newest` and `largest` give one page, of at most 5,000 that match")] = (
        "name"
    ),
) -> FileList:
    """Files by name, size, time and the like; fields of lines are refused."""
    if sort != "name":
        return _sorted_files(context, who, q, agent, limit, cursor, sort)
    page = context.search.find_files(q, agent=agent, scope=who.scope, cursor=cursor, limit=limit)
    return FileList(items=_shapes(context, who, page.files), next=page.next)


def _sorted_files(
    context: WebContext, who: Identity, q: str, agent: str, limit: int, cursor: str | None, sort: Order
) -> FileList:
    if cursor is not None:
        raise Refused(f"sort={sort} has one page", hint="leave cursor out, or sort by name")
    found = sorted_files(context, who, q, sort, limit, agent=agent)
    return FileList(items=_shapes(context, who, found.files), next=None, matching=found.count, complete=found.complete)


def _shapes(context: WebContext, who: Identity, records: Sequence[FileRecord]) -> list[File]:
    return _seen(Sight.of(context, who), records, context.clock.now_ns())


def _seen(sight: Sight, records: Sequence[FileRecord], now_ns: int) -> list[File]:
    originals, measures = sight.originals(records), sight.measures(records)
    return [
        file_shape(record, now_ns, originals.get(record.generation_id), measures.get(record.generation_id))
        for record in records
    ]


@router.get("/files/{fid}", response_model_exclude_unset=True)
def get_file(fid: int, context: Context, who: Viewer) -> File:
    """One file by its number."""
    sight = Sight.of(context, who)
    return _one(context, sight, sight.file(checked_id(fid)))


@router.get("/files/{fid}/generations")
def list_generations(
    fid: int,
    context: Context,
    who: Viewer,
    sha256: Annotated[
        int | None, Query(ge=1, le=ROW_ID_MAX, description="compute the digest of this generation if need be")
    ] = None,
) -> GenerationList:
    """The generations held under a file, oldest first."""
    found = Sight.of(context, who).generations(checked_id(fid))
    return GenerationList(
        items=[
            generation_shape(g, context.archive.digest(g.id) if g.number == sha256 and g.sha256 is None else None)
            for g in found
        ]
    )


def _one(context: WebContext, sight: Sight, record: FileRecord) -> File:
    return _seen(sight, [record], context.clock.now_ns())[0]
