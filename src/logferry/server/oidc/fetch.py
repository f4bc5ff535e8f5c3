"""One question to a provider over HTTP: bounded in time as a whole, bounded in size, never led elsewhere."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from logferry.errors import BadConfig, TimedOut, Unreachable
from logferry.limits import OIDC_BYTES_MAX, OIDC_S_MAX

_HINT = "try again in a moment; with a password kept here you can sign in meanwhile"


@dataclass(frozen=True, slots=True)
class Answer:
    """The status, and the JSON object that came; empty where it was something else."""

    status: int
    body: dict[str, Any]


def trusting(ca_file: str) -> ssl.SSLContext:
    """Whom to believe: the authorities of the system, and those of ``ca_file``. Raises BadConfig."""
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            why = getattr(error, "strerror", "") or "it holds no certificate"
            raise BadConfig(f"auth.oidc.ca_file {ca_file}: {why}", hint="a PEM file of the authority") from error
    return context


def ask(
    url: str,
    tls: ssl.SSLContext,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = OIDC_S_MAX,
    bytes_max: int = OIDC_BYTES_MAX,
) -> Answer:
    """GET ``url``, or POST ``form`` to it. Redirections are answers like others: nobody is followed.

    Raises:
        TimedOut: it was not answered as a whole within ``seconds``.
        Unreachable: nobody answers, with a certificate we trust, in HTTP, within ``bytes_max``.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    cut = _Cut(seconds)
    try:
        wire = cut.connect(host, parts.port or (443 if parts.scheme == "https" else 80))
        if parts.scheme == "https":
            wire = cut.encrypt(tls, wire, host)
        status, data = _exchange(wire, parts.netloc.rpartition("@")[2], url, form, headers or {}, bytes_max)
        cut.check()  # the end of what was cut off among its headers looks like the end of an answer
    except (OSError, http.client.HTTPException) as error:
        if cut.is_over or isinstance(error, TimeoutError):
            raise TimedOut(f"{host} did not answer within {seconds:g} s", hint=_HINT) from error
        raise Unreachable(f"{host} cannot be asked: {_why(error)}", hint=_HINT) from error
    finally:
        cut.close()
    return Answer(status, _object(data))


class _Cut:
    """Ends a connection when its time is up, whatever it is doing: a peer that sends a byte now and then, too."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._wire: socket.socket | None = None
        self.is_over = False
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def connect(self, host: str, port: int) -> socket.socket:
        return self._keep(socket.create_connection((host, port), timeout=self._seconds))

    def encrypt(self, tls: ssl.SSLContext, wire: socket.socket, host: str) -> ssl.SSLSocket:
        encrypted = tls.wrap_socket(wire, server_hostname=host, do_handshake_on_connect=False)
        self._keep(encrypted)
        encrypted.do_handshake()
        return encrypted

    def _keep(self, wire: socket.socket) -> socket.socket:
        with self._lock:
            self._wire = wire
            if self.is_over:
                raise TimeoutError
        return wire

    def check(self) -> None:
        """Raises TimeoutError when the time is up."""
        if self.is_over:
            raise TimeoutError

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            if self._wire is not None:
                try:
                    socket.socket.shutdown(self._wire, socket.SHUT_RDWR)  # not TLS's own: it would write first
                except OSError:
                    return  # it is closed already

    def close(self) -> None:
        self._timer.cancel()
        with self._lock:
            if self._wire is not None:
                self._wire.close()


def _exchange(
    wire: socket.socket,
    host: str,
    url: str,
    form: Mapping[str, str] | None,
    headers: Mapping[str, str],
    bytes_max: int,
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host)
    connection.sock = wire
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = {"Accept": "application/json", "User-Agent": "logferry", "Connection": "close", **headers}
    body = None
    if form is not None:
        body = urlencode(form).encode("ascii")
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request("GET" if form is None else "POST", target, body, sent)
    with connection.getresponse() as response:
        data = response.read(bytes_max + 1)
        if len(data) > bytes_max:
            raise http.client.HTTPException(f"it sent more than {bytes_max:,} bytes")
        if response.length:  # of a body whose end was announced and did not come
            raise http.client.IncompleteRead(data, response.length)
        return response.status, data


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, socket.gaierror):
        return "there is no such name"
    if isinstance(error, http.client.HTTPException):
        return str(error)[:200] or type(error).__name__
    return getattr(error, "strerror", None) or str(error)[:200] or type(error).__name__


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
