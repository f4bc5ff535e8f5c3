"""``server.toml``, environment and flags become one checked configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from logferry.errors import BadConfig
from logferry.limits import DISK_RESERVE_BYTES
from logferry.server.config import (
    ServerConfig,
    config_from_json,
    join_address,
    load_config,
    load_config_with_origins,
    min_free_bytes,
    parse_address,
)


def written(tmp_path: Path, text: str) -> str:
    """A settings file with ``text``."""
    path = tmp_path / "server.toml"
    path.write_text(text)
    return str(path)


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS is required, the web is on loopback, the archive in the working directory."""
    monkeypatch.chdir(tmp_path)
    config = load_config(None, {})
    assert config.data_dir == str(tmp_path / "logferry-data")
    assert (config.ftp.address, config.ftp.tls) == (("0.0.0.0", 2121), "required")
    assert (config.web.address, config.web.secure) == (("127.0.0.1", 8080), False)
    assert config.warnings() == []


def test_flags_win_over_environment_over_file(tmp_path: Path) -> None:
    """And ``origins`` says so for each setting."""
    path = written(tmp_path, '[ftp]\nlisten = "127.0.0.1:1"\ntls = "explicit"\n[web]\nlisten = "127.0.0.1:2"\n')
    environment = {"LOGFERRY_FTP__LISTEN": "127.0.0.1:3", "LOGFERRY_WEB__LISTEN": "127.0.0.1:4", "LOGFERRY_URL": "x"}
    loaded = load_config_with_origins(path, environment, {"web": {"listen": "127.0.0.1:5"}})
    assert [loaded.config.ftp.listen, loaded.config.web.listen] == ["127.0.0.1:3", "127.0.0.1:5"]
    rows = {name: (value, origin) for name, value, origin in loaded.rows()}
    assert rows["ftp.listen"] == ("127.0.0.1:3", "environment")
    assert rows["ftp.tls"] == ("explicit", f"file {path}")
    assert rows["web.listen"] == ("127.0.0.1:5", "flag")
    assert rows["archive.min_free"] == ("5%", "default")


def test_a_file_named_by_the_environment_is_read(tmp_path: Path) -> None:
    """``LOGFERRY_CONFIG`` stands for ``--config``."""
    path = written(tmp_path, '[web]\nroot_path = "/logs"\n')
    assert load_config(None, {"LOGFERRY_CONFIG": path}).web.root_path == "/logs"


@pytest.mark.parametrize(
    ("text", "named", "hint"),
    [
        ("[ftp]\nlisen = 'x'", "ftp.lisen", "did you mean 'listen'?"),
        ("[fpt]\n", "fpt", "did you mean 'ftp'?"),
        ("[ftp]\ntls = 'on'", "ftp.tls", "one of required, explicit, off"),
        ("[ftp]\nlisten = 21", "ftp.listen", "text in quotes"),
        ("[ftp]\nlisten = '1.2.3.4:x'", "listen", "address:port"),
        ("[ftp]\nlisten = '1.2.3.4:70000'", "listen", "address:port"),
        ("[ftp]\nlisten = ''", "listen", "address:port"),
        ("[ftp]\nlisten = '[::1'", "listen", "address:port"),
        ("[ftp]\npassive_ports = '21-22'", "passive_ports", "30000-30099"),
        ("[ftp]\npassive_ports = '4000-3000'", "passive_ports", "30000-30099"),
        ("[ftp]\nprocesses = 0", "processes", "1 to 64"),
        ("[archive]\nzone = 'Mars/Base'", "zone", "Europe/Berlin"),
        ("[archive]\nzone = ''", "zone", "Europe/Berlin"),
        ("[archive]\nzone = 1", "archive.zone", "text in quotes"),
        ("[ftp.limits]\nupload_rate = 'fast'", "upload_rate", "08:00-18:00 1 MiB/s"),
        ("[ftp.limits]\ndownload_rate = '08:00-18:00'", "download_rate", "08:00-18:00 1 MiB/s"),
        ("[ftp.limits]\nconnections_per_agent = -1", "connections_per_agent", "0 or more"),
        ("[ftp]\npassive_ports = 'all'", "passive_ports", "30000-30099"),
        ("[ftp]\npublic_address = 'logs.example'", "logs.example", "192.0.2.10"),
        ("[archive]\nroot = ''", "root", "root ="),
        ("[archive]\nmin_free = 'much'", "archive.min_free", "2 GiB"),
        ("[archive]\nmin_free = '200%'", "min_free", "5%"),
        ("[web]\nroot_path = 'logs'", "root_path", "/logs"),
        ("[web]\nroot_path = '/logs/'", "root_path", "/logs"),
        ("[web]\nsession_ttl = '1s'", "session_ttl", "between"),
        ("[web]\ntrusted_proxies = '127.0.0.1'", "web.trusted_proxies", "must be a list"),
        ("[web]\ntrusted_proxies = ['proxy']", "proxy", "192.0.2.10"),
        ("[search]\ntime_limit = 'soon'", "search.time_limit", "10s"),
        ("[search]\ntime_limit = '2h'", "time_limit", "between"),
        ("[catalog]\nurl = 'mysql://host/logs'", "mysql", "postgresql://"),
        ("[catalog]\nurl = 'postgresql://host'", "names no database", "postgresql://"),
        ("[catalog]\nurl = 'postgresql://host:port/logs'", "is not a URL", "postgresql://"),
        ("[catalog]\nurl = 'postgres://u:p@host/logs'\npassword_file = 'x'", "password_file", "leave one"),
        ("[catalog]\npassword_file = 'x'", "password_file", "postgresql://"),
        ("archive = 3", "archive", "table"),
        ("[ftp\n", "line 1", "TOML"),
    ],
)
def test_a_wrong_setting_is_named_with_the_next_step(tmp_path: Path, text: str, named: str, hint: str) -> None:
    """The message names the file too."""
    path = written(tmp_path, text)
    with pytest.raises(BadConfig) as caught:
        load_config(path, {})
    assert named in str(caught.value)
    assert path in str(caught.value)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:s3cret@host/logs", "postgresql://u:***@host/logs"),
        ("postgresql://u:s3cret@at@host:5/logs?sslmode=require", "postgresql://u:***@host:5/logs?sslmode=require"),
        (
            "postgres://host/logs?user=u&password=s3cret&sslmode=require",
            "postgres://host/logs?user=u&password=***&sslmode=require",
        ),
        ("postgresql://:s3cret@/logs?host=/run", "postgresql://:***@/logs?host=/run"),
    ],
)
def test_the_password_of_the_catalog_is_shown_nowhere(tmp_path: Path, url: str, shown: str) -> None:
    """Not in the settings shown, not in a warning; the parts of the server get it."""
    loaded = load_config_with_origins(written(tmp_path, f"[catalog]\nurl = '{url}'\n"), {})
    assert {name: value for name, value, _ in loaded.rows()}["catalog.url"] == shown
    assert "s3cret" not in repr(loaded) + repr(loaded.config.warnings())
    assert config_from_json(loaded.config.to_json()) == loaded.config


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:s3cret@host/logs",
        "postgresql://u:s3cret@host",
        "postgresql://u:s3cret",
        "host=db user=u password=s3cret dbname=logs",
        "u:s3cret@host/logs",
    ],
)
def test_an_error_about_the_catalog_shows_no_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadConfig) as caught:
        load_config(written(tmp_path, f"[catalog]\nurl = '{url}'\n"), {})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("sqlite", False),
        ("postgresql:///logs", False),
        ("postgresql://localhost/logs", False),
        ("postgresql://127.0.0.1/logs", False),
        ("postgresql:///logs?host=/run/postgresql", False),
        ("postgresql://db.example/logs", True),
        ("postgresql:///logs?host=db.example", True),
        ("postgresql://db.example/logs?sslmode=require", True),
        ("postgresql://db.example/logs?sslmode=verify-full", False),
    ],
)
def test_a_catalog_that_anybody_could_pose_as_is_warned_about(tmp_path: Path, url: str, warned: bool) -> None:
    """``require`` encrypts, but for whom?"""
    found = load_config(written(tmp_path, f"[catalog]\nurl = '{url}'\n"), {}).warnings()
    assert any("sslmode=verify-full" in line for line in found) == warned


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Nobody falls back to defaults behind the user's back."""
    with pytest.raises(BadConfig, match=r"nowhere\.toml"):
        load_config(str(tmp_path / "nowhere.toml"), {})


