"""Bringing a catalog to the schema this program knows, when it is opened."""

from __future__ import annotations

from importlib import resources

from sqlalchemy import Engine, inspect, text

from logferry.archive.catalog.postgresql import WRITES
from logferry.errors import Conflict

HEAD = "0004"
"""The newest revision in ``migrations/versions``."""


def migrate(engine: Engine) -> None:
    """Apply the migrations that are missing, all or none. Safe when several processes open the catalog at once.

    Raises:
        Conflict: the catalog was written by a newer Logferry.
    """
    if revision(engine) == HEAD:
        return
    from alembic import command  # only now: importing it takes longer than a start should
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError

    with resources.as_file(resources.files(__package__) / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, ScriptDirectory.from_config(config).get_current_head() or HEAD)
            except CommandError as error:
                raise Conflict(
                    f"the catalog's schema is unknown: {error}", hint="it was written by a newer Logferry: upgrade"
                ) from error


def revision(engine: Engine) -> str | None:
    """The revision of the schema that is there; None: there is none."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        return str(row[0]) if row else None
