"""Sessions: a cookie scripts cannot read, a token for changes, an end at once; and guessing that gets slow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from logferry.web.auth import COOKIE, CSRF_HEADER, SECURE_COOKIE
from tests.web.served import ADMIN, PASSWORD, Served, served


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    """A server of its own: failed sign-ins are remembered."""
    with served(tmp_path / "data") as running:
        yield running


def sign_in(client: httpx.Client, password: str = PASSWORD, **headers: str) -> httpx.Response:
    """Try to sign in as the administrator."""
    return client.post("/api/v1/sessions", json={"name": ADMIN, "password": password}, headers=headers)


def test_a_session_is_a_cookie_that_scripts_cannot_read(own: Served) -> None:
    """HttpOnly, SameSite, no Secure on plain HTTP; it works until it is ended, then at once no more."""
    with own.new_client() as client:
        answer = sign_in(client)
        assert answer.status_code == 201
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Path=/" in cookie
        assert "Secure" not in cookie
        me = client.get("/api/v1/me").json()
        assert me == answer.json()
        assert me["csrf"]
        value = client.cookies[COOKIE]
        assert client.delete("/api/v1/sessions/current", headers={CSRF_HEADER: me["csrf"]}).status_code == 204
        assert client.get("/api/v1/me", headers={"Cookie": f"{COOKIE}={value}"}).status_code == 401


def test_behind_an_https_proxy_the_cookie_is_bound_to_the_host(own: Served) -> None:
    """``__Host-``, Secure; a plain cookie of the same name does not count there."""
    with own.new_client({"X-Forwarded-Proto": "https"}) as client:
        answer = sign_in(client)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"{SECURE_COOKIE}=")
        assert "Secure" in cookie
        value = cookie.partition("=")[2].partition(";")[0]
        assert client.get("/api/v1/me", headers={"Cookie": f"{SECURE_COOKIE}={value}"}).status_code == 200
        assert client.get("/api/v1/me", headers={"Cookie": f"{COOKIE}={value}"}).status_code == 401


def test_a_change_under_a_cookie_needs_the_token(own: Served) -> None:
    """Missing or wrong: 403, and nothing happened; a bearer token needs none."""
    with own.new_client() as client:
        csrf = sign_in(client).json()["csrf"]
        assert client.post("/api/v1/join-tokens", json={}).status_code == 403
        assert client.post("/api/v1/join-tokens", json={}, headers={CSRF_HEADER: "x"}).status_code == 403
        assert client.post("/api/v1/join-tokens", json={}, headers={CSRF_HEADER: csrf}).status_code == 201
    assert own.client.post("/api/v1/join-tokens", json={}).status_code == 201


def test_each_sign_in_makes_a_new_session_and_ends_the_old_one(own: Served) -> None:
    """Nobody can plant a session beforehand."""
    with own.new_client() as client:
        sign_in(client)
        first = client.cookies[COOKIE]
        sign_in(client)
        assert client.cookies[COOKIE] != first
        assert client.get("/api/v1/me").status_code == 200
    with own.new_client({"Cookie": f"{COOKIE}={first}"}) as client:
        assert client.get("/api/v1/me").status_code == 401


def test_another_sites_page_cannot_sign_anybody_in(own: Served) -> None:
    """Sec-Fetch-Site and Origin are believed."""
    with own.new_client() as client:
        assert sign_in(client, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert sign_in(client, Origin="https://evil.example").status_code == 403
        assert sign_in(client, Origin=own.url, **{"Sec-Fetch-Site": "same-origin"}).status_code == 201


def test_every_wrong_sign_in_gets_the_same_answer(own: Served) -> None:
    """Whether there is such a person cannot be told."""
    with own.new_client() as client:
        wrong = sign_in(client, "wrong password")
        nobody = client.post("/api/v1/sessions", json={"name": "nobody", "password": "wrong password"})
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.json()["detail"] == nobody.json()["detail"]


def test_guessing_gets_slow_and_says_for_how_long(own: Served) -> None:
    """After some free mistakes 429 with Retry-After, even for the right password."""
    with own.new_client() as client:
        codes = [sign_in(client, "wrong").status_code for _ in range(7)]
        assert codes[:6] == [401] * 6
        assert codes[6] == 429
        answer = sign_in(client)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1


def test_the_first_administrator_comes_with_the_code_and_only_once(tmp_path: Path) -> None:
    """The link works once; the password rules do not spend it."""
    with served(tmp_path / "data", admin=False) as own:
        code = own.context.enrolment.new_setup_code()
        with own.new_client() as client:
            weak = client.post("/api/v1/setup", json={"code": code, "name": "eva", "password": "short"})
            assert weak.status_code == 400
            made = client.post("/api/v1/setup", json={"code": code, "name": "eva", "password": PASSWORD})
            assert made.status_code == 201
            assert made.json()["role"] == "admin"
            assert client.get("/api/v1/me").json()["name"] == "eva"
            again = client.post("/api/v1/setup", json={"code": code, "name": "mal", "password": PASSWORD})
            assert again.status_code == 401
            assert "setup-link" in again.json()["hint"]


def test_a_disabled_person_is_out_at_once(own: Served) -> None:
    """Session and token end with the person."""
    viewer = own.as_("vera")
    assert viewer.get("/api/v1/agents").status_code == 200
    own.context.people.change("vera", enabled=False)
    assert viewer.get("/api/v1/agents").status_code == 401
