"""Outsiders: people for whom a provider vouches, and what it vouched for a session with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns; so far everybody has a password here."""
    for table, column in (("users", "issuer"), ("users", "subject"), ("sessions", "id_token")):
        op.add_column(table, sa.Column(column, _TEXT, nullable=False, server_default=""))
    is_outsider = sa.text("issuer <> ''")
    op.create_index(
        "users_by_subject", "users", ["issuer", "subject"], unique=True,
        sqlite_where=is_outsider, postgresql_where=is_outsider,
    )  # fmt: skip
