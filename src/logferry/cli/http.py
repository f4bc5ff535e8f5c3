"""One HTTP connection to the server's API: kept alive, pinned, with answers read as they come.

Standard library only, because the command line belongs to the base install. A connection is used by one thread.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

from logferry import __version__, errors
from logferry.cli.connection import Connection
from logferry.errors import LogferryError, Refused, TimedOut, Unreachable
from logferry.ftp.client_tls import open_tls

PROBLEM_BYTES_MAX = 64 * 1024
LINE_BYTES_MAX = 16 * 1024 * 1024
"""One NDJSON or SSE line: a page of rows, each with its text."""


class Answer:
    """An answer whose body is still on the wire. Read it whole or close it; the connection waits for that."""

    def __init__(self, response: http.client.HTTPResponse, where: str) -> None:
        self._response = response
        self._where = where
        self.status = response.status
        self.headers = response.headers

    @property
    def length(self) -> int | None:
        """Bytes of the body that are still to come, where the server said so."""
        return self._response.length

    def read(self, size: int = -1) -> bytes:
        """The next ``size`` bytes at most (-1: all the rest). Raises Unreachable when the body ends too early."""
        with _Translated(self._where):
            data = self._response.read(size) if size >= 0 else self._response.read()
        if not data and size and self._response.length:
            raise Unreachable(f"{self._where} broke off within an answer", hint="try again")
        return data

    def json(self) -> Any:
        """The whole body as JSON."""
        return json.loads(self.read())

    def lines(self) -> Iterator[bytes]:
        """Lines as they arrive, without their ends."""
        while True:
            with _Translated(self._where):
                data = self._response.readline(LINE_BYTES_MAX)
            if not data:
                return
            yield data.rstrip(b"\r\n")

    def close(self) -> None:
        """Done with it, read or not."""
        self._response.close()

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Http:
    """Requests below ``connection.url``; ``timeout_s`` is the longest silence."""

    def __init__(self, connection: Connection, *, timeout_s: float = 60.0) -> None:
        self.connection = connection
        self._timeout_s = timeout_s
        self._parts = urlsplit(connection.url)
        self._wire: http.client.HTTPConnection | None = None
        self._open: Answer | None = None

    def __enter__(self) -> Http:
        return self

    def __exit__(self, _t: type[BaseException] | None, _v: BaseException | None, _tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. The next request connects again."""
        if self._wire is not None:
            self._wire.close()
        self._wire = None

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and return the answer once its head is there.

        Args:
            path: below the address of the server, for example ``/api/v1/agents``.
            query: parameters; those that are None or ``""`` are left out.
            body: anything JSON can write, or None.

        Raises:
            LogferryError: what the server's problem document says; Unreachable or TimedOut for the network.
        """
        target = self._parts.path.rstrip("/") + path
        given = {k: v for k, v in (query or {}).items() if v is not None and v not in ("", ())}
        if given:
            target += "?" + urlencode(given, doseq=True)
        data = None if body is None else json.dumps(body).encode()
        sent = self._headers(data) | dict(headers or {})
        response = self._exchange(method, target, data, sent)
        if response.status >= 400:
            try:
                raise problem_error(response.status, response.headers.get("Retry-After"), _problem(response))
            finally:
                self.close()
        return Answer(response, self.connection.url)

    def _headers(self, data: bytes | None) -> dict[str, str]:
        headers = {"User-Agent": f"logferry/{__version__}", "Accept": "application/json", "Accept-Encoding": "identity"}
        if self.connection.token:
            headers["Authorization"] = f"Bearer {self.connection.token}"
        elif self.connection.session:
            headers["Cookie"] = self.connection.session
        if data is not None:
            headers["Content-Type"] = "application/json"
        return headers

    def _exchange(
        self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        """One request; a kept-alive connection that the server closed meanwhile is opened once more."""
        kept = self._wire is not None
        try:
            with _Translated(self.connection.url):
                return self._once(method, target, data, headers)
        except Unreachable:
            self.close()
            if not kept:
                raise
        with _Translated(self.connection.url):
            return self._once(method, target, data, headers)

    def _once(
        self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        if self._wire is None:
            self._wire = self._connect()
        self._wire.request(method, target, data, dict(headers))
        return self._wire.getresponse()

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        wire: http.client.HTTPConnection
        if self._parts.scheme == "http":
            wire = http.client.HTTPConnection(host, port, timeout=self._timeout_s)
            wire.connect()
        else:
            wire = http.client.HTTPSConnection(host, port)
            # Connected and checked, the pin included, before a byte of ours goes out.
            pins = (self.connection.pin,) if self.connection.pin else ()
            wire.sock = open_tls(host, port or 443, pins=pins, timeout_s=self._timeout_s)
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return wire


class _Translated:
    """Foreign exceptions of a block as ours, in one place."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None or isinstance(error, LogferryError):
            return
        if isinstance(error, TimeoutError):
            raise TimedOut(f"{self._url} does not answer", hint="check the address, or try again later") from error
        if isinstance(error, (OSError, http.client.HTTPException)):
            words = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unreachable(
                f"cannot talk to {self._url}: {words}", hint="is the server running, and is this its address?"
            ) from error


def _problem(response: http.client.HTTPResponse) -> dict[str, Any]:
    try:
        values = json.loads(response.read(PROBLEM_BYTES_MAX))
    except (ValueError, OSError, http.client.HTTPException):  # a proxy's page, or half an answer: the status is left
        return {}
    return values if isinstance(values, dict) else {}


def problem_error(status: int, retry_after: str | None, values: Mapping[str, Any]) -> LogferryError:
    """The error of the tree that an RFC 9457 problem stands for."""
    message = str(values.get("detail") or values.get("title") or f"the server answered {status}")
    hint = str(values.get("hint") or "")
    if "column" in values and str(values["column"]).isdigit():
        return errors.BadQuery(message, column=int(values["column"]), hint=hint)
    if status >= 500 and values.get("request_id"):
        hint = f"{hint}; " * bool(hint) + f"request id {values['request_id']}"
    if status == 429:
        wait_s = float(retry_after) if retry_after and retry_after.isdigit() else 1.0
        return errors.Busy(message, retry_after_s=wait_s, hint=hint)
    if status == 401 and values.get("second_factor"):
        return errors.SecondFactorNeeded(message, hint=hint)
    kinds: dict[int, type[LogferryError]] = {
        401: errors.NotSignedIn,
        403: errors.NotPermitted,
        404: errors.NotFound,
        409: errors.Conflict,
        413: errors.TooLarge,
        503: errors.Unreachable,
        504: errors.TimedOut,
        507: errors.Full,
    }
    return kinds.get(status, Refused if status < 500 else errors.Unreachable)(message, hint=hint)
