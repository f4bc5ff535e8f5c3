"""Joining: a token becomes an identity, the certificate is pinned, nothing is sent in the clear."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logferry.agent.config import load_config
from logferry.agent.enrol import join
from logferry.errors import BadConfig, Conflict, LogferryError, NotFound, NotSignedIn, Refused, Unreachable
from logferry.ftp import TlsIdentity

PASSWORD = "generated-\u00fc-secret"


class Office:
    """A server that hands out identities."""

    def __init__(self, identity: TlsIdentity | None) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.authorizations: list[str] = []
        self.status = 201
        self.reply: dict[str, Any] = {
            "id": "web-01",
            "user": "web-01",
            "password": PASSWORD,
            "ftp": {"host": "logs.example", "port": 2121, "tls": "explicit", "pin": identity.pin if identity else ""},
            "heartbeat": "",
        }
        office = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                office.requests.append((self.path, json.loads(body)))
                office.authorizations.append(self.headers.get("Authorization", ""))
                data = json.dumps(office.reply).encode()
                self.send_response(office.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if identity is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(identity.certificate_path, identity.key_path)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> TlsIdentity:
    return TlsIdentity.ensure(str(tmp_path_factory.mktemp("identity")), names=["localhost"])


@pytest.fixture
def office(identity: TlsIdentity) -> Iterator[Office]:
    made = Office(identity)
    yield made
    made.close()


def test_joining_writes_settings_and_a_secret_that_work(tmp_path: Path, office: Office, identity: TlsIdentity) -> None:
    """The secret is for the owner only, the certificate is pinned, the settings can be read."""
    path = tmp_path / "etc" / "agent.toml"
    watched = tmp_path / 'odd "name"'
    address = f"https://127.0.0.1:{office.port}"
    result = join(
        address,
        token="LJ-1",
        pin=identity.pin,
        agent_id="web-01",
        group="web",
        watch=[str(watched)],
        config_path=str(path),
    )
    assert office.requests[0][0] == "/api/v1/agents/join"
    assert office.requests[0][1].items() >= {"token": "LJ-1", "id": "web-01", "group": "web"}.items()
    assert (result.agent_id, result.server, result.tls, result.pin) == (
        "web-01",
        "logs.example:2121",
        "required",
        identity.pin,
    )
    config = load_config(path)
    assert config.password() == PASSWORD
    assert not config.readable_by_others()
    assert config.server.pin == (identity.pin,)
    assert config.agent.group == "web"
    assert config.sources[0].path == str(watched)


def test_a_wrong_pin_stops_before_the_token_is_told(tmp_path: Path, office: Office) -> None:
    """And nothing is left behind."""
    with pytest.raises(Refused, match="pin"):
        join(
            f"https://127.0.0.1:{office.port}",
            token="LJ-1",
            pin="sha256/" + "0" * 64,
            watch=["/x"],
            config_path=str(tmp_path / "agent.toml"),
        )
    assert office.requests == []
    assert list(tmp_path.iterdir()) == []


def test_without_a_pin_an_unknown_certificate_is_not_trusted(tmp_path: Path, office: Office) -> None:
    """The system's authorities decide."""
    with pytest.raises(LogferryError, match="not trusted"):
        join(f"https://127.0.0.1:{office.port}", token="t", watch=["/x"], config_path=str(tmp_path / "agent.toml"))
    assert office.requests == []


@pytest.mark.parametrize("address", ["http://logs.example:8080", "http://10.0.0.1", "ftp://x", "h:port", ""])
def test_plain_http_is_for_loopback_only(tmp_path: Path, address: str) -> None:
    """The token would be readable on the way."""
    with pytest.raises(Refused):
        join(address, token="t", watch=["/x"], config_path=str(tmp_path / "agent.toml"))


@pytest.mark.parametrize(
    ("status", "kind"), [(401, NotSignedIn), (404, NotFound), (409, Conflict), (400, Refused), (500, LogferryError)]
)
def test_a_refusal_is_told_in_the_servers_words(tmp_path: Path, status: int, kind: type[LogferryError]) -> None:
    """Plain HTTP on loopback works; what the server says is shown without control characters."""
    office = Office(None)
    office.status, office.reply = status, {"detail": "no \x1b[31m luck", "hint": "try later"}
    try:
        with pytest.raises(kind, match=r"no .*luck.*try later") as caught:
            join(f"127.0.0.1:{office.port}", token="t", watch=["/x"], config_path=str(tmp_path / "agent.toml"))
        assert "\x1b" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []
    finally:
        office.close()


@pytest.mark.parametrize(("offered", "written"), [("https://logs.example:8443/below", True), ("", False)])
def test_a_heartbeat_is_written_where_the_server_offers_one(
    tmp_path: Path, office: Office, identity: TlsIdentity, offered: str, written: bool
) -> None:
    """Verified by the pin, as the joining was."""
    office.reply["heartbeat"] = offered
    path = tmp_path / "agent.toml"
    join(f"https://127.0.0.1:{office.port}", token="t", pin=identity.pin, watch=["/x"], config_path=str(path))
    server = load_config(path).server
    assert (server.heartbeat, server.heartbeat_trust) == (offered, "pin")
    assert ("heartbeat" in path.read_text()) == written


def test_a_heartbeat_in_the_clear_is_not_taken(tmp_path: Path, office: Office, identity: TlsIdentity) -> None:
    """It would carry the password."""
    office.reply["heartbeat"] = "http://logs.example"
    with pytest.raises(Refused, match="no sense"):
        join(
            f"https://127.0.0.1:{office.port}",
            token="t",
            pin=identity.pin,
            watch=["/x"],
            config_path=str(tmp_path / "agent.toml"),
        )
    assert list(tmp_path.iterdir()) == []


def test_a_node_joins_once(tmp_path: Path, office: Office) -> None:
    """Existing settings are never overwritten, and no token is spent."""
    (tmp_path / "agent.toml").write_text("")
    with pytest.raises(Conflict, match="has joined"):
        join(f"https://127.0.0.1:{office.port}", token="t", watch=["/x"], config_path=str(tmp_path / "agent.toml"))
    with pytest.raises(BadConfig, match="nothing to watch"):
        join("h", token="t", watch=[], config_path=str(tmp_path / "other.toml"))
    assert office.requests == []


def test_nobody_there_is_said(tmp_path: Path) -> None:
    """With what to check."""
    with pytest.raises(Unreachable):
        join("127.0.0.1:1", token="t", watch=["/x"], config_path=str(tmp_path / "agent.toml"))
