"""``/system/storage``, ``/system/scrub``, ``/system/certificate``, ``/system/config``, ``/system/about``."""

from __future__ import annotations

import platform
import sqlite3
from importlib import metadata
from typing import Any

import structlog
from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request

import logferry
from logferry.archive.catalog.facts import BACKED_UP, SCRUB_ASKED
from logferry.clock import rfc3339
from logferry.limits import SCRUB_S
from logferry.server.certificate import certificate_of
from logferry.server.disk import disk_room
from logferry.server.first_run import identity, loaded_config
from logferry.web.api.shapes import Shape
from logferry.web.auth import Context, WholeAdministrator
from logferry.web.context import WebContext
from logferry.web.trail import note

log = structlog.get_logger("logferry.web")
router = APIRouter(tags=["system"])
PACKAGES = ("fastapi", "starlette", "uvicorn", "sqlalchemy", "zstandard", "numpy", "numba", "google-re2", "obstore")


class Storage(Shape):
    """Where the bytes are. ``disk_…``: of the disk with the live tree; below ``disk_floor`` free, uploads get 452."""

    root: str
    store: str
    catalog: str
    disk_total: int
    disk_free: int
    disk_floor: int
    disk_message: str
    agents: int
    held_files: int = Field(description="all generations")
    held_bytes: int = Field(description="of all generations, by their own length")
    segments: int
    segment_bytes: int = Field(description="what the segments take")
    sealed_bytes: int = Field(description="what is in them")
    index_bytes: int
    catalog_bytes: int = Field(description="about")
    backed_up_at: str | None


class ScrubState(Shape):
    """How far verifying is: of ``segments`` so many were ``verified`` since ``since``."""

    since: str
    asked_at: str | None = Field(description="when somebody asked for all to be verified anew")
    segments: int
    verified: int
    flaws: int
    oldest_at: str | None = Field(description="when the segment was verified that was not for longest")


class CertificateState(Shape):
    """The server's certificate, for FTP and, where it is not on loopback, the web."""

    path: str
    names: list[str]
    issuer: str
    self_made: bool
    not_before: str
    not_after: str
    days_left: int
    pin: str


class Setting(Shape):
    """One setting in force, and where it comes from: a file, the environment, a flag, or the default."""

    setting: str
    value: Any
    origin: str


class SettingList(Shape):
    """All settings; passwords stand in files and so not here."""

    items: list[Setting]
    next: str | None = None
    path: str = Field(description="the settings file that was read; empty: none")
    warnings: list[str]


class About(Shape):
    """What runs here."""

    version: str
    python: str
    system: str
    sqlite: str
    packages: dict[str, str]


@router.get("/system/storage")
def storage(context: Context, _who: WholeAdministrator) -> Storage:
    """How much is where, and how much room there is."""
    room = disk_room(context.config)
    agents = context.catalog.agents.list()
    segments, segment_bytes, sealed_bytes = context.catalog.sealing.sums()
    backed_up_ns = int(context.catalog.facts.get(BACKED_UP) or 0)
    return Storage(
        root=context.config.data_dir,
        store=context.config.store.url,
        catalog=context.config.catalog.shown_url,
        disk_total=room.total,
        disk_free=room.free,
        disk_floor=room.floor,
        disk_message=room.message,
        agents=len(agents),
        held_files=sum(agent.held_files for agent in agents),
        held_bytes=sum(agent.held_bytes for agent in agents),
        segments=segments,
        segment_bytes=segment_bytes,
        sealed_bytes=sealed_bytes,
        index_bytes=context.archive.index_sums().bytes,
        catalog_bytes=context.catalog.size_bytes(),
        backed_up_at=rfc3339(backed_up_ns) if backed_up_ns else None,
    )


@router.get("/system/scrub")
def scrub(context: Context, _who: WholeAdministrator) -> ScrubState:
    """How far verifying is, in the background and as somebody asked."""
    return scrub_state(context)


@router.post("/system/scrub", status_code=202)
def begin_scrub(request: Request, context: Context, who: WholeAdministrator) -> ScrubState:
    """Every segment is verified anew, those first that were not for longest; it begins within a minute."""
    context.catalog.facts.put(SCRUB_ASKED, str(context.clock.now_ns()))
    log.info("a scrub was asked for", by=who.name)
    note(request, action="scrub.begin", target="every segment")
    return scrub_state(context)


def scrub_state(context: WebContext) -> ScrubState:
    """For routes and pages."""
    asked_ns = int(context.catalog.facts.get(SCRUB_ASKED) or 0)
    every_s = context.config.archive.scrub_every or SCRUB_S
    since_ns = max(context.clock.now_ns() - int(every_s * 1e9), asked_ns)
    sums = context.catalog.care.sums(since_ns)
    return ScrubState(
        since=rfc3339(since_ns),
        asked_at=rfc3339(asked_ns) if asked_ns else None,
        segments=sums.segments,
        verified=sums.verified,
        flaws=sums.flaws,
        oldest_at=rfc3339(sums.oldest_ns) if sums.oldest_ns else None,
    )


@router.get("/system/certificate")
def certificate(context: Context, _who: WholeAdministrator) -> CertificateState:
    """For whom it is, until when, and the pin by which agents know it."""
    found = certificate_of(identity(context.config))
    return CertificateState(
        path=found.path,
        names=list(found.names),
        issuer=found.issuer,
        self_made=found.is_self_made,
        not_before=rfc3339(found.not_before_ns),
        not_after=rfc3339(found.not_after_ns),
        days_left=found.days_left(context.clock.now_ns()),
        pin=found.pin,
    )


@router.get("/system/config")
def settings_in_force(context: Context, _who: WholeAdministrator) -> SettingList:
    """Every setting with its origin, as `logferry config show --origin` prints it."""
    loaded = loaded_config(context.config)
    items = [Setting(setting=name, value=value, origin=origin) for name, value, origin in loaded.rows()]
    return SettingList(items=items, path=loaded.path, warnings=context.config.warnings())


@router.get("/system/about")
def about(_who: WholeAdministrator) -> About:
    """Versions: of this program and of what it stands on."""
    return About(
        version=logferry.__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        sqlite=sqlite3.sqlite_version,
        packages={name: metadata.version(name) for name in PACKAGES},
    )
