"""Expired names: under which other names something was to be had that retention has deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the table; of what went so far the names are not known."""
    op.create_table(
        "expired_names",
        sa.Column("expired_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("file_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    )
    op.create_index("expired_names_by_file", "expired_names", ["file_id", "number"])
