"""A whole server whose catalog is on PostgreSQL: the programs as people start them, agent, FTP, search, repair."""

from __future__ import annotations

import ftplib
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from logferry.archive import Archive
from logferry.archive.catalog.facts import HOLDER
from logferry.errors import BadConfig, Conflict, Unreachable
from logferry.server import backing, first_run, holder
from logferry.server.catalogs import has_catalog, open_catalog
from logferry.server.config import load_config
from logferry.server.rebuilding import rebuilt
from logferry.testing.demo.nodes import Node
from logferry.testing.demo.programs import Programs
from tests.postgres import PASSWORD, Postgres
from tests.server.helpers import eventually
from tests.server.site import fetched

LINES = b"".join(b"2026-11-26T07:00:%02dZ widget %d shipped\n" % (n % 60, n) for n in range(500))


@pytest.fixture
def settings(postgres: Postgres, tmp_path: Path) -> Iterator[Path]:
    """A ``server.toml`` whose catalog is in an empty schema, over TCP with the password in a file of its own."""
    with postgres.schema() as url:
        schema = url.rpartition("%3D")[2]
        secret = tmp_path / "catalog.secret"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o600)
        address = f"postgresql://logferry@127.0.0.1:{postgres.port}/logs?options=-csearch_path%3D{schema}"
        file = tmp_path / "server.toml"
        file.write_text(
            f'[catalog]\nurl = "{address}"\npassword_file = "{secret}"\n[archive]\nmin_free = "0"\n[ftp]\ntls = "off"\n'
        )
        yield file


@pytest.mark.slow
def test_a_server_with_its_catalog_on_postgresql(settings: Path, tmp_path: Path, postgres: Postgres) -> None:
    """An agent delivers, FTP and search find it; after a kill of all parts it is still there. No password is shown."""
    logs = tmp_path / "node"
    logs.mkdir()
    (logs / "app.log").write_bytes(LINES)
    node = Node("web-01", "", [logs])
    programs = Programs(tmp_path / "site", "--config", str(settings))
    programs.folder.mkdir()
    try:
        programs.start_server()
        programs.set_up()
        programs.join(node)
        programs.start_agent(node)
        path = f"{str(logs).strip('/')}/app.log"

        def arrived() -> bool:
            with programs.api() as api:
                return any(row["path"] == path and row["size"] == len(LINES) for row in api.files("app.log"))

        eventually(arrived)
        (logs / "app.log").write_bytes(LINES + b"2026-11-26T08:00:00Z gadget 1 returned\n")

        def grown() -> bool:
            return "gadget 1 returned" in programs.run("grep", "gadget", ok=(0, 1))

        eventually(grown)
        host, _, port = programs.ftp.rpartition(":")
        with ftplib.FTP(timeout=20, encoding="utf-8") as client:
            client.connect(host, int(port))
            client.login("admin", programs.password)
            whole = fetched(client, f"/web-01/{path}")
        assert hashlib.sha256(whole).digest() == hashlib.sha256((logs / "app.log").read_bytes()).digest()
        # The whole server dies as in a power cut; PostgreSQL has what was confirmed.
        programs.kill_server()
        programs.start_server()
        eventually(grown)
        with programs.api() as api:
            found = list(api.files("app.log"))
        assert [(row["path"], row["generations"]) for row in found] == [(path, 1)]
        shown = programs.run("config", "show", str(settings))
        assert f"127.0.0.1:{postgres.port}/logs" in shown
        assert not (programs.data / "catalog.db").exists()
        told = [shown, *(log.read_text(errors="replace") for log in programs.folder.glob("*.log"))]
        assert not any(PASSWORD in text for text in told)
    finally:
        programs.stop_all()


def test_uploads_land_in_the_catalog_that_the_settings_name(settings: Path, tmp_path: Path) -> None:
    """The FTP part, the command line's way in, and the rebuilding of a lost catalog all use it."""
    config = load_config(str(settings), {}, {"archive": {"root": str(tmp_path / "data")}})
    assert not has_catalog(config)
    first = first_run.prepare(config)
    assert first.is_new
    first.close()
    assert has_catalog(config)
    with open_catalog(config) as catalog:
        catalog.agents.add("web-01")
    with open_catalog(config) as catalog, Archive(config.data_dir, catalog) as archive:
        incoming = archive.begin("web-01", "var/a.log")
        incoming.write(LINES)
        incoming.commit()
        sums = catalog.files.sums()
    assert not Path(config.data_dir, "catalog.db").exists()
    again = first_run.prepare(config)
    assert not again.is_new
    with pytest.raises(Conflict, match="another Logferry server"):
        list(rebuilt(config))
    again.close()
    (found,) = list(rebuilt(config, write=False))
    assert found.files == 1
    list(rebuilt(config))
    with open_catalog(config) as catalog:
        assert catalog.files.sums() == sums
        assert catalog.people.users() == []


