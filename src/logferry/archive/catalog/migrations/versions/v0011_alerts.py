"""Alerts, whom they are told, and what a person sets for one agent: tags, how often it is expected, its speed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_OPEN = sa.text("closed_ns IS NULL")
_WAITING = sa.text("due_ns IS NOT NULL")


def upgrade() -> None:
    """Add columns and tables; no alert is open yet."""
    op.add_column("agents", sa.Column("tags", _TEXT, nullable=False, server_default="[]"))
    op.add_column("agents", sa.Column("expect_every_s", sa.Float, nullable=True))
    op.add_column("agents", sa.Column("upload_rate", _TEXT, nullable=False, server_default=""))
    op.create_index("users_by_agent", "users", ["agent_id"])
    op.create_table(
        "alert_rules",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("agents", _TEXT, nullable=False),
        sa.Column("groups", _TEXT, nullable=False),
        sa.Column("channels", _TEXT, nullable=True),
        sa.Column("above", sa.Float, nullable=True),
        sa.Column("after_s", sa.Float, nullable=True),
        sa.Column("enabled", sa.SmallInteger, nullable=False),
        sa.Column("made_by", _TEXT, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alerts",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("group", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("rule", _TEXT, nullable=False),
        sa.Column("began_ns", sa.BigInteger, nullable=False),
        sa.Column("raised_ns", sa.BigInteger, nullable=True),
        sa.Column("told_ns", sa.BigInteger, nullable=True),
        sa.Column("told", _TEXT, nullable=False),
        sa.Column("well_ns", sa.BigInteger, nullable=True),
        sa.Column("resolved_ns", sa.BigInteger, nullable=True),
        sa.Column("closed_ns", sa.BigInteger, nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "alerts_open", "alerts", ["kind", "subject"], unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN
    )
    op.create_table(
        "alert_mutes",
        sa.Column("kind", _TEXT, primary_key=True),
        sa.Column("subject", _TEXT, primary_key=True),
        sa.Column("until_ns", sa.BigInteger, nullable=False),
        sa.Column("made_by", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
    )
    op.create_table(
        "alert_messages",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("uid", _TEXT, nullable=False, unique=True),
        sa.Column("channel", _TEXT, nullable=False),
        sa.Column("event", _TEXT, nullable=False),
        sa.Column("title", _TEXT, nullable=False),
        sa.Column("alerts", _TEXT, nullable=False),
        sa.Column("body", _TEXT, nullable=False),
        sa.Column("made_ns", sa.BigInteger, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("due_ns", sa.BigInteger, nullable=True),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("tried_ns", sa.BigInteger, nullable=True),
        sa.Column("reply", _TEXT, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "alert_messages_due", "alert_messages", ["due_ns"], sqlite_where=_WAITING, postgresql_where=_WAITING
    )
