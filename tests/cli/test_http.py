"""The connection to the API: what goes out, what comes back, and every way in which it can fail."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from logferry.cli.api import events
from logferry.cli.connection import Connection
from logferry.cli.http import Http, problem_error
from logferry.errors import (
    BadQuery,
    Busy,
    Conflict,
    Full,
    LogferryError,
    NotFound,
    NotPermitted,
    NotSignedIn,
    Refused,
    TimedOut,
    TooLarge,
    Unreachable,
)
from logferry.ftp import TlsIdentity

Answer = Callable[[BaseHTTPRequestHandler], None]


def serve(answer: Answer, stack: ExitStack, identity: TlsIdentity | None = None) -> str:
    """A real HTTP(S) server of the standard library; returns its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if identity:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity.certificate_path, identity.key_path)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    stack.callback(thread.join)
    stack.callback(server.server_close)
    stack.callback(server.shutdown)
    return f"{'https' if identity else 'http'}://127.0.0.1:{server.server_address[1]}"


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in ({"Content_Length": str(len(body))} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What a test opens, closed in turn."""
    with ExitStack() as opened:
        yield opened


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> TlsIdentity:
    """A self-made certificate, as a server has it."""
    return TlsIdentity.ensure(str(tmp_path_factory.mktemp("tls")), names=["127.0.0.1"])


def test_a_request_carries_its_token_and_only_given_parameters(stack: ExitStack) -> None:
    """Empty parameters are left out; the path of a proxy is kept in front."""
    seen: list[tuple[str, str | None]] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append((handler.path, handler.headers["Authorization"]))
        send(handler, 200, b'{"a": 1}')

    url = serve(answer, stack) + "/logs"
    with Http(Connection(url, token="LT-x")) as http:
        assert http.request("GET", "/api/v1/x", query={"q": "a b&c", "n": None, "e": ""}).json() == {"a": 1}
    assert seen == [("/logs/api/v1/x?q=a+b%26c", "Bearer LT-x")]


def test_a_connection_is_kept_and_opened_again_when_the_server_closed_it(stack: ExitStack) -> None:
    """Many small requests cost one handshake; a server that hung up in between is no error."""
    peers: list[int] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        peers.append(handler.client_address[1])
        send(handler, 200, b"{}")
        handler.close_connection = len(peers) == 2

    with Http(Connection(serve(answer, stack))) as http:
        for _ in range(4):
            http.request("GET", "/x").read()
    assert peers[0] == peers[1]
    assert peers[1] != peers[2]
    assert peers[2] == peers[3]


def test_a_pinned_certificate_is_trusted_without_an_authority(stack: ExitStack, identity: TlsIdentity) -> None:
    """The self-made certificate of a first start is enough, when its pin is known."""
    url = serve(lambda handler: send(handler, 200, b"{}"), stack, identity)
    with Http(Connection(url, pin=identity.pin)) as http:
        assert http.request("GET", "/x").json() == {}


def test_another_certificate_gets_no_request(stack: ExitStack, identity: TlsIdentity) -> None:
    """Whoever stands in between sees neither token nor path, and the message has the pin that was found."""
    seen: list[str] = []
    url = serve(lambda handler: seen.append(handler.path), stack, identity)
    with pytest.raises(Refused) as caught, Http(Connection(url, pin="sha256/" + "0" * 64, token="LT-x")) as http:
        http.request("GET", "/secret")
    assert identity.pin in caught.value.message
    assert seen == []


def test_without_a_pin_a_self_made_certificate_is_refused(stack: ExitStack, identity: TlsIdentity) -> None:
    """The hint says how to trust it on purpose."""
    url = serve(lambda handler: send(handler, 200, b"{}"), stack, identity)
    with pytest.raises(Refused, match="not trusted") as caught, Http(Connection(url)) as http:
        http.request("GET", "/x")
    assert "pin" in caught.value.hint


def test_a_server_that_is_not_there_is_unreachable(free_port: int) -> None:
    """The address is named."""
    with (
        pytest.raises(Unreachable, match=f"127.0.0.1:{free_port}"),
        Http(Connection(f"http://127.0.0.1:{free_port}")) as http,
    ):
        http.request("GET", "/x")


def test_a_silent_server_is_a_time_out(stack: ExitStack) -> None:
    """No command hangs for ever."""
    released = threading.Event()
    stack.callback(released.set)

    def answer(_handler: BaseHTTPRequestHandler) -> None:
        released.wait(30)

    url = serve(answer, stack)
    with pytest.raises(TimedOut), Http(Connection(url), timeout_s=0.1) as http:
        http.request("GET", "/x")
    released.set()


def test_a_body_that_breaks_off_is_never_taken_for_whole(stack: ExitStack) -> None:
    """Fewer bytes than announced raise, whether read whole or in blocks."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, 200, b"half", Content_Length="8")
        handler.close_connection = True

    url = serve(answer, stack)
    with Http(Connection(url)) as http, pytest.raises(Unreachable):
        http.request("GET", "/x").read()
    with Http(Connection(url)) as http:
        blocks = http.request("GET", "/x")
        assert blocks.read(4) == b"half"
        with pytest.raises(Unreachable):
            blocks.read(4)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, Refused, 2),
        (401, NotSignedIn, 3),
        (403, NotPermitted, 3),
        (404, NotFound, 1),
        (409, Conflict, 2),
        (413, TooLarge, 2),
        (429, Busy, 4),
        (500, Unreachable, 4),
        (503, Unreachable, 4),
        (504, TimedOut, 4),
        (507, Full, 4),
    ],
)
def test_a_problem_becomes_the_error_it_stands_for(
    stack: ExitStack, status: int, kind: type[LogferryError], code: int
) -> None:
    """Detail and hint arrive, and the exit code follows from the kind."""
    body = json.dumps({"detail": "no agent 'x'", "hint": "list them", "request_id": "abc"}).encode()
    url = serve(lambda handler: send(handler, status, body), stack)
    with pytest.raises(kind) as caught, Http(Connection(url)) as http:
        http.request("GET", "/x")
    assert type(caught.value) is kind
    assert caught.value.message == "no agent 'x'"
    assert "list them" in caught.value.hint
    assert caught.value.exit_code == code


