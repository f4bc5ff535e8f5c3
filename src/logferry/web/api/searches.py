"""``/searches``: searches that go on by themselves and keep what they find for whoever started them."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import ConfigDict
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from logferry.clock import rfc3339
from logferry.errors import LogferryError, Refused
from logferry.limits import SEARCH_PAGE_HITS_MAX, SEARCH_UNLIMITED, TAIL_PING_S
from logferry.server.people import Identity
from logferry.web.api.asked import Asked
from logferry.web.api.search import SSE_EXAMPLE
from logferry.web.api.shapes import Search, SearchList
from logferry.web.auth import Context, Viewer
from logferry.web.context import WebContext
from logferry.web.eventforms import event_json
from logferry.web.jobs import Job, Jobs
from logferry.web.standing import Standing
from logferry.web.streams import SSE, STREAM_HEADERS, Streams, problem_event, sse
from logferry.web.trail import note

router = APIRouter(tags=["search"])
_NUMBER = re.compile(r"[0-9]{1,12}")
_HITS_PER_PIECE = 200


class NewSearch(Asked):
    """What to search for. With `limit` 0 it ends when it may keep no more hits."""

    model_config = ConfigDict(
        extra="forbid",
        populate_by_name=True,
        json_schema_extra={"examples": [{"q": 'agent:web* "connection refused"', "from": "now-24h", "limit": 500}]},
    )


def jobs_of(request: Request) -> Jobs:
    """The jobs of this process."""
    jobs: Jobs = request.app.state.jobs
    return jobs


@router.post("/searches", status_code=201)
def start(request: Request, response: Response, context: Context, who: Viewer, body: NewSearch) -> Search:
    """Start a search that goes on by itself. It is cancelled when nobody asks about it for a few minutes."""
    asked = body.model_dump(by_alias=True, exclude_unset=True)
    note(request, **{"q": "", **asked})
    wanted = body.request(context, who, threading.Event())
    job = jobs_of(request).start(who, wanted, {"q": "", **asked})
    response.headers["Location"] = f"{request.scope.get('root_path', '')}/api/v1/searches/{job.id}"
    return search_shape(job)


@router.get("/searches")
def searches(request: Request, who: Viewer) -> SearchList:
    """Your own, the newest first."""
    return SearchList(items=[search_shape(job) for job in jobs_of(request).all(who)], next=None)


@router.get("/searches/{job_id}")
def search(job_id: str, request: Request, who: Viewer) -> Search:
    """How far it is, why it ended, what it could not look at."""
    return search_shape(jobs_of(request).get(who, job_id))


@router.delete("/searches/{job_id}", status_code=204)
def remove(job_id: str, request: Request, who: Viewer) -> None:
    """Cancel it if it runs, and forget what it found."""
    jobs = jobs_of(request)
    jobs.remove(jobs.get(who, job_id))


@router.post("/searches/{job_id}/cancel")
def cancel(job_id: str, request: Request, who: Viewer) -> Search:
    """Stop it and keep what it found; of one that ended nothing changes."""
    job = jobs_of(request).get(who, job_id)
    job.cancel.set()
    job.wait(1.0)
    return search_shape(job)


@router.get(
    "/searches/{job_id}/hits",
    responses={
        200: {
            "description": "`{items, next, state}`; `next` is null when no more can come",
            "content": {"application/json": {"example": {"items": [], "next": "200", "state": "running"}}},
        }
    },
)
def hits(
    job_id: str,
    request: Request,
    who: Viewer,
    cursor: Annotated[str, Query(max_length=16, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=SEARCH_PAGE_HITS_MAX)] = 200,
) -> Response:
    """Hits in the order in which they were found, page by page; a page never changes.

    While it runs `next` is always there: ask again for what was found since.
    """
    job = jobs_of(request).get(who, job_id)
    first = _number(cursor, "cursor") if cursor else 0
    if first > job.found:
        raise Refused("the cursor is not one of this search", hint="begin without one")
    taken, is_last = job.hits(first, limit)
    after = b"null" if is_last else b'"%d"' % (first + len(taken))
    body = b'{"items":[%s],"next":%s,"state":"%s"}' % (b",".join(taken), after, job.state.encode())
    return Response(body, media_type="application/json")


@router.get(
    "/searches/{job_id}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "`hit`, `progress`, at last `done` or `problem`",
            "content": {SSE: {"example": f"id: 1\n{SSE_EXAMPLE}"}},
        }
    },
)
async def events(job_id: str, request: Request, context: Context, who: Viewer) -> StreamingResponse:
    """Its hits and progress as they come, from the first on. `Last-Event-ID` continues where a broken stream ended."""
    streams: Streams = request.app.state.streams
    streams.check_room(who.name)
    job = jobs_of(request).get(who, job_id)
    last_id = request.headers.get("last-event-id", "")
    first = _number(last_id, "Last-Event-ID") if last_id else 0
    if first > job.found:
        raise Refused("Last-Event-ID is not one of this search", hint="leave it out to begin with the first hit")
    return StreamingResponse(
        _events(request, context, who, streams, job, first), media_type=SSE, headers=STREAM_HEADERS
    )


def _number(text: str, what: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise Refused(f"{what} is not one of ours", hint="leave it out to begin with the first hit")
    return int(text)


async def _events(
    request: Request, context: WebContext, who: Identity, streams: Streams, job: Job, sent: int
) -> AsyncIterator[bytes]:
    clock = context.clock
    standing = Standing(request, context, who)
    news = _News()
    told = None
    try:
        async with streams.opened("search", who.name):
            job.follow(news.wake)
            said_s = clock.monotonic_s()
            yield b": searching\n\n"
            while not streams.stopping:
                news.taken()
                job.heard()
                await standing.check(streams)
                progress = job.progress
                taken, is_last = job.hits(sent, _HITS_PER_PIECE)
                parts = []
                for data in taken:
                    sent += 1
                    parts.append(b"id: %d\nevent: hit\ndata: %s\n\n" % (sent, data))
                if progress is not told:
                    told = progress
                    parts.append(sse("progress", event_json(progress), str(sent)))
                if is_last:
                    parts.append(_end(job, sent))
                if parts:
                    said_s = clock.monotonic_s()
                    yield b"".join(parts)
                elif clock.monotonic_s() - said_s >= TAIL_PING_S:
                    said_s = clock.monotonic_s()
                    yield b": still searching\n\n"
                if is_last:
                    return
                if not taken:
                    await news.wait()
    except LogferryError as error:  # the answer has begun: it ends with what went wrong
        yield problem_event(error)
    finally:
        job.unfollow(news.wake)
        job.heard()


class _News:
    """Tells the event loop that a job has something new: once, however much it is and however busy the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._fresh = asyncio.Event()
        self._is_told = False

    def wake(self) -> None:
        """From any thread."""
        if not self._is_told and not self._loop.is_closed():
            self._is_told = True
            self._loop.call_soon_threadsafe(self._fresh.set)

    def taken(self) -> None:
        """Before looking at what is new: what comes from now on wakes again."""
        self._fresh.clear()
        self._is_told = False

    async def wait(self) -> None:
        """For news, or long enough to look whether the program is about to end."""
        try:
            await asyncio.wait_for(self._fresh.wait(), 0.5)
        except TimeoutError:
            return


def _end(job: Job, sent: int) -> bytes:
    if job.done is not None:
        return sse("done", event_json(job.done) | {"state": job.state, "why": job.why}, str(sent))
    problem = job.problem
    hint = problem.hint if problem else "try again; the server's log has the reason"
    return sse("problem", {"detail": job.why, "hint": hint, "status": problem.http_status if problem else 500})


def search_shape(job: Job) -> Search:
    """A job as JSON has it."""
    now = job.done or job.progress
    return Search(
        id=job.id,
        state=job.state,
        why=job.why,
        complete=job.state == "done" and not (job.done and job.done.errors),
        asked=job.asked,
        limit=None if job.limit == SEARCH_UNLIMITED else job.limit,
        started_at=rfc3339(job.started_ns),
        ended_at=rfc3339(job.ended_ns) if job.ended_ns is not None else None,
        scanned_bytes=now.scanned_bytes,
        total_bytes=now.total_bytes,
        files_done=now.files_done,
        files_total=now.files_total,
        hits=job.found,
        errors=list(job.done.errors) if job.done else [],
        copies=job.done.copies if job.done else 0,
        remarks=list(job.done.remarks) if job.done else [],
    )
