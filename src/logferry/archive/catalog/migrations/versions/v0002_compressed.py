"""What is known of compressed files: which generation holds the same text. All that are there are looked into once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_SUFFIXES = (".gz", ".xz", ".bz2", ".zst")


def upgrade() -> None:
    """Make the table and its rows for what is archived already, and the index that finds texts of one size."""
    op.create_table(
        "compressed",
        sa.Column("generation_id", _ID, sa.ForeignKey("generations.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("due_ns", sa.BigInteger, nullable=True),
        sa.Column("wait_ns", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("text_size", sa.BigInteger, nullable=False),
        sa.Column("text_sha256", _TEXT, nullable=False),
        sa.Column("copy_of", _ID, sa.ForeignKey("generations.id", ondelete="SET NULL"), nullable=True),
        sa.Column("why", _TEXT, nullable=False),
    )
    due, copy = sa.text("due_ns IS NOT NULL"), sa.text("copy_of IS NOT NULL")
    op.create_index("compressed_by_due", "compressed", ["due_ns"], sqlite_where=due, postgresql_where=due)
    op.create_index("compressed_by_original", "compressed", ["copy_of"], sqlite_where=copy, postgresql_where=copy)
    op.create_index("generations_by_size", "generations", ["size"])
    _fill()


def _fill() -> None:
    files = sa.table("files", sa.column("id"), sa.column("name"))
    generations = sa.table("generations", sa.column("id"), sa.column("file_id"), sa.column("changed_ns"))
    names = [
        "generation_id", "state", "due_ns", "wait_ns", "size", "text_size", "text_sha256", "copy_of", "why",
    ]  # fmt: skip
    compressed = sa.table("compressed", *(sa.column(name) for name in names))
    waiting = (
        sa.select(
            generations.c.id, sa.literal("waiting"), generations.c.changed_ns, sa.literal(0), sa.literal(0),
            sa.literal(0), sa.literal(""), sa.null(), sa.literal(""),
        )
        .select_from(generations.join(files, files.c.id == generations.c.file_id))
        .where(sa.or_(*(sa.func.lower(files.c.name).like(f"_%{suffix}") for suffix in _SUFFIXES)))
    )  # fmt: skip
    op.execute(compressed.insert().from_select(names, waiting))
