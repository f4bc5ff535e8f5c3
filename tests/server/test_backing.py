"""Backup and restore of a server's archive, and the agents that go on with what is restored."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from logferry.archive import Archive, Catalog
from logferry.archive.backup import Backup
from logferry.archive.backup.repository import Checked
from logferry.archive.locks import backing_up
from logferry.errors import Conflict, Refused
from logferry.server import backing, catalogs, first_run
from logferry.server.config import BackupConfig, ServerConfig
from logferry.server.people import People
from logferry.server.rebuilding import rebuilt
from tests.archive.store import weed as weeds
from tests.archive.store.weed import BUCKET, KEY_ID, SECRET
from tests.server.helpers import eventually
from tests.server.site import PASSWORD, Running, Site, config_for, fetched
from tests.server.test_with_agent import Node, _on_port


def taken(config: ServerConfig, place: Path) -> Backup:
    """Take a backup beside whatever runs on the archive."""
    with (
        Catalog.open(catalogs.catalog_url(config.data_dir)) as catalog,
        Archive(config.data_dir, catalog) as archive,
        backing.repository(config, str(place), make=True) as backups,
    ):
        return archive.taker(backups).take(backing.extras(config, "", secrets=True))


def restored(config: ServerConfig, place: Path) -> None:
    """The newest one, into the folder that the settings name."""
    with backing.repository(config, str(place), make=False) as backups:
        assert backing.restore(config, backups, backups.get()).problems == []


def sealed(config: ServerConfig) -> None:
    """Seal everything."""
    with (
        Catalog.open(catalogs.catalog_url(config.data_dir)) as catalog,
        Archive(config.data_dir, catalog) as archive,
    ):
        for _ in archive.sealer(level=1).seal(1 << 62):
            pass


def node_files(node: Node) -> dict[str, bytes]:
    """What the node has."""
    return {path.name: path.read_bytes() for path in node.logs.iterdir()}


def test_what_a_restored_older_archive_lacks_is_sent_again(tmp_path: Path) -> None:
    """Growth, new files, rotations since the backup, all confirmed and quiet since: everything the node still has."""
    site = Site.make(tmp_path / "data")
    site.people.create("root", PASSWORD, role="admin")
    with Running(site) as running:
        node = Node(running, tmp_path / "node", "web-01")
        for number in range(6):
            (node.logs / f"{number}.log").write_bytes(b"%d first\n" % number * 500)
        assert node.agent().once().complete
        sealed(site.config)
        (node.logs / "5.log").write_bytes(b"5 first\n" * 500 + b"5 second\n")
        assert node.agent().once().complete
        taken(site.config, tmp_path / "backups")
        with open(node.logs / "0.log", "ab") as log:
            log.write(b"0 later\n" * 900)
        with open(node.logs / "5.log", "ab") as log:
            log.write(b"5 later\n")
        (node.logs / "1.log").rename(node.logs / "1.log.1")
        (node.logs / "1.log").write_bytes(b"1 anew\n")
        (node.logs / "2.log").write_bytes(b"2 written over, and longer than it was\n" * 700)
        (node.logs / "new.log").write_bytes(b"new\n" * 3)
        (node.logs / "large.log").write_bytes(os.urandom(3_000_000))
        assert node.agent().once().complete
        sealed(site.config)
    address = site.address
    site.catalog.close()
    shutil.rmtree(site.config.data_dir)
    restored(site.config, tmp_path / "backups")
    first_run.prepare(site.config).close()
    catalog = Catalog.open(catalogs.catalog_url(site.config.data_dir))
    again = Site(site.config, catalog, People(catalog), site.enrolment, address)
    with Running(_on_port(again, *address)) as running, node.running():
        with running.ftp("root", PASSWORD) as reader:

            def same() -> bool:
                there = {name.rpartition("/")[2] for name in reader.nlst("/web-01/logs")}
                wanted = node_files(node)
                return (
                    there >= set(wanted)
                    and {name: fetched(reader, f"/web-01/logs/{name}") for name in wanted} == wanted
                )

            eventually(same, within_s=60)
        with open(node.logs / "0.log", "ab") as log:
            log.write(b"0 after the restore\n")
        eventually(lambda: catalog.files.at("web-01", "logs/0.log").size == (node.logs / "0.log").stat().st_size)  # type: ignore[union-attr]
    with Archive(site.config.data_dir, catalog) as archive:
        assert [finding for finding in archive.check(digests=True) if finding.is_damage] == []
        file = catalog.files.at("web-01", "logs/2.log")
        assert file is not None
        history = [archive.open(one.id).read_at(0, one.size) for one in catalog.files.generations(file.id)]
        assert history == [b"2 first\n" * 500, (node.logs / "2.log").read_bytes()]
    catalog.close()


def test_certificate_users_and_agents_are_the_same_after_a_restore(tmp_path: Path) -> None:
    """What agents have pinned stays right; browsers sign in again."""
    site = Site.make(tmp_path / "data", tls="required")
    site.people.create("root", PASSWORD, role="admin")
    pin = site.pin
    joined = site.join("web-01")
    code = site.enrolment.new_join_token().secret
    taken(site.config, tmp_path / "backups")
    site.catalog.close()
    config = config_for(tmp_path / "elsewhere", tls="required")
    restored(config, tmp_path / "backups")
    assert first_run.identity(config).pin == pin
    assert os.stat(tmp_path / "elsewhere/tls").st_mode & 0o22 == 0
    catalog = Catalog.open(catalogs.catalog_url(config.data_dir))
    assert catalog.agents.get("web-01") is not None
    again = Site(config, catalog, People(catalog), site.enrolment)
    with Running(again) as running, running.ftps(joined.user, joined.password) as agent:
        assert "mark=" in agent.sendcmd("FEAT")
    again.enrolment = site.enrolment.__class__(catalog, again.people)
    with pytest.raises(Refused):
        again.enrolment.join(code, agent_id="web-02")  # codes do not come back
    catalog.close()


def test_no_server_starts_on_a_restore_that_was_cut_off(tmp_path: Path) -> None:
    site = Site.make(tmp_path / "data")
    taken(site.config, tmp_path / "backups")
    site.catalog.close()
    config = config_for(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/restore.json").write_text("{}")
    with pytest.raises(Conflict, match="being restored"):
        first_run.prepare(config)
    with pytest.raises(Conflict, match="being restored"):
        list(rebuilt(config))
    restored(config, tmp_path / "backups")
    (tmp_path / "elsewhere/restore.json").write_text("{}")  # cut off behind the catalog
    with pytest.raises(Conflict, match="being restored"):
        first_run.prepare(config)
    with pytest.raises(Conflict, match="being restored"):
        list(rebuilt(config))
    restored(config, tmp_path / "backups")
    first_run.prepare(config).close()
    with pytest.raises(Conflict, match="already"):
        restored(config, tmp_path / "backups")


def test_a_server_that_waited_for_the_lock_of_a_restore_does_not_start_on_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The restore begins right before the lock is taken, and is killed."""
    config = config_for(tmp_path / "data")
    locking = first_run.lock_archive

    def late(data_dir: str) -> int:
        (tmp_path / "data/restore.json").write_text("{}")
        return locking(data_dir)

    monkeypatch.setattr(first_run, "lock_archive", late)
    with pytest.raises(Conflict, match="being restored"):
        first_run.prepare(config)
    assert not (tmp_path / "data/catalog.db").exists()
    (tmp_path / "data/restore.json").unlink()
    os.close(locking(str(tmp_path / "data")))  # it has let go of the lock


