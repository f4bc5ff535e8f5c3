"""Statements compiled once: what SQLAlchemy Core wrote, run straight on the driver's cursor.

Building and caching a Core statement costs more than SQLite needs to run it. The few statements that every upload
needs are therefore compiled per dialect when the catalog opens. They take and return plain values only (int, str,
float, None), which need no conversion on any driver.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement


class Cursor(Protocol):
    """The part of a DB-API cursor that is used here."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Any: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Prepared:
    """One compiled statement. Call ``all``, ``one`` or ``run`` with its named parameters."""

    __slots__ = ("_bind", "_defaults", "sql")

    def __init__(self, statement: ClauseElement, dialect: Dialect, columns: Sequence[str] | None = None) -> None:
        """``columns`` are those an INSERT without values sets, each from the parameter of its name."""
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
        self.sql = str(compiled)
        self._defaults = {
            name: compiled.params[name] for bind, name in compiled.bind_names.items() if not bind.required
        }
        self._bind: Callable[[dict[str, Any]], Any] = _binder(compiled.positiontup)

    def run(self, cursor: Cursor, **values: Any) -> None:
        """Run it for its effect."""
        cursor.execute(self.sql, self._bind({**self._defaults, **values} if self._defaults else values))

    def one(self, cursor: Cursor, **values: Any) -> Any | None:
        """Its first row, or None."""
        self.run(cursor, **values)
        row = cursor.fetchone()
        cursor.fetchall()
        return row

    def all(self, cursor: Cursor, **values: Any) -> list[Any]:
        """All its rows."""
        self.run(cursor, **values)
        return cursor.fetchall()


def _binder(order: list[str] | None) -> Callable[[dict[str, Any]], Any]:
    if order is None:  # drivers with named parameters
        return lambda values: values
    names = tuple(order)
    return lambda values: [values[name] for name in names]
