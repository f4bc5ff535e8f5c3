"""Before the parts start: folder, certificate, lock, codes; and what the person is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from logferry.archive.catalog import Catalog
from logferry.errors import Conflict, Damaged, Refused
from logferry.server import first_run, runfiles
from logferry.server.catalogs import catalog_url
from logferry.server.config import config_from_json, load_config
from logferry.server.enrolment import Enrolment
from logferry.server.people import People
from tests.server.site import PASSWORD, config_for


def test_the_first_start_makes_everything_and_a_second_one_less(tmp_path: Path) -> None:
    """Codes only for who is missing; the certificate stays."""
    config = config_for(tmp_path / "data")
    first = first_run.prepare(config)
    first.close()
    assert first.is_new
    assert first.pin.startswith("sha256/")
    with Catalog.open(catalog_url(config.data_dir)) as catalog:
        people = People(catalog)
        enrolment = Enrolment(catalog, people)
        enrolment.set_up(first.setup_code, "root", PASSWORD)
        assert first.join_token is not None
        enrolment.join(first.join_token.secret, hostname="web-01")
    second = first_run.prepare(config)
    second.close()
    assert not second.is_new
    assert (second.pin, second.setup_code, second.join_token) == (first.pin, "", None)


def test_secrets_lie_in_files_of_the_owner_alone(tmp_path: Path) -> None:
    """Key, token, settings; the folder is closed to others."""
    config = config_for(tmp_path / "data")
    prepared = first_run.prepare(config)
    first_run.write_local(prepared, {"host": "127.0.0.1", "port": 8080})
    for path in ("tls/key.pem", "local.json", "run/config.json", "run/lock"):
        assert (tmp_path / "data" / path).stat().st_mode & 0o077 == 0, path
    assert (tmp_path / "data").stat().st_mode & 0o007 == 0
    assert config_from_json(Path(prepared.config_path).read_text()) == config
    prepared.close()
    assert not (tmp_path / "data" / "local.json").exists()


def test_local_json_lets_the_command_line_in(tmp_path: Path) -> None:
    """Only with the newest token; with a pin where the web part speaks HTTPS."""
    config = config_for(tmp_path / "data")
    old = first_run.prepare(config)
    old.close()
    prepared = first_run.prepare(config)
    first_run.write_local(prepared, {"host": "127.0.0.1", "port": 8080})
    told = runfiles.read_json(runfiles.local_file(config.data_dir))
    assert told == {"url": "http://127.0.0.1:8080", "token": prepared.local_token, "pin": ""}
    with Catalog.open(catalog_url(config.data_dir)) as catalog:
        people = People(catalog)
        assert people.token(prepared.local_token) is not None
        assert people.token(old.local_token) is None
    prepared.close()


def test_everywhere_is_reached_by_loopback_from_here_and_by_name_from_there(tmp_path: Path) -> None:
    """``0.0.0.0`` is no address to connect to."""
    values = {
        "archive": {"root": str(tmp_path / "data"), "min_free": "0"},
        "web": {"listen": "0.0.0.0:0", "root_path": "/logs"},
    }
    prepared = first_run.prepare(load_config(None, {}, values))
    ready = {"web": {"host": "0.0.0.0", "port": 8443}, "ftp": {"host": "0.0.0.0", "port": 2121}}
    first_run.write_local(prepared, ready["web"])
    told = runfiles.read_json(runfiles.local_file(str(tmp_path / "data")))
    assert told is not None
    assert (told["url"], told["pin"]) == ("https://127.0.0.1:8443/logs", prepared.pin)
    banner = first_run.banner(prepared, ready)
    host = os.uname().nodename
    assert banner.web_url == f"https://{host}:8443/logs"
    assert banner.setup_link == f"https://{host}:8443/logs/setup?code={prepared.setup_code}"
    assert prepared.join_token is not None
    secret = prepared.join_token.secret
    assert banner.join_command == (
        f"logferry agent join {host}:8443 --token {secret} --pin {prepared.pin} --watch /var/log"
    )
    assert banner.join_uses == 10
    assert (banner.ftp_address, banner.ftp_tls) == ("0.0.0.0:2121", "required")
    prepared.close()


def test_warnings_of_the_settings_and_of_the_disk_are_told(tmp_path: Path) -> None:
    """At every start."""
    values = {"archive": {"root": str(tmp_path / "data"), "min_free": "99.9%"}, "ftp": {"tls": "off"}}
    prepared = first_run.prepare(load_config(None, {}, values))
    ready = {"web": {"host": "127.0.0.1", "port": 80}, "ftp": {"host": "127.0.0.1", "port": 21}}
    banner = first_run.banner(prepared, ready)
    assert ["clear text" in banner.warnings[0], "disk almost full" in banner.warnings[1]] == [True, True]
    assert banner.web_url == "http://127.0.0.1"
    assert "--pin" not in banner.join_command
    prepared.close()


def test_two_servers_never_share_an_archive(tmp_path: Path) -> None:
    """The second is told who is there; when the first is gone, it may."""
    config = config_for(tmp_path / "data")
    first = first_run.prepare(config)
    with pytest.raises(Conflict, match=f"process {os.getpid()}"):
        first_run.prepare(config)
    first.close()
    first_run.prepare(config).close()


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    """With the setting to change."""
    (tmp_path / "data").write_text("a file")
    with pytest.raises(Refused, match=r"archive\.root"):
        first_run.prepare(config_for(tmp_path / "data"))


def test_a_damaged_catalog_frees_the_lock_again(tmp_path: Path) -> None:
    """So that a restored one can be tried at once."""
    config = config_for(tmp_path / "data")
    first_run.prepare(config).close()
    catalog = tmp_path / "data" / "catalog.db"
    whole = catalog.read_bytes()
    catalog.write_bytes(b"damaged" * 1000)
    with pytest.raises(Damaged, match="catalog"):
        first_run.prepare(config)
    catalog.write_bytes(whole)
    first_run.prepare(config).close()
