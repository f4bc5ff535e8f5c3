"""What doctor finds on a server: each thing broken for real, and nothing changed by looking."""

from __future__ import annotations

import os
import socket
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from logferry import machine
from logferry.clock import SYSTEM, ManualClock
from logferry.ftp.tls import make_certificate
from logferry.machine import Finding
from logferry.server.config import AuthConfig, LoadedConfig, ServerConfig
from logferry.server.doctor import examine
from logferry.server.oidc.config import OidcConfig, OidcRoleConfig
from tests.server.site import Running, Site, config_for


def _found(config: ServerConfig) -> list[Finding]:
    return list(examine(LoadedConfig(config, "server.toml", {})))


def _in(area: str, found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.level, one.text) for one in found if one.area == area]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """An archive that no server has open."""
    made = Site.make(tmp_path / "data", tls="explicit")
    made.catalog.close()
    return made


def test_before_the_first_start_nothing_fails_and_nothing_is_made(tmp_path: Path) -> None:
    """It says what the first start will make."""
    found = _found(config_for(tmp_path / "data", tls="required"))
    assert not [one for one in found if one.level == "fail"]
    assert _in("catalog", found) == [("ok", "there is none yet; the first start makes it")]
    assert os.listdir(tmp_path) == []


def test_a_server_in_order_has_nothing_that_fails(site: Site) -> None:
    """Folder, key, catalog, certificate: each is named."""
    found = _found(site.config)
    assert not [one for one in found if one.level == "fail"]
    assert {"archive", "permissions", "disk", "catalog", "certificate", "ports", "packages", "clock"} <= {
        one.area for one in found if one.level != "fail"
    }
    assert any("nothing damaged" in text for _, text in _in("catalog", found))


def test_every_line_that_is_not_ok_says_what_to_do(tmp_path: Path, site: Site) -> None:
    """But for the warnings of the settings, which hold their own advice."""
    os.chmod(tmp_path / "data" / "tls" / "key.pem", 0o644)
    found = _found(site.config)
    assert all(one.hint for one in found if one.level != "ok" and one.area != "settings")


def test_a_running_server_answers_on_its_ports(tmp_path: Path) -> None:
    """They are in use, and by us."""
    made = Site.make(tmp_path / "data")
    with made.catalog, Running(made):
        # The part announces itself where it runs as a process; here it is told in its stead.
        from logferry.server.lifeline import announce

        announce(made.config.data_dir, "ftp", {"host": made.address[0], "port": made.address[1]})
        assert ("ok", f"ftp: our server answers at 127.0.0.1:{made.address[1]}") in _in("ports", _found(made.config))


def test_a_port_that_somebody_else_has_fails(tmp_path: Path) -> None:
    """So do passive ports in part, and a passive range that holds the very port of FTP."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = config_for(tmp_path / "data", listen=f"127.0.0.1:{port}")
        assert any(level == "fail" and str(port) in text for level, text in _in("ports", _found(taken)))
        passive = config_for(tmp_path / "data", passive_ports=f"{port}-{port}")
        told = _in("ports", _found(passive))
        assert ("warn", f"passive ports {port}-{port}: others listen on {port}") in told
        assert any("1 passive ports" in text for _, text in told)
    own = config_for(tmp_path / "data", listen="127.0.0.1:30005", passive_ports="30000-30099")
    assert ("fail", "ftp.passive_ports holds a port that FTP or web listens on") in _in("ports", _found(own))


def test_a_key_that_others_may_read_fails(site: Site) -> None:
    """So does a data folder that everybody may write in, and a secret that is not there."""
    key = os.path.join(site.config.data_dir, "tls", "key.pem")
    os.chmod(key, 0o640)
    os.chmod(site.config.data_dir, 0o777)
    store = replace(site.config.store, key_id="id", secret_file=os.path.join(site.config.data_dir, "no"))
    secret = Path(site.config.data_dir).parent / "oidc.secret"
    secret.write_text("s3cret")
    secret.chmod(0o644)
    roles = {"a": OidcRoleConfig("admin")}
    oidc = OidcConfig("https://id.example", client_id="x", client_secret_file=str(secret), roles=roles)
    found = _found(replace(site.config, store=store, auth=AuthConfig(oidc)))
    assert ("fail", f"others may read {secret} (mode 0644)") in _in("permissions", found)
    assert ("fail", f"others may read {key} (mode 0640)") in _in("permissions", found)
    assert any("is not there" in text for _, text in _in("permissions", found))
    assert ("fail", f"everybody may write in {site.config.data_dir}") in _in("archive", found)


@pytest.mark.parametrize(
    ("later_days", "level", "text"),
    [
        (0, "ok", "good for "),
        (390, "warn", "it ends in "),
        (410, "fail", "it ended "),
        (-9, "fail", "it is not valid yet"),
    ],
)
def test_a_certificate_is_told_before_it_ends(site: Site, later_days: int, level: str, text: str) -> None:
    """And once it has ended, and before it counts."""
    folder = Path(site.config.data_dir, "tls")
    certificate, key = make_certificate(["localhost"], days=400)
    (folder / "certificate.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    clock = ManualClock(SYSTEM.now_ns() + later_days * 86_400 * 10**9)
    told = _in("certificate", list(examine(LoadedConfig(site.config, "", {}), clock=clock)))
    assert any(found == level and said.startswith(text) for found, said in told), told


def test_a_damaged_catalog_fails(site: Site) -> None:
    """Bytes of its pages are another's; it is not opened for writing."""
    path = Path(site.config.data_dir, "catalog.db")
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = database.execute("PRAGMA page_size").fetchone()[0]
    database.close()
    with path.open("r+b") as file:
        file.seek(page * 3)
        file.write(b"\xff" * page * 4)
    before = path.read_bytes()
    assert [level for level, _ in _in("catalog", _found(site.config))] == ["fail"]
    assert path.read_bytes() == before


def test_a_catalog_of_another_version_is_told_and_left_alone(site: Site) -> None:
    """An older one is migrated by the next start; a newer one needs a newer program."""
    path = os.path.join(site.config.data_dir, "catalog.db")
    for revision, level in (("0001", "warn"), ("9999", "fail")):
        with sqlite3.connect(path) as database:
            database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        database.close()
        told = _in("catalog", _found(site.config))
        assert [found for found, _ in told] == [level]
        assert revision in told[0][1]


def test_a_clock_that_cannot_be_right_fails() -> None:
    """That of a board without a battery."""
    assert [one.level for one in machine.clock(0)] == ["fail"]
    [now] = machine.clock(1_795_000_000_000_000_000)
    assert now.level in ("ok", "warn")


def test_more_folders_than_may_be_watched_are_a_warning() -> None:
    """With the setting that helps."""
    [few], [many] = list(machine.inotify(1)), list(machine.inotify(10**9))
    assert (few.level, many.level) == ("ok", "warn")
    assert "sysctl fs.inotify.max_user_watches=2000000000" in many.hint
