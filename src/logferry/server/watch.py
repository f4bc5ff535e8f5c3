"""What the FTP sessions tell: which agents live, what arrived, what went wrong; and what people read, for the audit."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace

import structlog

from logferry.ftp import Banned, Event, Incomplete, Introduced, LoggedIn, LoginFailed, Received, Sent, SessionEnded
from logferry.names import folded
from logferry.server.accounts import is_shared, shared_by
from logferry.server.activity import Activity
from logferry.server.audit import Deed

log = structlog.get_logger("logferry.server")

_AGENT = re.compile(
    r"logferry-agent/(?P<version>[\w.+-]{1,40})(?: interval=(?P<interval>[0-9]{1,6}))?(?P<stopping> stopping)?"
)
"""How Logferry's agent introduces itself (CLNT) and says goodbye."""


class SessionWatch:
    """Turns the FTP server's events into notes about agents and lines of the server's log.

    Any command of a logged-in agent counts as a sign of life. Called on the sessions' threads: each call is a few
    dictionary look-ups.
    """

    def __init__(self, activity: Activity, audit: Callable[[Deed], object]) -> None:
        """``audit`` takes down what people do."""
        self._activity = activity
        self._audit = audit
        self._lock = threading.Lock()
        self._sessions: dict[int, str] = {}
        self._online: dict[str, int] = {}
        self._leaving: set[int] = set()
        self._agents: dict[str, str] = {}

    def is_agent(self, user: str, agent: str) -> None:
        """Note that ``user`` delivers for ``agent``, or for those who share its home."""
        self._agents[folded(user)] = agent

    def asked(self, user: str) -> None:
        """A command of ``user`` is about to be served. A log-in that may yet fail is no sign of life."""
        name = folded(user)
        if name in self._online:
            self._activity.heard(self._agents[name])

    def event(self, event: Event) -> None:
        """Take one event of the FTP server."""
        agent = self._agents.get(folded(event.user), "")
        if is_shared(agent):  # for whom shows only where something is stored; the trees tell of signs of life
            agent = _owner(event, agent)
        elif not agent:
            self._read(event)
        if isinstance(event, LoggedIn):
            self._logged_in(event, agent)
        elif isinstance(event, Introduced):
            self._introduced(event, agent)
        elif isinstance(event, SessionEnded):
            self._ended(event)
        elif isinstance(event, LoginFailed):
            log.warning("log-in refused", user=event.user, address=event.address, reason=event.reason)
        elif isinstance(event, Banned):
            log.warning("address banned", address=event.address, seconds=event.seconds, reason=event.reason)
        elif isinstance(event, Sent):
            log.info("sent", user=event.user, address=event.address, path=event.path, bytes=event.count)
        elif agent:
            self._delivered(event, agent)

    def _read(self, event: Event) -> None:
        """People come in, fetch files and go. What an agent delivers is told by the archive itself."""
        if isinstance(event, LoggedIn):
            self._note(event, Deed("sign-in", "ftp.begin", event.user))
        elif isinstance(event, LoginFailed):
            # Once for each address: guesses must not fill the audit. The name may be a password that slipped.
            self._note(event, Deed("sign-in", "ftp.begin", detail={"refused": event.reason}, again="refused"), who="")
        elif isinstance(event, Sent):
            part = {"offset": event.offset} if event.offset else {}
            self._note(event, Deed("download", "file.download", event.path.lstrip("/"), detail=part))
        elif isinstance(event, Incomplete) and event.direction == "out" and event.count:
            told = {"offset": event.offset, "bytes": event.count, "incomplete": True}
            self._note(event, Deed("download", "file.download", event.path.lstrip("/"), detail=told))

    def _note(self, event: Event, deed: Deed, who: str | None = None) -> None:
        known = event.user if who is None else who
        self._audit(replace(deed, who=known, via="ftp", address=event.address))

    def _delivered(self, event: Event, agent: str) -> None:
        if isinstance(event, Received):
            self._activity.uploaded(agent)
        elif isinstance(event, Incomplete) and event.direction == "in":
            self._activity.failed(agent, f"upload of {event.path} broke off: {event.reason}")
            log.warning(
                "upload broke off",
                agent=agent,
                address=event.address,
                path=event.path,
                offset=event.offset,
                bytes=event.count,
                reason=event.reason,
            )

    def _logged_in(self, event: LoggedIn, agent: str) -> None:
        log.info("logged in", user=event.user, address=event.address, secure=event.secure, session=event.session)
        if not agent:
            return
        name = folded(event.user)
        with self._lock:
            self._sessions[event.session] = name
            self._online[name] = self._online.get(name, 0) + 1
        self._activity.heard(agent, event.address)

    def _introduced(self, event: Introduced, agent: str) -> None:
        """An agent says how often it will be heard, and at its end that this is the end."""
        said = _AGENT.fullmatch(event.client)
        if said is None or not agent:
            return
        if said["stopping"]:
            with self._lock:
                self._leaving.add(event.session)
        interval_s = float(said["interval"]) if said["interval"] else None
        self._activity.introduced(agent, said["version"], interval_s)

    def _ended(self, event: SessionEnded) -> None:
        with self._lock:
            leaving = event.session in self._leaving
            self._leaving.discard(event.session)
            user = self._sessions.pop(event.session, None)
            if user is None:
                return
            left = self._online[user] - 1
            if left:
                self._online[user] = left
            else:
                del self._online[user]
        if leaving and not left:  # an agent has several connections and goes with the last
            self._activity.gone(self._agents[user])
        log.info("session ended", user=user, session=event.session, reason=event.reason)


def _owner(event: Event, home: str) -> str:
    """Of those who share ``home``, the one whose file the event is about; nobody where it is about none."""
    path = event.path if isinstance(event, (Received, Incomplete)) else ""
    agent = path.lstrip("/").partition("/")[0]
    return agent if agent in shared_by(home) else ""
