"""Adding to what arrived within an hour: one statement, the same on every database."""

from __future__ import annotations

from sqlalchemy import text

HOUR_NS = 3_600 * 10**9
COUNT = text(
    "INSERT INTO intake (hour, agent_id, bytes, files, errors)"
    " VALUES (:hour, :agent, :more_bytes, :more_files, :more_errors)"
    " ON CONFLICT (hour, agent_id) DO UPDATE SET bytes = intake.bytes + excluded.bytes,"
    " files = intake.files + excluded.files, errors = intake.errors + excluded.errors"
)
"""``hour``: since 1970, of UTC."""
