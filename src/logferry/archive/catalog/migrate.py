"""Bringing a catalog to the schema this program knows, when it is opened."""

from __future__ import annotations

from importlib import resources

from sqlalchemy import Engine, inspect, text

from logferry.archive.catalog.postgresql import WRITES
from logferry.errors import Conflict

HEAD = "0016"
"""The newest revision in ``migrations/versions``."""


def migrate(engine: Engine, to: str = HEAD) -> None:
    """Apply the migrations that are missing, all or none. Safe when several processes open the catalog at once.

    Args:
        to: the revision that is wanted; an older one in tests alone.

    Raises:
        Conflict: the catalog was written by a newer Logferry.
    """
    if revision(engine) == to:
        return
    from alembic import command  # only now: importing it takes longer than a start should
    from alembic.config import Config
    from alembic.util.exc import CommandError

    with resources.as_file(resources.files(__package__) / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, to)
            except CommandError as error:
                raise Conflict(
                    f"the catalog has a schema that this program does not know (it knows {HEAD}): {error}",
                    hint="it was written by a newer Logferry: upgrade; or the tables are another program's",
                ) from error


def revision(engine: Engine) -> str | None:
    """The revision of the schema that is there; None: there is none."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        return str(row[0]) if row else None
