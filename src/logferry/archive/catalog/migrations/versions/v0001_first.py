"""The first schema: agents, folders, files, generations, and the people who may see them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _id() -> sa.Column[int]:
    return sa.Column("id", _ID, primary_key=True)


def _text(name: str, *args: Any, nullable: bool = False, **options: Any) -> sa.Column[str]:
    return sa.Column(name, _TEXT, *args, nullable=nullable, **options)


def _number(name: str, *args: Any, nullable: bool = False, **options: Any) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, *args, nullable=nullable, **options)


def _flag(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger, nullable=False)


def _reference(name: str, target: str, *, nullable: bool = False, primary_key: bool = False) -> sa.Column[int]:
    return sa.Column(name, _ID, sa.ForeignKey(target), nullable=nullable, primary_key=primary_key)


def upgrade() -> None:
    """Make all tables."""
    _archive()
    _people()


def _archive() -> None:
    op.create_table(
        "agents",
        _text("id", primary_key=True),
        _text("folded", unique=True),
        _text("group"),
        _number("created_ns"),
        _number("heard_ns", nullable=True),
        _number("uploaded_ns", nullable=True),
        _text("address"),
        _text("version"),
        sa.Column("interval_s", sa.Float, nullable=False),
        _flag("paused"),
        _number("gone_ns", nullable=True),
        _text("error"),
        _number("error_ns", nullable=True),
        _text("last_path"),
    )
    op.create_table(
        "folders",
        _id(),
        _text("agent_id", sa.ForeignKey("agents.id")),
        _reference("parent_id", "folders.id", nullable=True),
        _text("path"),
        _text("name"),
        _flag("present"),
        _number("files"),
        _number("bytes"),
        _number("changed_ns"),
        sqlite_autoincrement=True,
    )
    op.create_index("folders_by_path", "folders", ["agent_id", "path"], unique=True)
    op.create_index("folders_by_parent", "folders", ["parent_id", "name"], unique=True)
    op.create_table(
        "files",
        _id(),
        _text("agent_id", sa.ForeignKey("agents.id")),
        _reference("folder_id", "folders.id"),
        _text("name"),
        _text("path"),
        _number("number"),
        _number("shown", nullable=True),
        _number("held"),
        sqlite_autoincrement=True,
    )
    op.create_index("files_by_path", "files", ["agent_id", "path"], unique=True)
    op.create_index("files_by_folder", "files", ["folder_id", "name"], unique=True)
    op.create_table(
        "generations",
        _id(),
        _reference("file_id", "files.id"),
        _number("number"),
        _number("size"),
        _number("started_ns"),
        _number("changed_ns"),
        _number("ended_ns", nullable=True),
        _number("modified_ns"),
        _text("sha256", nullable=True),
        _number("sha256_size"),
        _text("state"),
        _text("place"),
        sqlite_autoincrement=True,
    )
    op.create_index("generations_by_file", "generations", ["file_id", "number"], unique=True)
    kept = sa.text("place <> ''")
    op.create_index("generations_by_place", "generations", ["place"], sqlite_where=kept, postgresql_where=kept)
    op.create_table(
        "former_names",
        _reference("file_id", "files.id", primary_key=True),
        _number("number", primary_key=True),
        _reference("generation_id", "generations.id"),
        _number("until_ns"),
    )
    op.create_index("former_names_by_generation", "former_names", ["generation_id"])


def _people() -> None:
    op.create_table(
        "users",
        _id(),
        _text("name"),
        _text("folded", unique=True),
        _text("role"),
        _text("scope"),
        _text("password_hash"),
        _flag("enabled"),
        _text("agent_id", sa.ForeignKey("agents.id"), nullable=True),
        _number("created_ns"),
        _number("changed_ns"),
        _number("signed_in_ns", nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sessions",
        _text("key_hash", primary_key=True),
        _reference("user_id", "users.id"),
        _text("csrf"),
        _number("created_ns"),
        _number("used_ns"),
        _number("expires_ns"),
        _text("address"),
        _text("browser"),
    )
    op.create_index("sessions_by_user", "sessions", ["user_id"])
    op.create_table(
        "tokens",
        _id(),
        _reference("user_id", "users.id"),
        _text("name"),
        _text("secret_hash", unique=True),
        _text("scope"),
        _number("created_ns"),
        _number("expires_ns", nullable=True),
        _number("used_ns", nullable=True),
        _text("used_address"),
        sqlite_autoincrement=True,
    )
    op.create_index("tokens_by_user", "tokens", ["user_id"])
    op.create_table(
        "codes",
        _id(),
        _text("kind"),
        _text("secret_hash", unique=True),
        _number("created_ns"),
        _number("expires_ns"),
        _number("uses_left"),
        _text("group"),
        sqlite_autoincrement=True,
    )
    op.create_table("facts", _text("name", primary_key=True), _text("value"))
