"""People over the API: made, changed, let in by two factors, and what of it the audit tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from logferry.clock import SYSTEM
from logferry.limits import SECOND_FACTOR_TRIES, SIGN_IN_FAILURES_FREE
from logferry.server.audit import list_digest
from logferry.server.totp import step_at, totp_at
from logferry.web.auth import CSRF_HEADER
from tests.web.served import ADMIN, PASSWORD, Served, served


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of its own: its audit is looked at."""
    with served(Path(tmp_path_factory.mktemp("people")) / "data") as running:
        yield running


@pytest.fixture(scope="module")
def root(own: Served) -> Iterator[httpx.Client]:
    """The administrator, signed in."""
    with session_of(own, ADMIN) as client:
        yield client


@contextmanager
def session_of(own: Served, name: str, password: str = PASSWORD) -> Iterator[httpx.Client]:
    """A signed-in client; its changes carry the CSRF token."""
    with own.new_client() as client:
        answer = client.post("/api/v1/sessions", json={"name": name, "password": password})
        assert answer.status_code == 201, answer.text
        client.headers[CSRF_HEADER] = answer.json()["csrf"]
        yield client


def now_code(secret: str, away: int = 0) -> str:
    """What the app shows now, or so many steps later."""
    return totp_at(secret, step_at(SYSTEM.now_ns()) + away)


def entries(own: Served, **asked: str) -> list[dict[str, Any]]:
    """What the audit has, the newest first."""
    found: list[dict[str, Any]] = own.client.get("/api/v1/audit", params=asked).json()["items"]
    return found


def test_a_person_is_invited_changed_and_removed(own: Served, root: httpx.Client) -> None:
    """A link sets the password, once; what changes holds at once; the audit has all of it and no secret."""
    made = root.post("/api/v1/users", json={"name": "ann", "role": "operator", "scope": ["web-*/**"]}).json()
    assert (made["name"], made["role"], made["has_password"]) == ("ann", "operator", False)
    link = urlsplit(made["link"])
    assert made["link"].startswith(own.url)
    code = parse_qs(link.query)["code"][0]
    with own.new_client() as stranger:
        form = {"code": code, "password": PASSWORD, "again": PASSWORD}
        assert stranger.get(f"{link.path}?{link.query}").status_code == 200
        assert stranger.post("/reset", data=form | {"again": "other"}).status_code == 400
        assert stranger.post("/reset", data=form | {"password": "short", "again": "short"}).status_code == 400
        assert stranger.post("/reset", data=form).status_code == 200
        assert stranger.post("/reset", data=form).status_code == 401
    with session_of(own, "ann") as ann:
        assert ann.get("/api/v1/me").json()["role"] == "operator"
        assert len(ann.get("/api/v1/sessions").json()["items"]) == 1
        changed = own.client.patch("/api/v1/users/ann", json={"role": "viewer", "scope": []}).json()
        assert (changed["role"], changed["scope"]) == ("viewer", [])
        assert ann.get("/api/v1/system/jobs").status_code == 403
        assert own.client.delete("/api/v1/users/ann/sessions").json() == {"ended": 1}
        assert ann.get("/api/v1/me").status_code == 401
    again = root.post("/api/v1/users/ann/reset").json()["link"]
    assert own.client.delete("/api/v1/users/ann").status_code == 204
    with own.new_client() as stranger:
        assert stranger.get(again.removeprefix(own.url)).status_code == 401
    assert own.client.delete(f"/api/v1/users/{ADMIN}").status_code == 409
    actions = [row["action"] for row in reversed(entries(own, q="ann")) if row["target"] == "ann"]
    assert actions == [
        "user.add", "password.reset", "session.begin", "user.change", "session.end-all", "user.reset-link",
        "user.remove",
    ]  # fmt: skip
    text = json.dumps(entries(own))
    assert code not in text
    assert PASSWORD not in text


