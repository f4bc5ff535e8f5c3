"""Who is connected over FTP, as the web shows them: the porter's list, with agents and archive paths."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from starlette.requests import Request

from logferry.errors import BadName, NotFound
from logferry.ftp import SessionInfo
from logferry.names import folded
from logferry.server.ingest import archive_path
from logferry.server.people import Identity
from logferry.server.porter import connections, end_connection
from logferry.web.auth import context_of
from logferry.web.context import WebContext
from logferry.web.trail import note

log = structlog.get_logger("logferry.web")


@dataclass(frozen=True, slots=True)
class Caller:
    """One connection; ``agent`` and ``path`` (of the archive) are empty where it is not an agent's, or does nothing."""

    session: SessionInfo
    agent: str
    path: str


def callers(context: WebContext) -> list[Caller]:
    """Everybody who is connected to the FTP part on this machine, oldest first. Raises Later."""
    found = connections(context.config.data_dir)
    agents = {folded(user.name): user.agent_id for user in context.catalog.people.users() if user.agent_id}
    return [_caller(session, agents) for session in found]


def _caller(session: SessionInfo, agents: dict[str, str]) -> Caller:
    agent = agents.get(folded(session.user), "")
    path = ""
    if agent and session.path.startswith("/"):
        try:
            path = archive_path(session.path)
        except BadName:  # a name that the archive will not take
            path = ""
    return Caller(session, agent, path)


def end_caller(request: Request, who: Identity, session_id: int) -> None:
    """End a connection: its client gets 421, a transfer under way is cut and resumes later.

    Raises:
        NotFound: there is no such connection any more.
        Later: the FTP part does not answer.
    """
    if not end_connection(context_of(request).config.data_dir, session_id):
        raise NotFound(f"there is no FTP connection {session_id} any more", hint="the list shows those there are")
    log.info("an FTP connection was ended", by=who.name, session=session_id)
    note(request, action="connection.end", target=f"FTP connection {session_id}")
