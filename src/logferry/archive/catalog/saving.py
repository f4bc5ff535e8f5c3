"""The rows of what people keep: searches, files, tails, each an address of this program under a name."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.engine import Connection, Engine

from logferry.archive.catalog.tables import saved, users
from logferry.archive.catalog.writer import Rows, Writer
from logferry.clock import Clock
from logferry.errors import Conflict, NotFound, TooLarge
from logferry.limits import SAVED_MAX

_S = saved.c


class SavedRecord(NamedTuple):
    """``address`` is a path with its query, below the root of the program; ``owner`` is whose it is, by name."""

    id: int
    user_id: int
    owner: str
    name: str
    address: str
    shared: bool
    created_ns: int
    changed_ns: int


_COLUMNS = (_S.id, _S.user_id, users.c.name, _S.name, _S.address, _S.shared, _S.created_ns, _S.changed_ns)


class Saved:
    """What is kept, by whom, and who sees it. Thread-safe."""

    def __init__(self, engine: Engine, writer: Writer, clock: Clock) -> None:
        self._engine = engine
        self._writer = writer
        self._clock = clock

    def seen_by(self, user_id: int) -> list[SavedRecord]:
        """The person's own, then those that others share; by name."""
        with self._engine.connect() as connection:
            rows = connection.execute(_select().where(or_(_S.user_id == user_id, _S.shared == 1)))
            found = [_record(row) for row in rows]
        return sorted(found, key=lambda one: (one.user_id != user_id, one.name.casefold(), one.id))

    def get(self, saved_id: int, user_id: int) -> SavedRecord:
        """One that the person sees. Raises NotFound."""
        query = _select().where(_S.id == saved_id, or_(_S.user_id == user_id, _S.shared == 1))
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise _nothing(saved_id)
        return _record(row)

    def add(self, user_id: int, name: str, address: str, *, shared: bool) -> int:
        """Keep it; returns its id.

        Raises:
            Conflict: the person has something of that name.
            TooLarge: the person keeps too much already.
        """
        now_ns = self._clock.now_ns()
        values = {
            "user_id": user_id, "name": name, "address": address, "shared": int(shared), "created_ns": now_ns,
            "changed_ns": now_ns,
        }  # fmt: skip

        def work(connection: Connection) -> int:
            kept = connection.execute(select(func.count()).where(_S.user_id == user_id)).scalar_one()
            if kept >= SAVED_MAX:
                raise TooLarge(f"you have saved {SAVED_MAX} already", hint="remove some first")
            _refuse_same(connection, user_id, name)
            return int(connection.execute(insert(saved).values(**values).returning(_S.id)).scalar_one())

        return self._writer.run(Rows(work))

    def change(self, saved_id: int, **values: Any) -> None:
        """Another ``name`` or ``address``, or ``shared`` or not. Raises NotFound, Conflict as ``add``."""
        if "shared" in values:
            values["shared"] = int(values["shared"])

        def work(connection: Connection) -> None:
            row = connection.execute(select(_S.user_id).where(_S.id == saved_id)).first()
            if row is None:
                raise _nothing(saved_id)
            if "name" in values:
                _refuse_same(connection, row[0], values["name"], but=saved_id)
            connection.execute(update(saved).where(_S.id == saved_id).values(changed_ns=self._clock.now_ns(), **values))

        self._writer.run(Rows(work))

    def remove(self, saved_id: int) -> None:
        """It is kept no more. Raises NotFound."""

        def work(connection: Connection) -> int:
            return connection.execute(delete(saved).where(_S.id == saved_id)).rowcount

        if self._writer.run(Rows(work)) == 0:
            raise _nothing(saved_id)


def _select() -> Any:
    return select(*_COLUMNS).select_from(saved.join(users, users.c.id == _S.user_id))


def _record(row: Any) -> SavedRecord:
    return SavedRecord._make([*row[:5], bool(row[5]), *row[6:]])


def _refuse_same(connection: Connection, user_id: int, name: str, *, but: int = 0) -> None:
    found = select(_S.id).where(_S.user_id == user_id, _S.name == name, _S.id != but)
    if connection.execute(found).first() is not None:
        raise Conflict(f"you have saved something as {name!r}", hint="take another name, or remove that one first")


def _nothing(saved_id: int) -> NotFound:
    return NotFound(f"nothing is saved under number {saved_id}", hint="the list shows what is")