def test_a_second_factor_is_asked_for_and_never_taken_twice(own: Served, root: httpx.Client) -> None:
    """Begun with the password, confirmed by a code; then sign-in takes one, each once; recovery codes are spent."""
    root.post("/api/v1/users", json={"name": "tom", "password": PASSWORD})
    with session_of(own, "tom") as tom:
        assert tom.post("/api/v1/me/second-factor", json={"password": "not it at all"}).status_code == 403
        begun = tom.post("/api/v1/me/second-factor", json={"password": PASSWORD}).json()
        assert begun["uri"].startswith("otpauth://totp/Logferry%20127.0.0.1")
        assert tom.post("/api/v1/me/second-factor/confirm", json={"code": "000000"}).status_code == 403
        assert not tom.get("/api/v1/me/second-factor").json()["enabled"]
        used = now_code(begun["secret"])
        confirmed = tom.post("/api/v1/me/second-factor/confirm", json={"code": used})
        recovery = confirmed.json()["recovery_codes"]
        assert tom.get("/api/v1/me/second-factor").json() == {"enabled": True, "recovery_codes_left": 10}
    with own.new_client({"X-Forwarded-For": "10.9.1.1"}) as client:
        asked = {"name": "tom", "password": PASSWORD}
        answer = client.post("/api/v1/sessions", json=asked)
        assert (answer.status_code, answer.json()["second_factor"]) == (401, True)
        assert (
            client.post("/api/v1/sessions", json=asked | {"password": "wrong wrong"}).json().get("second_factor")
            is None
        )
        assert client.post("/api/v1/sessions", json=asked | {"code": used}).status_code == 401, "used before"
        later = now_code(begun["secret"], 1)  # an app whose clock is ahead
        assert client.post("/api/v1/sessions", json=asked | {"code": later}).status_code == 201
        assert client.post("/api/v1/sessions", json=asked | {"code": later}).status_code == 401, "used before"
        assert client.post("/api/v1/sessions", json=asked | {"code": recovery[0].lower()}).status_code == 201
        assert client.post("/api/v1/sessions", json=asked | {"code": recovery[0]}).status_code == 401, "spent"
    # A right password alone is told, and a wrong code after it, whatever else was refused there; none of it twice.
    told = [(row["action"], row["detail"]) for row in reversed(entries(own, q="10.9.1.1", kind="sign-in"))]
    assert told == [
        ("session.password", {"second_factor": "asked for"}),
        ("session.begin", {"refused": 401}),
        ("session.begin", {"refused": 401}),
        ("session.begin", {}),
        ("session.begin", {}),
    ]
    assert own.client.get("/api/v1/users/tom").json()["second_factor"]
    assert not root.delete("/api/v1/users/tom/second-factor").json()["second_factor"]
    with session_of(own, "tom") as tom:
        assert not tom.get("/api/v1/me/second-factor").json()["enabled"]


def test_guessing_codes_gets_slow_for_whoever_has_the_password(own: Served, root: httpx.Client) -> None:
    """By person, whatever address they come from; the right code waits as well."""
    root.post("/api/v1/users", json={"name": "eva", "password": PASSWORD})
    people = own.context.people
    secret = people.second.begin(people.get("eva"))
    people.second.confirm(people.get("eva"), totp_at(secret, step_at(SYSTEM.now_ns())))
    statuses = []
    for number in range(7):
        with own.new_client({"X-Forwarded-For": f"10.9.0.{number}"}) as client:
            asked = {"name": "eva", "password": PASSWORD, "code": f"{number:06d}"}
            statuses.append(client.post("/api/v1/sessions", json=asked).status_code)
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_ones_own_password_and_sessions(own: Served, root: httpx.Client) -> None:
    """Changing it takes the old one and ends the other sessions, not this one."""
    root.post("/api/v1/users", json={"name": "kim", "password": PASSWORD})
    with session_of(own, "kim") as here, session_of(own, "kim") as there:
        wrong = {"current": "not my password", "new": "another password"}
        assert here.post("/api/v1/me/password", json=wrong).status_code == 403
        right = {"current": PASSWORD, "new": "another password"}
        assert here.post("/api/v1/me/password", json=right).json() == {"ended": 1}
        assert there.get("/api/v1/me").status_code == 401
        assert here.get("/api/v1/me").status_code == 200
        with session_of(own, "kim", "another password"):
            rows = here.get("/api/v1/sessions").json()["items"]
            other = next(row for row in rows if not row["current"])
            assert here.delete(f"/api/v1/sessions/{other['id']}").status_code == 200
            assert here.delete(f"/api/v1/sessions/{other['id']}").status_code == 404
            mine = root.post("/api/v1/users", json={"name": "lou", "password": PASSWORD})
            assert mine.status_code == 201
            with session_of(own, "lou") as lou:
                foreign = lou.get("/api/v1/sessions").json()["items"][0]["id"]
                assert here.delete(f"/api/v1/sessions/{foreign}").status_code == 404


