"""TLS of the client: pins, authorities, and connections for other protocols."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from logferry.errors import BadConfig, Refused, TimedOut, Unreachable
from logferry.ftp import TlsIdentity
from logferry.ftp.client_tls import checked_pins, client_context, open_tls
from tests.ports import free_port


@contextmanager
def https_once(identity: TlsIdentity) -> Iterator[int]:
    """A server that answers one request with 204, on the port yielded."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            plain, _ = listener.accept()
            try:
                with identity.server_context().wrap_socket(plain, server_side=True) as sock:
                    sock.recv(4096)
                    sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            except OSError:
                plain.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> TlsIdentity:
    """A self-signed certificate for 127.0.0.1."""
    return TlsIdentity.ensure(str(tmp_path_factory.mktemp("tls")))


def test_https_works_with_nothing_but_the_pin(identity: TlsIdentity) -> None:
    """As joining needs it: no authority, no host name."""
    with https_once(identity) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.sock = open_tls("127.0.0.1", port, pins=(identity.pin.upper().replace("SHA", "sha"),))
        connection.request("GET", "/")
        assert connection.getresponse().status == 204
        connection.close()


def test_https_works_with_the_file_of_an_authority(identity: TlsIdentity) -> None:
    """A certificate that names the host."""
    with https_once(identity) as port:
        sock = open_tls("127.0.0.1", port, ca_file=identity.certificate_path)
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 204")
        sock.close()


def test_another_pin_is_refused_with_the_pin_found(identity: TlsIdentity) -> None:
    """The message says what to compare."""
    with https_once(identity) as port, pytest.raises(Refused, match=identity.pin):
        open_tls("127.0.0.1", port, pins=("sha256/" + "0" * 64,))


def test_a_stranger_is_refused_without_a_pin(identity: TlsIdentity) -> None:
    """Self-signed is not good enough by itself."""
    with https_once(identity) as port, pytest.raises(Refused, match="not trusted"):
        open_tls("127.0.0.1", port)


def test_no_server_is_unreachable_and_a_silent_one_times_out() -> None:
    """Both in bounded time."""
    with pytest.raises(Unreachable):
        open_tls("127.0.0.1", free_port(), timeout_s=5)
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(TimedOut):
        open_tls("127.0.0.1", listener.getsockname()[1], timeout_s=0.2)


@pytest.mark.parametrize("pin", ["", "sha256/", "sha256/xyz", "sha1/" + "0" * 40, "0" * 64])
def test_what_is_no_pin_is_a_bad_setting(pin: str) -> None:
    """Before any connection."""
    with pytest.raises(BadConfig, match="not a certificate pin"):
        checked_pins((pin,))


def test_a_ca_file_that_cannot_be_read_is_a_bad_setting(tmp_path: Path) -> None:
    """Missing, or not PEM."""
    with pytest.raises(BadConfig):
        client_context(ca_file=str(tmp_path / "no"))
    (tmp_path / "x").write_text("nothing")
    with pytest.raises(BadConfig):
        client_context(ca_file=str(tmp_path / "x"))


def test_old_versions_of_tls_are_off() -> None:
    """1.2 is the oldest."""
    assert client_context().minimum_version == ssl.TLSVersion.TLSv1_2
    assert client_context().verify_mode == ssl.CERT_REQUIRED
    assert client_context().check_hostname
