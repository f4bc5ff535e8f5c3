"""A question to the search as parameters of an address or as a JSON object: one shape for all its routes."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from logferry.encodings import Encoding, encoding_named
from logferry.errors import Refused
from logferry.limits import (
    QUERY_CHARS_MAX,
    ROW_ID_MAX,
    SEARCH_CONTEXT_LINES_MAX,
    SEARCH_EXPORT_S_MAX,
    SEARCH_HITS_DEFAULT,
    SEARCH_HITS_MAX,
    SEARCH_TIME_CHARS_MAX,
    SEARCH_UNLIMITED,
    ZONE_CHARS_MAX,
)
from logferry.names import shown
from logferry.search.moments import moment
from logferry.search.query.values import TIMES_END_NS
from logferry.search.service import SearchRequest
from logferry.server.people import Identity
from logferry.settings import near
from logferry.web.context import WebContext
from logferry.web.eventforms import Whole
from logferry.zones import zone_named

_TIME = (
    "RFC 3339 (`2026-11-23T08:15:00Z`), or as the language has it: `2026-11-23`, `08:15`, `now-2h`, `today`; of UTC, "
    "or of `tz`"
)

Between: TypeAlias = tuple[int | None, int | None]
"""Nanoseconds since 1970: ``since <= t < until``; None: without a bound."""


class Where(BaseModel):
    """Which lines: a query, and what narrows it."""

    model_config = ConfigDict(populate_by_name=True)

    q: str = Field(
        "", max_length=QUERY_CHARS_MAX * 2, description="the query; empty: every line", examples=['error "refused"']
    )
    agent: str = Field("", max_length=64, description="glob over agents", examples=["web-*"])
    path: str = Field("", max_length=4096, description="part of the path; with * or ? the whole path")
    since: str = Field(
        "",
        alias="from",
        max_length=SEARCH_TIME_CHARS_MAX,
        description=f"lines of this time or later. {_TIME}",
        examples=["now-24h"],
    )
    until: str = Field(
        "", alias="to", max_length=SEARCH_TIME_CHARS_MAX, description="lines before the end of this; as `from`"
    )
    tz: str = Field(
        "UTC",
        max_length=ZONE_CHARS_MAX,
        description="zone of `from` and `to` where they name none",
        examples=["Europe/Berlin"],
    )
    case: bool = Field(False, description="exact case")
    fid: int | None = Field(None, ge=1, le=ROW_ID_MAX, description="only this file")
    gen: int | None = Field(None, ge=1, le=ROW_ID_MAX, description="only this generation of it")
    entries: bool = Field(
        False, description="entries of several lines (stack traces) are one: they match, and are told, as a whole"
    )

    def between(self, now_ns: int) -> Between:
        """``from`` and ``to``, for this ``now``.

        Raises:
            Refused: one of them is no time, or nothing lies between them; there is no such zone.
        """
        zone = zone_named(self.tz or "UTC")
        since = moment(self.since, "from", now_ns, zone).low if self.since else None
        until = moment(self.until, "to", now_ns, zone).end if self.until else None
        since = None if since is None or since <= 0 else since  # no line is older than 1970, or younger than 9999
        until = None if until is None or until >= TIMES_END_NS else until
        if since is not None and until is not None and since >= until:
            raise Refused("from lies behind to", hint="exchange them")
        return since, until

    def request(
        self, context: WebContext, who: Identity, cancel: threading.Event, between: Between | None = None
    ) -> SearchRequest:
        """As the search has it; set ``cancel`` to stop it.

        ``between``: what ``between()`` told, if it was asked: asked again it may tell another time, or refuse.

        Raises:
            BadQuery: the query does not parse.
            Refused: as ``between``.
        """
        since, until = self.between(context.clock.now_ns()) if between is None else between
        return SearchRequest(
            query=self.q,
            scope=who.scope,
            agent=self.agent,
            path=self.path,
            exact_case=self.case,
            deadline_s=context.config.search.time_limit,
            file_id=self.fid,
            generation=self.gen,
            cancel=cancel,
            from_ns=since,
            until_ns=until,
            entries=self.entries,
        )


class Asked(Where):
    """Which lines, how many of them, in which order, with how much around them."""

    limit: int = Field(SEARCH_HITS_DEFAULT, ge=0, le=SEARCH_HITS_MAX, description="most hits; 0: all of them")
    context: int = Field(0, ge=0, le=SEARCH_CONTEXT_LINES_MAX, description="lines before and after each hit")
    enc: str = Field(
        "", max_length=20, description="read the file `fid` as this encoding; absent: UTF-8, or UTF-16 that has a mark"
    )
    order: Literal["newest", "oldest"] = Field("newest", description="which file and line comes first")

    @property
    def is_limited(self) -> bool:
        """Whether whoever asks has set a limit."""
        return self.limit > 0 and "limit" in self.model_fields_set

    def request(
        self, context: WebContext, who: Identity, cancel: threading.Event, between: Between | None = None
    ) -> SearchRequest:
        """As the search has it. Raises BadQuery, Refused."""
        plain = super().request(context, who, cancel, between)
        return replace(
            plain,
            limit=self.limit or SEARCH_UNLIMITED,
            context=self.context,
            deadline_s=plain.deadline_s if self.limit else max(plain.deadline_s, SEARCH_EXPORT_S_MAX),
            newest_first=self.order == "newest",
            encoding=self._encoding(),
        )

    def _encoding(self) -> Encoding | None:
        if self.enc and self.fid is None:
            raise Refused("enc is for one file", hint="name it: fid=…")
        return encoding_named(self.enc) if self.enc else None


def whole_of(context: WebContext, who: Identity) -> Whole | None:
    """What the archive holds, older generations too; None for people who see a part of it."""
    if not who.scope.everything:
        return None
    return Whole(*context.catalog.agents.held())


AskedHere = Annotated[Asked, Query()]
"""As parameters of the address."""


def only(model: type[BaseModel], *others: str) -> Any:
    """Dependency: refuses parameters of the address that are not those of ``model`` or among ``others``.

    A misspelt one would be passed over, and the answer would be that of another question.
    """
    aliases = {name: field.alias or name for name, field in model.model_fields.items()}
    known = {*aliases, *aliases.values(), *others}

    async def check(request: Request) -> None:  # a coroutine: it needs no thread
        given = set(request.query_params)
        for name in request.query_params:
            if name not in known:
                raise Refused(f"there is no parameter {shown(name)!r}", hint=near(name, known))
            if aliases.get(name, name) != name and aliases[name] in given:
                raise Refused(f"{name} is another name of {aliases[name]}", hint="give one of them")

    return Depends(check)