def test_tokens_are_shown_once_narrowed_and_revoked(own: Served, root: httpx.Client) -> None:
    """One's own; an administrator sees and ends those of everybody."""
    own.put("web-01", "a.log", b"x\n")
    root.post("/api/v1/users", json={"name": "max", "password": PASSWORD, "role": "operator"})
    with session_of(own, "max") as user:
        wanted = {"name": "report", "scope": ["db-*/**"], "role": "viewer", "ttl_s": 3600, "password": PASSWORD}
        made = user.post("/api/v1/tokens", json=wanted).json()
        assert made["token"].startswith("LT-")
        assert user.post("/api/v1/tokens", json={"role": "admin", "password": PASSWORD}).status_code == 400
        assert user.post("/api/v1/tokens", json={"user": ADMIN}).status_code == 403
        listed = user.get("/api/v1/tokens").json()["items"]
        assert [row["name"] for row in listed] == ["report"]
        assert "token" not in listed[0]
        assert user.get("/api/v1/tokens", params={"all": "true"}).status_code == 403
        with own.new_client({"Authorization": f"Bearer {made['token']}"}) as script:
            assert script.get("/api/v1/agents").json()["items"] == []
            assert script.get("/api/v1/system/jobs").status_code == 403
            everybody = root.get("/api/v1/tokens", params={"all": "true"}).json()["items"]
            assert ("max", "report") in [(row["user"], row["name"]) for row in everybody]
            assert root.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
            assert script.get("/api/v1/agents").status_code == 401
        assert user.delete(f"/api/v1/tokens/{everybody[0]['id']}").status_code == 404, "another's"


def test_the_audit_says_who_read_searched_and_downloaded(own: Served) -> None:
    """Before the answer is out; reading on is one entry; files are named by agent and path."""
    fid = own.put("web-02", "var/log/app.log", b"an error\n" * 50)
    reader = own.as_("reader")
    for first in (1, 10, 20):
        reader.get(f"/api/v1/files/{fid}/lines", params={"from_line": first, "count": 5})
    reader.get(f"/api/v1/files/{fid}/raw")
    reader.get(f"/api/v1/files/{fid}/raw", headers={"Range": "bytes=0-3"})
    reader.get(f"/api/v1/files/{fid}/raw", headers={"Range": "bytes=4-7"})
    reader.get("/api/v1/search", params={"q": "error", "from": "2026-01-01"})
    reader.get("/api/v1/search/count", params={"q": "error"})
    reader.get("/api/v1/search/count", params={"q": "error"})
    reader.post("/api/v1/searches", json={"q": "error -x"})
    other = own.put("web-02", "srv/secret.log", b"secret\n")
    for number in (fid, other):
        for route in ("archive.zip", "export"):
            answer = reader.get(f"/api/v1/{route}", params={"fid": number}, headers={"Range": "bytes=0-"})
            assert answer.status_code == 200
    reader.post("/api/v1/archive.tar", json={"places": [{"agent": "web-02", "path": "var"}]})
    reader.get("/api/v1/files/999999/raw")
    reader.get("/api/v1/users")
    found = [(row["kind"], row["action"], row["target"]) for row in reversed(entries(own, who="reader"))]
    assert found == [
        ("read", "file.read", "web-02/var/log/app.log"),
        ("download", "file.download", "web-02/var/log/app.log"),
        ("download", "file.download", "web-02/var/log/app.log"),
        ("search", "search", "error"),
        ("search", "search.count", "error"),
        ("search", "search", "error -x"),
        ("download", "archive.download", "web-02/var/log/app.log"),
        ("download", "lines.export", "web-02/var/log/app.log"),
        ("download", "archive.download", "web-02/srv/secret.log"),
        ("download", "lines.export", "web-02/srv/secret.log"),
        ("download", "archive.download", "web-02/var"),
    ]
    row = entries(own, who="reader", q="2026-01-01")[0]
    assert row["detail"]["from"] == "2026-01-01"
    assert row["via"].startswith("token ")
    assert reader.patch("/api/v1/agents/web-02", json={"zone": "UTC"}).status_code == 403
    assert entries(own, who="reader")[0]["detail"]["refused"] == 403
    for number in range(3):
        assert reader.delete(f"/api/v1/users/nobody-{number}").status_code == 403
    refused = [row["action"] for row in entries(own, who="reader") if "refused" in row["detail"]]
    assert refused == ["DELETE /users/{name}", "PATCH /agents/{agent_id}"], "once each, by no text of theirs"


