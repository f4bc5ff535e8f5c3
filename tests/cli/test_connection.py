"""Which server the command line finds, and in what order."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from logferry.cli import connection
from logferry.cli.connection import Connection
from logferry.errors import BadConfig, NotSignedIn, Refused


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables that keep this test out of the real home and working folder."""
    return {"XDG_CONFIG_HOME": str(tmp_path / "config"), "LOGFERRY_ARCHIVE__ROOT": str(tmp_path / "data")}


def test_with_nothing_known_it_says_how_to_sign_in(environment: dict[str, str]) -> None:
    """The first thing a new user sees is the next step."""
    with pytest.raises(NotSignedIn) as caught:
        connection.find(environment)
    assert "logferry login" in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_server_on_this_machine_is_found_by_its_file(environment: dict[str, str], tmp_path: Path) -> None:
    """While it runs, its data folder has what the command line needs."""
    (tmp_path / "data").mkdir()
    local = {"url": "http://127.0.0.1:8080/", "token": "LT-x", "pin": ""}
    (tmp_path / "data" / "local.json").write_text(json.dumps(local))
    found = connection.find(environment)
    assert (found.url, found.token, found.pin) == ("http://127.0.0.1:8080", "LT-x", "")
    assert found.origin.endswith("local.json")


def test_variables_win_over_files(environment: dict[str, str]) -> None:
    """LOGFERRY_URL is for scripts and must not be overruled by what lies around."""
    connection.remember(Connection("https://other:1", session="s=1"), environment)
    environment |= {"LOGFERRY_URL": "https://logs:8443/", "LOGFERRY_TOKEN": "LT-y", "LOGFERRY_PIN": "sha256/00"}
    found = connection.find(environment)
    assert (found.url, found.token, found.pin, found.session) == ("https://logs:8443", "LT-y", "sha256/00", "")


def test_a_sign_in_is_kept_for_its_owner_alone(environment: dict[str, str]) -> None:
    """Mode 0600, found again, gone after logout."""
    path = connection.remember(Connection("https://logs:8443", session="lf=abc", pin="sha256/11"), environment)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    found = connection.find(environment)
    assert (found.url, found.session, found.pin) == ("https://logs:8443", "lf=abc", "sha256/11")
    assert connection.forget(environment)
    assert not connection.forget(environment)
    with pytest.raises(NotSignedIn):
        connection.find(environment)


def test_a_damaged_file_is_named(environment: dict[str, str]) -> None:
    """Not passed over: the user would wonder why the sign-in does not count."""
    path = connection.remember(Connection("https://logs:8443"), environment)
    Path(path).write_text("{")
    with pytest.raises(Refused, match=r"login\.json"):
        connection.find(environment)


def test_an_address_without_a_scheme_is_refused() -> None:
    """Nobody should send a token to what they did not mean."""
    with pytest.raises(BadConfig):
        Connection("logs.example:8443")
