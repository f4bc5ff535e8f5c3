"""A provider that answers late, without end, or not in HTTP holds nobody up for long."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from logferry.clock import SYSTEM
from logferry.errors import BadConfig, Busy, LogferryError, TimedOut, Unreachable
from logferry.ftp import TlsIdentity
from logferry.limits import OIDC_AT_ONCE
from logferry.server.oidc.config import OidcConfig, OidcRoleConfig
from logferry.server.oidc.fetch import ask, trusting
from logferry.server.oidc.provider import Provider
from logferry.server.oidc.trip import begun
from tests.server.oidc.identity import identity_provider
from tests.web.served import wait_for

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Talk = Callable[[socket.socket, threading.Event], None]


@contextlib.contextmanager
def peer(talk: Talk) -> Iterator[str]:
    """A server that talks to each client as told; yields its address."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while not over.is_set():
            try:
                wire, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=alone, args=(wire,), daemon=True).start()

    def alone(wire: socket.socket) -> None:
        with wire, contextlib.suppress(OSError):
            talk(wire, over)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def dribble(begin: bytes) -> Talk:
    """``begin``, then a byte now and then, for ever."""

    def talk(wire: socket.socket, over: threading.Event) -> None:
        wire.sendall(begin)
        while not over.wait(0.02):
            wire.sendall(b"x")

    return talk


def silent(_wire: socket.socket, over: threading.Event) -> None:
    """Takes the connection, and says nothing."""
    over.wait(60)


@pytest.mark.parametrize(
    "talk", [silent, dribble(b""), dribble(HEAD + b"X-More: "), dribble(HEAD + b"Content-Length: 99999\r\n\r\n")]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_answer_has_to_be_whole_in_time(talk: Talk, scheme: str) -> None:
    """Each byte comes soon enough, and the last one never does: the deadline is for all of it, the handshake too."""
    with peer(talk) as url, pytest.raises(LogferryError) as caught:
        ask(url.replace("http:", f"{scheme}:"), trusting(""), seconds=0.3)
    assert isinstance(caught.value, TimedOut if scheme == "http" else (TimedOut, Unreachable))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (HEAD + b"\r\n" + b"x" * 2000, "more than 1,000 bytes"),
        (HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 2000, "more than 1,000 bytes"),
        (HEAD + b"Content-Length: 900\r\n\r\n{}", "IncompleteRead"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n{}", "IncompleteRead"),
        (HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\n{}", "line"),
        (b"220 an FTP server\r\n", "220 an FTP server"),
        (b"", "closed connection"),
    ],
)
def test_what_is_no_answer_is_told(answer: bytes, why: str) -> None:
    """Too much, cut, or of another kind of server."""

    def talk(wire: socket.socket, _over: threading.Event) -> None:
        wire.recv(65536)
        wire.sendall(answer)

    with peer(talk) as url, pytest.raises(Unreachable) as caught:
        ask(url, trusting(""), bytes_max=1000)
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("body", "read"), [(b'{"a": 1}', {"a": 1}), (b"[" * 90_000, {}), (b"<html>", {}), (b"[1]", {})]
)
def test_what_is_no_object_is_empty(body: bytes, read: object) -> None:
    """A proxy's page, for example; and redirections are not followed."""

    def talk(wire: socket.socket, _over: threading.Event) -> None:
        wire.recv(65536)
        wire.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n" + body)

    with peer(talk) as url:
        answer = ask(url, trusting(""))
    assert (answer.status, answer.body) == (302, read)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: object) -> None:
    """Unless the settings name who does."""
    identity = TlsIdentity.ensure(str(tmp_path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate_path, identity.key_path)

    def talk(wire: socket.socket, _over: threading.Event) -> None:
        with context.wrap_socket(wire, server_side=True) as tls:
            tls.recv(65536)
            tls.sendall(HEAD + b"Content-Length: 8\r\n\r\n" + b'{"a": 1}')

    with peer(talk) as url:
        url = url.replace("http://127.0.0.1", "https://localhost")
        with pytest.raises(Unreachable, match="certificate is not trusted"):
            ask(url, trusting(""))
        assert ask(url, trusting(identity.certificate_path)).body == {"a": 1}
    with pytest.raises(BadConfig, match="ca_file"):
        trusting(identity.key_path)


def config(issuer: str) -> OidcConfig:
    """Settings of a public client."""
    return OidcConfig(issuer=issuer, client_id="c", roles={"g": OidcRoleConfig("viewer")})


def test_few_wait_for_a_provider_at_a_time() -> None:
    """Whoever comes when all places are taken is told so, and no thread of the server waits with them."""
    arrived = []

    def talk(_wire: socket.socket, over: threading.Event) -> None:
        arrived.append(1)
        over.wait(60)

    with peer(talk) as url:
        provider = Provider(config(url.removesuffix("/x")), SYSTEM, seconds=30)

        def off() -> None:
            with contextlib.suppress(LogferryError):
                provider.address(begun("s", 0, "/"), "http://x/")

        waiting = [threading.Thread(target=off, daemon=True) for _ in range(OIDC_AT_ONCE)]
        for one in waiting:
            one.start()
        wait_for(lambda: len(arrived) == OIDC_AT_ONCE)
        with pytest.raises(Busy):
            provider.address(begun("s", 0, "/"), "http://x/")
    for one in waiting:
        one.join(10)
        assert not one.is_alive()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"issuer": "https://other.example"}, "calls itself https://other.example"),
        ({"issuer": None}, "calls itself"),
        ({"token_endpoint": None}, "does not say its token_endpoint"),
        ({"jwks_uri": "http://id.example/keys"}, "jwks_uri = 'http://id.example/keys' cannot be asked"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint"),
        ({"end_session_endpoint": "//x"}, "end_session_endpoint"),
    ],
)
def test_what_a_provider_says_of_itself_has_to_hold(change: dict[str, object], why: str) -> None:
    """Its name is the one of the settings; it is asked over HTTPS alone, but on this machine."""
    with identity_provider() as identity:
        identity.twist.discovery = lambda said: said | change
        provider = Provider(config(identity.issuer), SYSTEM)
        for _ in range(3):
            with pytest.raises(BadConfig) as caught:
                provider.discovered()
            assert why in caught.value.message
        assert identity.came("/.well-known/openid-configuration") == 1