def test_no_catalog_is_built_anew_while_a_backup_is_taken(tmp_path: Path) -> None:
    """The backup reads by ids of the old one."""
    site = Site.make(tmp_path / "data")
    site.catalog.close()
    with backing_up(site.config.data_dir):
        with pytest.raises(Conflict, match="backup"):
            list(rebuilt(site.config))
        assert list(rebuilt(site.config, write=False)) == []
    assert list(rebuilt(site.config)) == []


def test_a_backup_goes_into_no_folder_of_the_archive(tmp_path: Path) -> None:
    site = Site.make(tmp_path / "data")
    with pytest.raises(Refused, match="own folder"):
        taken(site.config, tmp_path / "data" / "backups")
    taken(site.config, tmp_path / "backups")
    assert (tmp_path / "backups").stat().st_mode & 0o77 == 0
    site.catalog.close()


def test_a_link_to_a_folder_of_the_archive_is_one(tmp_path: Path) -> None:
    """Whichever of the two is named by a link."""
    site = Site.make(tmp_path / "data")
    inside = tmp_path / "data" / "backups"
    inside.mkdir()
    (tmp_path / "link").symlink_to(inside)
    (tmp_path / "archive").symlink_to(tmp_path / "data")
    for config, place in (
        (site.config, tmp_path / "link"),
        (config_for(tmp_path / "archive"), inside),
        (config_for(tmp_path / "archive"), tmp_path / "archive" / "new"),
    ):
        with pytest.raises(Refused, match="own folder"), backing.repository(config, str(place), make=True):
            pass
    site.catalog.close()


