"""How much each agent holds, live, kept and sealed together, and how much it may hold.

The sums stand in the agent's row and change in the transaction in which its generations do. So they are exact, and a
change that would pass the quota is refused there, whichever process makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Dialect, bindparam, select, update

from logferry.archive.catalog.prepared import Prepared
from logferry.archive.catalog.readers import Readers
from logferry.archive.catalog.tables import agents
from logferry.clock import Clock
from logferry.errors import OverQuota
from logferry.limits import QUOTA_AGENTS_MAX, QUOTA_FRESH_S

_A = agents.c
HELD = (_A.held_bytes, _A.held_files, _A.quota_bytes, _A.quota_files)
"""What an agent holds and its own bounds, as ``Quotas`` reads them."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What an agent may hold: bytes of all its generations, and how many of them. 0: as much as there is room for."""

    bytes: int = 0
    files: int = 0


class Usage(NamedTuple):
    """What an agent holds, and what it may hold."""

    bytes: int
    files: int
    quota: Quota

    @property
    def bytes_left(self) -> int | None:
        """None: as many as there is room for."""
        return max(0, self.quota.bytes - self.bytes) if self.quota.bytes else None

    @property
    def files_left(self) -> int | None:
        """None: any number."""
        return max(0, self.quota.files - self.files) if self.quota.files else None


class Quotas:
    """The sums and quotas of one catalog. ``default`` holds for agents that have none of their own."""

    def __init__(self, dialect: Dialect, readers: Readers, clock: Clock) -> None:
        self.default = Quota()
        self._readers = readers
        self._clock = clock
        self._unbounded: dict[str, float] = {}
        """Agents without a quota, and when that was looked up."""
        self._usage = Prepared(select(*HELD).where(_A.id == bindparam("agent")), dialect)
        self._add = Prepared(
            update(agents)
            .values(held_bytes=_A.held_bytes + bindparam("more_bytes"), held_files=_A.held_files + bindparam("more"))
            .where(_A.id == bindparam("agent"))
            .returning(*HELD),
            dialect,
        )

    def bounded(self, agent: str) -> Usage | None:
        """The same as ``usage``, None where no quota holds (as of a moment ago): for looks before the one that counts.

        So uploads of agents without a quota cost no query.
        """
        now_s = self._clock.monotonic_s()
        if now_s - self._unbounded.get(agent, float("-inf")) < QUOTA_FRESH_S and self.default == Quota():
            return None
        usage = self.usage(agent)
        if usage.quota != Quota():
            return usage
        if len(self._unbounded) >= QUOTA_AGENTS_MAX:
            self._unbounded.clear()
        self._unbounded[agent] = now_s
        return None

    def changed(self) -> None:
        """Quotas were changed."""
        self._unbounded.clear()

    def usage(self, agent: str) -> Usage:
        """What the agent holds now; nothing where there is no such agent."""
        with self._readers.cursor() as cursor:
            row = self._usage.one(cursor, agent=agent)
        return self._of(row) if row is not None else Usage(0, 0, self.default)

    def check(self, agent: str, *, files: int = 0, size: int = 0) -> None:
        """Raise OverQuota if so much more would be too much. Early: what counts is the check of the commit."""
        usage = self.bounded(agent)
        if usage is not None:
            over(agent, usage._replace(bytes=usage.bytes + size, files=usage.files + files), files=files, size=size)

    def add(self, cursor: Any, agent: str, files: int, size: int, *, checked: bool) -> None:
        """The agent holds so many generations and bytes more (or fewer) with this transaction.

        Raises:
            OverQuota: that is too much, and is to be ``checked``.
        """
        row = self._add.one(cursor, agent=agent, more=files, more_bytes=size)
        if row is not None and checked:
            self.check_row(agent, row, files, size)

    def check_row(self, agent: str, row: Any, files: int, size: int) -> None:
        """Raise OverQuota when ``row`` (see ``HELD``), after a change by so much, has too much."""
        over(agent, self._of(row), files=files, size=size)

    def _of(self, row: Any) -> Usage:
        held_bytes, held_files, quota_bytes, quota_files = row
        return Usage(
            int(held_bytes),
            int(held_files),
            Quota(
                self.default.bytes if quota_bytes is None else int(quota_bytes),
                self.default.files if quota_files is None else int(quota_files),
            ),
        )


def over(agent: str, after: Usage, *, files: int, size: int) -> None:
    """Raise OverQuota when the agent has too much after a change by ``files`` and ``size``. Less is always allowed."""
    if size > 0 and after.quota.bytes and after.bytes > after.quota.bytes:
        raise spent(agent, f"{after.bytes - size:,} of {after.quota.bytes:,} bytes")
    if files > 0 and after.quota.files and after.files > after.quota.files:
        raise spent(agent, f"{after.files - files:,} of {after.quota.files:,} files, older generations included")


def spent(agent: str, what: str) -> OverQuota:
    """The error for an agent whose quota does not reach."""
    return OverQuota(
        f"the quota of {agent} is used up: it holds {what}",
        hint="an administrator raises it, or retention deletes something; then the sender goes on",
    )
