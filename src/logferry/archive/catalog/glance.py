"""A look at a catalog that changes nothing in it: no migration, no row."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from logferry.archive.catalog.engine import Place, explaining, opened
from logferry.archive.catalog.migrate import HEAD, revision
from logferry.errors import Damaged

_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class Glance:
    """Its schema's revision (empty: none), the one this program knows, whether all of it was looked through."""

    revision: str
    known: str
    is_whole: bool

    @property
    def is_current(self) -> bool:
        """Whether it has the schema that this program writes."""
        return self.revision == self.known


def glance(place: Place, *, within_s: float) -> Glance:
    """Look at the catalog at ``place``; the rows of SQLite's too, as far as ``within_s`` reaches.

    Raises:
        Damaged: it cannot be read, or SQLite finds it damaged.
        LogferryError: its server does not answer; see ``Catalog.open``.
    """
    engine = opened(place)
    try:
        with explaining(engine):
            found = revision(engine) or ""
    finally:
        engine.dispose()
    url = make_url(place.url)
    whole = url.get_backend_name() != "sqlite" or _looked_through(url.database or "", within_s)
    return Glance(found, HEAD, whole)


def _looked_through(path: str, within_s: float) -> bool:
    """Whether SQLite got to the end. Raises Damaged."""
    until_s = time.monotonic() + within_s
    connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)
    try:
        connection.set_progress_handler(lambda: time.monotonic() > until_s, _STEPS)
        said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            return False
        raise Damaged(f"the catalog {path} cannot be read: {error}", where=path) from error
    except sqlite3.DatabaseError as error:
        raise Damaged(f"the catalog {path} cannot be read: {error}", where=path) from error
    finally:
        connection.close()
    if said != "ok":
        hint = "restore it from a backup, or let logferry repair build it from what is there"
        raise Damaged(f"the catalog {path} is damaged: {said}", where=path, hint=hint)
    return True
