"""Support bundles: all that helps is in them, and no secret, wherever it was planted."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from logferry.archive import Archive
from logferry.server import logs, runfiles
from logferry.server.config import AuthConfig, ChannelConfig, LoadedConfig, load_config
from logferry.server.first_run import prepare
from logferry.server.oidc.config import OidcConfig, OidcRoleConfig
from logferry.server.people import People
from logferry.server.recent_log import RecentLog, kept_lines
from logferry.server.support import Subject, bundle
from tests.server.site import Site

WEBHOOK = "https://hooks.example/services/T00/B00/verysecretpath"


def _unzipped(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name).decode() for name in file.namelist()}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Subject, list[str]]]:
    """An archive with every kind of secret, all of them in its log as well; and the list of them. Bundles only read."""
    tmp_path = tmp_path_factory.mktemp("planted")
    made = Site.make(tmp_path / "data")
    secret_file = tmp_path / "s3"
    secret_file.write_text("short pw\n")
    webhook_file = tmp_path / "hook"
    webhook_file.write_text(WEBHOOK + "\n")
    config = replace(
        made.config,
        store=replace(made.config.store, key_id="AKIAEXAMPLE", secret_file=str(secret_file)),
        backup=replace(made.config.backup, key_id="other-id", secret_file=str(webhook_file)),
    )
    people = People(made.catalog)
    user = people.create("ada", "correct horse battery", role="admin")
    token, record = people.new_token("ada")
    session = people.sign_in("ada", "correct horse battery")
    joined = made.join("web-01")
    key = Path(made.config.data_dir, "tls", "key.pem").read_text().splitlines()[1]
    runfiles.write_json(runfiles.local_file(made.config.data_dir), {"url": "http://x", "token": "LT-localtoken123"})
    secrets = [
        "short pw", WEBHOOK, "AKIAEXAMPLE", "other-id", user.password_hash, token, record.secret_hash, session.secret,
        session.identity.csrf, joined.password, people.new_reset_code("ada"),
        made.enrolment.new_join_token().secret, "LT-localtoken123", key,
    ]  # fmt: skip
    kept = RecentLog(runfiles.run_path(made.config.data_dir, "web.log"))
    for number, secret in enumerate(secrets):
        facts = {"timestamp": f"2026-11-23T08:00:{number:02d}Z", "level": "warning"}
        kept.write(json.dumps(facts | {"event": f"it said {secret} to us", "path": secret, "error": [secret]}))
        kept.write(json.dumps(facts | {"event": "x", "password": secret, "more": {"token": secret}}))
    with made.catalog, Archive(config.data_dir, made.catalog) as archive:
        yield Subject(LoadedConfig(config, "server.toml", {}), made.catalog, archive, "logferry_x 1\n"), secrets


@pytest.mark.parametrize("hide_names", [False, True])
def test_no_secret_is_in_a_bundle(planted: tuple[Subject, list[str]], hide_names: bool) -> None:
    """Neither of the settings nor of the catalog nor of the log, in no member, also not in part."""
    subject, secrets = planted
    members = _unzipped(bundle(subject, hide_names=hide_names))
    assert all(secrets)
    for name, text in members.items():
        for secret in secrets:
            assert secret not in text, f"{name} has {secret}"
            assert json.dumps(secret)[1:-1] not in text
    assert not re.search(r"\$argon2|\$scrypt|BEGIN", "".join(members.values()))


def test_all_that_helps_is_in_it(planted: tuple[Subject, list[str]]) -> None:
    """Settings with origins, versions, findings, metrics, sizes, the log with its part."""
    members = _unzipped(bundle(planted[0]))
    assert set(members) == {
        "README.txt", "versions.json", "config.json", "doctor.json", "metrics.txt", "sizes.json", "log.ndjson",
    }  # fmt: skip
    config = {row["setting"]: row for row in json.loads(members["config.json"])["items"]}
    assert config["ftp.tls"]["value"] == "off"
    assert config["store.secret_file"]["value"].endswith("/s3")
    assert json.loads(members["versions.json"])["packages"]["sqlalchemy"]
    assert {row["area"] for row in json.loads(members["doctor.json"])} >= {"catalog", "disk", "ports"}
    assert members["metrics.txt"] == "logferry_x 1\n"
    assert json.loads(members["sizes.json"])["by_agent"][0]["agent"] == "web-01"
    lines = [json.loads(line) for line in members["log.ndjson"].splitlines()]
    assert lines[0]["part"] == "web"
    assert lines[0]["timestamp"] < lines[-1]["timestamp"]


def test_hidden_names_are_nowhere(planted: tuple[Subject, list[str]]) -> None:
    """Neither the agent's nor the person's nor the folder's, nor those that settings and metrics are called by."""
    planted_subject, _ = planted
    config = planted_subject.loaded.config
    roles = {"secret-society": OidcRoleConfig("admin")}
    oidc = OidcConfig(issuer="https://id.example", client_id="logferry", roles=roles)
    config = replace(config, auth=AuthConfig(oidc), channels={"night-shift": ChannelConfig(webhook_file="/hook")})
    subject = replace(
        planted_subject, loaded=replace(planted_subject.loaded, config=config), metrics='x{channel="night-shift"} 1\n'
    )
    text = "".join(_unzipped(bundle(subject, hide_names=True)).values())
    assert "may have stayed" not in text
    assert "web-01" not in text
    assert "secret-society" not in text
    assert "night-shift" not in text
    assert subject.loaded.config.data_dir not in text


