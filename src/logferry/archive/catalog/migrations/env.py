"""Run by Alembic: applies the migrations on the connection that ``migrate`` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from logferry.archive.catalog.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
