"""People: one-time codes as a second factor, what a token may at most, links that set a password; and the audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add columns and the table."""
    op.add_column("users", sa.Column("totp", _TEXT, nullable=False, server_default=""))
    op.add_column("users", sa.Column("totp_new", _TEXT, nullable=False, server_default=""))
    op.add_column("users", sa.Column("totp_step", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("users", sa.Column("recovery", _TEXT, nullable=False, server_default="[]"))
    op.add_column("tokens", sa.Column("role", _TEXT, nullable=False, server_default=""))
    op.add_column("codes", sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("time_ns", sa.BigInteger, nullable=False),
        sa.Column("who", _TEXT, nullable=False),
        sa.Column("role", _TEXT, nullable=False),
        sa.Column("via", _TEXT, nullable=False),
        sa.Column("address", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("action", _TEXT, nullable=False),
        sa.Column("target", _TEXT, nullable=False),
        sa.Column("detail", _TEXT, nullable=False),
        sa.Column("request_id", _TEXT, nullable=False),
        sa.Column("hash", _TEXT, nullable=False),
    )
    op.create_index("audit_by_who", "audit", ["who", "id"])
    op.create_index("audit_by_kind", "audit", ["kind", "id"])
