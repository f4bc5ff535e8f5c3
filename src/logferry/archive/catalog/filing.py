"""The rows behind one path: how a generation begins, grows, ends and moves, with the folder sums kept right.

Works inside the writer's transaction, on prepared statements. It moves no file: its callers do that, in the order
that survives a crash.
"""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

from sqlalchemy import Dialect, bindparam, delete, func, insert, null, select, update

from logferry.archive.catalog.prepared import Prepared
from logferry.archive.catalog.sums import FolderSums
from logferry.archive.catalog.tables import compressed, files, former_names, generations
from logferry.archive.catalog.writer import Transaction
from logferry.compressed import form_by_name
from logferry.errors import Conflict
from logferry.limits import COPIES_QUIET_S
from logferry.names import split

LIVE, KEPT, SEALED = "live", "kept", "sealed"
_QUIET_NS = int(COPIES_QUIET_S * 1e9)


class PathState(NamedTuple):
    """A file and the generation it shows (its ``generation_id`` is None when it holds none)."""

    file_id: int
    number: int
    shown: int | None
    held: int
    generation_id: int | None
    size: int
    started_ns: int
    changed_ns: int
    ended_ns: int | None
    modified_ns: int
    sha256: str | None
    sha256_size: int
    state: str
    place: str
    agent: str
    path: str
    uid: str
    sealed: int
    own_number: int
    """Of the generation under its file; ``number`` and ``shown`` are the file's."""

    @property
    def is_current(self) -> bool:
        """Whether there is a current generation, which may grow."""
        return self.generation_id is not None and self.ended_ns is None


def changed(path: str) -> Conflict:
    """The error for a path that is no longer what it was when a change began."""
    return Conflict(f"{path} changed meanwhile", hint="ask for its size again, then decide")


class NewGeneration(NamedTuple):
    """The ids of a generation that has just begun."""

    file_id: int
    generation_id: int
    number: int
    is_new_file: bool


_G = generations.c
_STATE = (
    files.c.id, files.c.number, files.c.shown, files.c.held, _G.id, _G.size, _G.started_ns, _G.changed_ns, _G.ended_ns,
    _G.modified_ns, _G.sha256, _G.sha256_size, _G.state, _G.place, files.c.agent_id, files.c.path, _G.uid, _G.sealed,
    _G.number,
)  # fmt: skip
_SHOWN = files.outerjoin(generations, (_G.file_id == files.c.id) & (_G.number == files.c.shown))
_HELD = files.join(generations, _G.file_id == files.c.id)


