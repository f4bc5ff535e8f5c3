"""``/join-tokens`` and ``/agents/join``: how a node becomes an agent."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request

from logferry.clock import rfc3339
from logferry.limits import JOIN_TOKEN_S_MAX, JOIN_TOKEN_USES, JOIN_TOKEN_USES_MAX
from logferry.server import runfiles
from logferry.server.config import join_address
from logferry.server.first_run import join_command, shown_host
from logferry.server.loopback import is_loopback
from logferry.web.api.people import Throttle
from logferry.web.api.shapes import FtpAccess, Joined, JoinToken
from logferry.web.auth import Context, Operator, client_address
from logferry.web.context import WebContext
from logferry.web.managing import guarded
from logferry.web.trail import note

router = APIRouter(tags=["agents"])


class NewToken(BaseModel):
    """How often and how long a join token works, and the group its agents get."""

    uses: Annotated[int, Field(ge=1, le=JOIN_TOKEN_USES_MAX)] = JOIN_TOKEN_USES
    ttl_s: Annotated[float, Field(ge=1, le=366 * 86400)] = JOIN_TOKEN_S_MAX
    group: Annotated[str, Field(max_length=63)] = ""


class Join(BaseModel):
    """A node that wants to be an agent."""

    token: Annotated[str, Field(max_length=256)]
    id: Annotated[str, Field(max_length=63)] = ""
    hostname: Annotated[str, Field(max_length=255)] = ""
    group: Annotated[str, Field(max_length=63)] = ""


@router.post("/join-tokens", status_code=201)
def new_join_token(request: Request, context: Context, _who: Operator, body: NewToken | None = None) -> JoinToken:
    """A token for new agents; it is shown this once."""
    wanted = body or NewToken()
    note(request, action="join-token.add", uses=wanted.uses, ttl_s=wanted.ttl_s, group=wanted.group)
    token = context.enrolment.new_join_token(uses=wanted.uses, ttl_s=wanted.ttl_s, group=wanted.group)
    return JoinToken(
        token=token.secret,
        command=join_command(_web_address(request), token.secret, context.pin, context.config),
        uses=token.uses,
        expires_at=rfc3339(token.expires_ns),
    )


@router.post("/agents/join", status_code=201)
def join(request: Request, body: Join, context: Context, throttle: Throttle) -> Joined:
    """Become an agent: the token is the proof. The password is shown this once."""
    with guarded(throttle, client_address(request)):
        joined = context.enrolment.join(body.token, agent_id=body.id, hostname=body.hostname, group=body.group)
    note(request, action="agent.join", target=joined.id, who=joined.user, group=joined.group)
    return Joined(
        id=joined.id,
        user=joined.user,
        password=joined.password,
        ftp=_ftp_access(request, context),
        heartbeat=_heartbeat(request, context),
    )


def _heartbeat(request: Request, context: WebContext) -> str:
    """Where the agent may say how it is: where it joined, if that is encrypted or this very machine."""
    scheme = request.url.scheme
    if scheme != "https" and not is_loopback(request.url.hostname or ""):
        return ""  # a proxy that does not say what it is
    return f"{scheme}://{_web_address(request)}{context.config.web.root_path}"


def _web_address(request: Request) -> str:
    """The address under which this request reached us: that is one that works."""
    port = request.url.port or (443 if request.url.scheme == "https" else 80)
    return join_address(request.url.hostname or "localhost", port)


def _ftp_access(request: Request, context: WebContext) -> FtpAccess:
    config = context.config.ftp
    told = runfiles.read_json(runfiles.part_file(context.config.data_dir, "ftp")) or {}
    host, port = config.address
    reached = request.url.hostname or shown_host(host)
    return FtpAccess(
        host=config.public_address or reached,
        port=int(told.get("port") or port),
        tls=config.tls,
        pin=context.pin if config.tls != "off" else "",
    )
