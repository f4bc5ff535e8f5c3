"""Sign-in, set-up and sign-out as forms: who gets a session, where it leads, what other sites cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from logferry.web.app import create_app
from logferry.web.auth import COOKIE
from logferry.web.pages.sign_in import own_page
from tests.browser.fleet import PASSWORD, Fleet
from tests.web.pages.conftest import BASE, as_person

PAGES = (
    "/",
    "/agents",
    "/agents/web-01",
    "/agents/add",
    "/files",
    "/browse/web-01/var",
    "/view/web-01/x",
    "/search?q=a",
)


@pytest.mark.parametrize("path", PAGES)
def test_strangers_are_sent_to_sign_in_and_back(stranger: TestClient, path: str) -> None:
    """No page shows anything without a session; the page asked for is kept for afterwards."""
    answer = stranger.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")
    if path != "/":
        assert "next=%2F" in answer.headers["location"]


def test_signing_in_leads_to_the_page_asked_for(stranger: TestClient) -> None:
    """The cookie is unreadable for scripts and not sent by other sites' forms."""
    form = {"name": "admin", "password": PASSWORD, "next": "/view/web-01/a%20b?gen=2"}
    answer = stranger.post("/login", data=form)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/view/web-01/a%20b?gen=2"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


@pytest.mark.parametrize("name", ["admin", "nobody", "", "web-01", "@local"])
def test_every_wrong_sign_in_reads_the_same(stranger: TestClient, name: str) -> None:
    """Unknown name and wrong password cannot be told apart; no cookie is set."""
    answer = stranger.post("/login", data={"name": name, "password": "wrong"})
    assert answer.status_code == 401
    assert "Wrong name or password" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("target", "leads"),
    [
        ("/agents?state=ok", "/agents?state=ok"),
        ("https://example.com/", "/"),
        ("//example.com/", "/"),
        ("/\\example.com", "/"),
        ("/a\\..\\b", "/"),
        ("javascript:alert(1)", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("", "/"),
        ("agents", "/"),
    ],
)
def test_only_own_pages_are_returned_to(target: str, leads: str) -> None:
    """``next`` is no way to another site."""
    assert own_page(target) == leads


@pytest.mark.parametrize("path", ["/login", "/setup", "/theme", "/agents/add", "/logout"])
def test_forms_of_other_sites_are_refused(admin: TestClient, path: str) -> None:
    """By what the browser says of the request's origin."""
    form = {"name": "admin", "password": PASSWORD}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://example.com"}):
        answer = admin.post(path, data=form, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_signing_out_needs_the_token_and_ends_the_session(stranger: TestClient, fleet: Fleet) -> None:
    """Without the page's own token nothing ends; with it the session is over on the server."""
    csrf = as_person(stranger, fleet, "admin")
    secret = stranger.cookies[COOKIE]
    assert stranger.post("/logout", data={"csrf": "guess"}).status_code == 403
    assert fleet.people.session(secret) is not None
    assert stranger.post("/logout", data={"csrf": csrf}).headers["location"] == "/login"
    assert fleet.people.session(secret) is None


def test_join_commands_are_made_by_operators_with_the_token_of_the_page(stranger: TestClient, fleet: Fleet) -> None:
    """A viewer is refused, a form without the token too; the command names this very address."""
    as_person(stranger, fleet, "narrow")
    assert stranger.get("/agents/add").status_code == 403
    csrf = as_person(stranger, fleet, "admin")
    assert stranger.post("/agents/add", data={"uses": "3", "hours": "1"}).status_code == 403
    answer = stranger.post("/agents/add", data={"uses": "3", "hours": "1", "csrf": csrf})
    assert "logferry agent join 127.0.0.1:80 --token LJ-" in answer.text
    wrong = stranger.post("/agents/add", data={"uses": "0", "hours": "1", "csrf": csrf})
    assert wrong.status_code == 400
    assert "cannot have 0 uses" in wrong.text


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[tuple[TestClient, Fleet]]:
    """A server that has no administrator yet."""
    fleet = Fleet(tmp_path / "data")
    with TestClient(create_app(fleet.context), base_url=BASE, follow_redirects=False) as client:
        yield client, fleet
    fleet.close()


def test_set_up_makes_one_administrator(new_server: tuple[TestClient, Fleet]) -> None:
    """Bad names and short passwords keep the link alive; success spends it and signs in."""
    client, fleet = new_server
    assert "no administrator yet" in client.get("/login").text
    code = fleet.enrolment.new_setup_code()
    form = {"code": code, "name": "admin", "password": "a calm harbour", "again": "a calm harbour"}
    assert client.get(f"/setup?code={code}").status_code == 200
    assert client.post("/setup", data=form | {"again": "other"}).status_code == 400
    assert client.post("/setup", data=form | {"password": "short", "again": "short"}).status_code == 400
    assert client.post("/setup", data=form | {"name": "<script>"}).status_code == 400
    answer = client.post("/setup", data=form)
    assert answer.status_code == 200
    assert "logferry agent join" in answer.text
    assert client.get("/").status_code == 200
    client.cookies.clear()
    assert client.get(f"/setup?code={code}").status_code == 401
    assert client.post("/setup", data=form | {"name": "second"}).status_code == 401
    assert [row.name for row in fleet.people.all()] == ["admin"]