def test_what_was_taken_out_can_be_shown_later(own: Served) -> None:
    """All places and files by their names; of a long list the beginning, how many, and a digest that binds the rest."""
    fids = [own.put("web-03", f"many/{number:02}.log", b"x\n") for number in range(30)]
    asked = {"places": [{"agent": "web-03", "path": "many/00.log"}], "fids": fids[1:3]}
    assert own.client.post("/api/v1/archive.tar", json=asked).status_code == 200
    told = entries(own, kind="download")[0]
    assert told["target"] == "several"
    assert told["detail"] == {"places": ["web-03/many/00.log"], "files": ["web-03/many/01.log", "web-03/many/02.log"]}
    assert own.client.post("/api/v1/archive.tar", json={"fids": fids}).status_code == 200
    names = [f"web-03/many/{number:02}.log" for number in range(30)]
    told = entries(own, kind="download")[0]
    assert told["detail"]["files"] == [*names[:20], f"… 30 in all, sha256 {list_digest(names)}"]


def test_the_audit_is_paged_downloaded_and_verified(own: Served) -> None:
    """As a page with a cursor, as NDJSON, as CSV in which nothing computes; the chain holds."""
    for number in range(4):
        own.client.get("/api/v1/search", params={"q": f"word{number}"})
    own.client.get("/api/v1/search", params={"q": "=cmd|' /C calc'!A0"})
    first = own.client.get("/api/v1/audit", params={"limit": 2}).json()
    second = own.client.get("/api/v1/audit", params={"limit": 2, "cursor": first["next"]}).json()
    ids = [row["id"] for row in first["items"] + second["items"]]
    assert ids == list(range(ids[0], ids[0] - 4, -1))
    answer = own.client.get("/api/v1/audit", params={"format": "ndjson"})
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["id"] for row in rows] == list(range(rows[0]["id"], 0, -1))
    assert "attachment" in answer.headers["content-disposition"]
    table = own.client.get("/api/v1/audit", params={"format": "csv", "kind": "search"}).text
    assert table.startswith("id,at,who,")
    assert "'=cmd|" in table
    told = own.client.get("/api/v1/audit/verify").json()
    assert (told["ok"], told["problem"]) == (True, "")
    assert own.client.get("/api/v1/audit/verify", params={"head": told["head"]}).json()["ok"]
    wrong = f"1:{'0' * 64}"
    assert "not the one" in own.client.get("/api/v1/audit/verify", params={"head": wrong}).json()["problem"]
    assert own.client.get("/api/v1/audit/verify", params={"head": "x"}).status_code == 400
    assert own.client.get("/api/v1/audit", params={"from": "yesterdy"}).status_code == 400
    assert own.client.get("/api/v1/audit", params={"whom": "x"}).status_code == 400


def test_below_a_sub_path_all_of_it_is_the_same(tmp_path: Path) -> None:
    """Links lead below it, and the audit knows what was asked."""
    with served(tmp_path / "data", root_path="/logs") as running:
        local = {"Authorization": f"Bearer {running.context.people.new_local_token()}"}
        made = running.client.post("/logs/api/v1/users", json={"name": "ann"}, headers=local).json()
        assert made["link"].startswith(f"{running.url}/logs/reset?code=")
        running.client.get("/logs/api/v1/search", params={"q": "x"})
        found = running.client.get("/logs/api/v1/audit").json()["items"]
        assert [row["action"] for row in found] == ["search", "user.add"]
        page = running.client.get("/logs/admin/audit").text
        assert 'href="/logs/admin/audit?who=root"' in page
        assert 'href="/logs/api/v1/audit?format=csv"' in page


