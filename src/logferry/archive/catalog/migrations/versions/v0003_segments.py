"""Segments and extents: generations whose bytes are sealed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add what sealing needs; nothing is sealed yet."""
    op.add_column("generations", sa.Column("uid", _TEXT, nullable=False, server_default=""))
    op.add_column("generations", sa.Column("sealed", sa.BigInteger, nullable=False, server_default="0"))
    # Names that hold for ever, for the generations that have none yet.
    if op.get_bind().dialect.name == "sqlite":
        op.execute("UPDATE generations SET uid = lower(hex(randomblob(16)))")
    else:
        op.execute("UPDATE generations SET uid = replace(CAST(gen_random_uuid() AS text), '-', '')")
    op.create_index("generations_by_uid", "generations", ["uid"], unique=True)
    # What waits to be sealed is found without looking at what is.
    unsealed = sa.text("sealed < size")
    op.create_index(
        "generations_unsealed", "generations", ["changed_ns"], sqlite_where=unsealed, postgresql_where=unsealed
    )
    op.create_table(
        "segments",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("agent_id", _TEXT, sa.ForeignKey("agents.id"), nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("raw_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", _TEXT, nullable=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("verified_ns", sa.BigInteger, nullable=False),
        sa.Column("gone_ns", sa.BigInteger, nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("segments_by_name", "segments", ["name"], unique=True)
    op.create_index("segments_by_agent", "segments", ["agent_id", "created_ns"])
    op.create_table(
        "extents",
        sa.Column("generation_id", _ID, sa.ForeignKey("generations.id"), primary_key=True),
        sa.Column("offset", sa.BigInteger, primary_key=True),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("segment_id", _ID, sa.ForeignKey("segments.id"), nullable=False),
        sa.Column("raw_offset", sa.BigInteger, nullable=False),
    )
    op.create_index("extents_by_segment", "extents", ["segment_id"])
    op.create_table(
        "removals",
        sa.Column("place", _TEXT, primary_key=True),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
    )
