"""Zones: of an agent's times that name none, and in which each index has read them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns. So far all times without a zone were read as UTC."""
    op.add_column("agents", sa.Column("zone", _TEXT, nullable=True))
    op.add_column("indexes", sa.Column("zone", _TEXT, nullable=False, server_default="UTC"))
