"""Sums of folders, kept while files arrive: each batch adds up what changed below every folder and writes it once.

Also knows the ids of folders (made on demand), because every file needs its folder's.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, Dialect, bindparam, case, insert, null, select, update

from logferry.archive.catalog.counting import COUNT, HOUR_NS
from logferry.archive.catalog.prepared import Prepared
from logferry.archive.catalog.quotas import HELD, Quotas
from logferry.archive.catalog.tables import agents, folders
from logferry.errors import NotFound
from logferry.limits import CATALOG_FOLDERS_KNOWN_MAX
from logferry.names import split


class FolderSums:
    """Folder ids and pending sums of one writer. Used by one thread at a time, under the writer's lock."""

    def __init__(self, dialect: Dialect, quotas: Quotas) -> None:
        self._quotas = quotas
        self._held: dict[str, tuple[int, int, bool]] = {}
        # (agent, path) -> ids from the folder itself up to its agent's root.
        self._chains: dict[tuple[str, str], tuple[int, ...]] = {}
        self._added: list[tuple[tuple[int, ...], int, int, int, bool]] = []
        self._uploaded: dict[str, tuple[int, str, int, int]] = {}
        self._find = Prepared(
            select(folders.c.id).where(folders.c.agent_id == bindparam("agent"), folders.c.path == bindparam("path")),
            dialect,
        )
        self._insert = Prepared(
            insert(folders).returning(folders.c.id),
            dialect,
            [column.name for column in folders.c if column.name != "id"],
        )
        self._show = Prepared(update(folders).values(present=1).where(folders.c.id == bindparam("folder")), dialect)
        changed: BindParameter[int] = bindparam("changed")
        self._add = Prepared(
            update(folders)
            .values(
                files=folders.c.files + bindparam("more_files"),
                bytes=folders.c.bytes + bindparam("more_bytes"),
                changed_ns=case((folders.c.changed_ns < changed, changed), else_=folders.c.changed_ns),
                present=case((bindparam("appears") == 1, 1), else_=folders.c.present),
            )
            .where(folders.c.id == bindparam("folder")),
            dialect,
        )
        self._heard = Prepared(
            update(agents)
            .values(
                heard_ns=bindparam("ns"), uploaded_ns=bindparam("ns"), last_path=bindparam("path"), error="",
                gone_ns=null(), error_ns=null(), held_files=agents.c.held_files + bindparam("more"),
                held_bytes=agents.c.held_bytes + bindparam("more_bytes"),
            )
            .where(agents.c.id == bindparam("agent"))
            .returning(*HELD),
            dialect,
        )  # fmt: skip
        self._count = Prepared(COUNT, dialect)
        self._agent = Prepared(select(agents.c.id).where(agents.c.id == bindparam("agent")), dialect)

    def chain(self, cursor: Any, agent: str, path: str) -> tuple[int, ...]:
        """Ids of the folder ``path`` and of all folders above it, made where missing.

        Raises:
            NotFound: there is no such agent.
        """
        known = self._chains.get((agent, path))
        if known is not None:
            return known
        above: tuple[int, ...] = ()
        parent, name = "", ""
        if path:
            parent, name = split(path)
            above = self.chain(cursor, agent, parent)
        elif self._agent.one(cursor, agent=agent) is None:
            raise NotFound(f"there is no agent {agent}", hint="let it join first")
        row = self._find.one(cursor, agent=agent, path=path)
        if row is None:
            row = self._insert.one(
                cursor, agent_id=agent, parent_id=above[0] if above else None, path=path, name=name, present=1,
                files=0, bytes=0, changed_ns=0,
            )  # fmt: skip
        if row is None:
            raise AssertionError("a folder just inserted has an id")
        chain = (int(row[0]), *above)
        if len(self._chains) >= CATALOG_FOLDERS_KNOWN_MAX:
            self._chains.clear()
        self._chains[agent, path] = chain
        return chain

    def show(self, cursor: Any, chain: tuple[int, ...]) -> None:
        """The folders of ``chain`` are there (again)."""
        for folder in chain:
            self._show.run(cursor, folder=folder)

    def add(self, chain: tuple[int, ...], files: int, size: int, changed_ns: int, *, appears: bool = False) -> None:
        """Below the folders of ``chain`` there are so many files and bytes more (or fewer).

        ``appears``: a file has come there, so the folders are there (again).
        """
        self._added.append((chain, files, size, changed_ns, appears))

    def held(self, agent: str, files: int, size: int, *, checked: bool = True) -> None:
        """The agent holds so many generations and bytes more (or fewer); ``checked``: if its quota allows it."""
        known_files, known_size, known_checked = self._held.get(agent, (0, 0, False))
        self._held[agent] = (known_files + files, known_size + size, known_checked or checked)

    def uploaded(self, agent: str, path: str, ns: int, *, files: int, size: int) -> None:
        """The agent has just delivered ``size`` bytes of ``path``, and so many files that were not there."""
        _, _, known_files, known_size = self._uploaded.get(agent, (0, "", 0, 0))
        self._uploaded[agent] = (ns, path, known_files + files, known_size + size)

    def forget(self) -> None:
        """Drop everything pending, and the ids learnt, which may have been undone with it."""
        self._added.clear()
        self._held.clear()
        self._uploaded.clear()
        self._chains.clear()

    def flush(self, cursor: Any) -> None:
        """Write everything pending.

        Raises:
            OverQuota: an agent would hold more than it may. Then all of it is to be rolled back.
        """
        total: dict[int, list[int]] = {}
        for chain, files, size, ns, appears in self._added:
            for folder in chain:
                sums = total.setdefault(folder, [0, 0, 0, 0])
                sums[0] += files
                sums[1] += size
                sums[2] = max(sums[2], ns)
                sums[3] |= int(appears)
        for folder, (files, size, ns, shown) in sorted(total.items()):
            self._add.run(cursor, folder=folder, more_files=files, more_bytes=size, changed=ns, appears=shown)
        for agent, (ns, path, came, came_size) in self._uploaded.items():
            self._count.run(
                cursor, hour=ns // HOUR_NS, agent=agent, more_bytes=came_size, more_files=came, more_errors=0
            )
            files, size, checked = self._held.pop(agent, (0, 0, False))
            row = self._heard.one(cursor, agent=agent, ns=ns, path=path, more=files, more_bytes=size)
            if checked and row is not None:
                self._quotas.check_row(agent, row, files, size)
        for agent, (files, size, checked) in self._held.items():
            self._quotas.add(cursor, agent, files, size, checked=checked)
        self._held.clear()
        self._added.clear()
        self._uploaded.clear()
