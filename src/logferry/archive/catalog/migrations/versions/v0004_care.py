"""Care: damage that was found, holds, and what retention has deleted."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables; nothing is known to be damaged, held or deleted yet."""
    op.create_table(
        "flaws",
        sa.Column("place", _TEXT, primary_key=True),
        sa.Column("frame", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("agent_id", _TEXT, nullable=False),
        sa.Column("path", _TEXT, nullable=False),
        sa.Column("what", _TEXT, nullable=False),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
        sa.Column("seen_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("segments_by_verified", "segments", ["verified_ns", "id"])
    op.create_table(
        "holds",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("glob", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "expired",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("file_id", _ID, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("agent_id", _TEXT, nullable=False),
        sa.Column("path", _TEXT, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", _TEXT, nullable=True),
        sa.Column("started_ns", sa.BigInteger, nullable=False),
        sa.Column("changed_ns", sa.BigInteger, nullable=False),
        sa.Column("rule", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("expired_ns", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("expired_by_file", "expired", ["file_id", "number"])
    op.create_index("expired_by_time", "expired", ["expired_ns"])
    # Objects that were in the store before there was this catalog may be another's, or its own before it was lost.
    facts = sa.table("facts", sa.column("name", _TEXT), sa.column("value", _TEXT))
    known = op.get_bind().execute(sa.text("SELECT 1 FROM agents LIMIT 1")).first() is not None
    op.execute(facts.insert().values(name="store_since_ns", value="0" if known else str(time.time_ns())))
