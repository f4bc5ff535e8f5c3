"""Agents in the catalog: who they are and what the server heard from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from logferry.archive.catalog.counting import COUNT, HOUR_NS
from logferry.archive.catalog.people import note_users_changed
from logferry.archive.catalog.prepared import Prepared
from logferry.archive.catalog.quotas import Quotas
from logferry.archive.catalog.readers import Readers
from logferry.archive.catalog.tables import agents, files, folders, users
from logferry.archive.catalog.writer import Rows, Writer
from logferry.archive.catalog.zones import Zones
from logferry.archive.records import AgentRecord
from logferry.clock import Clock
from logferry.errors import Conflict, NotFound
from logferry.names import checked_agent_id, folded
from logferry.zones import zone_named

_A = agents.c
_ADMITTED = select(func.max(users.c.enabled)).where(users.c.agent_id == _A.id).scalar_subquery()
_SELECT = select(
    _A.id, _A.group, _A.created_ns, _A.heard_ns, _A.uploaded_ns, _A.address, _A.version, _A.interval_s, _A.paused,
    _A.gone_ns, _A.error, _A.error_ns, _A.last_path,
    func.coalesce(folders.c.files, 0), func.coalesce(folders.c.bytes, 0),
    _A.held_files, _A.held_bytes, _A.quota_files, _A.quota_bytes, _A.zone, _A.tags,
    _A.expect_every_s, _A.upload_rate, _ADMITTED,
).select_from(agents.outerjoin(folders, (folders.c.agent_id == _A.id) & (folders.c.path == "")))  # fmt: skip

_CHANGEABLE = frozenset(
    {
        "group", "interval_s", "paused", "version", "address", "quota_files", "quota_bytes", "zone", "tags",
        "expect_every_s", "upload_rate",
    }
)  # fmt: skip
_SERVED_BY = frozenset({"paused", "upload_rate"})
"""What the FTP part has to know: it looks again when users changed."""


class Agents:
    """All agents. Thread-safe; changes are durable when a method returns unless it says otherwise."""

    def __init__(
        self, engine: Engine, readers: Readers, writer: Writer, clock: Clock, quotas: Quotas, zones: Zones
    ) -> None:
        self._readers = readers
        self._held = Prepared(select(func.sum(_A.held_files), func.sum(_A.held_bytes)), engine.dialect)
        self._quotas = quotas
        self._zones = zones
        self._engine = engine
        self._writer = writer
        self._clock = clock

    def add(self, agent_id: str, *, group: str = "", interval_s: float = 10.0) -> AgentRecord:
        """Make a new agent.

        Raises:
            BadName: the id is not allowed.
            Conflict: there is one of that name already, whatever the case of its letters.
        """
        checked_agent_id(agent_id)
        values = {
            "id": agent_id, "folded": folded(agent_id), "group": group, "created_ns": self._clock.now_ns(),
            "heard_ns": None, "uploaded_ns": None, "address": "", "version": "", "interval_s": interval_s, "paused": 0,
            "gone_ns": None, "error": "", "error_ns": None, "last_path": "", "held_files": 0, "held_bytes": 0,
            "quota_files": None, "quota_bytes": None, "zone": None, "tags": "[]", "expect_every_s": None,
            "upload_rate": "",
        }  # fmt: skip

        def work(connection: Connection) -> None:
            try:
                connection.execute(insert(agents).values(values))
            except IntegrityError as error:
                raise Conflict(f"there is an agent {agent_id} already", hint="choose another id") from error

        self._writer.run(Rows(work))
        added = self.get(agent_id)
        if added is None:
            raise Conflict(f"agent {agent_id} was removed while it was being made")
        return added

    def get(self, agent_id: str) -> AgentRecord | None:
        """The agent with exactly this id, or None."""
        with self._engine.connect() as connection:
            row = connection.execute(_SELECT.where(_A.id == agent_id)).first()
        return self._record(row) if row else None

    def ids(self) -> Sequence[str]:
        """The ids of all agents, in order."""
        with self._engine.connect() as connection:
            return connection.execute(select(_A.id).order_by(_A.id)).scalars().all()

    def tags(self) -> dict[str, tuple[str, ...]]:
        """The tags of every agent that has any."""
        with self._engine.connect() as connection:
            found = connection.execute(select(_A.id, _A.tags).where(_A.tags != "[]"))
            return {agent: tuple(json.loads(tags)) for agent, tags in found}

    def list(self, *, group: str | None = None) -> list[AgentRecord]:
        """All agents (of one group) by id."""
        query = _SELECT.order_by(_A.id)
        if group is not None:
            query = query.where(_A.group == group)
        with self._engine.connect() as connection:
            return [self._record(row) for row in connection.execute(query)]

    def held(self) -> tuple[int, int]:
        """Generations and bytes of all agents together, older generations too."""
        with self._readers.cursor() as cursor:
            held = self._held.one(cursor)
        return (int(held[0] or 0), int(held[1] or 0)) if held else (0, 0)

    def heard(
        self, agent_id: str, *, address: str | None = None, version: str | None = None, interval_s: float | None = None
    ) -> None:
        """The agent spoke to us just now. Written in a moment, with others; an unknown agent is ignored."""
        values: dict[str, Any] = {"heard_ns": self._clock.now_ns(), "gone_ns": None}
        given = {"address": address, "version": version, "interval_s": interval_s}
        self._post(agent_id, values | {name: value for name, value in given.items() if value is not None})

    def uploaded(self, agent_id: str, path: str) -> None:
        """The agent delivered ``path``. The archive notes that itself with every upload; see ``heard``."""
        now = self._clock.now_ns()
        self._post(agent_id, {"heard_ns": now, "uploaded_ns": now, "last_path": path, "error": "", "error_ns": None})

    def failed(self, agent_id: str, text: str) -> None:
        """An upload of the agent was refused or broke off, for the reason ``text``. See ``heard``."""
        now = self._clock.now_ns()
        self._post(agent_id, {"heard_ns": now, "error": text, "error_ns": now})

    def erred(self, agent_id: str, count: int) -> None:
        """So many uploads of the agent were refused or broke off, for ``intake``. See ``heard``."""
        values = {
            "hour": self._clock.now_ns() // HOUR_NS, "agent": agent_id, "more_bytes": 0, "more_files": 0,
            "more_errors": count,
        }  # fmt: skip
        self._writer.post(Rows(lambda connection: connection.execute(COUNT, values)))

    def gone(self, agent_id: str) -> None:
        """The agent said goodbye. See ``heard``."""
        now = self._clock.now_ns()
        self._post(agent_id, {"heard_ns": now, "gone_ns": now})

    def change(self, agent_id: str, **values: Any) -> None:
        """Change settings: ``group``, ``interval_s``, ``paused``, ``version``, ``address``, ``quota_files`` and
        ``quota_bytes`` (0: no bound), ``zone`` (of these three, None: that of the settings), ``tags``,
        ``expect_every_s``, ``upload_rate``.

        Raises:
            NotFound: there is no such agent.
            Refused: no such zone is known.
        """
        unknown = set(values) - _CHANGEABLE
        if unknown:
            raise TypeError(f"an agent has no setting {sorted(unknown)}")
        if values.get("zone") is not None:
            zone_named(values["zone"])
        if "paused" in values:
            values["paused"] = int(values["paused"])
        if "tags" in values:
            values["tags"] = json.dumps(sorted(set(values["tags"])))

        def work(connection: Connection) -> int:
            if _SERVED_BY & set(values):
                note_users_changed(connection)
            return connection.execute(update(agents).where(_A.id == agent_id).values(values)).rowcount

        if self._writer.run(Rows(work)) == 0:
            raise NotFound(f"there is no agent {agent_id}", hint="logferry agents shows them")
        self._quotas.changed()

    def remove(self, agent_id: str) -> None:
        """Remove an agent that never delivered anything, with its user.

        Raises:
            NotFound: there is no such agent.
            Conflict: it has files in the archive, which only retention deletes.
        """

        def work(connection: Connection) -> int:
            if connection.execute(select(files.c.id).where(files.c.agent_id == agent_id).limit(1)).first():
                raise Conflict(
                    f"agent {agent_id} has files in the archive",
                    hint="revoke it instead: it cannot log in any more, and its files stay",
                )
            mine = folders.c.agent_id == agent_id
            connection.execute(update(folders).where(mine).values(parent_id=None))
            connection.execute(delete(folders).where(mine))
            connection.execute(delete(users).where(users.c.agent_id == agent_id))
            note_users_changed(connection)
            return connection.execute(delete(agents).where(_A.id == agent_id)).rowcount

        if self._writer.run(Rows(work)) == 0:
            raise NotFound(f"there is no agent {agent_id}")

    def _record(self, row: Any) -> AgentRecord:
        *values, quota_files, quota_bytes, zone, tags, expect_every_s, upload_rate, admitted = row
        values[8] = bool(values[8])
        default = self._quotas.default
        values.append(default.files if quota_files is None else quota_files)
        values.append(default.bytes if quota_bytes is None else quota_bytes)
        values += [quota_files, quota_bytes, self._zones.default if zone is None else zone, zone]
        values += [tuple(json.loads(tags)), expect_every_s, upload_rate, admitted == 0]
        return AgentRecord(*values)

    def _post(self, agent_id: str, values: dict[str, Any]) -> None:
        self._writer.post(
            Rows(lambda connection: connection.execute(update(agents).where(_A.id == agent_id).values(values)).rowcount)
        )
