"""Who may what: every role at every endpoint, and scopes that make what is outside of them disappear."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.web.served import ADMIN, Served

OK, STRANGER, FORBIDDEN = 200, 401, 403

MATRIX: list[tuple[str, str, dict[str, Any] | None, int, int, int]] = [
    # method, path, body, stranger, viewer, operator
    ("GET", "/healthz", None, 200, 200, 200),
    ("GET", "/readyz", None, 200, 200, 200),
    ("GET", "/api", None, 200, 200, 200),
    ("GET", "/api/v1/openapi.json", None, 200, 200, 200),
    ("GET", "/api/v1/version", None, 200, 200, 200),
    ("GET", "/api/v1/me", None, 401, 200, 200),
    ("PATCH", "/api/v1/me", {"zone": "UTC"}, 401, 403, 403),
    ("GET", "/api/v1/me/highlights", None, 401, 200, 200),
    ("PUT", "/api/v1/me/highlights", {"items": []}, 401, 403, 403),
    ("GET", "/api/v1/agents", None, 401, 200, 200),
    ("GET", "/api/v1/agents/a", None, 401, 200, 200),
    ("GET", "/api/v1/agents/a/health", None, 401, 200, 200),
    ("PATCH", "/api/v1/agents/a", {}, 401, 403, 200),
    ("GET", "/api/v1/tree?agent=a", None, 401, 200, 200),
    ("GET", "/api/v1/file?agent=a&path=f", None, 401, 200, 200),
    ("GET", "/api/v1/files", None, 401, 200, 200),
    ("GET", "/api/v1/files/{fid}", None, 401, 200, 200),
    ("GET", "/api/v1/files/{fid}/generations", None, 401, 200, 200),
    ("GET", "/api/v1/files/{fid}/raw", None, 401, 200, 200),
    ("HEAD", "/api/v1/files/{fid}/raw", None, 401, 200, 200),
    ("GET", "/api/v1/files/{fid}/lines", None, 401, 200, 200),
    ("GET", "/api/v1/files/{fid}/kept", None, 401, 200, 200),
    ("GET", "/api/v1/files/{fid}/text?at_byte=0", None, 401, 200, 200),
    ("GET", "/api/v1/files/{fid}/index", None, 401, 200, 200),
    ("GET", "/api/v1/files/{fid}/series", None, 401, 200, 200),
    ("GET", "/api/v1/merged?f={fid}", None, 401, 200, 200),
    ("GET", "/api/v1/search?q=x", None, 401, 200, 200),
    ("GET", "/api/v1/search/count?q=x", None, 401, 200, 200),
    ("GET", "/api/v1/search/histogram?q=x", None, 401, 200, 200),
    ("GET", "/api/v1/search/facets?q=x", None, 401, 200, 200),
    ("GET", "/api/v1/searches", None, 401, 200, 200),
    ("POST", "/api/v1/searches", {"q": "x"}, 401, 201, 201),
    ("GET", "/api/v1/searches/nosuch", None, 401, 404, 404),
    ("DELETE", "/api/v1/searches/nosuch", None, 401, 404, 404),
    ("GET", "/api/v1/searches/nosuch/hits", None, 401, 404, 404),
    ("GET", "/api/v1/searches/nosuch/events", None, 401, 404, 404),
    ("POST", "/api/v1/searches/nosuch/cancel", None, 401, 404, 404),
    ("GET", "/api/v1/archive.zip?agent=a", None, 401, 200, 200),
    ("POST", "/api/v1/archive.tar", {"places": [{"agent": "a"}]}, 401, 200, 200),
    ("GET", "/api/v1/export?agent=a", None, 401, 200, 200),
    ("POST", "/api/v1/agents/a/heartbeat", {"version": "1", "time_ns": 1}, 401, 401, 401),
    ("GET", "/api/v1/tail?f=999999", None, 401, 404, 404),
    ("POST", "/api/v1/query/parse", {"q": "x"}, 401, 200, 200),
    ("POST", "/api/v1/join-tokens", {}, 401, 403, 201),
    ("GET", "/api/v1/saved", None, 401, 200, 200),
    ("POST", "/api/v1/saved", {"name": "x", "address": "/nowhere"}, 401, 400, 400),
    ("GET", "/api/v1/saved/export", None, 401, 200, 200),
    ("POST", "/api/v1/saved/import", {"items": []}, 401, 200, 200),
    ("PATCH", "/api/v1/saved/999999", {}, 401, 404, 404),
    ("DELETE", "/api/v1/saved/999999", None, 401, 404, 404),
    ("GET", "/api/v1/today", None, 401, 200, 200),
    ("GET", "/api/v1/system/disk", None, 401, 403, 200),
    ("GET", "/api/v1/system/jobs", None, 401, 403, 200),
    ("GET", "/api/v1/system/flaws", None, 401, 403, 200),
    ("POST", "/api/v1/agents/join", {"token": "LJ-WRONG"}, 401, 401, 401),
    ("POST", "/api/v1/setup", {"code": "no", "name": "x", "password": "y"}, 401, 401, 401),
    ("POST", "/api/v1/sessions", {"name": "no", "password": "no"}, 401, 401, 401),
    ("DELETE", "/api/v1/sessions/current", None, 401, 204, 204),
]

MANAGING: list[tuple[str, str, dict[str, Any] | None, int]] = [
    # method, path, body, administrator: strangers are asked to sign in, everybody else may not
    ("GET", "/api/v1/retention/rules", None, 200),
    ("POST", "/api/v1/retention/preview", {}, 200),
    ("POST", "/api/v1/retention/run", {}, 200),
    ("GET", "/api/v1/retention/log", None, 200),
    ("GET", "/api/v1/holds", None, 200),
    ("POST", "/api/v1/holds", {"glob": "a", "reason": "b"}, 201),
    ("DELETE", "/api/v1/holds/999999", None, 404),
    ("GET", "/api/v1/ftp/sessions", None, 503),
    ("DELETE", "/api/v1/ftp/sessions/1", None, 503),
    ("GET", "/api/v1/system/storage", None, 200),
    ("GET", "/api/v1/system/scrub", None, 200),
    ("POST", "/api/v1/system/scrub", None, 202),
    ("GET", "/api/v1/system/certificate", None, 200),
    ("GET", "/api/v1/system/config", None, 200),
    ("GET", "/api/v1/system/about", None, 200),
]


ELSEWHERE = tuple(
    f"/api/v1/{name}"
    for name in (
        "users", "roles", "tokens", "sessions", "me", "audit", "alerts", "agents/{agent_id}", "merged",
        "files/{fid}/series", "system/support-bundle",
    )
)  # fmt: skip
"""What ``test_rights`` asks as every role, route by route, and tests of their own say more of."""


@pytest.fixture(scope="module")
def fid(site: Served) -> int:
    """A file anybody with a scope over everything may see."""
    return site.put("a", "f", b"x\n")


@pytest.mark.parametrize(("method", "path", "body", "stranger", "viewer", "operator"), MATRIX)
def test_each_role_gets_what_is_its_own(
    site: Served,
    fid: int,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    stranger: int,
    viewer: int,
    operator: int,
) -> None:
    """Strangers, viewers, operators; an administrator may all an operator may."""
    url = path.format(fid=fid)
    with site.new_client() as nobody:
        assert nobody.request(method, url, json=body).status_code == stranger
    assert site.as_("vera").request(method, url, json=body).status_code == viewer
    assert site.as_("otto", role="operator").request(method, url, json=body).status_code == operator
    assert site.client.request(method, url, json=body).status_code == operator
    site.app.state.throttle.succeeded("127.0.0.1")  # the wrong secrets above were tried on purpose


@pytest.mark.parametrize(("method", "path", "body", "administrator"), MANAGING)
def test_managing_is_for_administrators(
    site: Served, method: str, path: str, body: dict[str, Any] | None, administrator: int
) -> None:
    """Neither strangers nor viewers nor operators get to it, nor one who sees only a part of the archive."""
    with site.new_client() as nobody:
        assert nobody.request(method, path, json=body).status_code == STRANGER
    assert site.as_("vera").request(method, path, json=body).status_code == FORBIDDEN
    assert site.as_("otto", role="operator").request(method, path, json=body).status_code == FORBIDDEN
    narrow = site.as_("adele", role="admin", scope=("web-*/**",))
    assert narrow.request(method, path, json=body).status_code == FORBIDDEN
    assert site.client.request(method, path, json=body).status_code == administrator


def test_every_endpoint_of_the_documentation_is_in_the_matrix(site: Served) -> None:
    """A new route without a line above fails here."""
    paths = site.client.get("/api/v1/openapi.json").json()["paths"]
    there = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    tested = {(method, path.partition("?")[0].replace("nosuch", "{job_id}")) for method, path, *_ in MATRIX}
    tested |= {("GET", "/api/v1/agents/{agent_id}"), ("PATCH", "/api/v1/agents/{agent_id}"), ("GET", "/metrics")}
    tested |= {("GET", "/api/v1/agents/{agent_id}/health"), ("POST", "/api/v1/agents/{agent_id}/heartbeat")}
    tested |= {("PATCH", "/api/v1/saved/{saved_id}"), ("DELETE", "/api/v1/saved/{saved_id}")}
    tested |= {("GET", "/api/v1/archive.{form}"), ("POST", "/api/v1/archive.{form}")}
    named = {"/holds/999999": "/holds/{hold_id}", "/ftp/sessions/1": "/ftp/sessions/{session_id}"}
    for method, path, *_ in MANAGING:
        tail = next((tail for tail in named if path.endswith(tail)), "")
        tested.add((method, path.removesuffix(tail) + named.get(tail, "")))
    tested |= {(method, path) for method, path in there if path.startswith(ELSEWHERE)}
    assert there <= tested


def test_a_token_that_is_wrong_is_not_a_stranger(site: Served) -> None:
    """It is told so, even where strangers are let in by a cookie."""
    with site.new_client({"Authorization": "Bearer LT-wrong"}) as client:
        answer = client.get("/api/v1/agents")
    assert answer.status_code == 401
    assert "token" in answer.json()["detail"]
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_agents_have_no_business_here(site: Served) -> None:
    """The password of an agent opens no session."""
    joined = site.context.enrolment.join(site.context.enrolment.new_join_token().secret, hostname="node")
    with site.new_client() as client:
        answer = client.post("/api/v1/sessions", json={"name": joined.user, "password": joined.password})
    assert answer.status_code == 401


@pytest.fixture(scope="module")
def hidden(site: Served) -> dict[str, int]:
    """A tree of which a scoped viewer sees a part."""
    paths = ["var/log/open.log", "var/log/secret/key.log", "var/other.log", "top.log"]
    made = {path: site.put("web-01", path, f"word in {path}\n".encode()) for path in paths}
    made["db"] = site.put("db-01", "var/log/open.log", b"word in db\n")
    return made


SCOPE = ("web-*/var/log/**", "!**/secret/**")


def test_what_is_out_of_scope_and_what_is_not_there_look_the_same(site: Served, hidden: dict[str, int]) -> None:
    """404 with the same words, by every way to a file."""
    client = site.as_("part", scope=SCOPE)
    assert client.get(f"/api/v1/files/{hidden['var/log/open.log']}").status_code == 200
    for name in ("var/log/secret/key.log", "var/other.log", "db"):
        for tail in ("", "/raw", "/lines", "/index", "/generations"):
            there = client.get(f"/api/v1/files/{hidden[name]}{tail}")
            nowhere = client.get(f"/api/v1/files/987654{tail}")
            assert there.status_code == nowhere.status_code == 404
            assert there.json()["detail"].replace(str(hidden[name]), "N") == nowhere.json()["detail"].replace(
                "987654", "N"
            )
    for agent, path in (("web-01", "var/log/secret/key.log"), ("web-01", "top.log"), ("db-01", "var/log/open.log")):
        assert client.get("/api/v1/file", params={"agent": agent, "path": path}).status_code == 404
    assert client.get("/api/v1/agents/db-01").status_code == 404
    assert client.get("/api/v1/tree", params={"agent": "db-01"}).status_code == 404
    assert client.get("/api/v1/tree", params={"agent": "web-01", "path": "var/log/secret"}).status_code == 404
    assert client.get("/api/v1/tail", params={"f": hidden["top.log"]}).status_code == 404


def test_sums_and_lists_count_only_what_may_be_seen(site: Served, hidden: dict[str, int]) -> None:
    """No number tells of a hidden file."""
    client = site.as_("part", scope=SCOPE)
    size = len(b"word in var/log/open.log\n")
    agents = {row["id"]: row for row in client.get("/api/v1/agents").json()["items"]}
    assert (agents["web-01"]["files"], agents["web-01"]["bytes"]) == (1, size)
    assert "db-01" not in agents
    tree = client.get("/api/v1/tree", params={"agent": "web-01"}).json()
    assert (tree["files"], tree["items"]) == (1, [])
    assert [(f["name"], f["files"], f["bytes"]) for f in tree["folders"]] == [("var", 1, size)]
    log = client.get("/api/v1/tree", params={"agent": "web-01", "path": "var/log"}).json()
    assert [f["name"] for f in log["items"]] == ["open.log"]
    assert log["folders"] == []
    found = client.get("/api/v1/files", params={"q": "key OR open"}).json()["items"]
    assert [(f["agent"], f["path"]) for f in found] == [("web-01", "var/log/open.log")]


def test_search_sees_only_what_may_be_seen(site: Served, hidden: dict[str, int]) -> None:
    """Neither hits nor totals of hidden files."""
    client = site.as_("part", scope=SCOPE)
    for agent, wanted in (("web-01", ["var/log/open.log"]), ("db-01", [])):
        answer = client.get("/api/v1/search", params={"q": f"agent:{agent} word"})
        events = [json.loads(line) for line in answer.text.splitlines()]
        assert [e["path"] for e in events if e["type"] == "hit"] == wanted
        assert events[-1]["files_total"] == len(wanted)


def test_a_generation_that_moved_out_of_sight_is_gone(site: Served) -> None:
    """Rotation into a hidden folder hides the older bytes, too."""
    fid = site.put("web-02", "var/log/app.log", b"first\n")
    site.context.archive.rename("web-02", "var/log/app.log", "var/log/secret/app.log.1")
    site.put("web-02", "var/log/app.log", b"second\n")
    assert site.client.get(f"/api/v1/files/{fid}/raw", params={"gen": 1}).content == b"first\n"
    client = site.as_("part", scope=SCOPE)
    assert client.get(f"/api/v1/files/{fid}/raw").content == b"second\n"
    assert client.get(f"/api/v1/files/{fid}/raw", params={"gen": 1}).status_code == 404


def test_a_narrowed_token_sees_less_than_its_owner(site: Served, hidden: dict[str, int]) -> None:
    """The token's own scope takes away from the person's."""
    secret, _ = site.context.people.new_token(ADMIN, scope=["db-*"])
    with site.new_client({"Authorization": f"Bearer {secret}"}) as client:
        assert [a["id"] for a in client.get("/api/v1/agents").json()["items"]] == ["db-01"]