def test_a_query_error_keeps_its_column() -> None:
    """So that the command line can point at it."""
    error = problem_error(400, None, {"detail": "bad", "column": 7})
    assert isinstance(error, BadQuery)
    assert error.column == 7


def test_a_server_failure_names_its_request_id_and_a_busy_one_its_pause() -> None:
    """What an administrator needs to find the reason, and a program to try again."""
    assert "request id abc" in problem_error(500, None, {"detail": "failed", "request_id": "abc"}).hint
    busy = problem_error(429, "7", {})
    assert isinstance(busy, Busy)
    assert busy.retry_after_s == 7.0


def test_an_answer_that_is_no_problem_document_is_still_an_error(stack: ExitStack) -> None:
    """A proxy's HTML page says nothing to anybody; its status does."""
    url = serve(lambda handler: send(handler, 502, b"<html>bad gateway"), stack)
    with pytest.raises(Unreachable, match="502"), Http(Connection(url)) as http:
        http.request("GET", "/x")


def test_server_sent_events_are_read_line_by_line() -> None:
    """Several data lines make one event, comments are passed over, the id stays until the next one."""
    lines = [
        b": hello",
        b"id: 1:20",
        b"event: lines",
        b'data: {"rows":',
        b"data: []}",
        b"",
        b"event: ping",
        b"data: {}",
        b"",
    ]
    first, second = events(iter(lines))
    assert (first.kind, first.data, first.id) == ("lines", {"rows": []}, "1:20")
    assert (second.kind, second.data, second.id) == ("ping", {}, "1:20")


def test_half_an_event_at_the_end_is_dropped() -> None:
    """A connection that broke within an event gives it again after resuming."""
    assert list(events(iter([b"event: lines", b"data: {"]))) == []


def test_lines_come_as_they_arrive(stack: ExitStack, tmp_path: Path) -> None:
    """The first row of a search is there before the search has ended."""
    more = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"6\r\nfirst\n\r\n")
        more.wait(30)
        handler.wfile.write(b"5\r\nlast\n\r\n0\r\n\r\n")

    with Http(Connection(serve(answer, stack))) as http:
        rows = http.request("GET", "/x").lines()
        assert next(rows) == b"first"
        more.set()
        assert list(rows) == [b"last"]
