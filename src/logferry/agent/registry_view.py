"""Reading the registry beside a running agent, or without one: nothing is written, nothing is waited for."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from logferry.agent.registry import rows_where
from logferry.agent.rows import Row
from logferry.errors import Later, NotFound

_WAIT_S = 5.0


def rows_at(path: bytes, registry: Path) -> list[Row]:
    """The rows that have this raw path (at most one).

    Raises:
        NotFound: there is no registry yet.
        Later: it cannot be read now.
    """
    return _read(registry, "WHERE path = ?", (path,))


def rows_ending_at(place: str, registry: Path) -> list[Row]:
    """Earlier generations that are still to be moved aside from this archive path. Raises as ``rows_at``."""
    return _read(registry, "WHERE path IS NULL AND (remote = ?1 OR going = ?1)", (place,))


def _read(registry: Path, where: str, arguments: tuple[object, ...]) -> list[Row]:
    if not registry.exists():
        raise NotFound(f"there is no registry {registry}", hint="the agent has not run yet with this state folder")
    # Without a write-ahead log nobody has it open; then it is read without leaving one behind.
    how = "mode=ro" if registry.with_name(registry.name + "-wal").exists() else "immutable=1"
    try:
        db = sqlite3.connect(f"file:{quote(str(registry))}?{how}", uri=True, timeout=_WAIT_S)
        try:
            return rows_where(db, where, arguments)
        finally:
            db.close()
    except sqlite3.Error as error:
        raise Later(
            f"registry {registry}: {error}", hint="the agent sets a damaged one aside when it starts"
        ) from error
    except (AssertionError, ValueError) as error:
        raise Later(f"registry {registry}: a row makes no sense", hint="restart the agent: it repairs that") from error
