"""What an administrator does on the server's own machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Site

pytestmark = pytest.mark.slow  # a running server, real processes


def test_a_join_token_comes_with_the_command_to_paste(site: Site) -> None:
    """The address in it is where the web part really listens."""
    made = json.loads(site.logferry("admin", "join-token", "--uses", "2", "--ttl", "2h", "--group", "db", "--json").out)
    assert made["token"].startswith("LJ-")
    assert f"agent join {site.url.partition('//')[2]} --token {made['token']}" in made["command"]
    assert site.logferry("admin", "join-token", "--ttl", "soon").code == 2


def test_there_is_no_set_up_link_once_there_is_an_administrator(site: Site) -> None:
    """Nobody takes over a server that has one."""
    done = site.logferry("admin", "setup-link")
    assert done.code == 2
    assert "administrator already" in done.err


def test_people_are_added_changed_and_removed(site: Site, tmp_path: Path) -> None:
    """Role, scope, password and state; the list shows them."""
    password = tmp_path / "password"
    password.write_text("correct horse battery\n")
    add = ("admin", "user", "add", "ada", "--role", "operator", "--scope", "web-*/**", "--password-file", str(password))
    assert site.logferry(*add).code == 0
    assert site.logferry(*add).code == 2, "the name is taken"
    change = ("admin", "user", "change", "ada", "--role", "viewer", "--disable")
    assert site.logferry(*change).code == 0
    rows = {
        row["name"]: row for row in map(json.loads, site.logferry("admin", "user", "list", "--json").out.splitlines())
    }
    assert rows["ada"] == {
        "name": "ada", "role": "viewer", "scope": ["web-*/**"], "enabled": False, "second_factor": False,
        "provider": "",
    }  # fmt: skip
    assert "ada" in site.logferry("admin", "user", "list").out
    assert site.logferry("admin", "user", "remove", "ada").code == 0
    assert site.logferry("admin", "user", "remove", "ada").code == 1


def test_the_last_administrator_stays(site: Site) -> None:
    """A server nobody can administer would be lost."""
    done = site.logferry("admin", "user", "remove", "admin")
    assert done.code == 2
    assert "last administrator" in done.err


def test_a_short_password_is_refused(site: Site, tmp_path: Path) -> None:
    """With the length that is needed."""
    (tmp_path / "password").write_text("short\n")
    done = site.logferry("admin", "user", "add", "bob", "--password-file", str(tmp_path / "password"))
    assert done.code == 2
    assert "8" in done.err


def test_without_an_archive_it_says_so(site: Site, tmp_path: Path) -> None:
    """And makes none by mistake."""
    done = site.logferry("admin", "user", "list", LOGFERRY_ARCHIVE__ROOT=str(tmp_path / "nowhere"))
    assert done.code == 1
    assert not (tmp_path / "nowhere").exists()


def test_a_link_a_token_and_what_the_audit_says_of_them(site: Site, tmp_path: Path) -> None:
    """What is done here works on the running server, and is in its record; an entry that was altered is named."""
    (tmp_path / "password").write_text("correct horse battery\n")
    site.logferry("admin", "user", "add", "bea", "--password-file", str(tmp_path / "password"))
    link = site.logferry("admin", "user", "reset", "bea").out.strip()
    assert link.startswith(f"{site.url}/reset?code=")
    assert site.logferry("admin", "user", "reset", "nobody").code == 1
    secret = site.logferry("admin", "token", "add", "bea", "--label", "for the test", "--ttl", "1h").out.strip()
    assert site.logferry("agents", LOGFERRY_URL=site.url, LOGFERRY_TOKEN=secret).code in (0, 1)
    (row,) = [
        row
        for row in map(json.loads, site.logferry("admin", "token", "list", "--json").out.splitlines())
        if row["user"] == "bea"
    ]
    assert row["name"] == "for the test"
    assert secret not in site.logferry("admin", "token", "list").out
    assert site.logferry("admin", "token", "revoke", str(row["id"])).code == 0
    assert site.logferry("agents", LOGFERRY_URL=site.url, LOGFERRY_TOKEN=secret).code == 3
    assert site.logferry("admin", "user", "sign-out", "bea").code == 0
    listed = site.logferry("audit", "list", "--json", "bea").out
    assert [json.loads(line)["action"] for line in listed.splitlines()] == [
        "session.end-all", "token.add", "user.reset-link", "user.add",
    ]  # fmt: skip
    assert link.partition("code=")[2] not in listed
    told = json.loads(site.logferry("audit", "verify", "--json").out)
    assert told["ok"]
    assert site.logferry("audit", "verify", "--head", told["head"]).code == 0
    wrong = site.logferry("audit", "verify", "--head", "1:" + "0" * 64)
    assert wrong.code == 4
    assert "not the one whose head was noted" in wrong.err
    assert site.logferry("audit", "list", "--kind", "nonsense").code == 2
