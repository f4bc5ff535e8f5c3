"""Compressed files in the catalog: which are to be looked into, what was found, and which hold another file's text.

A row comes into being with a generation whose name says that it is compressed (``filing``), in the same transaction,
so none is ever forgotten. A link is one row's ``copy_of``; it goes with either of its generations.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import case, func, select, update
from sqlalchemy.engine import Connection, Engine

from logferry.archive.catalog.tables import compressed, files, generations
from logferry.archive.catalog.writer import Rows, Writer
from logferry.archive.records import CopyRecord, CopySums, WaitingRecord
from logferry.limits import CATALOG_PAGE_ROWS, COPIES_BATCH, COPIES_HASHED_MAX
from logferry.names import split

TEXT, OTHER, BROKEN = "text", "other", "broken"
"""States of a row that was looked into: it has a text, is not compressed after all, or cannot be unpacked."""

_C, _G = compressed.c, generations.c
_HELD = files.join(generations, _G.file_id == files.c.id)


class Copies:
    """Compressed generations and the originals of which they are copies. Thread-safe."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    # For the search and for views -------------------------------------------------------------------------------------

    def links(self, generation_ids: Iterable[int]) -> dict[int, CopyRecord]:
        """Those of the generations that are copies, by id. An original that is not held any more makes no copy."""
        wanted = list(generation_ids)
        found: dict[int, CopyRecord] = {}
        query = (
            select(
                _C.generation_id, _C.text_size, _C.text_sha256, _G.id, files.c.id, files.c.agent_id, files.c.path,
                _G.number, _G.size,
            )
            .select_from(compressed.join(generations, _G.id == _C.copy_of).join(files, files.c.id == _G.file_id))
        )  # fmt: skip
        for start in range(0, len(wanted), CATALOG_PAGE_ROWS):
            with self._engine.connect() as connection:
                part = _C.generation_id.in_(wanted[start : start + CATALOG_PAGE_ROWS])
                for row in connection.execute(query.where(part)):
                    found[row[0]] = CopyRecord(*row)
        return found

    def sums(self) -> CopySums:
        """How far the look into compressed files is."""
        query = select(
            func.count(),
            func.coalesce(func.sum(case((_C.state == "waiting", 1), else_=0)), 0),
            func.coalesce(func.sum(case((_C.copy_of.is_not(None), 1), else_=0)), 0),
            func.coalesce(func.sum(case((_C.state == BROKEN, 1), else_=0)), 0),
        ).select_from(compressed)
        with self._engine.connect() as connection:
            row = connection.execute(query).one()
        return CopySums(int(row[0]), int(row[1]), int(row[2]), int(row[3]))

    # For whoever looks into them --------------------------------------------------------------------------------------

    def due(self, now_ns: int, limit: int = COPIES_BATCH) -> list[WaitingRecord]:
        """Generations to look into now, those that wait longest first."""
        query = (
            select(_G.id, files.c.agent_id, files.c.path, _G.size, _C.wait_ns, _C.size, _C.text_size, _C.text_sha256)
            .select_from(compressed.join(generations, _G.id == _C.generation_id).join(files, files.c.id == _G.file_id))
            .where(_C.due_ns <= now_ns)
            .order_by(_C.due_ns)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [_waiting(row) for row in connection.execute(query)]

    def largest(self) -> int:
        """Bytes of the largest generation there is: no longer text can be a copy."""
        with self._engine.connect() as connection:
            return int(connection.execute(select(func.coalesce(func.max(_G.size), 0))).scalar_one())

    def of_size(self, agent: str, path: str, size: int, *, but: int) -> list[tuple[int, str | None]]:
        """Generations of ``agent`` that hold ``size`` bytes: (id, SHA-256 if it is known), without ``but``.

        Those in the folder of ``path`` first, of these the one that came first: a log before plain copies of it.
        """
        sha256 = case((_G.sha256_size == _G.size, _G.sha256), else_=None)
        folder = split(path)[0]
        near = case((files.c.path.like(f"{_escaped(folder)}/%" if folder else "%", escape="\\"), 0), else_=1)
        query = (
            select(_G.id, sha256)
            .select_from(_HELD)
            .where(_G.size == size, files.c.agent_id == agent, _G.id != but)
            .order_by(near, _G.id)
        )
        with self._engine.connect() as connection:
            known: list[tuple[int, str | None]] = []
            unknown = 0
            for row in connection.execute(query):
                unknown += row[1] is None
                if unknown > COPIES_HASHED_MAX:
                    break
                known.append((row[0], row[1]))
        return known

    def looked_into(
        self,
        seen: WaitingRecord,
        *,
        state: str,
        text: tuple[int, str] = (0, ""),
        copy_of: int | None = None,
        due_ns: int | None = None,
        wait_ns: int = 0,
        why: str = "",
    ) -> None:
        """Record what was found in ``seen``. Nothing happens when it has grown since, or is gone."""
        values: dict[str, Any] = {
            "state": state, "size": seen.size, "text_size": text[0], "text_sha256": text[1], "copy_of": copy_of,
            "due_ns": due_ns, "wait_ns": wait_ns, "why": why,
        }  # fmt: skip
        size_now = select(_G.size).where(_G.id == seen.generation_id).scalar_subquery()
        statement = (
            update(compressed)
            .where(_C.generation_id == seen.generation_id, size_now == seen.size)
            .values(**values)
        )  # fmt: skip

        def work(connection: Connection) -> None:
            connection.execute(statement)

        self._writer.run(Rows(work))


def _waiting(row: Any) -> WaitingRecord:
    generation_id, agent, path, size, wait_ns, size_then, text_size, text_sha256 = row
    known = bool(text_sha256) and size_then == size
    return WaitingRecord(generation_id, agent, path, size, wait_ns, (text_size, text_sha256) if known else None)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
