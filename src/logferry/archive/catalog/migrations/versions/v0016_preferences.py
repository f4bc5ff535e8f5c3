"""Preferences: how people like it, in every browser. The time zone, a fact so far, is one of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_ZONE_OF = "zone_of_user/"
_TEXTS = ("zone", "theme", "density", "keys", "highlights")


def upgrade() -> None:
    """Add the table, and move each person's zone into it."""
    op.create_table(
        "preferences",
        sa.Column(
            "user_id", _ID, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
        ),
        *(sa.Column(name, _TEXT, nullable=False) for name in _TEXTS),
    )  # fmt: skip
    facts = sa.table("facts", sa.column("name", _TEXT), sa.column("value", _TEXT))
    users = sa.table("users", sa.column("id", _ID))
    preferences = sa.table("preferences", sa.column("user_id", _ID), *(sa.column(name, _TEXT) for name in _TEXTS))
    is_zone = facts.c.name.startswith(_ZONE_OF, autoescape=True)
    connection = op.get_bind()
    zones = {
        str(name).removeprefix(_ZONE_OF): zone for name, zone in connection.execute(sa.select(facts).where(is_zone))
    }
    for (user_id,) in connection.execute(sa.select(users.c.id)).all():
        if str(user_id) in zones:
            others = dict.fromkeys(_TEXTS, "")
            op.execute(preferences.insert().values(others | {"user_id": user_id, "zone": zones[str(user_id)]}))
    op.execute(facts.delete().where(is_zone))