class Filing:
    """Rows of files and generations. One per catalog; its methods that write take the writer's transaction."""

    def __init__(self, dialect: Dialect, sums: FolderSums) -> None:
        self._sums = sums

        def prepared(statement: Any, columns: list[str] | None = None) -> Prepared:
            return Prepared(statement, dialect, columns)

        by_path = (files.c.agent_id == bindparam("agent")) & (files.c.path == bindparam("at"))
        this_file, this_generation = files.c.id == bindparam("file"), _G.id == bindparam("generation")
        self._at = prepared(select(*_STATE).select_from(_SHOWN).where(by_path))
        self._by_uid = prepared(select(*_STATE).select_from(_HELD).where(_G.uid == bindparam("told")))
        self._held = prepared(select(*_STATE).select_from(_HELD).where(this_generation))
        self._insert_file = prepared(insert(files).returning(files.c.id), _columns(files))
        self._insert_generation = prepared(insert(generations).returning(_G.id), _columns(generations))
        self._next_number = prepared(
            update(files)
            .values(number=bindparam("last"), shown=bindparam("last"), held=files.c.held + 1)
            .where(this_file)
        )
        self._grow = prepared(
            update(generations)
            .values(
                size=bindparam("bytes"),
                changed_ns=bindparam("ns"),
                modified_ns=bindparam("ns"),
                place=bindparam("lies_at"),
            )
            .where(this_generation, _G.size == bindparam("from_bytes"), _G.ended_ns.is_(null()))
            .returning(_G.id)
        )
        self._end = prepared(
            update(generations)
            .values(ended_ns=bindparam("ns"), state=bindparam("kept_as"), place=bindparam("kept_at"))
            .where(
                this_generation,
                _G.file_id == bindparam("file"),
                _G.number == bindparam("last"),
                _G.ended_ns.is_(null()),
            )
            .returning(_G.id)
        )
        self._rehome = prepared(
            update(generations)
            .values(file_id=bindparam("file"), number=bindparam("last"))
            .where(
                this_generation,
                _G.file_id == bindparam("from_file"),
                _G.number == bindparam("from_number"),
                _G.size == bindparam("bytes"),
                _G.ended_ns.is_(null()),
            )
            .returning(_G.id)
        )
        self._former = prepared(insert(former_names), _columns(former_names, with_id=True))
        self._drop = prepared(delete(generations).where(this_generation))
        self._fewer = prepared(update(files).values(held=files.c.held - 1).where(this_file))
        self._last_held = prepared(select(func.max(_G.number)).where(_G.file_id == bindparam("file")))
        self._let_go = prepared(update(files).values(shown=bindparam("left"), held=files.c.held - 1).where(this_file))
        self._modified = prepared(update(generations).values(modified_ns=bindparam("ns")).where(this_generation))
        self._digest = prepared(
            update(generations)
            .values(sha256=bindparam("digest"), sha256_size=bindparam("bytes"))
            .where(this_generation)
        )

        self._watch = prepared(insert(compressed), _columns(compressed, with_id=True))
        self._watch_again = prepared(
            update(compressed)
            .values(state="waiting", due_ns=bindparam("ns"), wait_ns=0, copy_of=null(), why="")
            .where(compressed.c.generation_id == bindparam("generation"))
            .returning(compressed.c.generation_id)
        )
        self._watched = prepared(
            select(compressed.c.generation_id).where(compressed.c.generation_id == bindparam("generation"))
        )

    # Reading ---------------------------------------------------------------------------------------------------------

    def at(self, cursor: Any, agent: str, path: str) -> PathState | None:
        """The file at ``path`` with the generation it shows, or None."""
        row = self._at.one(cursor, agent=agent, at=path)
        return PathState(*row) if row is not None else None

    def held(self, cursor: Any, generation_id: int) -> PathState | None:
        """The generation ``generation_id`` with the file that holds it now, or None."""
        row = self._held.one(cursor, generation=generation_id)
        return PathState(*row) if row is not None else None

    def by_uid(self, cursor: Any, uid: str) -> PathState | None:
        """The generation with this lasting name, or None."""
        row = self._by_uid.one(cursor, told=uid)
        return PathState(*row) if row is not None else None

    # Writing ---------------------------------------------------------------------------------------------------------

    def begin(
        self, transaction: Transaction, agent: str, path: str, *, size: int, modified_ns: int, now_ns: int,
        sha256: str | None,
    ) -> NewGeneration:  # fmt: skip
        """A new current generation of ``path`` lies in the live tree. Raises Conflict when the path has one already."""
        cursor = transaction.cursor
        file = self.at(cursor, agent, path)
        if file is not None and file.is_current:
            raise changed(path)
        file_id, number = self._numbered(transaction, agent, path, file, size, now_ns)
        row = self._insert_generation.one(
            cursor, file_id=file_id, number=number, size=size, started_ns=now_ns, changed_ns=now_ns, ended_ns=None,
            modified_ns=modified_ns, sha256=sha256, sha256_size=size if sha256 else 0, state=LIVE, place="",
            uid=secrets.token_hex(16), sealed=0,
        )  # fmt: skip
        self._sums.uploaded(agent, path, now_ns, files=1, size=size)
        self._sums.held(agent, 1, size)
        generation_id = int(row[0]) if row else 0
        if form_by_name(path):
            self.begin_watching(cursor, generation_id, now_ns)
        return NewGeneration(file_id, generation_id, number, file is None)

    def grow(
        self, transaction: Transaction, generation: PathState, size: int, now_ns: int, place: str | None = None
    ) -> None:
        """The current ``generation`` has ``size`` bytes now (``place``: of its unsealed bytes, None: as before).

        Raises:
            Conflict: it is no longer as ``generation`` says.
        """
        row = self._grow.one(
            transaction.cursor,
            generation=generation.generation_id,
            bytes=size,
            from_bytes=generation.size,
            ns=now_ns,
            lies_at=generation.place if place is None else place,
        )
        if row is None:
            raise changed(generation.path)
        chain = self._sums.chain(transaction.cursor, generation.agent, split(generation.path)[0])
        self._sums.add(chain, 0, size - generation.size, now_ns)
        self._sums.held(generation.agent, 0, size - generation.size)
        self._sums.uploaded(generation.agent, generation.path, now_ns, files=0, size=size - generation.size)
        if form_by_name(generation.path):
            self._keep_watching(transaction.cursor, generation.generation_id or 0, now_ns)

    def end(self, transaction: Transaction, generation: PathState, place: str, now_ns: int) -> None:
        """The current ``generation`` ends; its unsealed bytes lie at ``place`` from now on. Its path keeps showing it.

        Raises:
            Conflict: it is no longer where ``generation`` says.
        """
        row = self._end.one(
            transaction.cursor,
            generation=generation.generation_id,
            kept_at=place,
            kept_as=SEALED if generation.state == SEALED else KEPT,
            ns=now_ns,
            file=generation.file_id,
            last=generation.shown,
        )
        if row is None:
            raise changed(generation.path)

    def move(self, transaction: Transaction, generation: PathState, path: str, now_ns: int) -> NewGeneration:
        """The current ``generation`` is that of ``path`` from now on; its old number keeps resolving.

        Raises:
            Conflict: it is no longer as ``generation`` says, or the path has a current one.
        """
        cursor, agent = transaction.cursor, generation.agent
        target = self.at(cursor, agent, path)
        if target is not None and target.is_current:
            raise changed(path)
        file_id, number = self._numbered(transaction, agent, path, target, generation.size, now_ns)
        moved = self._rehome.one(
            cursor,
            generation=generation.generation_id,
            file=file_id,
            last=number,
            from_file=generation.file_id,
            from_number=generation.shown,
            bytes=generation.size,
        )
        if moved is None:
            raise changed(generation.path)
        self._former.run(
            cursor, file_id=generation.file_id, number=generation.shown, generation_id=generation.generation_id,
            until_ns=now_ns,
        )  # fmt: skip
        self._leave(transaction, generation, now_ns)
        if form_by_name(path) and self._watched.one(cursor, generation=generation.generation_id) is None:
            self.begin_watching(cursor, generation.generation_id or 0, now_ns)
        return NewGeneration(file_id, generation.generation_id or 0, number, target is None)

    def set_modified(self, transaction: Transaction, generation_id: int, ns: int) -> None:
        """Record the node's own time of the file."""
        self._modified.run(transaction.cursor, generation=generation_id, ns=ns)

    def set_digest(self, transaction: Transaction, generation_id: int, sha256: str, size: int) -> None:
        """Record the SHA-256 of the first ``size`` bytes."""
        self._digest.run(transaction.cursor, generation=generation_id, digest=sha256, bytes=size)

    def drop(self, transaction: Transaction, gone: PathState, now_ns: int) -> None:
        """``gone``, read in this transaction, is held no more; nothing else refers to it. Its number stays taken."""
        self._drop.run(transaction.cursor, generation=gone.generation_id)
        self._sums.held(gone.agent, -1, -gone.size, checked=False)
        if gone.own_number == gone.shown:
            self._leave(transaction, gone, now_ns)
        else:
            self._fewer.run(transaction.cursor, file=gone.file_id)

    def begin_watching(self, cursor: Any, generation_id: int, now_ns: int) -> None:
        """A compressed file is looked into when it has been quiet for a while."""
        self._watch.run(
            cursor, generation_id=generation_id, state="waiting", due_ns=now_ns + _QUIET_NS, wait_ns=0, size=0,
            text_size=0, text_sha256="", copy_of=None, why="",
        )  # fmt: skip

    def _keep_watching(self, cursor: Any, generation_id: int, now_ns: int) -> None:
        """It grew: what is known of its text is no longer so."""
        if self._watch_again.one(cursor, generation=generation_id, ns=now_ns + _QUIET_NS) is None:
            self.begin_watching(cursor, generation_id, now_ns)

    def _numbered(
        self, transaction: Transaction, agent: str, path: str, file: PathState | None, size: int, now_ns: int
    ) -> tuple[int, int]:
        """(file id, next number) for a generation of ``size`` that becomes the shown one of ``path``."""
        folder, name = split(path)
        chain = self._sums.chain(transaction.cursor, agent, folder)
        if file is None:
            row = self._insert_file.one(
                transaction.cursor, agent_id=agent, folder_id=chain[0], name=name, path=path, number=1, shown=1, held=1
            )
            self._sums.add(chain, 1, size, now_ns, appears=True)
            return int(row[0]) if row else 0, 1
        number = file.number + 1
        self._next_number.run(transaction.cursor, file=file.file_id, last=number)
        if file.generation_id is None:
            self._sums.add(chain, 1, size, now_ns, appears=True)
        else:
            self._sums.add(chain, 0, size - file.size, now_ns, appears=True)
        return file.file_id, number

    def _leave(self, transaction: Transaction, gone: PathState, now_ns: int) -> None:
        """The file that showed ``gone`` shows the last generation it still holds, or nothing."""
        cursor = transaction.cursor
        chain = self._sums.chain(cursor, gone.agent, split(gone.path)[0])
        row = self._last_held.one(cursor, file=gone.file_id)
        left = row[0] if row else None
        self._let_go.run(cursor, file=gone.file_id, left=left)
        after = self.at(cursor, gone.agent, gone.path)
        if left is None or after is None:
            self._sums.add(chain, -1, -gone.size, now_ns)
        else:
            self._sums.add(chain, 0, after.size - gone.size, now_ns)


def _columns(table: Any, *, with_id: bool = False) -> list[str]:
    return [column.name for column in table.c if with_id or column.name != "id"]
