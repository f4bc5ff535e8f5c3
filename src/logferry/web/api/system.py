"""What needs no sign-in: version, health, readiness; and the counters, for this machine or an operator's token."""

from __future__ import annotations

import math
from collections import Counter

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

import logferry
from logferry.archive.catalog.facts import BACKED_UP
from logferry.clock import rfc3339
from logferry.errors import Later, LogferryError, NotFound
from logferry.limits import INDEX_FAILED_NAMED_MAX, SCRUB_S
from logferry.server.alerts.rules import KINDS
from logferry.server.health import STATES, agent_state, heard_of
from logferry.server.loopback import is_loopback
from logferry.web.api.shapes import Flaw, FlawList, Job, JobList, Version
from logferry.web.auth import Context, Operator, client_address, identify
from logferry.web.metrics import (
    AGENTS,
    ALERT_MESSAGES,
    ALERTS,
    ALERTS_MUTED,
    BACKUP_S,
    CONTENT_BYTES,
    FLAWS,
    INDEX_BYTES,
    REGISTRY,
    SEGMENT_BYTES,
    SEGMENTS,
    UNINDEXED,
    UNVERIFIED_S,
)

router = APIRouter(tags=["system"])
plain = APIRouter(tags=["system"])
"""Routes outside ``/api/v1``."""


@router.get("/version")
def version() -> Version:
    """What runs here."""
    return Version(name="logferry", version=logferry.__version__, api="v1")


@router.get("/system/jobs")
def jobs(context: Context, who: Operator) -> JobList:
    """What the server does in the background, and how far it is; what failed by name for those who see everything."""
    sums = context.catalog.copies.sums()
    about = "looks into compressed files; found: those that hold the text of another file, which is not searched twice"
    copies = Job(
        name="compressed-copies", about=about, items=sums.files, waiting=sums.waiting, found=sums.copies,
        failed=sums.broken,
    )  # fmt: skip
    since_ns = context.clock.now_ns() - int((context.config.archive.scrub_every or SCRUB_S) * 1e9)
    health = context.catalog.care.sums(since_ns)
    scrub = Job(
        name="scrub", about="reads all segments and compares them with their checksums; failed: damaged places",
        items=health.segments, waiting=health.segments - health.verified, found=health.verified, failed=health.flaws,
    )  # fmt: skip
    indexed = context.archive.index_sums()
    index = Job(
        name="index",
        about="builds the indexes of segments; found: those that can be used; failed: damaged or not built, and tried "
        "again later",
        items=indexed.segments, waiting=indexed.segments - indexed.indexed, found=indexed.indexed,
        failed=indexed.failed,
        problems=context.catalog.indexing.problems(INDEX_FAILED_NAMED_MAX) if who.scope.everything else [],
    )  # fmt: skip
    return JobList(items=[copies, scrub, index])


@router.get("/system/flaws")
def flaws(context: Context, who: Operator) -> FlawList:
    """What verifying found damaged and has not found well since, of what you may see."""
    return FlawList(
        items=[
            Flaw(
                place=f.place, frame=None if f.frame < 0 else f.frame, kind=f.kind, agent=f.agent, path=f.path,
                what=f.what, since=rfc3339(f.since_ns), seen=rfc3339(f.seen_ns),
            )
            for f in context.catalog.care.flaws()
            if who.scope.everything or (f.path and who.scope.sees(f.agent, f.path))
        ]
    )  # fmt: skip


@plain.get("/healthz")
async def healthz() -> dict[str, bool]:
    """Whether the process answers."""
    return {"ok": True}


@plain.get("/readyz")
def readyz(context: Context) -> dict[str, bool]:
    """Whether it can serve: the catalog answers."""
    try:
        context.catalog.agents.get("-")
    except (SQLAlchemyError, LogferryError) as error:
        raise Later("the catalog does not answer", hint="look in the server's log") from error
    return {"ready": True}


@plain.get("/metrics", response_class=Response)
def metrics(request: Request, context: Context) -> Response:
    """Counters for Prometheus. From this machine, or with an operator's token."""
    if not is_loopback(client_address(request)):
        who = identify(request, context)
        if who is None or not who.may("operator"):
            raise NotFound("there is nothing here")
    _measure(context)
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


def _measure(context: Context) -> None:
    """What other processes do stands in the catalog."""
    now_ns = context.clock.now_ns()
    _measure_alerts(context, now_ns)
    health = context.catalog.care.sums(now_ns)
    FLAWS.set(health.flaws)
    SEGMENTS.set(health.segments)
    _, size, content = context.catalog.sealing.sums()
    SEGMENT_BYTES.set(size)
    CONTENT_BYTES.set(content)
    indexed = context.archive.index_sums()
    INDEX_BYTES.set(indexed.bytes)
    UNINDEXED.set(indexed.segments - indexed.indexed)
    backed_up_ns = int(context.catalog.facts.get(BACKED_UP) or 0)
    BACKUP_S.set(max(0, now_ns - backed_up_ns) / 1e9 if backed_up_ns else math.inf)
    UNVERIFIED_S.set(0 if health.oldest_ns is None else max(0, now_ns - health.oldest_ns) / 1e9)


def _measure_alerts(context: Context, now_ns: int) -> None:
    rows = context.catalog.alerting
    found = rows.open()
    muted = {(mute.kind, mute.subject) for mute in rows.mutes(now_ns)}
    kinds = Counter(alert.kind for alert in found)
    for kind in KINDS:
        ALERTS.labels(kind).set(kinds[kind])
    ALERTS_MUTED.set(sum((alert.kind, alert.subject) in muted for alert in found))
    sums = rows.message_sums()
    for channel in context.config.channels:
        for state in ("waiting", "sending", "sent", "failed"):
            ALERT_MESSAGES.labels(channel, state).set(sums.get((channel, state), 0))
    states = Counter(agent_state(heard_of(record), now_ns).state for record in context.catalog.agents.list())
    for word in STATES:
        AGENTS.labels(word).set(states[word])
