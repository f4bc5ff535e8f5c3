"""Every verb of every route, as everybody: made from the routes themselves, so that none is without a rule.

A route of the API says in its dependencies what it takes; of a page its address says it: below /admin administrators,
else whoever is signed in, but for the exceptions here. Whoever adds a route gets it tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from logferry.server.people import SignedIn
from logferry.web import auth
from logferry.web.app import create_app
from logferry.web.trail import DEEDS, rule_of
from tests.browser.fleet import Fleet
from tests.web.routes import flat

SAFE = ("GET", "HEAD")
RANK = {"open": 0, "viewer": 1, "operator": 2, "admin": 3, "whole": 4}
PEOPLE = {"vera": 1, "otto": 2, "part": 3, "root": 4}
"""Who, and up to which rank they may: ``part`` administers, and sees a part of the archive."""
OPEN_API = {
    ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/api/v1/version"),
    ("POST", "/api/v1/sessions"),
    ("POST", "/api/v1/setup"), ("POST", "/api/v1/agents/join"), ("POST", "/api/v1/agents/{agent_id}/heartbeat"),
}  # fmt: skip
"""What strangers may ask: each has a proof of its own, or tells nothing."""
OPEN_PAGES = {
    "/setup",
    "/login",
    "/login/code",
    "/login/oidc",
    "/login/oidc/back",
    "/login/oidc/logout",
    "/reset",
    "/logout",
    "/zone",
    "/api",
    "/api/v1/openapi.json",
}
OPERATORS = {
    "/agents/add",
    "/agents/{agent}/settings",
    "/agents/{agent}/password",
    "/agents/{agent}/revoke",
    "/agents/{agent}/remove",
    "/alerts",
    "/alerts/mute",
    "/alerts/rules",
    "/alerts/rules/switch",
    "/alerts/rules/remove",
    "/alerts/test",
    "/alerts/messages/again",
}
VALUES = {"agent_id": "web-01", "agent": "web-01", "path": "var/log/a.log", "form": "zip", "name": "nobody"}
LISTS = re.compile(
    r"/api/v1/(agents.*|tree|file|files|files/\{fid\}(/generations|/index)?|me.*|sessions.*|roles|users.*|tokens|version"
    r"|today|searches|searches/\{job_id\}.*|openapi\.json|audit/verify|(system|retention|holds|ftp|saved|alerts)\b.*)"
    r"|/healthz|/readyz|/metrics|/api.*"
)
"""Routes that show names, numbers and one's own things, no content of files: reading them is no entry of the audit."""


@dataclass(frozen=True)
class Asked:
    """One verb of one route, and the rank it takes."""

    method: str
    path: str
    needs: str

    @property
    def url(self) -> str:
        """With something for each parameter."""
        return re.sub(r"\{(\w+)(:\w+)?\}", lambda m: VALUES.get(m[1], "999999"), self.path)


def _routes(app: FastAPI) -> Iterator[Asked]:
    for route in flat(app.router.routes):
        for method in sorted((route.methods or {"GET"}) - {"HEAD", "OPTIONS"}):
            dependant = getattr(route, "dependant", None)
            needs = _by_address(route.path) if dependant is None else _declared(method, route.path, dependant)
            yield Asked(method, route.path, needs)


def _declared(method: str, path: str, dependant: Any) -> str:
    """Who may ask it, by what it depends on."""
    calls, waiting = set(), [dependant]
    while waiting:
        one = waiting.pop()
        calls.add(one.call)
        waiting += one.dependencies
    for name, call in (
        ("whole", auth.whole_administrator),
        ("admin", auth.administrator),
        ("operator", auth.operator),
        ("viewer", auth.viewer),
        ("viewer", auth.signed_in),
    ):
        if call in calls:
            return name
    assert (method, path) in OPEN_API, f"{method} {path} has no rule: who may ask it?"
    return "open"


def _by_address(path: str) -> str:
    if path in OPEN_PAGES or path.startswith("/api/{"):
        return "open"
    if path == "/admin" or path.startswith("/admin/"):
        return "admin" if path == "/admin" else "whole"
    return "operator" if path in OPERATORS else "viewer"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A file, and somebody of each kind."""
    fleet = Fleet(Path(tmp_path_factory.mktemp("rights")) / "data")
    fleet.catalog.agents.add("web-01")
    fleet.put("web-01", "var/log/a.log", [b"one line\n"])
    file = fleet.catalog.files.at("web-01", "var/log/a.log")
    assert file is not None
    VALUES["fid"] = str(file.id)
    for name, role, scope in (
        ("vera", "viewer", ()), ("otto", "operator", ()), ("part", "admin", ("web-*/**",)), ("root", "admin", ()),
    ):  # fmt: skip
        fleet.people.create(name, None, role=role, scope=scope)
    yield fleet
    fleet.close()


@pytest.fixture(scope="module")
def app(fleet: Fleet) -> FastAPI:
    """The application."""
    return create_app(fleet.context)


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client that follows no redirects and is nobody until it is told."""
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
        yield client


