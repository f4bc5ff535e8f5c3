"""A catalog of any version before goes up with everything in it, on every database."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, insert, select, text

from logferry.archive import Catalog
from logferry.archive.catalog import migrations
from logferry.archive.catalog.engine import create_engine
from logferry.archive.catalog.migrate import HEAD, migrate, revision
from logferry.archive.catalog.preferences import PreferencesRecord
from logferry.archive.catalog.tables import metadata
from logferry.clock import ManualClock
from logferry.errors import Conflict
from logferry.limits import COPIES_QUIET_S

VERSIONS = sorted(
    file.name[1:5] for file in (resources.files(migrations) / "versions").iterdir() if file.name.startswith("v0")
)
OLDER = [version for version in VERSIONS if version != HEAD]
SHIPPED = {"0001": "9dd6ea466066", "0002": "108ca537007f", "0003": "2c11a6e12f92", "0004": "5879117304f1"}
"""Migrations that people's catalogs have gone through: never changed again. The beginning of their SHA-256."""

pytestmark = pytest.mark.databases

NS = 10**18
ROWS: dict[str, list[dict[str, Any]]] = {
    "agents": [
        {"id": name, "folded": name.lower(), "group": "g%", "created_ns": NS, "heard_ns": heard, "uploaded_ns": None,
         "address": "10.0.0.1", "version": "0.1", "interval_s": 2.5, "paused": 0, "gone_ns": None, "error": "é\n",
         "error_ns": None, "last_path": "a.log"}
        for name, heard in (("Web-01", NS + 1), ("db-01", None))
    ],
    "folders": [
        {"id": 1, "agent_id": "Web-01", "parent_id": None, "path": "", "name": "", "present": 1, "files": 3,
         "bytes": 60, "changed_ns": NS},
        {"id": 7, "agent_id": "Web-01", "parent_id": 1, "path": "vär", "name": "vär", "present": 1, "files": 2,
         "bytes": 50, "changed_ns": NS},
    ],
    "files": [
        {"id": 1, "agent_id": "Web-01", "folder_id": 1, "name": "a.log", "path": "a.log", "number": 2, "shown": 2,
         "held": 2},
        {"id": 2, "agent_id": "Web-01", "folder_id": 7, "name": "b.log.GZ", "path": "vär/b.log.GZ", "number": 1,
         "shown": 1, "held": 1},
        {"id": 9, "agent_id": "Web-01", "folder_id": 7, "name": "gz", "path": "vär/gz", "number": 1, "shown": 1,
         "held": 1},
        {"id": 11, "agent_id": "Web-01", "folder_id": 7, "name": "gone", "path": "vär/gone", "number": 1,
         "shown": None, "held": 0},
    ],
    "generations": [
        {"id": number, "file_id": file, "number": own, "size": size, "started_ns": NS, "changed_ns": NS + number,
         "ended_ns": ended, "modified_ns": NS, "sha256": sha, "sha256_size": size if sha else 0, "state": state,
         "place": place, "uid": f"{number:032x}", "sealed": 0}
        for number, file, own, size, ended, sha, state, place in (
            (1, 1, 1, 5, NS + 5, "ab" * 32, "kept", "Web-01/a.log/1"),
            (2, 1, 2, 10, None, None, "live", ""),
            (3, 2, 1, 20, None, "cd" * 32, "live", ""),
            (8, 9, 1, 30, None, None, "live", ""),
        )
    ],
    "former_names": [{"file_id": 11, "number": 1, "generation_id": 8, "until_ns": NS}],
    "users": [
        {"id": 3, "name": "Ann", "folded": "ann", "role": "viewer", "scope": '["Web-01/*"]', "password_hash": "h",
         "enabled": 1, "agent_id": None, "created_ns": 1, "changed_ns": 2, "signed_in_ns": None},
        {"id": 4, "name": "Web-01", "folded": "web-01", "role": "agent", "scope": "[]", "password_hash": "h",
         "enabled": 0, "agent_id": "Web-01", "created_ns": 1, "changed_ns": 2, "signed_in_ns": 3},
    ],
    "sessions": [
        {"key_hash": "k", "user_id": 3, "csrf": "c", "created_ns": 1, "used_ns": 2, "expires_ns": 3, "address": "a",
         "browser": "b"}
    ],
    "tokens": [
        {"id": 5, "user_id": 3, "name": "t", "secret_hash": "s", "scope": "[]", "created_ns": 1, "expires_ns": None,
         "used_ns": None, "used_address": ""}
    ],
    "codes": [
        {"id": 6, "kind": "join", "secret_hash": "s", "created_ns": 1, "expires_ns": 2, "uses_left": 3, "group": "g"}
    ],
    "facts": [{"name": "users_version", "value": "v"}],
    "compressed": [
        {"generation_id": 3, "state": "text", "due_ns": None, "wait_ns": 7, "size": 20, "text_size": 100,
         "text_sha256": "ef" * 32, "copy_of": 2, "why": ""}
    ],
    "segments": [
        {"id": 2, "agent_id": "Web-01", "name": "Web-01/2026/11/x.zst", "bytes": 9, "raw_bytes": 20, "sha256": "00",
         "level": 6, "created_ns": NS, "verified_ns": NS, "gone_ns": None}
    ],
    "extents": [{"generation_id": 3, "offset": 0, "length": 20, "segment_id": 2, "raw_offset": 0}],
    "removals": [{"place": "live/Web-01/vär/b.log.GZ", "since_ns": NS}],
    "flaws": [
        {"place": "store/x", "frame": -1, "kind": "missing", "agent_id": "Web-01", "path": "a.log", "what": "w",
         "since_ns": 1, "seen_ns": 2}
    ],
    "preferences": [
        {"user_id": 3, "zone": "Asia/Tokyo", "theme": "dark", "density": "", "keys": "off", "highlights": "[]"}
    ],
    "saved": [
        {"id": 4, "user_id": 3, "name": "é", "address": "/search?q=%00", "shared": 1, "created_ns": 5, "changed_ns": 6}
    ],
    "holds": [{"id": 4, "glob": "web-*/**", "reason": "case 1", "created_ns": 1}],
    "audit": [
        {"id": 1, "time_ns": NS, "who": "Ann", "role": "viewer", "via": "session", "address": "10.0.0.1",
         "kind": "read", "action": "file.read", "target": "Web-01/vär", "detail": "{}",
         "request_id": "r", "hash": "00" * 32}
    ],
    "alert_rules": [
        {"id": 1, "kind": "silence", "agents": "[\"web-*\"]", "groups": "[]", "channels": None, "above": None,
         "after_s": 60.0, "enabled": 1, "made_by": "ann", "created_ns": 1}
    ],
    "alerts": [
        {"id": 2, "kind": "silence", "subject": "Web-01", "group": "g", "reason": "r", "rule": "built in",
         "began_ns": 1, "raised_ns": 2, "told_ns": 3, "told": "[\"ops\"]", "well_ns": None,
         "resolved_ns": None, "closed_ns": None}
    ],
    "alert_mutes": [{"kind": "silence", "subject": "Web-01", "until_ns": 9, "made_by": "ann", "reason": ""}],
    "alert_messages": [
        {"id": 3, "uid": "00" * 16, "channel": "ops", "event": "raised", "title": "t", "alerts": "[2]", "body": "{}",
         "made_ns": 3, "state": "waiting", "due_ns": 4, "attempts": 1, "tried_ns": 3, "reply": "no"}
    ],
    "expired": [
        {"id": 3, "file_id": 1, "number": 1, "agent_id": "Web-01", "path": "a.log", "size": 1, "sha256": None,
         "started_ns": 1, "changed_ns": 2, "rule": "r", "reason": "old", "expired_ns": 3}
    ],
    "expired_names": [{"expired_id": 3, "file_id": 11, "number": 7}],
    "intake": [
        {"hour": 500_000, "agent_id": agent, "bytes": 1 << 40, "files": 2, "errors": 1} for agent in ("Web-01", "db-01")
    ],
    "measures": [
        {"generation_id": 3, "offset": 1 << 40, "length": 20, "line_ends": 3, "is_open": 1, "first_ns": None,
         "last_ns": NS}
    ],
    "measured": [{"segment_id": 2, "index_name": "Web-01/2026/11/x.00.idx"}],
    "disk_days": [{"day": 20_000, "seen_ns": NS, "used": 1 << 40, "total": 1 << 41}],
}  # fmt: skip
"""What a catalog of the newest version here may hold, in the order of references; older ones have less of it."""


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """The empty database."""
    made = create_engine(database)
    yield made
    made.dispose()


