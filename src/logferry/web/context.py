"""What every route needs, made once by the composition root and handed down; no route reaches for a global."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from logferry.archive import Archive, Catalog
from logferry.archive.catalog.intake import Arrived
from logferry.clock import Clock
from logferry.limits import RETENTION_JUDGED_KEEP_S, RETENTION_JUDGED_KEPT, USUAL_KEEP_S, USUAL_KEPT
from logferry.search.service import SearchService
from logferry.server.audit import Audit
from logferry.server.config import ServerConfig
from logferry.server.enrolment import Enrolment
from logferry.server.people import People
from logferry.web.keeping import Kept

if TYPE_CHECKING:
    from logferry.server.oidc.provider import Provider


@dataclass(frozen=True, slots=True)
class WebContext:
    """The parts of the server that the web talks to."""

    config: ServerConfig
    catalog: Catalog
    archive: Archive
    people: People
    enrolment: Enrolment
    search: SearchService
    clock: Clock
    audit: Audit
    provider: Provider | None = None
    """Of OpenID Connect, by which people may sign in as well."""
    pin: str = ""
    """Of the server's certificate, for the commands that nodes are given."""
    verifying: Lock = field(default_factory=Lock, repr=False)
    """Held while somebody has the chain of the audit read."""
    taken_in: Kept[bool] = field(
        default_factory=lambda: Kept(seconds=RETENTION_JUDGED_KEEP_S, most=RETENTION_JUDGED_KEPT), repr=False
    )
    """Whether a glob of retention takes in any file."""
    past_intake: Kept[dict[int, Arrived]] = field(
        default_factory=lambda: Kept(seconds=USUAL_KEEP_S, most=USUAL_KEPT), repr=False
    )
    """What arrived on days that are over, by hour."""
