"""Quotas: what each agent holds, and what it may hold."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and count what is held. No agent has a quota of its own yet."""
    op.add_column("agents", sa.Column("held_files", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("agents", sa.Column("held_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("agents", sa.Column("quota_files", sa.BigInteger, nullable=True))
    op.add_column("agents", sa.Column("quota_bytes", sa.BigInteger, nullable=True))
    mine = "FROM generations g JOIN files f ON f.id = g.file_id WHERE f.agent_id = agents.id"
    op.execute(
        f"UPDATE agents SET held_files = (SELECT count(*) {mine}), "  # noqa: S608 - no value in it
        f"held_bytes = (SELECT coalesce(sum(g.size), 0) {mine})"
    )