def filled(engine: Engine, version: str) -> dict[str, list[dict[str, Any]]]:
    """Make a catalog of that version with rows in every table; what was written."""
    migrate(engine, to=version)
    assert revision(engine) == version
    known = MetaData()
    known.reflect(engine)
    written: dict[str, list[dict[str, Any]]] = {}
    with engine.begin() as connection:
        for name, rows in ROWS.items():
            if name in known.tables:
                table = known.tables[name]
                written[name] = [{key: value for key, value in row.items() if key in table.c} for row in rows]
                connection.execute(insert(table), written[name])
    assert {*known.tables} <= {*written, "alembic_version", *_EMPTY}
    return written


_EMPTY = {"indexes", "name_blocks"}
"""Tables of later versions that have no rows here."""


def rows(engine: Engine, name: str, columns: list[str]) -> list[dict[str, Any]]:
    table = metadata.tables[name]
    with engine.connect() as connection:
        found = connection.execute(select(*(table.c[column] for column in columns)))
        return [dict(row) for row in found.mappings()]


@pytest.mark.parametrize("version", OLDER)
def test_a_catalog_of_any_version_goes_up_with_all_its_rows(engine: Engine, database: str, version: str) -> None:
    written = filled(engine, version)
    Catalog.open(database).close()
    assert revision(engine) == HEAD
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    for name, old in written.items():
        new = rows(engine, name, list(old[0]))
        assert all(row in new for row in old), name
        if name not in ("facts", "compressed"):
            assert len(new) == len(old), name


