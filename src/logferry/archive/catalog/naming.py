"""Finding files by parts of their names: blocks of names are made in the background, the newest files are looked at.

Every answer is right whether all blocks are made or none; they only save looking.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import and_, bindparam, func, insert, select, tuple_
from sqlalchemy.engine import Connection, Engine

from logferry.archive.catalog import nameblocks
from logferry.archive.catalog.nameblocks import Named
from logferry.archive.catalog.prepared import Prepared
from logferry.archive.catalog.readers import Readers
from logferry.archive.catalog.tables import files, name_blocks
from logferry.archive.catalog.writer import Rows, Writer
from logferry.limits import (
    CATALOG_PAGE_ROWS,
    FIND_BLOCK_ROWS,
    FIND_SAMPLE_BLOCKS,
    FIND_WALK_ROWS_MAX,
    NAME_BLOCK_FILES,
    NAME_BLOCKS_READ,
)

_B = name_blocks.c
T = TypeVar("T")


class _Emptied(Exception):
    """Somebody has emptied the table since its bits were read."""


class Naming:
    """The names of all files. Thread-safe."""

    def __init__(self, engine: Engine, readers: Readers, writer: Writer) -> None:
        self._engine = engine
        self._readers = readers
        self._writer = writer
        dialect = engine.dialect
        self._last = Prepared(select(func.max(_B.last_id)), dialect)
        self._newer = Prepared(
            select(_B.first_id, _B.last_id, _B.files, _B.grams)
            .where(_B.first_id > bindparam("after"))
            .order_by(_B.first_id)
            .limit(bindparam("most")),
            dialect,
        )
        self._names = Prepared(select(_B.names).where(_B.first_id == bindparam("first")), dialect)
        self._files = Prepared(
            select(files.c.agent_id, files.c.path, files.c.id)
            .where(files.c.id > bindparam("after"))
            .order_by(files.c.id)
            .limit(bindparam("most")),
            dialect,
        )
        in_order = select(files.c.agent_id, files.c.path, files.c.id).order_by(files.c.agent_id, files.c.path)
        behind = tuple_(files.c.agent_id, files.c.path) > tuple_(bindparam("last_agent"), bindparam("last_path"))
        self._following = Prepared(in_order.where(behind).limit(bindparam("most")), dialect)
        of_agent = and_(files.c.agent_id == bindparam("agent"), files.c.path > bindparam("last_path"))
        self._of_agent = Prepared(in_order.where(of_agent).limit(bindparam("most")), dialect)
        self._lock = threading.Lock()
        self._known: list[tuple[int, int, int]] = []
        """(first id, last id, count) of the blocks whose bits are in ``_matrix``."""
        self._matrix: Any = None

    # Making ----------------------------------------------------------------------------------------------------------

    def make_block(self) -> bool:
        """Make the next block, when there are enough files for it; whether there were."""
        with self._readers.cursor() as cursor:
            after = self._last_id(cursor)
            rows = self._files.all(cursor, after=after, most=NAME_BLOCK_FILES)
        if len(rows) < NAME_BLOCK_FILES:
            return False
        block = nameblocks.pack([Named(*row) for row in rows])

        def work(connection: Connection) -> None:
            # Another process may have been first; it made the same block.
            last = connection.execute(select(func.max(_B.last_id))).scalar() or 0
            if last == after:
                connection.execute(insert(name_blocks).values(block._asdict()))

        self._writer.run(Rows(work))
        return True

    # Finding ---------------------------------------------------------------------------------------------------------

    def following(self, after: tuple[str, str] | None) -> list[Named]:
        """A page of all files behind ``after`` (agent, path), in that order; what has moved away is among them."""
        agent, path = after or ("", "")
        with self._readers.cursor() as cursor:
            rows = self._following.all(cursor, last_agent=agent, last_path=path, most=CATALOG_PAGE_ROWS)
        return [Named(*row) for row in rows]

    def of_agents(self, agents: Sequence[str], after: tuple[str, str]) -> Iterator[list[Named]]:
        """Pages of all files of ``agents`` behind ``after`` (agent, path), in that order, as ``following`` has them."""
        for agent in sorted(set(agents)):
            last = after[1] if agent == after[0] else ""
            while agent >= after[0]:
                with self._readers.cursor() as cursor:
                    rows = self._of_agent.all(cursor, agent=agent, last_path=last, most=CATALOG_PAGE_ROWS)
                yield [Named(*row) for row in rows]
                if len(rows) < CATALOG_PAGE_ROWS:
                    break
                last = rows[-1][1]

    def worth_walking(self, literals: Sequence[str], limit: int) -> int:
        """So many files may be gone through for ``limit`` with all of ``literals`` in their names; 0: few have them."""
        return self._retried(lambda: self._worth_walking(literals, limit))

    def _worth_walking(self, literals: Sequence[str], limit: int) -> int:
        known, matrix = self._blocks()
        rows = nameblocks.may_hold(matrix, literals) if known else []
        if 2 * len(rows) < len(known):
            return 0
        sample = rows[:: max(1, len(rows) // FIND_SAMPLE_BLOCKS)][:FIND_SAMPLE_BLOCKS]
        looked_at = sum(known[row][2] for row in sample)
        hits = sum(sum(1 for _ in self._in_block(known[row], literals, None)) for row in sample)
        # They lie in heaps: twenty times as many as if they were spread evenly.
        rows_needed = 20 * limit * looked_at // hits if hits else 0
        if not hits or (2 * hits < looked_at and rows_needed > FIND_WALK_ROWS_MAX):
            return 0
        # Or more: as long as it costs no more than half of what reading all these blocks does.
        return min(max(rows_needed, len(rows) * FIND_BLOCK_ROWS // 2), FIND_WALK_ROWS_MAX)

    def first(self, literals: Sequence[str], after: tuple[str, str] | None, count: int) -> list[Named]:
        """The first ``count`` files behind ``after`` (agent, path) with all of ``literals`` (folded) in their names.

        What has moved away is among them.
        """
        return self._retried(lambda: self._first(literals, after, count))

    def _retried(self, work: Callable[[], T]) -> T:
        while True:
            try:
                return work()
            except _Emptied:
                with self._lock:
                    self._known, self._matrix = [], None

    def _first(self, literals: Sequence[str], after: tuple[str, str] | None, count: int) -> list[Named]:
        best: list[Named] = []
        bound: Named | None = None
        for some in self._by_part(literals, after):
            for found in some:  # in order, so those behind one that comes too late do as well
                if bound is not None and found > bound:
                    break
                best.append(found)
            if len(best) >= count:
                best = sorted(best)[:count]
                bound = best[-1]
        return sorted(best)

    def _by_part(self, literals: Sequence[str], after: tuple[str, str] | None) -> Iterator[Iterator[Named]]:
        """The matches of each block, then those of files that are in none, each in order."""
        known, matrix = self._blocks()
        last = known[-1][1] if known else 0
        for row in nameblocks.may_hold(matrix, literals) if known else ():
            yield self._in_block(known[row], literals, after)
        while True:
            with self._readers.cursor() as cursor:
                rows = self._files.all(cursor, after=last, most=CATALOG_PAGE_ROWS)
            found = [Named(*row) for row in rows if nameblocks.has_all(row[0], row[1], literals)]
            yield iter(sorted(one for one in found if after is None or one[:2] > after))
            if len(rows) < CATALOG_PAGE_ROWS:
                return
            last = rows[-1][2]

    def _in_block(
        self, block: tuple[int, int, int], literals: Sequence[str], after: tuple[str, str] | None
    ) -> Iterator[Named]:  # fmt: skip
        first_id, _, count = block
        with self._readers.cursor() as cursor:
            names = self._names.one(cursor, first=first_id)
        if names is None:
            raise _Emptied
        return nameblocks.matches(first_id, count, bytes(names[0]), literals, after)

    def _blocks(self) -> tuple[list[tuple[int, int, int]], Any]:
        """All blocks and their bits; those made since the last time are read."""
        with self._lock:
            while True:
                after = self._known[-1][0] if self._known else -1
                with self._readers.cursor() as cursor:
                    rows = self._newer.all(cursor, after=after, most=NAME_BLOCKS_READ)
                if rows:
                    added = nameblocks.gram_matrix([bytes(row[3]) for row in rows])
                    self._matrix = added if self._matrix is None else _below(self._matrix, added)
                    self._known = [*self._known, *((row[0], row[1], row[2]) for row in rows)]
                if len(rows) < NAME_BLOCKS_READ:
                    return self._known, self._matrix

    def _last_id(self, cursor: Any) -> int:
        row = self._last.one(cursor)
        return int(row[0]) if row is not None and row[0] is not None else 0


def _below(matrix: Any, added: Any) -> Any:
    import numpy as np

    return np.concatenate([matrix, added])
