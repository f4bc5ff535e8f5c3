"""The catalog's tables as the code sees them. The schema itself is made by the migrations, step by step.

Rules: times are nanoseconds (BIGINT), truth values are 0 or 1, texts compare byte by byte. A *generation* is held
under one file (``file_id``, ``number``); when it moves to another path the old (file, number) goes to
``former_names``, so that every number ever given out still resolves.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

metadata = MetaData()

# SQLite counts rows only in columns declared INTEGER; PostgreSQL's default collation is not byte order.
_ID = BigInteger().with_variant(Integer(), "sqlite")
_TEXT = Text().with_variant(Text(collation="C"), "postgresql")


def _text(name: str, *args: Any, **options: Any) -> Column[str]:
    options.setdefault("nullable", False)
    return Column(name, _TEXT, *args, **options)


def _ns(name: str, **options: Any) -> Column[int]:
    options.setdefault("nullable", False)
    return Column(name, BigInteger, **options)


def _flag(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False)


# Only older generations have a place of their own, so this index stays small.
_KEPT_PLACE = text("place <> ''")
_UNSEALED = text("sealed < size")
_DUE = text("due_ns IS NOT NULL")
_COPY = text("copy_of IS NOT NULL")
_NOT_CLOSED = text("closed_ns IS NULL")

agents = Table(
    "agents",
    metadata,
    _text("id", primary_key=True),
    _text("folded", unique=True),
    _text("group"),
    _ns("created_ns"),
    _ns("heard_ns", nullable=True),
    _ns("uploaded_ns", nullable=True),
    _text("address"),
    _text("version"),
    Column("interval_s", Float, nullable=False),
    _flag("paused"),
    _ns("gone_ns", nullable=True),
    _text("error"),
    _ns("error_ns", nullable=True),
    _text("last_path"),
    # Sums of all generations, kept by the writer; the agent's own bounds (NULL: those of the settings, 0: none).
    Column("held_files", BigInteger, nullable=False),
    Column("held_bytes", BigInteger, nullable=False),
    Column("quota_files", BigInteger, nullable=True),
    Column("quota_bytes", BigInteger, nullable=True),
    # Of times that name none (NULL: that of the settings).
    _text("zone", nullable=True),
    # What a person set: a JSON array; how often it is to be heard (NULL: the rule); a rate or timetable (empty: none).
    _text("tags"),
    Column("expect_every_s", Float, nullable=True),
    _text("upload_rate"),
)

folders = Table(
    "folders",
    metadata,
    Column("id", _ID, primary_key=True),
    _text("agent_id", ForeignKey("agents.id")),
    Column("parent_id", _ID, ForeignKey("folders.id"), nullable=True),
    _text("path"),
    _text("name"),
    _flag("present"),
    # Sums of everything below, kept by the writer.
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    _ns("changed_ns"),
    Index("folders_by_path", "agent_id", "path", unique=True),
    Index("folders_by_parent", "parent_id", "name", unique=True),
    sqlite_autoincrement=True,
)

files = Table(
    "files",
    metadata,
    Column("id", _ID, primary_key=True),
    _text("agent_id", ForeignKey("agents.id")),
    Column("folder_id", _ID, ForeignKey("folders.id"), nullable=False),
    _text("name"),
    _text("path"),
    # The last number given out, the number shown (NULL: everything moved away), how many are held.
    Column("number", BigInteger, nullable=False),
    Column("shown", BigInteger, nullable=True),
    Column("held", BigInteger, nullable=False),
    Index("files_by_path", "agent_id", "path", unique=True),
    Index("files_by_folder", "folder_id", "name", unique=True),
    sqlite_autoincrement=True,
)

generations = Table(
    "generations",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("file_id", _ID, ForeignKey("files.id"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    _ns("started_ns"),
    _ns("changed_ns"),
    _ns("ended_ns", nullable=True),
    _ns("modified_ns"),
    _text("sha256", nullable=True),
    Column("sha256_size", BigInteger, nullable=False),
    # Where the bytes lie: "live" (in the live tree under the file's path), "kept" (``place`` says where) or "sealed":
    # the first ``sealed`` bytes in segments, what has come after them in the file at ``place``, if there is one.
    _text("state"),
    _text("place"),
    # Names the generation for ever, in segments too (32 hexadecimal digits).
    _text("uid"),
    Column("sealed", BigInteger, nullable=False),
    Index("generations_by_file", "file_id", "number", unique=True),
    Index("generations_by_place", "place", sqlite_where=_KEPT_PLACE, postgresql_where=_KEPT_PLACE),
    Index("generations_by_uid", "uid", unique=True),
    Index("generations_unsealed", "changed_ns", sqlite_where=_UNSEALED, postgresql_where=_UNSEALED),
    Index("generations_by_size", "size"),
    sqlite_autoincrement=True,
)

segments = Table(
    "segments",
    metadata,
    Column("id", _ID, primary_key=True),
    _text("agent_id", ForeignKey("agents.id")),
    _text("name"),
    Column("bytes", BigInteger, nullable=False),
    Column("raw_bytes", BigInteger, nullable=False),
    _text("sha256"),
    Column("level", SmallInteger, nullable=False),
    _ns("created_ns"),
    _ns("verified_ns"),
    # Nothing refers to it since then; removed from the store after a grace time.
    _ns("gone_ns", nullable=True),
    Index("segments_by_name", "name", unique=True),
    Index("segments_by_agent", "agent_id", "created_ns"),
    Index("segments_by_verified", "verified_ns", "id"),
    sqlite_autoincrement=True,
)

extents = Table(
    "extents",
    metadata,
    Column("generation_id", _ID, ForeignKey("generations.id"), primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("length", BigInteger, nullable=False),
    Column("segment_id", _ID, ForeignKey("segments.id"), nullable=False),
    Column("raw_offset", BigInteger, nullable=False),
    Index("extents_by_segment", "segment_id"),
)

# The index of a segment, an object beside it. ``name`` is empty where there is none (and ``why`` says why not); from
# ``due_ns`` on it is to be built (again). A segment without a row has none yet.
indexes = Table(
    "indexes",
    metadata,
    Column("segment_id", _ID, ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True),
    _text("name"),
    Column("bytes", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    _ns("built_ns"),
    _ns("due_ns", nullable=True),
    _text("why"),
    # In which its times without one were read; empty: nobody knows.
    _text("zone"),
    Index("indexes_by_name", "name"),
)

# What lines there are in ``length`` bytes from ``offset`` of a generation: how many end there, whether the last one
# does not (1), and the first and last time that one of them shows (NULL: none known). Bytes never change, so this holds
# wherever they lie. Stretches of a generation do not overlap; they may leave bytes out that nobody has looked at yet.
measures = Table(
    "measures",
    metadata,
    Column("generation_id", _ID, ForeignKey("generations.id", ondelete="CASCADE"), primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("length", BigInteger, nullable=False),
    Column("line_ends", BigInteger, nullable=False),
    _flag("is_open"),
    _ns("first_ns", nullable=True),
    _ns("last_ns", nullable=True),
    sqlite_with_rowid=False,
)

# Segments whose extents have their measures, as the index of that name tells them.
measured = Table(
    "measured",
    metadata,
    Column("segment_id", _ID, ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True),
    _text("index_name"),
)

# Files whose bytes are all sealed or expired: to be removed (below the data directory), not before ``since_ns``.
removals = Table("removals", metadata, _text("place", primary_key=True), _ns("since_ns"))

# What is known of generations whose names say that they are compressed. A row comes with its generation; ``due_ns``
# says when it is looked into (again). ``copy_of`` is the generation that holds the same text. ``size`` and ``text_*``
# are as of the last look.
compressed = Table(
    "compressed",
    metadata,
    Column("generation_id", _ID, ForeignKey("generations.id", ondelete="CASCADE"), primary_key=True),
    _text("state"),
    _ns("due_ns", nullable=True),
    _ns("wait_ns"),
    Column("size", BigInteger, nullable=False),
    Column("text_size", BigInteger, nullable=False),
    _text("text_sha256"),
    Column("copy_of", _ID, ForeignKey("generations.id", ondelete="SET NULL"), nullable=True),
    _text("why"),
    Index("compressed_by_due", "due_ns", sqlite_where=_DUE, postgresql_where=_DUE),
    Index("compressed_by_original", "copy_of", sqlite_where=_COPY, postgresql_where=_COPY),
)

# Damage found by verifying and not gone since. ``frame`` -1: not in one frame of a segment.
flaws = Table(
    "flaws",
    metadata,
    _text("place", primary_key=True),
    Column("frame", BigInteger, primary_key=True, autoincrement=False),
    _text("kind"),
    _text("agent_id"),
    _text("path"),
    _text("what"),
    _ns("since_ns"),
    _ns("seen_ns"),
)

# What retention may not delete, by globs over ``agent/path``.
holds = Table(
    "holds",
    metadata,
    Column("id", _ID, primary_key=True),
    _text("glob"),
    _text("reason"),
    _ns("created_ns"),
    sqlite_autoincrement=True,
)

# What retention has deleted, by which rule and why. Refers to rows that may be gone.
expired = Table(
    "expired",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("file_id", _ID, nullable=False),
    Column("number", BigInteger, nullable=False),
    _text("agent_id"),
    _text("path"),
    Column("size", BigInteger, nullable=False),
    _text("sha256", nullable=True),
    _ns("started_ns"),
    _ns("changed_ns"),
    _text("rule"),
    _text("reason"),
    _ns("expired_ns"),
    Index("expired_by_file", "file_id", "number"),
    Index("expired_by_time", "expired_ns"),
    sqlite_autoincrement=True,
)

# Names that those had before, so that an old link still tells what became of its lines.
expired_names = Table(
    "expired_names",
    metadata,
    Column("expired_id", _ID, primary_key=True, autoincrement=False),
    Column("file_id", _ID, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Index("expired_names_by_file", "file_id", "number"),
)

# Names of files with ids in a row, for finding them by parts; never changed. See ``nameblocks``.
name_blocks = Table(
    "name_blocks",
    metadata,
    Column("first_id", BigInteger, primary_key=True, autoincrement=False),
    Column("last_id", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("grams", LargeBinary, nullable=False),
    Column("names", LargeBinary, nullable=False),
    Index("name_blocks_by_last", "last_id"),
)

former_names = Table(
    "former_names",
    metadata,
    Column("file_id", _ID, ForeignKey("files.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("generation_id", _ID, ForeignKey("generations.id"), nullable=False),
    _ns("until_ns"),
    Index("former_names_by_generation", "generation_id"),
)

users = Table(
    "users",
    metadata,
    Column("id", _ID, primary_key=True),
    _text("name"),
    _text("folded", unique=True),
    _text("role"),
    _text("scope"),
    _text("password_hash"),
    _flag("enabled"),
    _text("agent_id", ForeignKey("agents.id"), nullable=True),
    _ns("created_ns"),
    _ns("changed_ns"),
    _ns("signed_in_ns", nullable=True),
    # The secret of one-time codes (empty: none), one that is not confirmed yet, the last time step that was used, and
    # the digests of the recovery codes that are left.
    _text("totp"),
    _text("totp_new"),
    Column("totp_step", BigInteger, nullable=False),
    _text("recovery"),
    Index("users_by_agent", "agent_id"),
    # Who a provider says it is (both empty: somebody with a password of ours). The pair never means anybody else.
    _text("issuer"),
    _text("subject"),
    Index(
        "users_by_subject", "issuer", "subject", unique=True,
        sqlite_where=text("issuer <> ''"), postgresql_where=text("issuer <> ''"),
    ),
    sqlite_autoincrement=True,
)  # fmt: skip

sessions = Table(
    "sessions",
    metadata,
    _text("key_hash", primary_key=True),
    Column("user_id", _ID, ForeignKey("users.id"), nullable=False),
    _text("csrf"),
    _ns("created_ns"),
    _ns("used_ns"),
    _ns("expires_ns"),
    _text("address"),
    _text("browser"),
    # What the provider vouched with (empty: a password did): it ends the session there, too.
    _text("id_token"),
    Index("sessions_by_user", "user_id"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("user_id", _ID, ForeignKey("users.id"), nullable=False),
    _text("name"),
    _text("secret_hash", unique=True),
    _text("scope"),
    _ns("created_ns"),
    _ns("expires_ns", nullable=True),
    _ns("used_ns", nullable=True),
    _text("used_address"),
    # What it may at most (empty: what its person may).
    _text("role"),
    Index("tokens_by_user", "user_id"),
    sqlite_autoincrement=True,
)

# What each person said of how they like it; empty: nothing. ``highlights`` is a JSON array. See ``web.preferences``.
preferences = Table(
    "preferences",
    metadata,
    Column("user_id", _ID, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    _text("zone"),
    _text("theme"),
    _text("density"),
    _text("keys"),
    _text("highlights"),
)

saved = Table(
    "saved",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("user_id", _ID, ForeignKey("users.id"), nullable=False),
    _text("name"),
    _text("address"),
    _flag("shared"),
    _ns("created_ns"),
    _ns("changed_ns"),
    Index("saved_by_user", "user_id", "name", unique=True),
    sqlite_autoincrement=True,
)

codes = Table(
    "codes",
    metadata,
    Column("id", _ID, primary_key=True),
    _text("kind"),
    _text("secret_hash", unique=True),
    _ns("created_ns"),
    _ns("expires_ns"),
    Column("uses_left", BigInteger, nullable=False),
    _text("group"),
    # Whose (NULL: nobody's). Codes go with their user, who may go first.
    Column("user_id", _ID, nullable=True),
    sqlite_autoincrement=True,
)

# Who did what. ``hash`` goes over the row and the hash of the row before it; ids have no gaps. See ``auditing``.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    _ns("time_ns"),
    _text("who"),
    _text("role"),
    _text("via"),
    _text("address"),
    _text("kind"),
    _text("action"),
    _text("target"),
    _text("detail"),
    _text("request_id"),
    _text("hash"),
    Index("audit_by_who", "who", "id"),
    Index("audit_by_kind", "kind", "id"),
)

# ``agents``, ``groups`` and ``channels`` are JSON arrays (``channels`` NULL: every channel there is).
alert_rules = Table(
    "alert_rules",
    metadata,
    Column("id", _ID, primary_key=True),
    _text("kind"),
    _text("agents"),
    _text("groups"),
    _text("channels", nullable=True),
    Column("above", Float, nullable=True),
    Column("after_s", Float, nullable=True),
    _flag("enabled"),
    _text("made_by"),
    _ns("created_ns"),
    sqlite_autoincrement=True,
)

# ``raised_ns`` NULL: not long enough yet. ``told``: to which channels, a JSON array. ``closed_ns``: all is said.
alerts = Table(
    "alerts",
    metadata,
    Column("id", _ID, primary_key=True),
    _text("kind"),
    _text("subject"),
    _text("group"),
    _text("reason"),
    _text("rule"),
    _ns("began_ns"),
    _ns("raised_ns", nullable=True),
    _ns("told_ns", nullable=True),
    _text("told"),
    _ns("well_ns", nullable=True),
    _ns("resolved_ns", nullable=True),
    _ns("closed_ns", nullable=True),
    Index("alerts_open", "kind", "subject", unique=True, sqlite_where=_NOT_CLOSED, postgresql_where=_NOT_CLOSED),
    sqlite_autoincrement=True,
)

alert_mutes = Table(
    "alert_mutes",
    metadata,
    _text("kind", primary_key=True),
    _text("subject", primary_key=True),
    _ns("until_ns"),
    _text("made_by"),
    _text("reason"),
)

# What is to be sent, and what became of it. ``due_ns`` NULL: nothing more is tried.
alert_messages = Table(
    "alert_messages",
    metadata,
    Column("id", _ID, primary_key=True),
    _text("uid", unique=True),
    _text("channel"),
    _text("event"),
    _text("title"),
    _text("alerts"),
    _text("body"),
    _ns("made_ns"),
    _text("state"),
    _ns("due_ns", nullable=True),
    Column("attempts", BigInteger, nullable=False),
    _ns("tried_ns", nullable=True),
    _text("reply"),
    Index("alert_messages_due", "due_ns", sqlite_where=_DUE, postgresql_where=_DUE),
    sqlite_autoincrement=True,
)

# What arrived within each hour (since 1970, of UTC), by agent: bytes, files that began, uploads that failed.
intake = Table(
    "intake",
    metadata,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    _text("agent_id", primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# How full the archive's disk was when it was first looked at on a day (since 1970, of UTC).
disk_days = Table(
    "disk_days",
    metadata,
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    _ns("seen_ns"),
    Column("used", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    _text("name", primary_key=True),
    _text("value"),
)
