"""Blocks of names, with which files are found by a part of their name. They are filled in the background."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "name_blocks",
        sa.Column("first_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last_id", sa.BigInteger, nullable=False),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("grams", sa.LargeBinary, nullable=False),
        sa.Column("names", sa.LargeBinary, nullable=False),
    )
    op.create_index("name_blocks_by_last", "name_blocks", ["last_id"])