def test_a_token_takes_nobody_over(own: Served, root: httpx.Client) -> None:
    """Not even an administrator's: no people, passwords, links, second factors, sessions, other tokens."""
    root.post("/api/v1/users", json={"name": "sue", "password": PASSWORD})
    other = own.context.people.new_token(ADMIN)[1].id
    sue = "/api/v1/users/sue"
    for method, path, body in (
        ("POST", "/api/v1/users", {"name": "eve", "role": "admin", "password": PASSWORD}),
        ("POST", "/api/v1/users", {"name": "eve", "role": "admin"}),
        ("PATCH", sue, {"password": "another password"}),
        ("POST", f"{sue}/reset", None),
        ("DELETE", f"{sue}/second-factor", None),
        ("GET", "/api/v1/sessions", None),
        ("DELETE", "/api/v1/sessions", None),
        ("DELETE", "/api/v1/sessions/0123", None),
        ("DELETE", f"/api/v1/tokens/{other}", None),
    ):
        answer = own.client.request(method, path, json=body)
        assert answer.status_code == 403, f"{method} {path}: {answer.text}"
    for do in ("link", "factor-off"):
        assert own.client.post("/admin/users/sue", data={"do": do}).status_code == 403
    assert "eve" not in [row.name for row in own.context.people.all()]
    secret, itself = own.context.people.new_token(ADMIN)
    bearer = {"Authorization": f"Bearer {secret}"}
    assert own.client.delete(f"/api/v1/tokens/{itself.id}", headers=bearer).status_code == 204
    local = {"Authorization": f"Bearer {own.context.people.new_local_token()}"}
    assert own.client.post(f"{sue}/reset", headers=local).status_code == 201


def test_a_new_token_takes_the_password(own: Served, root: httpx.Client) -> None:
    """Whoever finds a browser signed in makes nothing that outlives the session; the form asks as well."""
    root.post("/api/v1/users", json={"name": "tim", "password": PASSWORD})
    with session_of(own, "tim") as tim:
        assert tim.post("/api/v1/tokens", json={}).status_code == 403
        assert tim.post("/api/v1/tokens", json={"password": "not it at all"}).status_code == 403
        form = {"csrf": tim.headers[CSRF_HEADER], "name": "x", "scope": "", "days": "7"}
        assert tim.post("/me/tokens", data=form).status_code == 403
        assert own.context.people.tokens("tim") == []
        assert "LT-" in tim.post("/me/tokens", data=form | {"password": PASSWORD}).text
        del form["scope"]
        assert tim.post("/me/tokens", data=form | {"password": PASSWORD}).status_code == 400


def test_rights_are_changed_by_a_form_that_says_them_all(own: Served, root: httpx.Client) -> None:
    """Without its scope it would mean everything; odd line ends make no second glob."""
    root.post("/api/v1/users", json={"name": "pat", "password": PASSWORD, "scope": ["web-*/**"]})
    form = {"csrf": root.headers[CSRF_HEADER], "do": "change", "role": "viewer", "enabled": "1"}
    assert root.post("/admin/users/pat", data=form).status_code == 400
    assert own.context.people.get("pat").scope == ("web-*/**",)
    assert root.post("/admin/users/pat", data=form | {"scope": "a/\x85b\r\nc/*"}).status_code == 303
    assert own.context.people.get("pat").scope == ("a/\x85b", "c/*")


def test_a_wait_costs_no_try(own: Served, root: httpx.Client) -> None:
    """Whoever has to wait with the code has not tried one."""
    root.post("/api/v1/users", json={"name": "ida", "password": PASSWORD})
    people = own.context.people
    secret = people.second.begin(people.get("ida"))
    people.second.confirm(people.get("ida"), now_code(secret))
    waiting = people.second.wait_for(people.get("ida"))
    for _ in range(SIGN_IN_FAILURES_FREE + 1):
        own.app.state.code_throttle.failed(f"user {people.get('ida').id}")
    with own.new_client() as client:
        form = {"waiting": waiting.secret, "code": "000000"}
        assert client.post("/login/code", data=form).status_code == 429
    assert people.second.waiting(waiting.secret)[0].uses_left == SECOND_FACTOR_TRIES