@pytest.mark.parametrize("version", OLDER)
def test_what_versions_have_added_is_right_for_old_rows(engine: Engine, database: str, version: str) -> None:
    filled(engine, version)
    with Catalog.open(database, ManualClock()) as catalog:
        a = catalog.files.at("Web-01", "a.log")
        assert a is not None
        assert (a.size, a.number, a.generations, a.has_current, a.sha256) == (10, 2, 2, True, None)
        first, second = catalog.files.generations(a.id)
        assert (first.sha256, first.ended_ns, second.ended_ns) == ("ab" * 32, NS + 5, None)
        moved = catalog.files.generation(11, 1)
        assert moved is not None
        assert moved.id == 8
        page = catalog.files.folder("Web-01", "vär")
        assert [file.name for file in page.files] == ["b.log.GZ", "gz"]
        found = catalog.files.find(needed=["B.LOG"])
        assert [file.path for file in found.files] == ["vär/b.log.GZ"]
        assert [agent.files for agent in catalog.agents.list()] == [3, 0]
        user = catalog.people.user("ann")
        assert user is not None
        assert user.scope == ("Web-01/*",)
        assert (user.totp, user.totp_new, user.totp_step, user.recovery) == ("", "", 0, ())
        assert [(token.id, token.role) for token in catalog.people.tokens()] == [(5, "")]
        code = catalog.people.code("join", "s")
        assert code is not None
        assert code.user_id is None
        uids = [row["uid"] for row in rows(engine, "generations", ["uid"])]
        assert len(set(uids)) == 4
        assert all(re.fullmatch("[0-9a-f]{32}", uid) for uid in uids)
        assert {row["sealed"] for row in rows(engine, "generations", ["sealed"])} == {0}
        if version < "0002":  # what is compressed is looked into, once
            due = catalog.copies.due(NS + int(COPIES_QUIET_S * 1e9) * 10)
            assert [one.path for one in due] == ["vär/b.log.GZ"]
        if version < "0004":  # what is in the store is this catalog's own
            assert catalog.sealing.since_ns() == 0


def test_the_zone_of_a_person_is_kept(engine: Engine, database: str) -> None:
    """It was a fact; those of nobody go."""
    filled(engine, "0015")
    zones = {"zone_of_user/3": "Europe/Berlin", "zone_of_user/33": "UTC", "zone_of_user/x": "UTC"}
    with engine.begin() as connection:
        connection.execute(insert(metadata.tables["facts"]), [{"name": n, "value": v} for n, v in zones.items()])
    with Catalog.open(database) as catalog:
        assert catalog.preferences.of(3) == PreferencesRecord(zone="Europe/Berlin")
        assert catalog.preferences.of(4) == catalog.preferences.of(33) == PreferencesRecord()
        assert not [row for row in rows(engine, "facts", ["name"]) if "zone" in row["name"]]


def test_going_up_is_all_or_nothing(engine: Engine, database: str) -> None:
    """A migration that fails half way leaves the older catalog as it was."""
    filled(engine, "0001")
    with engine.begin() as connection:  # what 0003 is going to make
        connection.execute(text("CREATE TABLE removals (x INTEGER)"))
    with pytest.raises(Exception, match="removals"):
        Catalog.open(database)
    assert revision(engine) == "0001"
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE removals"))
    Catalog.open(database).close()
    assert revision(engine) == HEAD


@pytest.mark.parametrize("version", ["0099", "ae1027a6acf"])
def test_an_unknown_version_is_refused_and_left_alone(engine: Engine, database: str, version: str) -> None:
    """A newer program's, or another program's."""
    Catalog.open(database).close()
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})
    with pytest.raises(Conflict, match="newer Logferry") as caught:
        Catalog.open(database)
    assert version in str(caught.value)
    assert HEAD in str(caught.value)
    assert revision(engine) == version


@pytest.mark.sqlite
def test_migrations_that_were_shipped_are_never_changed() -> None:
    """A change comes as another migration."""
    folder = resources.files(migrations) / "versions"
    found = {
        file.name[1:5]: hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        for file in folder.iterdir()
        if file.name.startswith("v0")
    }
    assert {version: found[version] for version in SHIPPED} == SHIPPED
    assert VERSIONS[-1] == HEAD
