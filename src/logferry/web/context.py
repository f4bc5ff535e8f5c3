"""What every route needs, made once by the composition root and handed down; no route reaches for a global."""

from __future__ import annotations

from dataclasses import dataclass

from logferry.archive import Archive, Catalog
from logferry.clock import Clock
from logferry.search.service import SearchService
from logferry.server.audit import Audit
from logferry.server.config import ServerConfig
from logferry.server.enrolment import Enrolment
from logferry.server.people import People


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
    pin: str = ""
    """Of the server's certificate, for the commands that nodes are given."""
