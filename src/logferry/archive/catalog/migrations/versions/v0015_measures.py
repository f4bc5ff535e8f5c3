"""Measures: how many lines there are in stretches of generations, and their first and last time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables; the care process fills them."""
    op.create_table(
        "measures",
        sa.Column("generation_id", _ID, sa.ForeignKey("generations.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("offset", sa.BigInteger, primary_key=True),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("line_ends", sa.BigInteger, nullable=False),
        sa.Column("is_open", sa.SmallInteger, nullable=False),
        sa.Column("first_ns", sa.BigInteger, nullable=True),
        sa.Column("last_ns", sa.BigInteger, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "measured",
        sa.Column("segment_id", _ID, sa.ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("index_name", _TEXT, nullable=False),
    )