def test_what_is_too_large_for_a_key_is_named_and_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site.make(tmp_path / "data")
    monkeypatch.setattr("logferry.server.backing.BACKUP_NOTE_BYTES_MAX", 1 << 20)
    odd = Path(site.config.data_dir, "tls", "core.1234")
    odd.parent.mkdir(exist_ok=True)
    odd.write_bytes(b"x" * (1 << 20))
    assert len(backing.extras(site.config, "", secrets=True)["tls/core.1234"]) == 1 << 20
    odd.write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(Refused, match=r"core\.1234"):
        backing.extras(site.config, "", secrets=True)
    site.catalog.close()


def test_in_a_folder_that_others_may_read_what_a_backup_writes_is_for_its_user_alone(tmp_path: Path) -> None:
    """A folder that root has made before, or that an older Logferry has used."""
    site = Site.make(tmp_path / "data")
    root = tmp_path / "backups"
    for folder in (root, root / "backups"):
        folder.mkdir()
        folder.chmod(0o755)
    old = os.umask(0)
    try:
        taken(site.config, root)
    finally:
        os.umask(old)
    site.catalog.close()
    modes = {path.relative_to(root): (path.is_dir(), path.stat().st_mode & 0o777) for path in root.rglob("*")}
    assert any(path.name == "key.pem" for path in modes)
    assert [path for path, facts in modes.items() if facts not in ((True, 0o700), (False, 0o600))] == []
    assert root.stat().st_mode & 0o777 == 0o755


def test_backups_in_a_bucket_are_as_good(tmp_path: Path) -> None:
    """Taken, found to be whole, restored; and a second one costs only what is new."""
    site = Site.make(tmp_path / "data")
    with Running(site) as running:
        node = Node(running, tmp_path / "node", "web-01")
        for number in range(6):
            (node.logs / f"{number}.log").write_bytes(b"%d first\n" % number * 500)
        assert node.agent().once().complete
    (tmp_path / "weed").mkdir()
    (tmp_path / "secret").write_text(SECRET)
    with weeds.running(tmp_path / "weed") as weed:
        access = BackupConfig(
            f"s3://{BUCKET}/backups", endpoint=weed.endpoint, key_id=KEY_ID, secret_file=str(tmp_path / "secret")
        )
        config = dataclasses.replace(site.config, backup=access)
        with Archive(config.data_dir, site.catalog) as archive, backing.repository(config, None, make=True) as backups:
            first = archive.taker(backups).take(backing.extras(config, "", secrets=True))
            second = archive.taker(backups).take({})
            assert (first.new_objects, second.new_objects) == (1, 0)
            listing = backups.listing()
            assert [one.name for one in listing.whole] == [first.name, second.name]
            assert list(backups.verify(listing.whole, Checked(), deep=True, pace=lambda _: None)) == []
            there = dataclasses.replace(config, archive=config_for(tmp_path / "elsewhere").archive)
            assert backing.restore(there, backups, first).problems == []
            assert list(backups.prune(1)) != []
            assert list(backups.verify(backups.listing().whole, Checked(), deep=True, pace=lambda _: None)) == []
    site.catalog.close()
    with (
        Catalog.open(catalogs.catalog_url(there.data_dir)) as catalog,
        Archive(there.data_dir, catalog) as archive,
    ):
        assert list(archive.verifier().verify()) == []
        assert len(list(catalog.files.each())) == 6
