"""``/agents/{id}/heartbeat`` and ``/agents/{id}/health``: what an agent says of itself, and what the server heard."""

from __future__ import annotations

import base64
import binascii
import threading
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request

from logferry.clock import rfc3339
from logferry.errors import Busy, NotSignedIn
from logferry.limits import (
    HEARTBEAT_ITEMS_MAX,
    HEARTBEAT_TEXT_CHARS_MAX,
    PASSWORD_CHECK_WAIT_S,
    PASSWORD_CHECKS_AT_ONCE,
)
from logferry.server.heartbeats import AgentPasswords, Heartbeats, Told
from logferry.server.scope import Scope
from logferry.web.api.shapes import AgentHealth, HeartbeatTaken, OwnWords, agent_shape
from logferry.web.auth import Context, Viewer, client_address
from logferry.web.sight import Sight
from logferry.web.throttle import SignInThrottle

router = APIRouter(tags=["agents"])

_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Word = Annotated[str, Field(max_length=64)]
_Text = Annotated[str, Field(max_length=HEARTBEAT_TEXT_CHARS_MAX)]


class Beat(BaseModel):
    """What an agent says of itself. Times are nanoseconds since 1970 by its own clock, sizes bytes."""

    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z_.+-]{1,40}$")]
    time_ns: _Count
    started_ns: _Count = 0
    link: _Word = ""
    files: _Count = 0
    waiting: _Count = 0
    lag_bytes: _Count = 0
    lag_s: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)] = 0.0
    held: _Count = 0
    sent_bytes: _Count = 0
    generations: _Count = 0
    renames: _Count = 0
    differences: _Count = 0
    looks: _Count = 0
    overflows: _Count = 0
    watcher: _Word = ""
    errors: Annotated[dict[_Word, _Count], Field(max_length=64)] = {}
    sources: Annotated[list[_Text], Field(max_length=HEARTBEAT_ITEMS_MAX)] = []
    problems: Annotated[list[_Text], Field(max_length=HEARTBEAT_ITEMS_MAX)] = []


class Nurse:
    """Takes heartbeats: one per program."""

    def __init__(self, passwords: AgentPasswords, throttle: SignInThrottle) -> None:
        self._passwords = passwords
        self._throttle = throttle
        self._checks = threading.BoundedSemaphore(PASSWORD_CHECKS_AT_ONCE)
        self.heartbeats: Heartbeats[Beat] = Heartbeats()

    def check(self, request: Request, agent_id: str) -> None:
        """Raises NotSignedIn, Busy unless the request brings the agent's own name and password.

        Guessing is slowed per address, in a table apart from people's, so that an agent with an old password keeps
        nobody out who signs in from the same place.
        """
        address = client_address(request)
        self._throttle.check(address)
        if not self._checks.acquire(timeout=PASSWORD_CHECK_WAIT_S):
            raise Busy("too many heartbeats at this moment", retry_after_s=2.0, hint="the next one will do")
        try:
            name, password = _basic(request)
            self._passwords.check(agent_id, name, password)
        except NotSignedIn:
            self._throttle.failed(address)
            raise
        finally:
            self._checks.release()
        self._throttle.succeeded(address)

    def told(self, agent_id: str, scope: Scope) -> Told[Beat] | None:
        """The last heartbeat of an agent. Texts that name files are for those who may see all of the agent."""
        told = self.heartbeats.get(agent_id)
        if told is None or scope.covers(agent_id, ""):
            return told
        return replace(told, beat=told.beat.model_copy(update={"sources": [], "problems": []}))

    def words(self, agent_id: str, scope: Scope) -> OwnWords | None:
        """The same as JSON has it."""
        told = self.told(agent_id, scope)
        if told is None:
            return None
        beat = told.beat
        return OwnWords(
            received_at=rfc3339(told.received_ns),
            started_at=rfc3339(beat.started_ns),
            clock_skew_s=round((beat.time_ns - told.received_ns) / 1e9, 3),
            **beat.model_dump(exclude={"time_ns", "started_ns"}),
        )


def nurse_of(request: Request) -> Nurse:
    """The one of this program."""
    nurse: Nurse = request.app.state.nurse
    return nurse


@router.post("/agents/{agent_id}/heartbeat")
def heartbeat(agent_id: str, body: Beat, request: Request, context: Context) -> HeartbeatTaken:
    """An agent says how it is. Basic authorization with its own name and password; the answer tells the time here."""
    nurse = nurse_of(request)
    nurse.check(request, agent_id)
    now_ns = context.clock.now_ns()
    nurse.heartbeats.put(agent_id, Told(now_ns, client_address(request), body))
    context.catalog.agents.heard(agent_id, version=body.version)
    return HeartbeatTaken(time_ns=now_ns)


@router.get("/agents/{agent_id}/health")
def health(agent_id: str, request: Request, context: Context, who: Viewer) -> AgentHealth:
    """One agent as the server heard it and, where it sends heartbeats, in its own words."""
    record = Sight.of(context, who).agent(agent_id)
    return AgentHealth(
        agent=agent_shape(record, context.clock.now_ns()),
        error=record.error,
        error_at=rfc3339(record.error_ns) if record.error_ns is not None else None,
        own_words=nurse_of(request).words(agent_id, who.scope),
    )


def _basic(request: Request) -> tuple[str, str]:
    """Name and password of RFC 7617's Basic authorization. Raises NotSignedIn."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        pair = ""
    name, colon, password = pair.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise NotSignedIn("a heartbeat needs the agent's name and password", hint="send Authorization: Basic")
    return name, password