class Visitors:
    """A session of each, begun anew where a route may have ended it."""

    def __init__(self, fleet: Fleet, client: TestClient) -> None:
        self._fleet, self._client = fleet, client
        self._sessions: dict[str, SignedIn] = {}

    def come_in(self, name: str) -> str:
        """The client is ``name`` from now on. Returns the CSRF token."""
        session = self._sessions.get(name)
        if session is None or self._fleet.people.session(session.secret) is None:
            session = self._sessions[name] = self._fleet.people.begin_session(self._fleet.people.get(name))
        self._client.cookies.clear()
        self._client.cookies.set(auth.COOKIE, session.secret)
        return session.identity.csrf


def _sent(client: TestClient, asked: Asked, csrf: str) -> int:
    is_page = not asked.path.startswith(("/api/v1", "/healthz", "/readyz", "/metrics"))
    if asked.method in SAFE:
        answer = client.request(asked.method, asked.url)
    elif is_page:
        answer = client.request(asked.method, asked.url, data={"csrf": csrf, "id": "999999"})
    else:
        answer = client.request(asked.method, asked.url, json={}, headers={auth.CSRF_HEADER: csrf})
    return int(answer.status_code)


def test_there_are_routes_of_every_kind(app: FastAPI) -> None:
    """The walk over the routes finds what is known to be there."""
    found = {(asked.method, asked.path): asked.needs for asked in _routes(app)}
    assert found["GET", "/api/v1/files/{fid}/raw"] == "viewer"
    assert found["POST", "/api/v1/join-tokens"] == "operator"
    assert found["DELETE", "/api/v1/users/{name}"] == "whole"
    assert found["POST", "/admin/users/{name}"] == "whole"
    assert found["GET", "/view/{agent}/{path:path}"] == "viewer"
    documented = {(m.upper(), path) for path, ms in app.openapi()["paths"].items() for m in ms}
    assert documented <= set(found)
    assert len(found) > 80


def test_everybody_gets_what_is_theirs_and_nothing_else(app: FastAPI, fleet: Fleet, client: TestClient) -> None:
    """Strangers are asked to sign in; a rank too low is told so; enough is let through, whatever comes of it then."""
    wrong = []
    visitors = Visitors(fleet, client)
    for asked in _routes(app):
        if asked.needs == "open":
            continue
        is_page = not asked.path.startswith("/api/v1")
        client.cookies.clear()
        status = _sent(client, asked, "")
        if status != (303 if is_page else 401):
            wrong.append(f"stranger: {asked.method} {asked.path} {status}")
        for name, rank in PEOPLE.items():
            csrf = visitors.come_in(name)
            is_boss = name == "root" and asked.method not in SAFE
            if is_boss and _sent(client, asked, "not the token") != 403:
                wrong.append(f"{name} without the CSRF token: {asked.method} {asked.path}")
            status = _sent(client, asked, csrf)
            enough = rank >= RANK[asked.needs]
            # 403 is also what a wrong password says, on one's own pages and routes.
            own = asked.path.startswith(("/me/", "/api/v1/me/", "/api/v1/tokens")) and asked.method == "POST"
            away = status == 503 and "/ftp/sessions" in asked.path  # no FTP part runs here
            if (
                (status >= 500 and not away)
                or status == 401
                or (status != 403 if not enough else status == 403 and not own)
            ):
                wrong.append(f"{name}: {asked.method} {asked.path} {status}")
    client.app.state.throttle.succeeded("testclient")  # type: ignore[attr-defined]
    assert not wrong, "\n".join(wrong)


def test_no_deed_is_without_a_rule_for_the_audit(app: FastAPI) -> None:
    """What changes something is a change unless it says what else it is; what reads content is named."""
    found = {(asked.method, asked.path) for asked in _routes(app)}
    assert set(DEEDS) <= found, "rules for routes that are not there"
    for method, path in sorted(found):
        if method not in SAFE or not path.startswith("/api/v1"):
            continue
        assert rule_of(method, path) is not None or LISTS.fullmatch(path), f"{method} {path}: is that reading?"
    changes = [rule_of(method, path) for method, path in found if method not in SAFE]
    assert sum(rule is None for rule in changes) == 6


def test_a_token_may_what_it_was_given_and_makes_nothing_more(fleet: Fleet, client: TestClient) -> None:
    """A lower role, a narrower scope; no tokens, no passwords, whatever its person may."""
    client.cookies.clear()
    secret, _ = fleet.people.new_token("root", role="viewer")
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/agents", headers=headers).status_code == 200
    assert client.get("/api/v1/me", headers=headers).json()["role"] == "viewer"
    for path in ("/api/v1/users", "/api/v1/system/jobs", "/api/v1/audit"):
        assert client.get(path, headers=headers).status_code == 403
    full, _ = fleet.people.new_token("root")
    narrow, _ = fleet.people.new_token("root", scope=["web-*/**"])
    for token in (full, narrow):
        headers = {"Authorization": f"Bearer {token}"}
        assert client.post("/api/v1/tokens", json={}, headers=headers).status_code == 403
        body = {"current": "x" * 9, "new": "y" * 9}
        assert client.post("/api/v1/me/password", json=body, headers=headers).status_code == 403
        begun = client.post("/api/v1/me/second-factor", json={"password": "x"}, headers=headers)
        assert begun.status_code == 403
    assert client.get("/api/v1/users", headers={"Authorization": f"Bearer {full}"}).status_code == 200
    assert client.get("/api/v1/users", headers={"Authorization": f"Bearer {narrow}"}).status_code == 403
