"""The catalog's users as the FTP server asks for them.

The FTP server asks for the user before every command, so the answer comes from memory. Changes that another process
makes (the web part, the command line) count after at most ``USERS_FRESH_S``: then one small query tells whether any
user changed, and only if so the remembered rows are dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from logferry.archive.catalog import Catalog
from logferry.archive.records import AgentRecord, UserRecord
from logferry.clock import SYSTEM, Clock
from logferry.ftp import Permissions, User, verify_password
from logferry.limits import USERS_FRESH_S
from logferry.server.passwords import VerifiedPasswords
from logferry.server.people import LOCAL_USER

DELIVERING = Permissions.delivering()
READING = Permissions.reading()
_SHARED = "/"


def ftp_user(record: UserRecord, connections_per_agent: int = 0, upload_rate: str = "") -> User:
    """How the FTP server sees a user of the catalog.

    ``home`` is the agent's id, empty for people. A user of the older system, whom agents share, has no agent but a
    scope of those for whom it delivers; see ``shared_by``. ``upload_rate``: the agent's own limit, a rate or a
    timetable; empty: none.
    """
    if record.role == "agent":
        home = record.agent_id or shared_home(record.scope)
        return User(
            name=record.name,
            home=home,
            permissions=DELIVERING,
            password_hash=record.password_hash,
            enabled=record.enabled and home != _SHARED,
            connections=connections_per_agent,
            upload_rate=upload_rate or 0,
        )
    return User(
        name=record.name,
        home="",
        permissions=READING,
        password_hash=record.password_hash,
        # FTP knows no second factor, and a password alone shall not be a way around it.
        enabled=record.enabled and not record.totp,
    )


def shared_home(agents: Sequence[str]) -> str:
    """The ``home`` of a user that these agents share."""
    return _SHARED + "/".join(agents)


def is_shared(home: str) -> bool:
    """Whether a ``home`` is that of a user whom agents share; no agent's id begins so."""
    return home.startswith(_SHARED)


def shared_by(home: str) -> tuple[str, ...]:
    """For whom a user with such a ``home`` delivers."""
    assert is_shared(home)
    return tuple(agent for agent in home[1:].split("/") if agent)


class CatalogUsers:
    """A ``UserStore`` on the catalog. Safe from many threads.

    Args:
        connections_per_agent: how many connections an agent may have; 0 is no limit.
        on_asked: told each name that is asked for (the FTP server asks before every command).
        on_agent: told (user name, agent id or shared home) when a user who delivers was read.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        clock: Clock = SYSTEM,
        fresh_s: float = USERS_FRESH_S,
        connections_per_agent: int = 0,
        on_asked: Callable[[str], None] | None = None,
        on_agent: Callable[[str, str], None] | None = None,
    ) -> None:
        self._people = catalog.people
        self._agents = catalog.agents
        self._clock = clock
        self._fresh_s = fresh_s
        self._connections_per_agent = connections_per_agent
        self._on_asked = on_asked or (lambda _name: None)
        self._on_agent = on_agent or (lambda _name, _agent: None)
        self._verified = VerifiedPasswords()
        self._lock = threading.Lock()
        self._users: dict[str, User] = {}
        self._paused: set[str] = set()
        self._version: object = None
        self._checked_s = float("-inf")

    def find(self, name: str) -> User | None:
        """The user now, or None. ``name`` in any case of its letters; the answer has the catalog's."""
        self._on_asked(name)
        if self._clock.monotonic_s() - self._checked_s >= self._fresh_s:
            self._refresh()
        user = self._users.get(name)
        return user if user is not None else self._read(name)

    def verify(self, user: User, password: str) -> bool:
        """Whether the password is right. An agent's right password is remembered; a person's is hashed each time."""
        if user.home:
            return self._verified.verify(user.name, user.password_hash, password)
        return verify_password(user.password_hash, password)

    def _read(self, name: str) -> User | None:
        """From the catalog. Names nobody has are not remembered: guesses must not fill the memory."""
        version = self._version
        record = self._people.user(name)
        if record is None or record.name == LOCAL_USER:
            return None
        agent = self._agents.get(record.agent_id) if record.agent_id else None
        user = ftp_user(record, self._connections_per_agent, agent.upload_rate if agent else "")
        paused = self._paused_of(user, agent)
        if user.home:
            self._on_agent(user.name, user.home)
        with self._lock:
            if version == self._version:  # else the row may be older than the change that was noticed meanwhile
                self._users[user.name] = user
                for agent_id, is_paused in paused.items():
                    (self._paused.add if is_paused else self._paused.discard)(agent_id)
        return user

    def _paused_of(self, user: User, agent: AgentRecord | None) -> dict[str, bool]:
        """Of the agents for whom the user delivers, who is paused."""
        if is_shared(user.home):
            delivers = set(shared_by(user.home))
            return {one.id: one.paused for one in self._agents.list() if one.id in delivers}
        return {user.home: agent is not None and agent.paused} if user.home else {}

    def is_paused(self, agent: str) -> bool:
        """Whether a person paused the agent; as of the last ``find`` of a user that delivers for it."""
        return agent in self._paused

    def _refresh(self) -> None:
        """Drop what is remembered if any user changed since. One thread looks, the others go on meanwhile."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            version = self._people.version()
            if version != self._version:
                self._users = {}  # who is paused stays known until the user is read again
                self._version = version
            self._checked_s = self._clock.monotonic_s()
        finally:
            self._lock.release()
