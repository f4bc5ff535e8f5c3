"""What agents say of themselves over HTTPS: the last word of each, in memory; and the proof that it is theirs.

The state of an agent never depends on it (``health.py``): it is shown beside, as the agent's own words. After a restart
of the server it is empty until the next heartbeat, which comes within a minute.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from logferry.archive.catalog import Catalog
from logferry.errors import NotSignedIn
from logferry.limits import HEARTBEAT_AGENTS_MAX
from logferry.server.passwords import VerifiedPasswords, waste_time

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Told(Generic[T]):
    """``beat`` as it was received at ``received_ns`` (the server's clock) from ``address``."""

    received_ns: int
    address: str
    beat: T


class Heartbeats(Generic[T]):
    """Safe from many threads. Bounded; the longest unheard agent goes first."""

    def __init__(self, agents_max: int = HEARTBEAT_AGENTS_MAX) -> None:
        self._agents_max = agents_max
        self._lock = threading.Lock()
        self._told: OrderedDict[str, Told[T]] = OrderedDict()

    def put(self, agent_id: str, told: Told[T]) -> None:
        """Remember the newest heartbeat of an agent."""
        with self._lock:
            self._told[agent_id] = told
            self._told.move_to_end(agent_id)
            while len(self._told) > self._agents_max:
                self._told.popitem(last=False)

    def get(self, agent_id: str) -> Told[T] | None:
        """The newest heartbeat of an agent, None if none came since the server's start."""
        with self._lock:
            return self._told.get(agent_id)


class AgentPasswords:
    """Whether somebody is the agent they say: by the name and password it delivers with. Safe from many threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._people = catalog.people
        self._verified = VerifiedPasswords()

    def check(self, agent_id: str, name: str, password: str) -> None:
        """Raises NotSignedIn unless ``name`` is the enabled user of this agent and the password is right."""
        user = self._people.user(name)
        if user is None or user.role != "agent":
            waste_time(password)  # a name that does not exist must not be told by the clock
        elif not self._verified.verify(user.name, user.password_hash, password):
            pass
        elif user.enabled and user.agent_id == agent_id:
            return
        hint = "the user and the password count that the agent delivers with"
        raise NotSignedIn("this is not the agent's name and password", hint=hint)