def test_a_wrong_variable_and_a_wrong_flag_are_blamed_on_themselves(tmp_path: Path) -> None:
    """Not on the file."""
    path = written(tmp_path, "")
    with pytest.raises(BadConfig, match=r"^environment: ftp\.tls"):
        load_config(path, {"LOGFERRY_FTP__TLS": "maybe"})
    with pytest.raises(BadConfig, match="LOGFERRY_FTP__TSL names no setting"):
        load_config(path, {"LOGFERRY_FTP__TSL": "off"})
    with pytest.raises(BadConfig, match=r"^command line: web\.listen"):
        load_config(path, {}, {"web": {"listen": 3}})


def test_clear_text_is_warned_about_at_every_start(tmp_path: Path) -> None:
    """``off`` and ``explicit`` each get their sentence; a private address with a port range asks about NAT."""
    assert "clear text" in load_config(written(tmp_path, "[ftp]\ntls = 'off'"), {}).warnings()[0]
    assert "explicit" in load_config(written(tmp_path, "[ftp]\ntls = 'explicit'"), {}).warnings()[0]
    text = "[ftp]\nlisten = '10.0.0.5:21'\npassive_ports = '30000-30099'"
    assert "public_address" in load_config(written(tmp_path, text), {}).warnings()[0]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:21", ("0.0.0.0", 21)),
        ("10.0.0.5", ("10.0.0.5", 99)),
        (":21", ("0.0.0.0", 21)),
        ("[::]:21", ("::", 21)),
        ("[::1]", ("::1", 99)),
        ("::1", ("::1", 99)),
        ("logs.example:21", ("logs.example", 21)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
    ],
)
def test_addresses_read_as_people_write_them(text: str, address: tuple[str, int]) -> None:
    """And back, IPv6 in brackets."""
    assert parse_address(text, 99) == address
    assert parse_address(join_address(*address), 1) == address


def test_min_free_is_a_share_or_a_size_but_never_below_the_reserve() -> None:
    """5 % of a terabyte; 2 GiB; nothing asked for."""
    assert min_free_bytes("5%", 10**12) == 5 * 10**10
    assert min_free_bytes("2 GiB", 10**12) == 2 * 1024**3
    assert min_free_bytes("0", 10**12) == DISK_RESERVE_BYTES
    assert min_free_bytes("0%", 10**12) == DISK_RESERVE_BYTES


def test_settings_survive_the_way_to_a_child_process(tmp_path: Path) -> None:
    """As JSON; anything else is refused."""
    path = written(tmp_path, "[web]\ntrusted_proxies = ['10.0.0.1', '::1']\nsession_ttl = '1h'\n")
    config = load_config(path, {})
    assert config_from_json(config.to_json()) == config
    assert config_from_json(ServerConfig().to_json()) == ServerConfig()
    with pytest.raises(BadConfig, match="not JSON"):
        config_from_json("{")
