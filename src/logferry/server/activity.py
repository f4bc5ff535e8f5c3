"""What the server heard from its agents, gathered in memory and passed on in batches.

Every note is a dictionary entry under a lock: no upload waits for it. One thread hands what has gathered to the
catalog, at most once per agent and ``ACTIVITY_WRITE_S``. If the process dies, at most that much of "last heard" is
lost, and nothing that was acknowledged: the archive itself records each upload, together with its bytes.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

from logferry.limits import ACTIVITY_WRITE_S


class Agents(Protocol):
    """The part of the catalog that is told. None of it waits for the disk."""

    def heard(
        self,
        agent_id: str,
        *,
        address: str | None = None,
        version: str | None = None,
        interval_s: float | None = None,
    ) -> None:
        """It spoke to us just now."""
        ...

    def failed(self, agent_id: str, text: str) -> None:
        """An upload was refused or broke off."""
        ...

    def erred(self, agent_id: str, count: int) -> None:
        """So many uploads were refused or broke off."""
        ...

    def gone(self, agent_id: str) -> None:
        """It said goodbye."""
        ...


@dataclass(slots=True)
class _Note:
    address: str = ""
    error: str = ""
    errors: int = 0
    gone: bool = False
    version: str | None = None
    interval_s: float | None = None


class Activity:
    """Gathers notes about agents. Safe from many threads."""

    def __init__(self, agents: Agents, *, every_s: float = ACTIVITY_WRITE_S) -> None:
        self._agents = agents
        self._every_s = every_s
        self._lock = threading.Lock()
        self._notes: dict[str, _Note] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="activity", daemon=True)

    def start(self) -> None:
        """Begin to pass on."""
        self._thread.start()

    def stop(self) -> None:
        """Pass on what is left and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()

    def heard(self, agent: str, address: str = "") -> None:
        """A sign of life."""
        noted = self._notes.get(agent)
        if noted is not None and not noted.gone and not address:
            return  # nothing new; if it is being passed on just now, the next command notes it again
        with self._lock:
            note = self._note(agent)
            note.gone = False
            if address:
                note.address = address

    def introduced(self, agent: str, version: str, interval_s: float | None) -> None:
        """It said which program it is and how often it will be heard."""
        with self._lock:
            note = self._note(agent)
            note.version = version
            note.interval_s = interval_s

    def uploaded(self, agent: str) -> None:
        """An upload is durable: a failure before it no longer stands."""
        with self._lock:
            note = self._note(agent)
            note.gone = False
            note.error = ""

    def failed(self, agent: str, text: str) -> None:
        """An upload was refused or broke off, and why."""
        with self._lock:
            note = self._note(agent)
            note.gone = False
            note.error = text
            note.errors += 1

    def gone(self, agent: str) -> None:
        """It said goodbye."""
        with self._lock:
            self._note(agent).gone = True

    def flush(self) -> None:
        """Pass on now."""
        with self._lock:
            notes, self._notes = self._notes, {}
        for agent, note in notes.items():
            self._agents.heard(agent, address=note.address or None, version=note.version, interval_s=note.interval_s)
            if note.error:
                self._agents.failed(agent, note.error)
            if note.errors:
                self._agents.erred(agent, note.errors)
            if note.gone:
                self._agents.gone(agent)

    def _note(self, agent: str) -> _Note:
        note = self._notes.get(agent)
        if note is None:
            note = self._notes[agent] = _Note()
        return note

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.flush()