def test_a_part_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    """Whoever asks for help has something broken: here there is no archive at all, and no right to a folder."""
    config = load_config(None, {}, {"archive": {"root": str(tmp_path / "none")}, "web": {"listen": "127.0.0.1:0"}})
    members = _unzipped(bundle(Subject(LoadedConfig(config, "", {}))))
    assert json.loads(members["sizes.json"]) == {"catalog": None}
    assert members["log.ndjson"] == ""
    hidden = _unzipped(bundle(Subject(LoadedConfig(config, "", {})), hide_names=True))
    assert "names of agents may have stayed" in hidden["README.txt"]  # nobody can tell which they are
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "catalog.db").write_bytes(b"no database" * 1000)
    members = _unzipped(bundle(Subject(LoadedConfig(config, "", {}))))
    assert '"fail"' in members["doctor.json"]


def test_the_newest_lines_are_kept_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of bounded size, for the owner alone; several processes may write; what structlog logs comes in."""
    from logferry.server import recent_log

    monkeypatch.setattr(recent_log, "LOG_KEPT_BYTES", 2_000)
    path = str(tmp_path / "web.log")
    one, other = RecentLog(path), RecentLog(path)
    for number in range(300):
        (one if number % 2 else other).write(json.dumps({"n": number}))
    numbers = [json.loads(line)["n"] for line in kept_lines(path)]
    assert numbers[-1] == 299
    assert numbers == sorted(numbers)
    sizes = [file.stat().st_size for file in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) <= 2_000
    assert (tmp_path / "web.log").stat().st_mode & 0o777 == 0o600
    logs.configure(human=False, for_good=False, keep=one)
    structlog.get_logger("logferry.web").warning("told", path="a\nb")
    assert json.loads(list(kept_lines(path))[-1])["path"] == "a\nb"


def test_a_log_that_cannot_be_kept_stops_nobody(tmp_path: Path) -> None:
    """The folder is gone; when it is back, the next line is kept."""
    kept = RecentLog(str(tmp_path / "run" / "web.log"))
    kept.write("{}")
    (tmp_path / "run").mkdir()
    kept.write('{"n": 1}')
    assert list(kept_lines(str(tmp_path / "run" / "web.log"))) == ['{"n": 1}']


def test_an_archive_that_was_prepared_is_described(tmp_path: Path) -> None:
    """The settings' origins are those of the running server."""
    config = load_config(None, {}, {"archive": {"root": str(tmp_path / "data")}, "web": {"listen": "127.0.0.1:0"}})
    loaded = LoadedConfig(config, "server.toml", {"archive.root": "flag"})
    prepare(config, loaded=loaded).close()
    members = _unzipped(bundle(Subject(loaded)))
    origins = {row["setting"]: row["origin"] for row in json.loads(members["config.json"])["items"]}
    assert (origins["archive.root"], origins["ftp.tls"]) == ("flag", "default")