def test_two_archives_do_not_share_a_catalog_by_mistake(settings: Path, tmp_path: Path) -> None:
    """The second one is told whose it is; the first one may move, with all its files."""
    one = load_config(str(settings), {}, {"archive": {"root": str(tmp_path / "one")}})
    other = load_config(str(settings), {}, {"archive": {"root": str(tmp_path / "other")}})
    first_run.prepare(one).close()
    with pytest.raises(Conflict, match=f"of the archive in .*:{tmp_path}/one") as caught:
        first_run.prepare(other)
    assert "schema of its own" in caught.value.hint
    with pytest.raises(Conflict), open_catalog(other):
        pass
    with pytest.raises(Conflict, match=f"{tmp_path}/one"):
        list(rebuilt(other))
    first_run.prepare(one).close()
    (tmp_path / "one").rename(tmp_path / "moved")
    moved = load_config(str(settings), {}, {"archive": {"root": str(tmp_path / "moved")}})
    first_run.prepare(moved).close()
    with pytest.raises(Conflict, match=f"{tmp_path}/moved"):
        first_run.prepare(one)
    shutil.copy(tmp_path / "moved" / holder.FILE, tmp_path / "other")
    first_run.prepare(other).close()


def test_a_catalog_of_before_is_taken_by_the_archive_that_opens_it(settings: Path, tmp_path: Path) -> None:
    """And one that `repair` has built anew, too."""
    config = load_config(str(settings), {}, {"archive": {"root": str(tmp_path / "data")}})
    first_run.prepare(config).close()
    with open_catalog(config) as catalog:
        catalog.facts.put(HOLDER, "")
    first_run.prepare(config).close()
    list(rebuilt(config))
    with open_catalog(config) as catalog:
        assert str(tmp_path / "data") in catalog.facts.get(HOLDER)


def test_a_backup_is_restored_to_the_catalog_that_the_settings_name(settings: Path, tmp_path: Path) -> None:
    """SQLite to PostgreSQL, as people move; then nobody but the new archive has it."""
    plain = load_config(None, {}, {"archive": {"root": str(tmp_path / "plain"), "min_free": "0"}})
    there = load_config(str(settings), {}, {"archive": {"root": str(tmp_path / "there")}})
    first_run.prepare(plain).close()
    with open_catalog(plain) as catalog, Archive(plain.data_dir, catalog) as archive:
        catalog.agents.add("web-01")
        incoming = archive.begin("web-01", "var/a.log")
        incoming.write(LINES)
        incoming.commit()
        with backing.repository(plain, str(tmp_path / "backups"), make=True) as backups:
            archive.taker(backups).take(backing.extras(plain, "", secrets=True))
    with backing.repository(there, str(tmp_path / "backups"), make=False) as backups:
        assert backing.restore(there, backups, backups.get()).problems == []
    first_run.prepare(there).close()
    with open_catalog(there) as catalog, Archive(there.data_dir, catalog) as archive:
        file = catalog.files.at("web-01", "var/a.log")
        assert file is not None
        with archive.open(file.generation_id) as reader:
            assert reader.read_at(0, reader.size) == LINES
        with backing.repository(there, str(tmp_path / "backups"), make=False) as backups:
            archive.taker(backups).take({})
            with pytest.raises(Conflict, match="already"):
                backing.restore(there, backups, backups.get())
    assert not Path(there.data_dir, "catalog.db").exists()


def test_files_without_their_catalog_are_not_served(settings: Path, tmp_path: Path) -> None:
    """An empty database beside a full archive is the wrong database."""
    config = load_config(str(settings), {}, {"archive": {"root": str(tmp_path / "data")}})
    place = tmp_path / "data" / "live" / "web-01"
    place.mkdir(parents=True)
    (place / "a.log").write_bytes(b"x")
    with pytest.raises(Conflict, match="catalog is missing"):
        first_run.prepare(config)


def test_a_server_whose_database_cannot_be_reached_says_why(settings: Path, tmp_path: Path) -> None:
    """And no password."""
    settings.with_name("catalog.secret").write_text("wrong\n")
    config = load_config(str(settings), {}, {"archive": {"root": str(tmp_path / "data")}})
    with pytest.raises(Unreachable, match="password authentication failed"):
        first_run.prepare(config)
    assert "wrong" not in repr(config)
    settings.with_name("catalog.secret").write_text("\n")
    with pytest.raises(BadConfig, match="is empty"):
        first_run.prepare(config)
    settings.with_name("catalog.secret").unlink()
    with pytest.raises(BadConfig, match="password_file"):
        first_run.prepare(config)
