"""The page of FTP connections: who is there, what they do, the end of one; and where no FTP part runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from logferry.ftp import SessionInfo
from logferry.server.porter import Porter
from logferry.web.app import create_app
from tests.browser.fleet import HOSTILE_NAME, Fleet
from tests.web.lobby import Lobby
from tests.web.pages.conftest import BASE, as_person
from tests.web.served import unnamed_changes

PAGE = "/admin/connections"


@pytest.fixture(scope="module")
def dock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """An archive with one joined agent."""
    fleet = Fleet(Path(tmp_path_factory.mktemp("connections")) / "data")
    fleet.add_admin()
    fleet.enrolment.join(fleet.enrolment.new_join_token().secret, agent_id="web-01")
    yield fleet
    assert not unnamed_changes(fleet.catalog)
    fleet.close()


@pytest.fixture
def lobby(dock: Fleet) -> Iterator[Lobby]:
    """An uploading agent, a stranger without TLS, somebody with a hostile name."""
    now = dock.clock.now_ns()
    lobby = Lobby(
        [
            SessionInfo(7, "web-01", "10.0.0.8", True, now - 60 * 10**9, "STOR", "/var/log/a b.log", 123_456),
            SessionInfo(8, "", "10.0.0.9", False, now, "idle", "", 0),
            SessionInfo(9, HOSTILE_NAME, "10.0.0.10", True, now, "RETR", "/\udcff<b>", 1),
        ]
    )
    porter = Porter(lobby, dock.config.data_dir)
    porter.start()
    yield lobby
    porter.stop()


@pytest.fixture
def visitor(dock: Fleet) -> Iterator[TestClient]:
    """The administrator."""
    with TestClient(create_app(dock.context), base_url=BASE, follow_redirects=False) as client:
        as_person(client, dock, "admin")
        yield client


def test_each_connection_says_who_and_what(visitor: TestClient, lobby: Lobby) -> None:
    """Agents lead to their page and file; what is not encrypted is marked; names are text."""
    text = visitor.get(PAGE).text
    assert "3 connections of 1 agent, 2 at work" in text
    assert 'href="/agents/web-01"' in text
    assert 'href="/view/web-01/var/log/a%20b.log?at=end"' in text
    assert "123 KB" in text
    assert "not logged in" in text
    assert text.count("no TLS") == 1
    assert "<img" not in text
    assert "\\xFF&lt;b&gt;" in text
    assert len(lobby.there) == 3


def test_one_is_ended_and_gone(visitor: TestClient, lobby: Lobby, dock: Fleet) -> None:
    """The others stay; a second time it is not there any more."""
    csrf = as_person(visitor, dock, "admin")
    form = {"csrf": csrf, "session": "7"}
    assert visitor.post(f"{PAGE}/end", data=form).headers["location"] == f"{PAGE}?done=ended"
    assert [one.id for one in lobby.there] == [8, 9]
    again = visitor.post(f"{PAGE}/end", data=form)
    assert again.status_code == 404
    assert "There is no FTP connection 7 any more" in again.text
    assert len(re.findall(r"<tr data-session=", again.text)) == 2


def test_the_api_tells_and_ends_the_same(visitor: TestClient, lobby: Lobby, dock: Fleet) -> None:
    """JSON that can be written whatever the names hold."""
    csrf = as_person(visitor, dock, "admin")
    items = visitor.get("/api/v1/ftp/sessions").json()["items"]
    assert [(one["id"], one["agent"], one["doing"], one["moved"]) for one in items] == [
        (7, "web-01", "STOR", 123_456),
        (8, "", "idle", 0),
        (9, "", "RETR", 1),
    ]
    assert visitor.delete("/api/v1/ftp/sessions/9", headers={"X-CSRF-Token": csrf}).status_code == 204
    assert visitor.delete("/api/v1/ftp/sessions/9", headers={"X-CSRF-Token": csrf}).status_code == 404
    assert [one.id for one in lobby.there] == [7, 8]


def test_empty_and_away_are_told_apart(visitor: TestClient, dock: Fleet) -> None:
    """Nobody connected is no error; no FTP part is."""
    assert "The FTP part does not run on this machine" in visitor.get(PAGE).text
    porter = Porter(Lobby(), dock.config.data_dir)
    porter.start()
    try:
        assert "Nobody is connected" in visitor.get(PAGE).text
    finally:
        porter.stop()
