"""What every answer carries, what no request can do, and the program below a path of a proxy."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from logferry.limits import BODY_BYTES_MAX
from tests.web.served import Served, served

PATHS = [
    "/",
    "/login",
    "/api",
    "/api/v1/agents",
    "/api/v1/openapi.json",
    "/healthz",
    "/nowhere",
    "/api/v1/nowhere",
    "/metrics",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("signed_in", [False, True])
def test_every_answer_keeps_hostile_content_inert(site: Served, path: str, signed_in: bool) -> None:
    """Pages, data, errors and redirects alike: policy, nosniff, no framing, no referrer, an id."""
    with site.new_client() as stranger:
        headers = (site.client if signed_in else stranger).get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "object-src 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] in ("same-origin", "no-referrer")
    assert headers["cache-control"] == "no-store"
    assert headers["x-request-id"]
    assert "server" not in headers


def test_a_body_that_is_too_large_is_refused_announced_or_not(site: Served) -> None:
    """413, by its length or when it has arrived so far."""
    url, body = "/api/v1/sessions", b"x" * (BODY_BYTES_MAX + 1)
    announced = site.client.post(url, content=body)
    assert announced.status_code == 413
    assert announced.json()["hint"]

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    assert site.client.post(url, content=chunks()).status_code == 413


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"name": 1}', b"\xff\xfe", b'{"name": "\\ud800", "password": "x"}']
)
def test_a_body_that_makes_no_sense_is_refused(site: Served, body: bytes) -> None:
    """400 or 401, never 500."""
    answer = site.client.post("/api/v1/sessions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 401)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_clients_own_method_is_no_counter_of_its_own(site: Served) -> None:
    """Each label is kept for good: strangers could fill the memory."""
    with site.new_client() as stranger:
        for number in range(3):
            assert stranger.request(f"ODD{number}", "/healthz").status_code == 405
        told = stranger.get("/metrics").text
    assert "ODD" not in told
    assert 'method="other",status="405"' in told


@pytest.mark.parametrize("host", ["[", "[::1", "a b", "x:99999", "x:port", "<b>", "a/b", "a@b"])
def test_a_host_that_is_none_is_refused(site: Served, host: str) -> None:
    with site.new_client() as stranger:
        answer = stranger.get("/login", headers={"Host": host})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("odd", ["http://[", "https://[x", "http://a]b"])
def test_addresses_that_cannot_be_parsed_break_nothing(site: Served, odd: str) -> None:
    """Neither as an origin nor as the page to go to."""
    with site.new_client() as stranger:
        assert stranger.get("/login", params={"next": odd}).status_code == 200
        form = {"name": "nobody", "password": "x" * 12, "next": odd}
        assert stranger.post("/login", data=form).status_code == 401
        assert stranger.post("/login", data=form, headers={"Origin": odd}).status_code == 403
    site.app.state.throttle.succeeded("127.0.0.1")


WHOLE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"POST /api/v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"


@pytest.mark.parametrize(
    "sent", [b"", b"GET /heal", HEAD, HEAD + b"\r\n{", WHOLE + b"GET /heal"],
    ids=["silent", "in the line", "in the head", "in the body", "in the second request"],
)  # fmt: skip
def test_who_does_not_finish_a_request_is_hung_up_on(
    site: Served, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Else anybody could hold connections until there is none left."""
    monkeypatch.setattr("logferry.web.wire.WEB_ASK_S_MAX", 0.3)
    with _wire(site) as wire, contextlib.suppress(ConnectionError):  # a time-out is none
        wire.sendall(sent)
        while wire.recv(4096):
            continue


def test_who_waits_between_requests_is_not_hung_up_on(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Browsers do. On a machine that is busy the client itself may be too slow: it has several tries."""
    monkeypatch.setattr("logferry.web.wire.WEB_ASK_S_MAX", 0.3)

    def lasts() -> bool:
        with _wire(site) as wire, contextlib.suppress(ConnectionError):
            for _ in range(2):
                wire.sendall(WHOLE)
                if not wire.recv(4096).startswith(b"HTTP/1.1 200"):
                    return False
                time.sleep(0.5)
            return True
        return False

    assert any(lasts() for _ in range(20))


def _wire(site: Served) -> socket.socket:
    host, port = site.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def test_the_wrong_method_is_told_so(site: Served) -> None:
    """405 as a problem."""
    answer = site.client.post("/api/v1/agents")
    assert answer.status_code == 405
    assert answer.json()["request_id"]


def test_the_documentation_is_our_own_and_complete(site: Served) -> None:
    """OpenAPI 3.1; a page that loads nothing from elsewhere; the framework's pages are off."""
    schema = site.client.get("/api/v1/openapi.json").json()
    assert schema["openapi"].startswith("3.1")
    page = site.client.get("/api").text
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    for path, methods in schema["paths"].items():
        assert path in page
        for method, what in methods.items():
            assert what.get("description"), f"{method} {path} says nothing"
    assert site.client.get("/static/api/api.css").status_code == 200
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert site.client.get(path).status_code == 404


def test_counters_are_for_this_machine_or_an_operator(site: Served) -> None:
    """Behind a proxy the client's own address counts."""
    with site.new_client() as local:
        assert "logferry_web_requests_total" in local.get("/metrics").text
    with site.new_client({"X-Forwarded-For": "192.0.2.7"}) as remote:
        assert remote.get("/metrics").status_code == 404
    assert site.client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 200
    assert site.as_("vera").get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 404


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that is reached below /logs."""
    with served(tmp_path_factory.mktemp("below") / "data", root_path="/logs") as running:
        yield running


def test_below_a_path_it_does_not_matter_whether_the_proxy_cuts_it_off(below: Served) -> None:
    """Both ways reach the same routes; links keep the path."""
    for path in ("/api/v1/me", "/logs/api/v1/me"):
        assert below.client.get(path).json()["name"] == "root"
    for path in ("/api", "/logs/api"):
        assert 'href="/logs/api/v1/openapi.json"' in below.client.get(path).text
    with below.new_client() as stranger:
        for path in ("/", "/logs/"):
            answer = stranger.get(path)
            assert answer.status_code in (302, 303, 307)
            assert answer.headers["location"].startswith("/logs/login")


def test_a_hostile_name_in_an_address_is_only_ever_data(site: Served) -> None:
    """Dots, controls, markup, long texts: not found or bad, as JSON, and nothing else."""
    names = [
        "..",
        "../../etc/passwd",
        "a\nb",
        "<script>alert(1)</script>",
        "%00",
        "x" * 5000,
        "\u202e",
        "'; DROP TABLE files; --",
    ]
    for name in names:
        for url, params in (
            ("/api/v1/tree", {"agent": "a", "path": name}),
            ("/api/v1/tree", {"agent": name}),
            ("/api/v1/file", {"agent": "a", "path": name}),
            ("/api/v1/file", {"agent": name[:64], "path": "f"}),
            ("/api/v1/search", {"q": "x", "path": name, "agent": name[:64]}),
        ):
            answer = site.client.get(url, params=params)
            assert answer.status_code in (200, 400, 404), (url, params)
            assert answer.headers["content-type"] in (
                "application/problem+json",
                "application/json",
                "application/x-ndjson",
            )
