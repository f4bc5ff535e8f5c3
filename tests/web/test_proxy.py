"""Behind a real nginx, below a path and over TLS: pages, assets, redirects, downloads, streams, who asks."""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from logferry.ftp.tls import make_certificate
from logferry.server.audit import AuditFilter
from tests.web.served import ADMIN, PASSWORD, Served, served, wait_for

pytestmark = [pytest.mark.peers, pytest.mark.slow]
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
AWAY = "192.0.2.7"
"""Where nginx says that its clients are: all of a test is on this machine."""
CONFIG = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;
    location {root}/ {{
      proxy_pass {url}{cut};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For "$http_x_forwarded_for, {away}";
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"""


@dataclass
class Proxied:
    """A server and the address by which it is reached through nginx."""

    running: Served
    url: str
    root: str

    def client(self, **more: object) -> httpx.Client:
        """A browser somewhere else, which trusts the proxy's certificate."""
        return httpx.Client(base_url=self.url, verify=False, timeout=30, **more)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def signed_in(self) -> Iterator[httpx.Client]:
        """The administrator's browser."""
        with self.client(headers={"Origin": self.url}) as client:
            answer = client.post(f"{self.root}/login", data={"name": ADMIN, "password": PASSWORD})
            assert answer.status_code == 303, answer.text
            yield client


@pytest.fixture(scope="module", params=["the path is kept", "the path is cut off"])
def proxied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """One server for each way in which proxies do it."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("proxy")
    certificate, key = make_certificate(["localhost"])
    (folder / "certificate.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    with served(folder / "data", root_path="/logs") as running, socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
        found.close()
        cut = "/" if request.param == "the path is cut off" else ""
        config = CONFIG.format(folder=folder, port=port, url=running.url, root="/logs", cut=cut, away=AWAY)
        (folder / "nginx.conf").write_text(config)
        process = subprocess.Popen([NGINX, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
        try:
            wait_for(lambda: _listens(port))
            running.put("web-01", "var/log/app.log", b"2026-11-23 08:00:00 ERROR one\n2026-11-23 08:00:01 INFO two\n")
            yield Proxied(running, f"https://127.0.0.1:{port}", "/logs")
        finally:
            process.terminate()
            process.wait(10)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _links(text: str, attributes: str) -> set[str]:
    found = re.findall(rf'(?:{attributes})="([^"]+)"', text)
    return {html.unescape(link) for link in found if not link.startswith(("#", "data:", "mailto:"))}


def test_every_link_and_asset_stays_below_the_path(proxied: Proxied) -> None:
    """From page to page, as a reader goes: nothing leads out, nothing is missing."""
    with proxied.signed_in() as client:
        main = [f"{proxied.root}/{page}" for page in ("agents", "search", "files", "admin/system")]
        waiting, seen = [f"{proxied.root}/", *main], set[str]()
        while waiting and len(seen) < 45:
            link = waiting.pop(0)
            plain = link.partition("#")[0].partition("?")[0]
            if plain in seen or plain.endswith(("/logout", "/raw")) or "/api/v1/" in plain:
                continue
            seen.add(plain)
            answer = client.get(link, follow_redirects=True)
            assert answer.status_code == 200, f"{link}: {answer.status_code}"
            assert str(answer.url).startswith(f"{proxied.url}{proxied.root}/")
            if "text/html" in answer.headers["content-type"]:
                for found in _links(answer.text, "href|src|action|hx-get|hx-post"):
                    assert found.startswith((f"{proxied.root}/", "?", "https://")) or found == proxied.root, (
                        link,
                        found,
                    )
                waiting += [one for one in _links(answer.text, "href|src") if one.startswith(f"{proxied.root}/")]
        assert set(main) <= seen
        assert any("/static/" in link for link in seen)


def test_strangers_are_sent_to_sign_in_and_back(proxied: Proxied) -> None:
    """Redirects keep host, scheme and path; the cookie is for TLS alone."""
    with proxied.client() as client:
        sent = client.get(f"{proxied.root}/search?q=error")
        assert sent.status_code == 303
        assert sent.headers["location"].startswith(f"{proxied.root}/login?next=")
        answer = client.post(
            sent.headers["location"], data={"name": ADMIN, "password": PASSWORD, "next": "/search?q=error"},
            headers={"Origin": proxied.url},
        )  # fmt: skip
        assert answer.headers["location"] == f"{proxied.root}/search?q=error"
        assert "secure" in answer.headers["set-cookie"].lower()


def test_forms_of_other_sites_are_refused(proxied: Proxied) -> None:
    """The origin is compared with the address that the browser sees, not with the one behind the proxy."""
    with proxied.client(headers={"Origin": "https://evil.example"}) as client:
        answer = client.post(f"{proxied.root}/login", data={"name": ADMIN, "password": PASSWORD})
        assert answer.status_code == 403


def test_downloads_come_whole_and_in_part(proxied: Proxied) -> None:
    """Exact bytes, a range, a zip that is made while it is sent."""
    with proxied.signed_in() as client:
        file = client.get(f"{proxied.root}/api/v1/file", params={"agent": "web-01", "path": "var/log/app.log"}).json()
        raw = f"{proxied.root}/api/v1/files/{file['fid']}/raw"
        whole = client.get(raw).content
        assert whole.startswith(b"2026-11-23 08:00:00 ERROR one\n")
        part = client.get(raw, headers={"Range": "bytes=11-18"})
        assert (part.status_code, part.content) == (206, whole[11:19])
        zipped = client.get(f"{proxied.root}/api/v1/archive.zip", params={"agent": "web-01", "path": "var"})
        assert zipped.content.startswith(b"PK")


def test_a_tail_gets_through_without_waiting_for_the_proxys_buffer(proxied: Proxied) -> None:
    """A line of a few bytes is there at once, though nginx buffers what it is not told to let through."""
    with proxied.signed_in() as client:
        asked = {"agent": "web-01", "path": "var/log/app.log"}
        fid = client.get(f"{proxied.root}/api/v1/file", params=asked).json()["fid"]
        with client.stream("GET", f"{proxied.root}/api/v1/tail", params={"f": fid}) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            proxied.running.append("web-01", "var/log/app.log", b"2026-11-23 08:00:02 INFO through\n")
            assert any("INFO through" in line for line in stream.iter_lines())


def test_the_audit_has_the_clients_address_and_not_one_it_made_up(proxied: Proxied) -> None:
    """What a client says of itself in X-Forwarded-For stands left of what the proxy knows, and does not count."""
    with proxied.client(headers={"Origin": proxied.url, "X-Forwarded-For": "198.51.100.9"}) as client:
        assert client.post(f"{proxied.root}/login", data={"name": ADMIN, "password": PASSWORD}).status_code == 303
    newest = proxied.running.context.catalog.auditing.page(AuditFilter(kind="sign-in"), limit=1)[0]
    assert (newest.who, newest.address) == (ADMIN, AWAY)
    assert "198.51.100.9" not in json.dumps(newest.detail)


def test_metrics_are_not_for_whoever_comes_through_the_proxy(proxied: Proxied) -> None:
    """The proxy is on this machine, its clients are not; health is for everybody."""
    with proxied.client() as client:
        assert client.get(f"{proxied.root}/metrics").status_code == 404
        assert client.get(f"{proxied.root}/healthz").json() == {"ok": True}
        assert client.get(f"{proxied.root}/readyz").json() == {"ready": True}
