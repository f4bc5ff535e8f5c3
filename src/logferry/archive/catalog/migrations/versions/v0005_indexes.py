"""Indexes: which segment has one, where it lies, and which are to be built."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the table. Segments without a row are indexed one after the other in the background."""
    op.create_table(
        "indexes",
        sa.Column("segment_id", _ID, sa.ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("built_ns", sa.BigInteger, nullable=False),
        sa.Column("due_ns", sa.BigInteger, nullable=True),
        sa.Column("why", _TEXT, nullable=False),
    )
    op.create_index("indexes_by_name", "indexes", ["name"])
